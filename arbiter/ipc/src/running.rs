//! Which requests a worker is running, in the scoreboard's memory: what is left of them to tell when the worker dies.
//!
//! One record an application thread, written by whoever has the worker's loop, and read by the arbiter alone, of a process that
//! is dead or at a halt. Read from one that is alive, a record may be a mixture of two requests, and nothing worse.
//! A slot's records are part of [`crate::scoreboard::Slot`], which this file adds to.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::scoreboard::Slot;

/// The most records of a slot. Threads beyond have none: what they run is not told.
pub const MOST_RECORDS: usize = 64;
/// The most bytes of a request's method and target that a record keeps.
pub const MOST_NAMED: usize = (WORDS_PER_RECORD - NAME) * WORD;

/// As many as two cache lines have.
pub(crate) const WORDS_PER_RECORD: usize = 16;
/// When the request went into the application, in milliseconds; 0 where there is none.
const SINCE: usize = 0;
/// How long the name is, with what there is no room for.
const LENGTH: usize = 1;
const NAME: usize = 2;
/// The bytes of a word.
const WORD: usize = size_of::<u64>();

/// A request that a worker was running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// When it went into the application, on the clock of [`tapster_sys::stamp::monotonic`].
    pub since: Duration,
    /// The first bytes of its method and target.
    name: Vec<u8>,
    /// Whether there were more.
    is_cut: bool,
}

/// As the log names it.
impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name.escape_ascii(), if self.is_cut { "..." } else { "" })
    }
}

impl Slot {
    /// The request `name`, method and target with a space between, goes into the application in that thread at `now_ms`
    /// milliseconds. For the thread that has the worker's loop; costs a few stores.
    #[inline]
    pub fn begin_request(self, thread: usize, now_ms: u64, name: &[u8]) {
        let Some(record) = self.record(thread) else { return };
        let (whole, rest) = name[..name.len().min(MOST_NAMED)].as_chunks::<WORD>();
        for (word, bytes) in record[NAME..].iter().zip(whole) {
            word.store(u64::from_ne_bytes(*bytes), Relaxed);
        }
        if let Some(word) = record[NAME..].get(whole.len()) {
            let last = rest.iter().rev().fold(0, |last, &byte| last << u8::BITS | u64::from(byte));
            word.store(last.to_le(), Relaxed);
        }
        record[LENGTH].store(name.len() as u64, Relaxed);
        record[SINCE].store(now_ms.max(1), Relaxed);
    }

    /// That thread's request has come back.
    #[inline]
    pub fn end_request(self, thread: usize) {
        if let Some(record) = self.record(thread) {
            record[SINCE].store(0, Relaxed);
        }
    }

    /// The requests that the worker was running when it wrote last, those that had taken longest first.
    #[must_use]
    pub fn running(self) -> Vec<Running> {
        let records = self.used_records().chunks_exact(WORDS_PER_RECORD);
        let mut running: Vec<_> = records
            .filter(|record| record[SINCE].load(Relaxed) != 0)
            .map(|record| {
                let mut name: Vec<u8> =
                    record[NAME..].iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
                // A worker gone mad may have written anything there.
                let length = usize::try_from(record[LENGTH].load(Relaxed)).unwrap_or(usize::MAX);
                name.truncate(length);
                let since = Duration::from_millis(record[SINCE].load(Relaxed));
                Running { since, name, is_cut: length > MOST_NAMED }
            })
            .collect();
        running.sort_by_key(|one| one.since);
        running
    }

    /// For [`Slot::clear`]. Records that were never used are left alone, since a look at them would take memory.
    pub(crate) fn clear_records(self) {
        for record in self.used_records().chunks_exact(WORDS_PER_RECORD) {
            record[SINCE].store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::scoreboard::{MOST_SLOTS, Scoreboard};

    fn names(slot: Slot) -> Vec<(u64, String)> {
        let name = |one: Running| (one.since.as_secs(), one.to_string());
        slot.running().into_iter().map(name).collect()
    }

    #[test]
    fn the_arbiter_reads_what_a_worker_is_running_the_oldest_first() {
        let board = Scoreboard::create().unwrap();
        let other = Scoreboard::open(board.as_fd().try_clone_to_owned().unwrap()).unwrap();
        let last = MOST_SLOTS - 1;
        let (worker, arbiter) = (other.slot(last).unwrap(), board.slot(last).unwrap());
        worker.use_records(3);
        assert_eq!(names(arbiter), []);
        worker.begin_request(0, 9_000, b"GET /a");
        worker.begin_request(2, 5_000, b"DELETE /not-so-short?a=b");
        assert_eq!(names(arbiter), [(5, "DELETE /not-so-short?a=b".into()), (9, "GET /a".into())]);
        worker.end_request(2);
        worker.begin_request(0, 10_000, b"PUT /eight");
        assert_eq!(names(arbiter), [(10, "PUT /eight".into())]);
        arbiter.clear();
        assert_eq!(names(worker), []);
    }

    #[test]
    fn names_of_every_length_come_out_as_they_went_in_and_long_ones_are_cut() {
        let board = Scoreboard::create().unwrap();
        let slot = board.slot(0).unwrap();
        slot.use_records(1);
        let long: Vec<u8> = (0..MOST_NAMED + 20).map(|place| b'a' + u8::try_from(place % 26).unwrap()).collect();
        for length in (0..long.len()).rev() {
            slot.begin_request(0, 1, &long[..length]);
            let named = &slot.running()[0];
            assert_eq!(named.name, &long[..length.min(MOST_NAMED)], "{length}");
            assert_eq!(named.to_string().ends_with("..."), length > MOST_NAMED, "{length}");
        }
    }

    #[test]
    fn no_request_can_forge_a_line_of_the_log() {
        let board = Scoreboard::create().unwrap();
        let slot = board.slot(0).unwrap();
        slot.use_records(1);
        slot.begin_request(0, 1, b"GET /\n[CRITICAL] \x1b[2J\xff");
        assert_eq!(slot.running()[0].to_string(), r"GET /\n[CRITICAL] \x1b[2J\xff");
    }

    #[test]
    fn threads_without_a_record_and_records_without_sense_do_no_harm() {
        let board = Scoreboard::create().unwrap();
        let slot = board.slot(1).unwrap();
        slot.use_records(MOST_RECORDS + 1);
        slot.begin_request(MOST_RECORDS, 1, b"GET /");
        assert_eq!(slot.running(), []);
        slot.begin_request(MOST_RECORDS - 1, 1, b"GET /");
        assert_eq!(slot.running().len(), 1);
        assert_eq!(board.slot(2).unwrap().running(), [], "the neighbour has none of it");
        slot.record(MOST_RECORDS - 1).unwrap()[LENGTH].store(u64::MAX, Relaxed);
        assert_eq!(slot.running()[0].name.len(), MOST_NAMED);
    }
}
