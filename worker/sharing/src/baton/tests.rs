//! The baton's tests: each transition by itself, and all of them by many threads at once.

mod race;
mod transitions;

use mio::{Poll, Token};

use super::*;

const WAKER: Token = Token(0);

/// A baton for so many threads, with the poll that its waker ends.
fn baton<R, D>(threads: usize) -> (Baton<R, D>, Poll) {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), WAKER).unwrap();
    (Baton::new(threads, waker).unwrap(), poll)
}
