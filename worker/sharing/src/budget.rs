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
