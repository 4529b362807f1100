//! What each worker is doing, in memory that the arbiter reads without asking.
//!
//! One slot a worker, on cache lines of its own, written by that worker alone, and there by one thread at a time: the one
//! that has the worker's loop. The arbiter learns from it that a worker has come to a halt, and workers who among them has
//! least to do; nothing on a disk, and no system call to write it. Where the number of workers follows the load, it learns
//! that here too.
//!
//! A request that takes long does not make a worker look stuck: the loop goes on in another thread within milliseconds. What
//! becomes of such a request is the worker's to see, and to report (`message::Report::Stuck`). Which requests there are, is noted
//! for the worker's death (`running`).

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tapster_sys::shm::SharedWords;

use crate::running::{MOST_RECORDS, WORDS_PER_RECORD};

/// The most workers, of all generations together, that a scoreboard has room for: in a reload a new generation stands
/// beside an old one, and beside what is left of those before. Memory is taken only by what is used of it.
pub const MOST_SLOTS: u32 = 4096;

/// Two cache lines, so that the neighbour-line prefetcher does not tie two workers together.
const WORDS_PER_SLOT: usize = 16;
const BUSY_SINCE: usize = 0;
const REQUESTS: usize = 1;
const CONNECTIONS: usize = 2;
const ACCEPTING: usize = 3;
/// How many records of requests the worker uses.
const RECORDS: usize = 4;
const RUNNING: usize = 5;
const WAITING: usize = 6;
/// The records of all slots stand behind the slots themselves, at which siblings look often.
const WORDS_OF_RECORDS: usize = MOST_RECORDS * WORDS_PER_RECORD;

/// The slots of all workers.
#[derive(Debug)]
pub struct Scoreboard(SharedWords);

/// One worker's place.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    words: &'static [AtomicU64],
    records: &'static [AtomicU64],
}

impl Scoreboard {
    /// Makes one, all slots idle.
    ///
    /// # Errors
    /// As [`SharedWords::create`].
    pub fn create() -> io::Result<Self> {
        SharedWords::create(SIZE).map(Self)
    }

    /// Opens the arbiter's in another process.
    ///
    /// # Errors
    /// As [`SharedWords::map`].
    pub fn open(memory: OwnedFd) -> io::Result<Self> {
        SharedWords::map(memory, SIZE).map(Self)
    }

    /// The slot of that number, where there is one.
    #[must_use]
    pub fn slot(&self, number: u32) -> Option<Slot> {
        let number = usize::try_from(number).ok().filter(|&number| number < MOST_SLOTS as usize)?;
        let (slots, records) = self.0.words().split_at_checked(MOST_SLOTS as usize * WORDS_PER_SLOT)?;
        let place = |words: &'static [AtomicU64], size: usize| words.get(number * size..(number + 1) * size);
        Some(Slot { words: place(slots, WORDS_PER_SLOT)?, records: place(records, WORDS_OF_RECORDS)? })
    }
}

const SIZE: NonZeroUsize = match NonZeroUsize::new(MOST_SLOTS as usize * (WORDS_PER_SLOT + WORDS_OF_RECORDS)) {
    Some(size) => size,
    None => NonZeroUsize::MIN,
};

impl AsFd for Scoreboard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Slot {
    /// Empties the slot for its next worker. For the arbiter, before the fork.
    pub fn clear(self) {
        self.clear_records();
        self.words.iter().for_each(|word| word.store(0, Relaxed));
    }

    /// The worker has so many threads that run requests. To be said before the first does.
    pub fn use_records(self, threads: usize) {
        self.words[RECORDS].store(threads.min(MOST_RECORDS) as u64, Relaxed);
    }

