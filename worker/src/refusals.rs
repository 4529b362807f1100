//! How many requests have been refused, and for which reasons; how many took too long; how many clients were cut off.
//!
//! Each refusal is a line in the log at debug level only, so that no stranger can flood it; once a minute in which there were
//! any, one warning sums them up. Filled by `connection` and the reactor, which asks for the summary when it is due.

use tapster_wire::{Reason, Reject};

use crate::clock::Seldom;
use crate::deadlines::{Millis, NEVER};

/// From the first refusal to the summary that tells of it, in milliseconds.
const MINUTE: Millis = 60_000;

/// The refusals of one worker.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// In the order of [`Reason::ALL`].
    counts: Vec<u64>,
    /// Requests that were in the application for longer than `timeout`.
    timed_out: u64,
    /// Clients that were cut off in the midst of a reply.
    cut_off: u64,
    /// What these were at the last summary.
    told: (Vec<u64>, u64, u64),
    /// What an operator should read of at once, though not a hundred times.
    pub(crate) busy_notices: Seldom,
    cut_off_notices: Seldom,
    /// When the next summary is due.
    pub(crate) due: Millis,
}

impl Refusals {
    pub(crate) fn new() -> Self {
        let none = vec![0; Reason::ALL.len()];
        Self {
            counts: none.clone(),
            timed_out: 0,
            cut_off: 0,
            told: (none, 0, 0),
            busy_notices: Seldom::default(),
            cut_off_notices: Seldom::default(),
            due: NEVER,
        }
    }

    /// Counts one.
    pub(crate) fn note(&mut self, reject: &Reject, now: Millis) {
        if let Some(count) = self.counts.get_mut(reject.reason.place()) {
            *count += 1;
        }
        self.schedule(now);
    }

    /// Counts a request that has been in the application for longer than `timeout`, whatever its client got.
    pub(crate) fn note_timed_out(&mut self, now: Millis) {
        self.timed_out += 1;
        self.schedule(now);
    }

    /// Counts a client that was cut off in the midst of its reply. Tells whether that is worth a line of its own.
    pub(crate) fn note_cut_off(&mut self, now: Millis) -> bool {
        self.cut_off += 1;
        self.schedule(now);
        self.cut_off_notices.is_time(now)
    }

    fn schedule(&mut self, now: Millis) {
        if self.due == NEVER {
            self.due = now + MINUTE;
        }
    }

    /// Sums up what there was since the last summary, the commonest reasons first.
    pub(crate) fn sum_up(&mut self) {
        if self.due == NEVER {
            return;
        }
        self.due = NEVER;
        let (told, told_timed_out, told_cut_off) = &self.told;
        let news = self.counts.iter().zip(told).map(|(count, told)| count - told);
        let mut counted: Vec<_> = Reason::ALL.iter().zip(news).filter(|&(_, count)| count > 0).collect();
        counted.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let total: u64 = counted.iter().map(|&(_, count)| count).sum();
        let each: Vec<_> = counted.iter().map(|(reason, count)| format!("{} {count}", reason.name())).collect();
        let each = each.join(", ");
        if total > 0 {
            log::warn!("refused requests in the last minute: {total} ({each}); log_level = \"debug\" names each");
        }
        let timed_out = self.timed_out - told_timed_out;
        if timed_out > 0 {
            log::warn!("requests that took longer than timeout in the last minute: {timed_out}");
        }
        let cut_off = self.cut_off - told_cut_off;
        if cut_off > 0 {
            log::warn!("clients cut off in the last minute with a part of their replies untaken: {cut_off}");
        }
        self.told = (self.counts.clone(), self.timed_out, self.cut_off);
    }
}
