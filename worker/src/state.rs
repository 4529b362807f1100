//! What a connection can be in, and what each of its steps can come to.
//!
//! Values only: every transition between them stands in `connection`.

use crate::body::Arriving;
use crate::deadlines::Millis;
use crate::job::Complete;

/// Whether the client must be told that the connection is over, when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// It must: closing the socket would not tell it where a process that the application has forked holds it too.
    Due,
    /// It knows, or must learn it by a reset.
    Needless,
}

pub(crate) enum State {
    /// Before the PROXY header with which every connection begins, where that is set.
    Preface,
    /// Between requests, or before the first.
    Idle,
    /// A part of a head is here.
    Head,
    /// A head is here, in front in the buffer, and its body is arriving behind it.
    Body { head_size: usize, arriving: Box<Arriving> },
    /// A request is here for the application, and is given up if no thread has been free for it by then. Whether it has had to
    /// wait already.
    Queued { complete: Complete, until: Millis, waits: bool },
    /// The reply is complete, and on its way.
    Flushing(Then),
    /// Our direction is ended; what the client sends is thrown away until it ends its own (RFC 9112 section 9.6).
    Lingering,
}

/// What is lost with a connection that is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// A request that has not been run, or a part of one.
    Request,
    /// The rest of a reply.
    Reply,
}

/// What follows a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Another request may.
    NextRequest,
    /// A tidy end.
    End,
    /// An end that shows that the reply is not whole.
    Cut,
    /// The same where only a reset can show it.
    Reset,
}

/// What the reactor is to do with a connection that has gone as far as it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Call it when its socket or its deadline says so.
    Wait,
    /// Call it after the others have had their turn.
    Again,
    /// Call it when a thread is free.
    AwaitTurn,
    /// Send it into the application, with the request whose head is in the tools.
    Run,
    /// Drop it.
    Close,
}

/// A transition: on at once, or rest in the state until the verdict is met.
pub(crate) enum Step {
    Go(State),
    Rest(State, Verdict),
    Close,
}

pub(crate) enum Fill {
    Filled,
    Blocked,
    Ended,
}
