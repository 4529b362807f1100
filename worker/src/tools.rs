//! What all connections of a worker share while one of them is being served.
//!
//! A bench of values; what is done with them is the business of `connection` and `dispatch`. Owned by the reactor.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tapster_config::Settings;
use tapster_ipc::Slot;
use tapster_python::{Caller, Server};
use tapster_wire::http1::reply::ServerFields;
use tapster_wire::{DateCache, Head, Limits, Outbox};

use crate::buffer::Buffer;
use crate::deadlines::{Millis, NEVER};
use crate::proxies::Proxies;
use crate::refusals::Refusals;

/// The worker's one workbench.
pub(crate) struct Tools {
    pub(crate) caller: Caller,
    /// By the listener's number.
    pub(crate) servers: Vec<Server>,
    /// The head of the request that is being looked at.
    pub(crate) head: Head,
    pub(crate) limits: Limits,
    pub(crate) times: Times,
    pub(crate) proxies: Proxies,
    pub(crate) refusals: Refusals,
    pub(crate) disk_complaints: Seldom,
    pub(crate) spare: Buffer,
    pub(crate) spare_out: Outbox,
    pub(crate) clock: Clock,
    pub(crate) turn: TurnToRun,
    pub(crate) board: Slot,
    /// Where large bodies go; the system's folder for temporary files where none is set.
    pub(crate) upload_folder: Option<PathBuf>,
    /// How many bytes are read at once, and so the most that a connection holds behind the request that is being served.
    pub(crate) most_pipelined: usize,
    /// How many requests a connection may bring.
    pub(crate) most_requests: u32,
    /// No connection is kept for another request.
    pub(crate) retiring: bool,
    pub(crate) habit: Habit,
}

/// Keeps what happens again and again from filling the log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seldom(Millis);

impl Seldom {
    /// Between two lines about one thing, in milliseconds.
    const SILENCE: Millis = 10_000;

    /// Whether a line is due again at `now`, and takes it to be written.
    pub(crate) fn is_time(&mut self, now: Millis) -> bool {
        let is_time = now >= self.0;
        if is_time {
            self.0 = now + Self::SILENCE;
        }
        is_time
    }
}

/// How long things may take, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// A request's head, from its first byte; and from the connection's start to that byte.
    pub(crate) head: Millis,
    /// Silence within a body.
    pub(crate) body: Millis,
    /// A whole body.
    pub(crate) body_total: Millis,
    /// A body's bytes a second; 0 for any.
    pub(crate) body_min_rate: u64,
    /// A request's wait for its turn: the setting `timeout`.
    pub(crate) queue: Millis,
    /// A client that takes nothing of a reply.
    pub(crate) send: Millis,
    /// Our end of a connection being closed and the client's not.
    pub(crate) linger: Millis,
    /// An idle connection; 0 closes each after its reply.
    pub(crate) keep_alive: Millis,
}

impl Times {
    pub(crate) fn new(settings: &Settings) -> Self {
        let or_never = |time: Duration| if time.is_zero() { NEVER } else { millis(time) };
        Self {
            head: millis(settings.client_header_timeout),
            body: millis(settings.client_body_timeout),
            body_total: or_never(settings.client_body_total_timeout),
            body_min_rate: settings.client_body_min_rate,
            queue: or_never(settings.timeout),
            send: millis(settings.send_timeout),
            linger: millis(settings.lingering_timeout),
            keep_alive: millis(settings.keep_alive),
        }
    }
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
    /// What replies say of the server, the date included.
    pub(crate) server: ServerFields,
}

impl Clock {
    /// For a server that replies name or not.
    pub(crate) fn new(named: bool) -> Self {
        let mut clock = Self { now: 0, dates: DateCache::new(), server: ServerFields { named, date: [b' '; 29] } };
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
        self.server.date = *self.dates.at(second);
    }
}

/// A duration as deadlines count.
pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
