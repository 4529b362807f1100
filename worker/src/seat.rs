//! A connection's place in the reactor, whether it is there or its request is in the application.
//!
//! A request takes its connection with it: while a thread is in the application for it, the reactor has only what it needs to
//! note what the poll tells, and to see that the time has come. Used by the reactor alone.

use std::fmt;
use std::sync::Arc;

use tapster_wire::Head;

use crate::connection::Connection;
use crate::deadlines::{Deadline, Millis};
use crate::line::Line;

/// One place.
pub(crate) enum Seat {
    /// The connection is here.
    Here(Box<Connection>),
    /// A thread has it.
    Away(Away),
}

/// What is left of a connection whose request is in the application.
pub(crate) struct Away {
    pub(crate) line: Arc<Line>,
    pub(crate) deadline: Deadline,
    pub(crate) lateness: Lateness,
    /// When the application was called.
    pub(crate) since: Millis,
    /// The thread that called it.
    pub(crate) thread: usize,
    /// Tells this request from all others of the worker.
    pub(crate) ticket: u64,
    pub(crate) wanted: Wanted,
    pub(crate) readable: bool,
    pub(crate) hung_up: bool,
}

/// What a request asked for, as far as that must be known without it.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Method and target, as they came, cut.
    name: Vec<u8>,
    pub(crate) head_only: bool,
    pub(crate) json: bool,
}

/// The most bytes of a request's target that the log tells.
pub(crate) const MOST_NAMED: usize = 500;

impl Wanted {
    /// Notes what `head` says, whose spans refer to `buffer`, in the memory that is here.
    #[inline]
    pub(crate) fn note(&mut self, head: &Head, buffer: &[u8]) {
        let (method, target) = (head.method.of(buffer), head.target.of(buffer));
        self.name.clear();
        self.name.extend_from_slice(method);
        self.name.push(b' ');
        self.name.extend_from_slice(&target[..target.len().min(MOST_NAMED)]);
        (self.head_only, self.json) = (head.is_head_method, head.prefers_json);
    }

    /// Method and target, with a space between.
    #[inline]
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }
}

/// As the subject of a sentence.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request {}", self.name.escape_ascii())
    }
}

/// How late a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lateness {
    /// It is not.
    InTime,
    /// It has passed `timeout`: its client has been answered or cut off, and its thread asked to come back.
    TimedOut,
    /// It has passed `timeout_grace` too, and the arbiter has been told.
    Stuck,
}

impl Seat {
    pub(crate) fn deadline(&self) -> &Deadline {
        match self {
            Self::Here(connection) => &connection.deadline,
            Self::Away(away) => &away.deadline,
        }
    }

    pub(crate) fn deadline_mut(&mut self) -> &mut Deadline {
        match self {
            Self::Here(connection) => &mut connection.deadline,
            Self::Away(away) => &mut away.deadline,
        }
    }

    pub(crate) fn here(&self) -> Option<&Connection> {
        match self {
            Self::Here(connection) => Some(connection),
            Self::Away(_) => None,
        }
    }

    pub(crate) fn here_mut(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Here(connection) => Some(connection),
            Self::Away(_) => None,
        }
    }

    /// The poll says that bytes may be waiting, and whether the client has ended its direction.
    #[inline]
    pub(crate) fn note_readable(&mut self, hung_up: bool) {
        match self {
            Self::Here(connection) => connection.note_readable(hung_up),
            Self::Away(away) => {
                away.readable = true;
                away.hung_up |= hung_up;
            }
        }
    }

    /// The poll says that nothing would reach the client any more.
    #[cold]
    pub(crate) fn note_gone(&mut self) {
        // An application that is at work for it finds out by itself.
        if let Self::Here(connection) = self {
            connection.is_gone = true;
        }
    }

    /// As [`Connection::has_request`]; what is in the application has one.
    pub(crate) fn has_request(&self) -> bool {
        self.here().is_none_or(Connection::has_request)
    }

    /// Whether waiting for it would be in vain: its thread is stuck, and nothing of its reply is on its way any more.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self, Self::Away(away) if away.lateness == Lateness::Stuck && !away.line.is_leaving())
    }
}
