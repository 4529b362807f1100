//! What a client has not taken of a reply while its application makes more of it.
//!
//! The thread that makes the reply leaves it here, and the reactor goes on sending it. Only what the socket does not take at
//! once comes here; a reply without such bytes costs one look at a flag. Used through `line`, by `reply` and the reactor.

use std::io;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tapster_wire::Outbox;

use crate::outgoing::{Flow, Outgoing};
use crate::socket::Socket;
use crate::temporary::Storage;

/// The unsent bytes of one reply.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Whether a reply has used it. Written with the lock held, as is the next.
    is_used: AtomicBool,
    /// Whether there are some.
    is_waiting: AtomicBool,
    unsent: Mutex<Option<Box<Outgoing>>>,
}

/// What has become of bytes that were added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added {
    /// How many bytes are waiting now.
    pub(crate) left: u64,
    /// Whether the application may go on.
    pub(crate) has_room: bool,
    /// Where sending has paused, the poll does not tell by itself that the socket takes more.
    pub(crate) flow: Flow,
}

impl Backlog {
    fn unsent(&self) -> MutexGuard<'_, Option<Box<Outgoing>>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything is waiting, so that what comes later must not be sent directly.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting.load(Acquire)
    }

    /// Takes over what `out` holds, and sends what the socket takes.
    pub(crate) fn add(&self, out: &mut Outbox, socket: &Socket, storage: &Storage) -> io::Result<Added> {
        let mut place = self.unsent();
        let unsent = place.get_or_insert_with(|| Box::new(Outgoing::new(storage)));
        self.is_used.store(true, Relaxed);
        unsent.append(out);
        self.is_waiting.store(true, Release);
        let flow = unsent.flush_bytes(socket)?;
        self.is_waiting.store(!unsent.is_empty(), Release);
        let has_room = unsent.has_room(storage);
        Ok(Added { left: unsent.waiting(), has_room, flow })
    }

    /// The socket may take more. What goes wrong the thread will see as well, with its next block.
    #[inline]
    pub(crate) fn go_on(&self, socket: &Socket) -> Flow {
        let mut flow = Flow::Stopped;
        if self.is_used.load(Relaxed)
            && let Some(unsent) = &mut *self.unsent()
        {
            flow = unsent.flush_bytes(socket).unwrap_or(flow);
            self.is_waiting.store(!unsent.is_empty(), Release);
        }
        flow
    }

    /// Whether nothing is waiting, which `then` is told while no thread can take the bytes away.
    pub(crate) fn is_sent_and(&self, then: impl FnOnce(bool)) -> bool {
        let place = self.unsent();
        let is_sent = place.as_ref().is_none_or(|unsent| unsent.is_empty());
        then(is_sent);
        is_sent
    }

    /// The reply is complete: what is left of it goes back to its connection.
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<Outgoing>> {
        if !self.is_used.load(Relaxed) {
            return None;
        }
        let mut place = self.unsent();
        self.is_used.store(false, Relaxed);
        self.is_waiting.store(false, Release);
        place.take()
    }
}
