//! The time, and how long things may take.
//!
//! What follows from the time is decided elsewhere.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tapster_config::Settings;
use tapster_wire::DateCache;
use tapster_wire::http1::reply::ServerFields;

use crate::deadlines::{Millis, NEVER};

/// The time, looked at once a round.
#[derive(Debug)]
pub struct Clock {
    /// The time of the last look.
    pub now: Millis,
    dates: DateCache,
    /// What replies say of the server, the date included.
    pub server: ServerFields,
}

impl Clock {
    /// For a server that replies name or not.
    pub fn new(named: bool) -> Self {
        let mut clock =
            Self { now: 0, dates: DateCache::new(), server: ServerFields { named, ..ServerFields::default() } };
        clock.look();
        clock
    }

    /// The time has passed, but not so much that the date could be another: for within a round.
    #[inline]
    pub fn glance(&mut self) {
        self.now = monotonic();
    }

    /// A round begins.
    pub fn look(&mut self) {
        self.glance();
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.server.date = *self.dates.at(second);
    }
}

/// The time now, as deadlines count.
#[inline]
pub fn monotonic() -> Millis {
    millis(tapster_sys::stamp::monotonic())
}

/// A duration as deadlines count.
#[inline]
pub fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// How long things may take, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A request's head, from its first byte; and from the connection's start to that byte.
    pub head: Millis,
    /// Silence within a body.
    pub body: Millis,
    /// A whole body.
    pub body_total: Millis,
    /// A body's bytes a second; 0 for any.
    pub body_min_rate: u64,
    /// A request's wait for a free thread.
    pub queue: Millis,
    /// A request in the application, or one block of its reply.
    pub timeout: Millis,
    /// From then on until its thread has to be back.
    pub grace: Millis,
    /// A client that takes nothing of a reply.
    pub send: Millis,
    /// Our end of a connection being closed and the client's not.
    pub linger: Millis,
    /// An idle connection; 0 closes each after its reply.
    pub keep_alive: Millis,
}

impl Times {
    /// As the settings have them.
    pub fn new(settings: &Settings) -> Self {
        let or_never = |time: Duration| if time.is_zero() { NEVER } else { millis(time) };
        Self {
            head: millis(settings.client_header_timeout),
            body: millis(settings.client_body_timeout),
            body_total: or_never(settings.client_body_total_timeout),
            body_min_rate: settings.client_body_min_rate,
            queue: or_never(settings.queue_timeout),
            timeout: or_never(settings.timeout),
            grace: millis(settings.timeout_grace),
            send: millis(settings.send_timeout),
            linger: millis(settings.lingering_timeout),
            keep_alive: millis(settings.keep_alive),
        }
    }
}

/// Keeps what happens again and again from filling the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seldom(Millis);

impl Seldom {
    /// Between two lines about one thing, in milliseconds.
    pub const SILENCE: Millis = 10_000;

    /// Whether a line is due again at `now`, and takes it to be written.
    pub fn is_time(&mut self, now: Millis) -> bool {
        let is_time = now >= self.0;
        if is_time {
            self.0 = now + Self::SILENCE;
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_again_and_again_is_told_every_ten_seconds() {
        let mut seldom = Seldom::default();
        let told: Vec<_> = (0..40_000).step_by(500).filter(|&now| seldom.is_time(now)).collect();
        assert_eq!(told, [0, 10_000, 20_000, 30_000]);
    }

    #[test]
    fn what_happens_once_in_a_while_is_told_each_time() {
        let mut seldom = Seldom::default();
        assert!([5, 10_005, 25_000, 90_000].into_iter().all(|now| seldom.is_time(now)));
        assert!(!seldom.is_time(99_999));
        assert!(seldom.is_time(100_000));
    }

    #[test]
    fn a_time_of_zero_is_none_where_the_settings_say_so() {
        let zero = Settings {
            client_body_total_timeout: Duration::ZERO,
            queue_timeout: Duration::ZERO,
            timeout: Duration::ZERO,
            keep_alive: Duration::ZERO,
            ..Settings::default()
        };
        let times = Times::new(&zero);
        assert_eq!((times.body_total, times.queue, times.timeout, times.keep_alive), (NEVER, NEVER, NEVER, 0));
    }

    #[test]
    fn times_are_the_settings_in_milliseconds() {
        let settings = Settings {
            client_header_timeout: Duration::from_millis(1_500),
            timeout: Duration::from_secs(7),
            send_timeout: Duration::from_secs(60),
            ..Settings::default()
        };
        let times = Times::new(&settings);
        assert_eq!((times.head, times.timeout, times.send), (1_500, 7_000, 60_000));
    }

    #[test]
    fn a_duration_beyond_all_deadlines_is_never() {
        assert_eq!(millis(Duration::from_micros(1_999)), 1);
        assert_eq!(millis(Duration::MAX), NEVER);
    }

    #[test]
    fn a_look_at_the_clock_brings_the_time_and_the_date() {
        let before = monotonic();
        let mut clock = Clock::new(true);
        assert!(clock.now >= before && clock.now <= monotonic());
        assert!(clock.server.named && clock.server.date.ends_with(b" GMT"));
        clock.now = 0;
        clock.glance();
        assert!(clock.now >= before);
    }
}
