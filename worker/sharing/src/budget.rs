//! How much all connections of a worker together may keep: of memory, or of disk.
//!
//! What one connection may keep is bounded by its owners, the worker's `body` and `outgoing`; a thousand that each keep so much would
//! still be too many. It counts bytes, and holds none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A sum of bytes, and what is left of it. All threads of the worker take from it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    total: u64,
    left: AtomicU64,
    /// The least that has been left since the last [`Budget::forget_peak`].
    least: AtomicU64,
}

/// What one holder has taken; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    taken: u64,
}

impl Budget {
    /// Of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Account { total: bytes, left: AtomicU64::new(bytes), least: AtomicU64::new(bytes) }))
    }

    /// How much is taken.
    pub fn taken(&self) -> u64 {
        self.0.total - self.0.left.load(Relaxed)
    }

    /// The most that was taken since the peak was last forgotten.
    pub fn peak(&self) -> u64 {
        self.0.total - self.0.least.load(Relaxed)
    }

    /// From now on the peak is what is taken now.
    pub fn forget_peak(&self) {
        self.0.least.store(self.0.left.load(Relaxed), Relaxed);
    }

    /// A share of nothing yet.
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), taken: 0 }
    }
}

impl Share {
    /// Takes more or gives back, so that it is `bytes` afterwards; or stays what it was where there is not so much left.
    #[inline]
    pub fn resize(&mut self, bytes: u64) -> bool {
        bytes == self.taken || self.change(bytes)
    }

    fn change(&mut self, bytes: u64) -> bool {
        let Account { left, least, .. } = &*self.budget.0;
        let taken = self.taken;
        let rest_of = |left: u64| left.saturating_add(taken).checked_sub(bytes);
        match left.fetch_update(Relaxed, Relaxed, rest_of) {
            Ok(before) => {
                least.fetch_min(before.saturating_add(taken) - bytes, Relaxed);
                self.taken = bytes;
                true
            }
            Err(_) => false,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_share_grows_and_shrinks_within_what_is_left() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.share(), budget.share());
        // Of which share, to what; whether it may; how much is taken then.
        for (is_one, bytes, may, taken) in [
            (true, 60, true, 60),
            (false, 40, true, 100),
            (false, 41, false, 100),
            (true, 60, true, 100),
            (true, 61, false, 100),
            (true, 20, true, 60),
            (false, 80, true, 100),
            (true, u64::MAX, false, 100),
            (true, 0, true, 80),
        ] {
            let share = if is_one { &mut one } else { &mut other };
            assert_eq!((share.resize(bytes), budget.taken()), (may, taken), "{is_one} to {bytes}");
        }
    }

    #[test]
    fn a_share_that_is_dropped_is_given_back() {
        let budget = Budget::new(100);
        let mut share = budget.share();
        assert!(share.resize(100));
        drop(share);
        assert_eq!(budget.taken(), 0);
        assert!(budget.share().resize(100));
    }

    #[test]
    fn the_peak_is_the_most_since_it_was_forgotten() {
        let budget = Budget::new(100);
        let mut share = budget.share();
        // To what it is resized; the peak then.
        for (bytes, peak) in [(30, 30), (10, 30), (20, 30), (70, 70), (101, 70), (0, 70)] {
            share.resize(bytes);
            assert_eq!(budget.peak(), peak, "at {bytes}");
        }
        share.resize(15);
        budget.forget_peak();
        assert_eq!(budget.peak(), 15);
        share.resize(5);
        assert_eq!((budget.peak(), budget.taken()), (15, 5));
    }

    #[test]
    fn threads_together_never_take_more_than_there_is() {
        let budget = Budget::new(1_000);
        thread::scope(|scope| {
            for number in 1..=4 {
                let budget = &budget;
                scope.spawn(move || {
                    let mut share = budget.share();
                    for step in 0..20_000_u64 {
                        let bytes = step * number % 700;
                        let before = share.taken;
                        let may = share.resize(bytes);
                        assert_eq!(share.taken, if may { bytes } else { before });
                        assert!(budget.taken() <= 1_000);
                    }
                });
            }
        });
        assert_eq!(budget.taken(), 0);
        assert!(budget.peak() <= 1_000);
    }
}
