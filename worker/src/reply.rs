//! A connection as the application's reply sees it, while a thread makes that.
//!
//! What the client's socket takes leaves at once. The rest is the backlog's, which the reactor goes on sending; where that is too
//! much for memory and disk, the application waits. Made by `job`.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use tapster_python::Sink;
use tapster_wire::{Head, Outbox};

use crate::common::Common;
use crate::line::Line;
use crate::outgoing::{FilePart, Flow};
use crate::seat::Wanted;

/// The way to the client.
pub(crate) struct ReplySink<'a> {
    /// The request's.
    pub(crate) head: &'a Head,
    /// What its spans refer to.
    pub(crate) buffer: &'a [u8],
    pub(crate) line: &'a Line,
    /// Becomes whether the socket is set to reset the connection when it is closed.
    pub(crate) fragile: &'a mut bool,
    pub(crate) file: &'a mut Option<Box<FilePart>>,
    /// Whether the poll tells of the connection, whose number is the next.
    pub(crate) polled: &'a mut bool,
    pub(crate) key: usize,
    pub(crate) common: &'a Common,
    /// The client has taken nothing for too long.
    pub(crate) gave_up: bool,
}

impl Sink for ReplySink<'_> {
    fn send(&mut self, out: &mut Outbox, more: &[u8]) -> io::Result<()> {
        self.line.take()?;
        let mut rest = more;
        // Nothing overtakes what is waiting.
        if self.line.backlog.is_waiting() {
            out.end().extend_from_slice(rest);
            return Ok(());
        }
        while !(out.is_empty() && rest.is_empty()) {
            match (&mut &self.line.socket).write_vectored(&[IoSlice::new(out.waiting()), IoSlice::new(rest)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let from_out = count.min(out.waiting().len());
                    out.took(from_out);
                    rest = &rest[count - from_out..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.end().extend_from_slice(rest);
        Ok(())
    }

    fn note_interim(&mut self) {
        self.line.note_interim();
    }

    fn send_file(&mut self, file: OwnedFd, offset: u64, length: u64) {
        let mut wanted = Wanted::default();
        wanted.note(self.head, self.buffer);
        *self.file = Some(Box::new(FilePart::new(file, offset, length, wanted)));
    }

    fn until_close(&mut self) {
        // What the server has said in the application's place is whole.
        if self.line.is_closed() {
            return;
        }
        self.line.socket.reset_on_close(true);
        // Or has begun to say at this moment.
        if self.line.is_closed() {
            self.line.socket.reset_on_close(false);
            return;
        }
        *self.fragile = true;
    }

    fn make_room(&mut self, out: &mut Outbox) -> io::Result<()> {
        let (line, storage) = (self.line, &self.common.storage);
        let patience = Duration::from_millis(self.common.times.send);
        let mut added = line.backlog.add(out, &line.socket, storage)?;
        if added.left > 0 && !*self.polled {
            self.common.poll_of(&line.socket, self.key)?;
            *self.polled = true;
        }
        while !added.has_room {
            // A slow client is not the application's fault: meanwhile no other deadline than the client's counts.
            line.note_wait();
            let waited = line.socket.wait_until_writable(patience);
            line.note_progress();
            let before = added.left;
            added = line.backlog.add(out, &line.socket, storage)?;
            if added.left >= before
                && let Err(error) = waited
            {
                // Nobody has sent any of it, the reactor neither. The connection is about to be cut off.
                self.gave_up = error.kind() == ErrorKind::TimedOut;
                line.close();
                return Err(error);
            }
        }
        if added.flow == Flow::Paused {
            // The reactor goes on with it, and the application with its next block.
            self.common.poll_again(&line.socket, self.key)?;
        }
        Ok(())
    }

    fn progress(&mut self) {
        self.line.note_progress();
    }

    fn whole(&mut self) {
        self.line.note_whole();
    }

    fn is_disconnected(&self) -> bool {
        !self.line.is_open()
    }
}
