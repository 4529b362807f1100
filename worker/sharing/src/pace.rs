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
