//! How much all connections of a worker together may keep: of memory, or of disk.
//!
//! What one connection may keep is bounded by its owners, `body` and `outgoing`; a thousand that each keep so much would
//! still be too many. It counts bytes, and holds none.

use std::cell::Cell;
use std::rc::Rc;

/// A sum of bytes, and what is left of it.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Rc<Account>);

#[derive(Debug)]
struct Account {
    total: u64,
    left: Cell<u64>,
    /// The least that has been left since the last [`Budget::forget_peak`].
    least: Cell<u64>,
}

/// What one holder has taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    taken: u64,
}

impl Budget {
    /// Of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Rc::new(Account { total: bytes, left: Cell::new(bytes), least: Cell::new(bytes) }))
    }

    /// How much is taken.
    pub(crate) fn taken(&self) -> u64 {
        self.0.total - self.0.left.get()
    }

    /// The most that was taken since the peak was last forgotten.
    pub(crate) fn peak(&self) -> u64 {
        self.0.total - self.0.least.get()
    }

    /// From now on the peak is what is taken now.
    pub(crate) fn forget_peak(&self) {
        self.0.least.set(self.0.left.get());
    }

    /// A share of nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), taken: 0 }
    }
}

impl Share {
    /// Takes more or gives back, so that it is `bytes` afterwards; or stays what it was where there is not so much left.
    #[inline]
    pub(crate) fn resize(&mut self, bytes: u64) -> bool {
        if bytes == self.taken {
            return true;
        }
        let Account { left, least, .. } = &*self.budget.0;
        match left.get().saturating_add(self.taken).checked_sub(bytes) {
            Some(rest) => {
                left.set(rest);
                least.set(least.get().min(rest));
                self.taken = bytes;
                true
            }
            None => false,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}
