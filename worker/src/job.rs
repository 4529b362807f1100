//! A complete request on its way through the application, in one thread from the call to `close()`.
//!
//! It owns its connection meanwhile, so the reactor may be in another thread's hands, and it needs nothing of the reactor's.
//! Made by the reactor, run by the threads of `crew`, and brought back to the reactor as [`Done`].

use std::io;
use std::time::Duration;

use tapster_python::{Ending, Python, Request, RequestBody, Wire};
use tapster_wire::http1::reply::ServerFields;
use tapster_wire::{Head, Reason, Reject};

use crate::body::Store;
use crate::common::Common;
use crate::connection::Connection;
use crate::crew::Player;
use crate::reply::ReplySink;

/// A request's body, wherever it is.
#[derive(Debug, Default)]
pub(crate) enum Complete {
    #[default]
    NoBody,
    /// So many bytes behind the head, in the connection's buffer.
    InPlace(usize),
    Stored(Store),
}

/// What a request is read into: one for each that is in the application, and one on the bench, used again for their memory.
#[derive(Default)]
pub(crate) struct Sheet {
    pub(crate) head: Head,
    /// What its reply says of the server.
    pub(crate) server: ServerFields,
}

/// A request that a thread is to take into the application.
pub(crate) struct Job {
    pub(crate) key: usize,
    /// Tells it from all others of the worker.
    pub(crate) ticket: u64,
    pub(crate) connection: Box<Connection>,
    pub(crate) sheet: Box<Sheet>,
    /// The connection may bring another request.
    pub(crate) stays: bool,
    /// Whether the time that it spends waiting is to be measured.
    pub(crate) measured: bool,
}

/// A request that has been answered.
pub(crate) struct Done {
    pub(crate) key: usize,
    pub(crate) ticket: u64,
    pub(crate) connection: Box<Connection>,
    /// For its memory.
    pub(crate) sheet: Box<Sheet>,
    pub(crate) outcome: Outcome,
    /// How long the application waited for other things than the CPU, where that was measured.
    pub(crate) waited: Option<Duration>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// The application has answered.
    Replied(Ending),
    /// It was not called.
    Refused(Reject),
    /// The client went away.
    Gone,
    /// It has taken nothing of its reply for too long.
    GivenUp,
}

impl Job {
    /// Carries it to its end.
    pub(crate) fn run(mut self, py: Python<'_>, player: &mut Player, common: &Common) -> Done {
        let begun = self.measured.then(Stopwatch::start);
        player.begin(py, self.ticket);
        // The interpreter's lock may have been so long in coming that the client has got its 504. From here on the witness knows
        // of the request: either it finds the thread at it, or the thread finds this.
        let outcome = if self.connection.line.is_closed() {
            Outcome::Gone
        } else {
            self.call(py, player, common).unwrap_or_else(Outcome::Refused)
        };
        player.end(py);
        self.connection.body = Complete::NoBody;
        let Self { key, ticket, connection, sheet, .. } = self;
        Done { key, ticket, connection, sheet, outcome, waited: begun.map(Stopwatch::waited) }
    }

    fn call(&mut self, py: Python<'_>, player: &mut Player, common: &Common) -> Result<Outcome, Reject> {
        let (Sheet { head, server }, connection) = (&*self.sheet, &mut *self.connection);
        let size = head.size;
        let origin = common.proxies.origin(connection.standing, head, connection.input.bytes())?;
        let mut used = size;
        let body = match &mut connection.body {
            Complete::NoBody => RequestBody::Empty,
            Complete::InPlace(length) => {
                used += *length;
                RequestBody::Memory(&connection.input.bytes()[size..used])
            }
            Complete::Stored(store) => store.as_request_body().map_err(|error| unreadable(&error, common))?,
        };
        let request = Request {
            head,
            buffer: connection.input.bytes(),
            server: &common.servers[connection.listener],
            peer: &connection.peer,
            origin,
            body,
        };
        let mut sink = ReplySink {
            head,
            buffer: connection.input.bytes(),
            line: &connection.line,
            fragile: &mut connection.fragile,
            file: &mut connection.out.file,
            polled: &mut connection.polled,
            key: self.key,
            common,
            gave_up: false,
        };
        let mut wire = Wire { out: &mut connection.out.memory, sink: &mut sink };
        let ending = player.caller.call(py, request, self.stays, server, &mut wire);
        let gave_up = sink.gave_up;
        connection.input.used(used);
        if gave_up {
            return Ok(Outcome::GivenUp);
        }
        let line = &connection.line;
        let ours = if ending.is_whole() { line.bring_back() } else { line.take() };
        if let Some(unsent) = line.backlog.take() {
            connection.out.follow(*unsent);
        }
        // What is left of it leaves before anything else is done, whoever has the reactor.
        let sent = ours.and_then(|()| match connection.out.file {
            // The head goes with the first of it.
            Some(_) => Ok(()),
            None => connection.out.flush_bytes(&connection.line.socket).map(drop),
        });
        if sent.is_ok() && connection.out.is_much() {
            // Here, and not in the reactor, which has others to look after.
            py.detach(|| connection.out.has_room(&common.storage));
        }
        Ok(if sent.is_ok() { Outcome::Replied(ending) } else { Outcome::Gone })
    }
}

#[cold]
fn unreadable(error: &io::Error, common: &Common) -> Reject {
    common.storage.complain("a request's body", error);
    Reason::Storage.into()
}

impl Outcome {
    /// The same, with the connection's end behind a reply that is whole.
    pub(crate) fn closing(self) -> Self {
        match self {
            Self::Replied(Ending::KeepAlive) => Self::Replied(Ending::Close),
            other => other,
        }
    }
}

/// Measures how long this thread is not on a CPU.
struct Stopwatch {
    wall: Duration,
    cpu: Duration,
}

impl Stopwatch {
    fn start() -> Self {
        Self { wall: tapster_sys::stamp::monotonic(), cpu: thread_cpu() }
    }

    fn waited(self) -> Duration {
        let wall = tapster_sys::stamp::monotonic().saturating_sub(self.wall);
        wall.saturating_sub(thread_cpu().saturating_sub(self.cpu))
    }
}

/// The CPU time that this thread has used.
fn thread_cpu() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
