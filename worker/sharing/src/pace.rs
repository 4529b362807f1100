//! How fast a body must arrive: not silent for too long, not too slow on average, not for ever.
//!
//! Numbers only; it reads no clock. Kept by the worker's `body`, asked by its `connection`.

use tapster_wire::Reason;

use crate::clock::Times;
use crate::deadlines::{Millis, NEVER};

/// A body's arrival so far.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    begun: Millis,
    heard: Millis,
    bytes: u64,
}

impl Pace {
    /// A body whose head was complete at `now`.
    pub fn new(now: Millis) -> Self {
        Self { begun: now, heard: now, bytes: 0 }
    }

    /// More has come, framing included.
    pub fn note(&mut self, bytes: usize, now: Millis) {
        self.heard = now;
        self.bytes += bytes as u64;
    }

    /// When it will have taken too long, if nothing more comes.
    pub fn deadline(&self, times: &Times) -> Millis {
        self.end_of_silence(times).min(self.end_of_all(times)).min(self.end_by_rate(times))
    }

    /// What was too slow about it, once its deadline has passed at `now`.
    pub fn offence(&self, now: Millis, times: &Times) -> Reason {
        if self.end_of_silence(times).min(self.end_of_all(times)) <= now {
            Reason::BodyTimeout
        } else {
            Reason::BodyRate
        }
    }

    fn end_of_silence(&self, times: &Times) -> Millis {
        self.heard.saturating_add(times.body)
    }

    fn end_of_all(&self, times: &Times) -> Millis {
        self.begun.saturating_add(times.body_total)
    }

    /// The rate counts once a client has had time to get going.
    fn end_by_rate(&self, times: &Times) -> Millis {
        match times.body_min_rate {
            0 => NEVER,
            rate => self.begun.saturating_add(times.body).saturating_add(self.bytes.saturating_mul(1000) / rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use tapster_config::Settings;

    use super::*;

    const SECOND: Millis = 1000;

    /// Silence of 30 s, 300 s altogether and so many bytes a second.
    fn times(rate: u64) -> Times {
        Times { body: 30 * SECOND, body_total: 300 * SECOND, body_min_rate: rate, ..Times::new(&Settings::default()) }
    }

    /// Seconds and bytes.
    type Heard = &'static [(Millis, usize)];

    #[test]
    fn a_body_is_late_by_silence_by_its_rate_or_altogether() {
        // What came of a body that began at 100 s; the rate; when it is late, in seconds, by what.
        #[rustfmt::skip]
        let table: [(Heard, u64, Millis, Reason); 10] = [
            (&[],                            0,     130, Reason::BodyTimeout),
            (&[],                            1_000, 130, Reason::BodyTimeout),
            (&[(120, 1)],                    0,     150, Reason::BodyTimeout),
            (&[(120, 1_000)],                1_000, 131, Reason::BodyRate),
            (&[(101, 5_000), (120, 5_000)],  1_000, 140, Reason::BodyRate),
            (&[(101, 50_000), (120, 1)],     1_000, 150, Reason::BodyTimeout),
            (&[(129, 100_000)],              1_000, 159, Reason::BodyTimeout),
            (&[(399, 1_000_000)],            1_000, 400, Reason::BodyTimeout),
            (&[(390, 1)],                    0,     400, Reason::BodyTimeout),
            (&[(100, usize::MAX)],           1,     130, Reason::BodyTimeout),
        ];
        for row @ (heard, rate, late, reason) in table {
            let (times, mut pace) = (times(rate), Pace::new(100 * SECOND));
            heard.iter().for_each(|&(at, bytes)| pace.note(bytes, at * SECOND));
            let deadline = pace.deadline(&times);
            assert_eq!(deadline, late * SECOND, "{row:?}");
            assert_eq!(pace.offence(deadline, &times), reason, "{row:?}");
        }
    }

    #[test]
    fn a_body_without_limits_is_never_late() {
        let times = Times { body: NEVER, body_total: NEVER, ..times(0) };
        assert_eq!(Pace::new(SECOND).deadline(&times), NEVER);
    }
}
