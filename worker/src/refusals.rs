//! How many requests have been refused, and for which reasons.
//!
//! Each refusal is a line in the log at debug level only, so that no stranger can flood it; once a minute in which there were
//! any, one warning sums them up. Filled by `connection`; the reactor asks for the summary when it is due.

use tapster_wire::{Reason, Reject};

use crate::deadlines::{Millis, NEVER};

/// From the first refusal to the summary that tells of it, in milliseconds.
const MINUTE: Millis = 60_000;

/// The refusals of one worker.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// In the order of [`Reason::ALL`], since the last summary.
    counts: Vec<u64>,
    /// When the next summary is due.
    pub(crate) due: Millis,
}

impl Refusals {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; Reason::ALL.len()], due: NEVER }
    }

    /// Counts one.
    pub(crate) fn note(&mut self, reject: &Reject, now: Millis) {
        if let Some(count) = self.counts.get_mut(reject.reason.place()) {
            *count += 1;
        }
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
        let mut counted: Vec<_> = Reason::ALL.iter().zip(&self.counts).filter(|&(_, &count)| count > 0).collect();
        counted.sort_by_key(|&(_, &count)| std::cmp::Reverse(count));
        let total: u64 = counted.iter().map(|&(_, &count)| count).sum();
        let each: Vec<_> = counted.iter().map(|&(reason, count)| format!("{} {count}", reason.name())).collect();
        log::warn!(
            "refused requests in the last minute: {total} ({}); log_level = \"debug\" names each",
            each.join(", ")
        );
        self.counts.fill(0);
    }
}
