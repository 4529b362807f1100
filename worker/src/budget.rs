//! How much all connections of a worker together may keep: of memory, or of disk.
//!
//! What one connection may keep is bounded by its owners, `body` and `outgoing`; a thousand that each keep so much would
//! still be too many. It counts bytes, and holds none.

use std::cell::Cell;
use std::rc::Rc;

/// What is left.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Rc<Cell<u64>>);

/// What one holder has taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    taken: u64,
}

impl Budget {
    /// Of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Rc::new(Cell::new(bytes)))
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
        let left = &self.budget.0;
        match left.get().saturating_add(self.taken).checked_sub(bytes) {
            Some(rest) => {
                left.set(rest);
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
