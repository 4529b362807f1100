//! How long to wait after a failure before the next trial: 100 ms at first, doubled each time, 30 s at most.
//!
//! Only arithmetic. Each generation has one for processes that don't become ready, one for those that don't
//! last, and one for those that are worn too soon. Called by `decide/failures` and `decide/recycling`, asked by `fleet`.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// After so long without a failure the next one counts as the first.
const CALM: Duration = Duration::from_secs(60);

/// Counts failures, and says until when the next trial waits.
#[derive(Debug, Default, Clone, Copy)]
pub struct Throttle {
    failures: u32,
    until: Duration,
}

impl Throttle {
    /// Something failed at `now`. Failures before the wait for an earlier one is over are of the same round and not counted.
    /// Answers whether this one was.
    pub fn fail(&mut self, now: Duration) -> bool {
        if now < self.until {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let wait = SHORTEST.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST);
        self.until = now.saturating_add(wait);
        true
    }

    /// As [`Throttle::fail`], but what happened a calm minute ago is forgotten.
    pub fn fail_anew(&mut self, now: Duration) -> bool {
        if now > self.until.saturating_add(CALM) {
            self.failures = 0;
        }
        self.fail(now)
    }

    /// Something succeeded: all is forgotten.
    pub fn succeed(&mut self) {
        *self = Self::default();
    }

    /// How often something has failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next trial may be made.
    #[must_use]
    pub fn until(&self) -> Duration {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_half_a_minute_and_success_ends_it() {
        let (mut throttle, mut now, mut waits) = (Throttle::default(), Duration::from_secs(9), Vec::new());
        for _ in 0..11 {
            assert!(throttle.fail(now));
            waits.push((throttle.until() - now).as_millis());
            now = throttle.until();
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        throttle.succeed();
        assert_eq!((throttle.failures(), throttle.until()), (0, Duration::ZERO));
    }

    #[test]
    fn failures_of_one_round_count_once() {
        let (mut throttle, now) = (Throttle::default(), Duration::from_secs(9));
        let counted: Vec<_> = (0..4).map(|_| throttle.fail(now)).collect();
        assert_eq!((throttle.failures(), counted), (1, vec![true, false, false, false]));
    }

    #[test]
    fn a_calm_minute_is_forgiven_only_where_asked() {
        let mut throttle = Throttle::default();
        throttle.fail(Duration::from_secs(1));
        throttle.fail(Duration::from_secs(100));
        assert_eq!(throttle.failures(), 2);
        throttle.fail_anew(Duration::from_secs(300));
        assert_eq!(throttle.failures(), 1);
    }
}
