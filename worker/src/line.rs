//! A client's socket, in the hands of the reactor and of the thread that makes a reply.
//!
//! The thread sends as the application gives. Meanwhile nobody else writes, but where the application takes too long: then the
//! reactor answers in its place if nothing has been sent, and cuts the client off if a part has; a reply that is whole it leaves
//! alone. Who was first is told by one word (`Answer`). Made by the reactor for each connection.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tapster_sharing::answer::Answer;
pub(crate) use tapster_sharing::answer::Sent;

use crate::backlog::Backlog;
use crate::deadlines::{Millis, NEVER};
use crate::socket::Socket;

/// A connected socket, and whose reply it carries.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) socket: Socket,
    answer: Answer,
    /// When the application last showed that it is alive, in milliseconds on the deadlines' clock; `NEVER` while it is held back
    /// by its client.
    heard: AtomicU64,
    pub(crate) backlog: Backlog,
}

impl Line {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, answer: Answer::default(), heard: AtomicU64::new(0), backlog: Backlog::default() }
    }

    /// Another request goes to the application at `now`.
    #[inline]
    pub(crate) fn begin(&self, now: Millis) {
        self.answer.begin();
        self.heard.store(now, Relaxed);
    }

    /// The application's reply is about to leave.
    ///
    /// # Errors
    /// Where the server has answered in its place.
    #[inline]
    pub(crate) fn take(&self) -> io::Result<()> {
        if self.answer.take() { Ok(()) } else { Err(ErrorKind::BrokenPipe.into()) }
    }

    /// What was sent so far was an interim reply; where all of it has left, nothing of the final one has.
    pub(crate) fn note_interim(&self) {
        if !self.backlog.is_waiting() {
            self.answer.note_interim();
        }
    }

    /// All of the application's reply has left, or is in the backlog.
    #[inline]
    pub(crate) fn note_whole(&self) {
        self.answer.note_whole();
    }

    /// The application has done with its reply, which is whole; the thread takes what is left of it from the backlog.
    ///
    /// # Errors
    /// Where the server has answered in its place, or cut the client off.
    #[inline]
    pub(crate) fn bring_back(&self) -> io::Result<()> {
        if self.answer.bring_back() { Ok(()) } else { Err(ErrorKind::BrokenPipe.into()) }
    }

    /// Ends the application's right to answer, unless its reply is whole; tells how much of that has left, since the server may
    /// answer if that is nothing.
    pub(crate) fn close(&self) -> Sent {
        self.answer.close()
    }

    /// Ends the connection in order if the reply is whole and all of it has left, though its thread has not come back with it:
    /// that is not to be waited for. What the client still sends is thrown away, since unread it would make the last close a
    /// reset (RFC 9112 section 9.6), and cost the client what it has not read. Tells whether some of a whole reply is left.
    #[cold]
    pub(crate) fn part(&self) -> bool {
        // A thread that brings the reply back says so before it empties the backlog.
        let mut is_whole = false;
        let is_sent = self.backlog.is_sent_and(|is_sent| {
            is_whole = self.answer.is_whole();
            if is_sent && is_whole {
                // The reply may end with the connection, which then has been prepared for being cut off.
                self.socket.reset_on_close(false);
                // It fails where the client is gone.
                let _ = self.socket.finish();
            }
        });
        if is_sent && is_whole {
            self.socket.discard();
        }
        is_whole && !is_sent
    }

    /// Whether the reply is whole, and some of it has not left, or comes back with the connection.
    pub(crate) fn is_leaving(&self) -> bool {
        // The backlog first: its thread says that the reply comes back before it takes what is left from there.
        let is_waiting = self.backlog.is_waiting();
        (self.answer.is_whole() && is_waiting) || self.answer.is_returning()
    }

    /// Whether the server has ended the application's right to answer.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.answer.is_closed()
    }

    /// Whether the application's reply would still reach anybody.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_closed() && !self.socket.is_hung_up()
    }

    /// The application is alive.
    pub(crate) fn note_progress(&self) {
        self.heard.store(crate::clock::monotonic(), Relaxed);
    }

    /// The application waits for the client, until the next progress.
    pub(crate) fn note_wait(&self) {
        self.heard.store(NEVER, Relaxed);
    }

    /// When it last was alive; `None` while it waits for the client, which is not its fault.
    pub(crate) fn heard(&self) -> Option<Millis> {
        Some(self.heard.load(Relaxed)).filter(|&heard| heard != NEVER)
    }
}
