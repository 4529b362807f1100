//! After how many requests a worker has served enough (`max_requests`, `max_requests_jitter`).
//!
//! Only the number; who counts is the scoreboard, and who draws the conclusion the arbiter.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The number for this process: `most`, and at random up to `jitter` more, which differs between processes that are forked from one
/// template at the same time. Where `most` is 0 it is never reached.
pub fn limit(most: u64, jitter: u64) -> u64 {
    match most {
        0 => u64::MAX,
        _ => most.saturating_add(draw() % jitter.saturating_add(1)),
    }
}

fn draw() -> u64 {
    // Its keys are random, but perhaps drawn before the fork, and then those of all siblings: so the pid and the time.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.write_u128(tapster_sys::stamp::monotonic().as_nanos());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_none_is_reached() {
        assert_eq!((limit(0, 0), limit(0, 100)), (u64::MAX, u64::MAX));
    }

    #[test]
    fn without_jitter_it_is_the_limit() {
        assert_eq!(limit(50, 0), 50);
    }

    #[test]
    fn with_jitter_every_number_comes_up_and_none_beyond() {
        let mut seen = [false; 8];
        for _ in 0..1000 {
            seen[usize::try_from(limit(50, 7) - 50).unwrap()] = true;
        }
        assert_eq!(seen, [true; 8]);
    }

    #[test]
    fn no_number_is_too_large() {
        assert!(limit(u64::MAX, u64::MAX) >= 1);
    }
}
