//! What all connections of a worker share while one of them is being served.
//!
//! A bench of values; what is done with them is the business of `connection` and `dispatch`. Owned by the reactor.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tapster_ipc::Slot;
use tapster_python::{Caller, Server};
use tapster_wire::{DateCache, Head, Limits, Outbox};

use crate::buffer::Buffer;
use crate::deadlines::Millis;

/// The worker's one workbench.
pub(crate) struct Tools {
    pub(crate) caller: Caller,
    /// By the listener's number.
    pub(crate) servers: Vec<Server>,
    /// The head of the request that is being looked at.
    pub(crate) head: Head,
    pub(crate) limits: Limits,
    pub(crate) spare: Buffer,
    pub(crate) spare_out: Outbox,
    pub(crate) clock: Clock,
    pub(crate) turn: TurnToRun,
    pub(crate) board: Slot,
    /// Where large bodies go; the system's folder for temporary files where none is set.
    pub(crate) upload_folder: Option<PathBuf>,
    /// How long a request may wait for its turn, in milliseconds: the setting `timeout`.
    pub(crate) patience: Millis,
    /// How long an idle connection is kept, in milliseconds; 0 closes each after its reply.
    pub(crate) keep_alive: Millis,
    /// No connection is kept for another request.
    pub(crate) retiring: bool,
    pub(crate) habit: Habit,
}

/// Whether clients use their connections again: a count of those that did not, which those that did bring down.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Habit(u8);

impl Habit {
    const CERTAIN: u8 = 8;

    /// A connection has ended after so many requests.
    pub(crate) fn note_end(&mut self, requests: u32) {
        if requests <= 1 {
            self.0 = (self.0 + 1).min(2 * Self::CERTAIN);
        }
    }

    /// A connection has brought its second request.
    pub(crate) fn note_reuse(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    /// Whether connections that are accepted now may be expected to stay.
    pub(crate) fn is_to_stay(self) -> bool {
        self.0 < Self::CERTAIN
    }
}

/// Whose application code may run. Frameworks keep state by thread, so nothing else may enter the application while one
/// reply's body is still being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnToRun {
    Free,
    /// The connection of that key is in the midst of a reply.
    Of(usize),
}

impl TurnToRun {
    pub(crate) fn is_open_to(self, key: usize) -> bool {
        self == Self::Free || self == Self::Of(key)
    }
}

/// The time, looked at once a round.
#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) now: Millis,
    dates: DateCache,
    pub(crate) date: [u8; 29],
}

impl Clock {
    pub(crate) fn new() -> Self {
        let mut clock = Self { now: 0, dates: DateCache::new(), date: [b' '; 29] };
        clock.look();
        clock
    }

    /// The time has passed, but not so much that the date could be another: for within a round.
    #[inline]
    pub(crate) fn glance(&mut self) {
        self.now = millis(tapster_sys::stamp::monotonic());
    }

    pub(crate) fn look(&mut self) {
        self.glance();
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.date = *self.dates.at(second);
    }
}

/// A duration as deadlines count.
pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
