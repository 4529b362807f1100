//! When each connection must have got on, at the cost of a store a request.
//!
//! A connection moves its own deadline by writing a number. One entry a connection stands in a heap; when its time comes, the
//! entry is put back if the deadline has moved meanwhile. So the heap is touched once a deadline's length, not once a
//! request.
//!
//! It reads no clock and drops no connection. Asked by the worker's reactor; connections move their own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Milliseconds on the clock of [`tapster_sys::stamp::monotonic`].
pub type Millis = u64;

/// No deadline.
pub const NEVER: Millis = Millis::MAX;

/// So many entries of connections that are gone do no harm.
const LEFT_BEHIND: usize = 256;

/// A connection's part.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// When it is due.
    pub at: Millis,
    /// When its entry in the heap is due; an entry of another time is an old one.
    scheduled: Millis,
    /// Tells this connection from an earlier one of the same key.
    serial: u64,
}

impl Deadline {
    /// Tells its connection from all that came before in this worker.
    pub fn serial(&self) -> u64 {
        self.serial
    }
}

/// Everybody's.
#[derive(Debug, Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<(Millis, usize, u64)>>,
    serials: u64,
}

impl Deadlines {
    /// A new connection's, not yet set.
    pub fn issue(&mut self) -> Deadline {
        self.serials += 1;
        Deadline { at: NEVER, scheduled: NEVER, serial: self.serials }
    }

    /// Sees to it that the deadline of the connection `key` is not missed. To be called after it may have been moved.
    #[inline]
    pub fn watch(&mut self, key: usize, deadline: &mut Deadline) {
        if deadline.at < deadline.scheduled {
            deadline.scheduled = deadline.at;
            self.heap.push(Reverse((deadline.at, key, deadline.serial)));
        }
    }

    /// The next connection to be looked at, at `now`; `find` gives the deadline of a key that is in use. The connection is
    /// late if its deadline is.
    pub fn due<'a>(&mut self, now: Millis, find: impl FnOnce(usize) -> Option<&'a mut Deadline>) -> Option<usize> {
        let &Reverse((at, key, serial)) = self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        if let Some(deadline) = find(key)
            && deadline.serial == serial
            && deadline.scheduled == at
        {
            deadline.scheduled = NEVER;
        }
        Some(key)
    }

    /// Forgets the entries of connections that are gone, where they are more than those of the `held` that are not: else with
    /// many short ones they would pile up until their time comes. `find` as in [`Deadlines::due`].
    #[inline]
    pub fn forget_left_behind<'a>(&mut self, held: usize, find: impl Fn(usize) -> Option<&'a Deadline>) {
        if self.heap.len() > 2 * held + LEFT_BEHIND {
            self.heap.retain(|&Reverse((at, key, serial))| {
                find(key).is_some_and(|deadline| deadline.serial == serial && deadline.scheduled == at)
            });
        }
    }

    /// When [`Deadlines::due`] must be asked again; `find` as there. Entries of connections that are gone wake nobody.
    pub fn next<'a>(&mut self, find: impl Fn(usize) -> Option<&'a Deadline>) -> Millis {
        while let Some(&Reverse((at, key, serial))) = self.heap.peek() {
            if find(key).is_some_and(|deadline| deadline.serial == serial && deadline.scheduled == at) {
                return at;
            }
            self.heap.pop();
        }
        NEVER
    }
}

#[cfg(test)]
mod tests;
