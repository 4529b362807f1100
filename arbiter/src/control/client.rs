//! One client of the control socket: its request is read, waits for its answer, and the answer is sent.
//!
//! Never blocks. What a client sends beyond its request is not read; what it does not read of its answer is dropped with it, at
//! its deadline. Called by [`super::Control`].

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use tapster_config::ControlCommand;

use super::protocol::{MOST_BYTES, USAGE, parse, reply};
use crate::event::Sender;

/// How long a client may take to send its request, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a client may wait for something to be over.
const MOST_WAIT: Duration = Duration::from_secs(3600);

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    /// The process that connected, where it is one of this pid namespace.
    pub(super) sender: Option<Sender>,
    /// How far it is.
    pub(super) state: State,
    /// When it is given up.
    pub(super) deadline: Duration,
}

/// How far a client is.
#[derive(Debug)]
pub(super) enum State {
    /// Its request is not whole.
    Reading(Vec<u8>),
    /// It waits.
    Waiting(Wait),
    /// What it waited for has been decided on, and is being done; this will be its answer.
    Concluded(String),
    /// Its answer is on its way.
    Sending {
        /// The whole answer.
        answer: Vec<u8>,
        /// How much of it has been sent.
        sent: usize,
    },
    /// There is nothing more to do for it.
    Over,
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// That its request has been decided on.
    Decision(ControlCommand),
    /// Its request has been decided on.
    Decided(ControlCommand),
    /// A reload that begins.
    Reload,
    /// The end of the reload of this number.
    ReloadEnd(u64),
    /// The end of the server.
    End,
}

impl Client {
    /// One that has connected at `now`. The stream does not block.
    #[must_use]
    pub(super) fn new(stream: UnixStream, sender: Option<Sender>, now: Duration) -> Self {
        Self { stream, sender, state: State::Reading(Vec::new()), deadline: now.saturating_add(PATIENCE) }
    }

    /// Has polling tell of it under `token`.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2).
    pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        // Closing the stream ends it, for nobody else holds it.
        registry.register(&mut SourceFd(&self.stream.as_raw_fd()), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Takes in what has come, and returns the request once it is whole. What is none is answered.
    pub(super) fn read(&mut self, now: Duration) -> Option<ControlCommand> {
        let State::Reading(line) = &mut self.state else { return None };
        let mut chunk = [0; MOST_BYTES];
        let request = loop {
            match self.stream.read(&mut chunk) {
                Ok(0) if line.is_empty() => {
                    self.state = State::Over;
                    return None;
                }
                Ok(0) => break Err("the request has no line end".to_owned()),
                Ok(count) => line.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => {
                    self.state = State::Over;
                    return None;
                }
            }
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                break parse(&line[..end]);
            }
            if line.len() >= MOST_BYTES {
                break Err(format!("a request has at most {MOST_BYTES} bytes"));
            }
        };
        match request {
            Ok(command) => {
                self.state = State::Waiting(Wait::Decision(command));
                self.deadline = now.saturating_add(MOST_WAIT);
                Some(command)
            }
            Err(says) => {
                self.answer(&reply(USAGE, &says), now);
                None
            }
        }
    }

    /// Sends what it has waited for, once that is done.
    pub(super) fn pass_on(&mut self, now: Duration) {
        if let State::Concluded(answer) = &mut self.state {
            let answer = std::mem::take(answer);
            self.answer(&answer, now);
        }
    }

    /// Sends the answer, and what it can of it at once.
    pub(super) fn answer(&mut self, answer: &str, now: Duration) {
        self.state = State::Sending { answer: answer.into(), sent: 0 };
        self.deadline = now.saturating_add(PATIENCE);
        self.write();
    }

    /// Sends what is left of the answer, as far as the client takes it.
    pub(super) fn write(&mut self) {
        let State::Sending { answer, sent } = &mut self.state else { return };
        while *sent < answer.len() {
            match self.stream.write(&answer[*sent..]) {
                Ok(0) => break,
                Ok(count) => *sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It has gone.
                Err(_) => break,
            }
        }
        self.state = State::Over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn connected() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Client::new(ours, None, NOW), theirs)
    }

    fn answered(client: Client, mut theirs: UnixStream) -> String {
        drop(client);
        let mut text = String::new();
        // What of its request was not read resets the connection, behind the answer.
        let _ = theirs.read_to_string(&mut text);
        text
    }

    #[test]
    fn a_request_may_come_byte_by_byte_and_what_follows_it_is_left() {
        let (mut client, mut theirs) = connected();
        for byte in b"reopen" {
            theirs.write_all(&[*byte]).unwrap();
            assert_eq!(client.read(NOW), None);
        }
        theirs.write_all(b"\nstop quick\n").unwrap();
        assert_eq!(client.read(NOW), Some(ControlCommand::Reopen));
        theirs.write_all(b"stop\n").unwrap();
        assert_eq!(client.read(NOW), None);
        assert!(client.deadline > NOW + PATIENCE);
        client.answer("exit 0\n", NOW);
        assert_eq!(answered(client, theirs), "exit 0\n");
    }

    #[test]
    fn what_is_too_long_or_cut_short_is_told_so() {
        let (mut client, mut theirs) = connected();
        theirs.write_all(&[b'x'; 4 * MOST_BYTES]).unwrap();
        assert_eq!(client.read(NOW), None);
        assert_eq!(answered(client, theirs), "! a request has at most 256 bytes\nexit 2\n");
        let (mut client, mut theirs) = connected();
        theirs.write_all(b"stat").unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.read(NOW), None);
        assert_eq!(answered(client, theirs), "! the request has no line end\nexit 2\n");
    }

    #[test]
    fn one_that_asks_for_nothing_and_one_that_has_gone_are_over() {
        let (mut client, theirs) = connected();
        drop(theirs);
        assert_eq!(client.read(NOW), None);
        assert!(matches!(client.state, State::Over));
        let (mut client, theirs) = connected();
        drop(theirs);
        client.answer("exit 0\n", NOW);
        assert!(matches!(client.state, State::Over));
    }

    #[test]
    fn an_answer_that_is_not_read_waits_and_goes_on_when_it_is() {
        let (mut client, mut theirs) = connected();
        let answer = "> a line of an answer\n".repeat(100_000);
        client.answer(&answer, NOW);
        assert!(matches!(client.state, State::Sending { sent, .. } if sent < answer.len()));
        let mut read = vec![0; answer.len()];
        let mut count = 0;
        while count < answer.len() {
            count += theirs.read(&mut read[count..]).unwrap();
            client.write();
        }
        assert!(matches!(client.state, State::Over) && read == answer.as_bytes());
    }
}