    /// The record of that thread's request; `None` where there are not as many.
    #[inline]
    pub(crate) fn record(self, thread: usize) -> Option<&'static [AtomicU64]> {
        let start = thread.checked_mul(WORDS_PER_RECORD)?;
        self.records.get(start..start + WORDS_PER_RECORD)
    }

    /// The records of the threads that there are.
    pub(crate) fn used_records(self) -> &'static [AtomicU64] {
        let used = usize::try_from(self.words[RECORDS].load(Relaxed)).unwrap_or(MOST_RECORDS).min(MOST_RECORDS);
        &self.records[..used * WORDS_PER_RECORD]
    }

    /// The worker's loop starts on something at `now`, on the clock of [`tapster_sys::stamp::monotonic`].
    pub fn busy(self, now: Duration) {
        self.words[BUSY_SINCE].store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX).max(1), Relaxed);
    }

    /// The worker's loop has nothing to do, for however long.
    pub fn idle(self) {
        self.words[BUSY_SINCE].store(0, Relaxed);
    }

    /// Since when the worker's loop has been at the same thing; `None` while it is idle. Where that is long ago, the whole
    /// process has come to a halt: it was stopped, or nothing in it gets a turn.
    #[must_use]
    pub fn busy_since(self) -> Option<Duration> {
        Some(self.words[BUSY_SINCE].load(Relaxed)).filter(|&since| since != 0).map(Duration::from_millis)
    }

    /// The worker has answered one request more. Only the thread that has its loop calls this, so no read-modify-write is
    /// needed.
    pub fn count_request(self) {
        self.words[REQUESTS].store(self.words[REQUESTS].load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The worker has so many connections open.
    pub fn set_connections(self, count: usize) {
        self.words[CONNECTIONS].store(count as u64, Relaxed);
    }

    /// How many connections the worker has open.
    #[must_use]
    pub fn connections(self) -> u64 {
        self.words[CONNECTIONS].load(Relaxed)
    }

    /// The worker waits for connections, or does not.
    pub fn set_accepting(self, accepting: bool) {
        self.words[ACCEPTING].store(accepting.into(), Relaxed);
    }

    /// Whether the worker takes connections at all.
    #[must_use]
    pub fn is_accepting(self) -> bool {
        self.words[ACCEPTING].load(Relaxed) != 0
    }

    /// Whether the worker would take a connection at once, and has fewer than `count`.
    #[must_use]
    pub fn is_freer_than(self, count: usize) -> bool {
        let word = |index: usize| self.words[index].load(Relaxed);
        word(ACCEPTING) != 0 && word(BUSY_SINCE) == 0 && word(CONNECTIONS) < count as u64
    }

    /// So many of the worker's requests are in the application. What is written before a call is right for as long as it takes,
    /// whatever becomes of the loop meanwhile.
    #[inline]
    pub fn set_running(self, count: usize) {
        self.words[RUNNING].store(count as u64, Relaxed);
    }

    /// So many of the worker's requests wait for a free thread.
    pub fn set_waiting(self, count: usize) {
        self.words[WAITING].store(count as u64, Relaxed);
    }

    /// How many of the worker's threads are at work. Where all requests are short, the loop takes as long as they do: while it is
    /// busy, a thread is.
    #[must_use]
    pub fn busy_threads(self) -> u32 {
        let running = self.words[RUNNING].load(Relaxed).max((self.words[BUSY_SINCE].load(Relaxed) != 0).into());
        u32::try_from(running).unwrap_or(u32::MAX)
    }

    /// How many of the worker's requests wait for a free thread.
    #[must_use]
    pub fn waiting(self) -> u32 {
        u32::try_from(self.words[WAITING].load(Relaxed)).unwrap_or(u32::MAX)
    }

    /// How many requests the worker has answered.
    #[must_use]
    pub fn requests(self) -> u64 {
        self.words[REQUESTS].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_writes_the_arbiter_reads() {
        let board = Scoreboard::create().unwrap();
        let other = Scoreboard::open(board.as_fd().try_clone_to_owned().unwrap()).unwrap();
        let last = MOST_SLOTS - 1;
        let (worker, arbiter) = (other.slot(last).unwrap(), board.slot(last).unwrap());
        assert_eq!(arbiter.busy_since(), None);
        worker.busy(Duration::from_secs(5));
        worker.count_request();
        assert_eq!((arbiter.busy_since(), arbiter.requests()), (Some(Duration::from_secs(5)), 1));
        assert!(!arbiter.is_freer_than(9), "it is busy");
        worker.idle();
        worker.set_accepting(true);
        worker.set_connections(8);
        assert!(arbiter.is_freer_than(9) && !arbiter.is_freer_than(8));
        arbiter.clear();
        assert_eq!((worker.busy_since(), worker.requests()), (None, 0));
        assert!(board.slot(MOST_SLOTS).is_none());
    }

    #[test]
    fn threads_are_at_work_in_the_application_or_at_least_in_the_loop() {
        let board = Scoreboard::create().unwrap();
        let slot = board.slot(0).unwrap();
        // In the application, is the loop busy; threads at work
        for (running, busy, threads) in [(0, false, 0), (0, true, 1), (1, true, 1), (3, false, 3), (3, true, 3)] {
            slot.set_running(running);
            if busy {
                slot.busy(Duration::from_secs(1));
            } else {
                slot.idle();
            }
            assert_eq!((slot.busy_threads(), slot.waiting()), (threads, 0), "{running} {busy}");
        }
        slot.set_waiting(7);
        assert_eq!(slot.waiting(), 7);
    }

    #[test]
    fn memory_that_is_too_small_is_refused() {
        let small = SharedWords::create(NonZeroUsize::MIN).unwrap();
        assert!(Scoreboard::open(small.as_fd().try_clone_to_owned().unwrap()).is_err());
    }
}
