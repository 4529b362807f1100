//! A client's socket, in the hands of the reactor and of the thread that makes a reply.
//!
//! The thread sends as the application gives. Meanwhile nobody else writes, but where the application takes too long: then the
//! reactor answers in its place if nothing has been sent, and cuts the client off if something has. Who was first is told by
//! one word here. Made by the reactor for each connection.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::backlog::Backlog;
use crate::deadlines::Millis;
use crate::socket::Socket;

/// A connected socket, and whose reply it carries.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) socket: Socket,
    reply: AtomicU8,
    /// When the application last showed that it is alive, in milliseconds on the deadlines' clock.
    heard: AtomicU64,
    pub(crate) backlog: Backlog,
}

/// Nothing has been sent.
const OPEN: u8 = 0;
/// The application's reply has begun to leave.
const TAKEN: u8 = 1;
/// The server has answered, or cut the client off.
const CLOSED: u8 = 2;

impl Line {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, reply: AtomicU8::new(OPEN), heard: AtomicU64::new(0), backlog: Backlog::default() }
    }

    /// Another request goes to the application at `now`.
    #[inline]
    pub(crate) fn begin(&self, now: Millis) {
        self.reply.store(OPEN, Relaxed);
        self.heard.store(now, Relaxed);
    }

    /// The application's reply is about to leave.
    ///
    /// # Errors
    /// Where the server has answered in its place.
    #[inline]
    pub(crate) fn take(&self) -> io::Result<()> {
        match self.reply.compare_exchange(OPEN, TAKEN, Relaxed, Relaxed) {
            Ok(_) | Err(TAKEN) => Ok(()),
            Err(_) => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    /// Ends the application's right to answer; tells whether nothing of its reply has left, so that the server may.
    pub(crate) fn close(&self) -> bool {
        self.reply.swap(CLOSED, Relaxed) == OPEN
    }

    /// Whether the server has ended the application's right to answer.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.reply.load(Relaxed) == CLOSED
    }

    /// Whether the application's reply would still reach anybody.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_closed() && !self.socket.is_hung_up()
    }

    /// The application is alive.
    pub(crate) fn note_progress(&self) {
        self.heard.store(crate::clock::monotonic(), Relaxed);
    }

    /// When it last was.
    pub(crate) fn heard(&self) -> Millis {
        self.heard.load(Relaxed)
    }
}
