//! One client's connection: its states, what moves it from one to the next, and when each has taken too long.
//!
//! ```text
//! Preface → Idle → Head → Body → Queued → (the application) → Flushing → Idle, Lingering or closed
//! ```
//!
//! A state owns what it needs, and every transition stands in this file or in one of its two parts. It is moved on by the reactor when its socket, its
//! deadline or a free thread lets it; each call goes as far as it can. A complete request takes its connection with it into the
//! application (`job`).

mod replies;
mod requests;

use std::io::{self, ErrorKind};
use std::sync::Arc;

use tapster_python::Peer;
use tapster_wire::Reason;

use crate::buffer::Buffer;
use crate::deadlines::{Deadline, Millis, NEVER};
use crate::job::Complete;
use crate::line::Line;
use crate::outgoing::Outgoing;
use crate::proxies::Standing;
use crate::seat::MOST_NAMED;
use crate::socket::Socket;
use crate::state::{Farewell, Fill, Lost, State, Step, Verdict};
use crate::tools::Tools;

/// For a request to arrive on an idle connection of a worker that is about to end. Closing at once would lose one that is
/// on its way.
const LAST_CALL: Millis = 2_000;
/// Reads from one client in one go, so that a fast one does not keep the others waiting.
const READS_AT_ONCE: usize = 16;

/// A connection.
pub(crate) struct Connection {
    pub(crate) line: Arc<Line>,
    /// The number of the listener that it came in by.
    pub(crate) listener: usize,
    pub(crate) peer: Peer,
    pub(crate) standing: Standing,
    pub(crate) input: Buffer,
    pub(crate) out: Outgoing,
    pub(crate) deadline: Deadline,
    /// Whether it stands in the reactor's list of connections to go on with.
    pub(crate) listed: bool,
    /// Whether the poll tells of it.
    pub(crate) polled: bool,
    state: State,
    /// Bytes may be waiting in the socket.
    readable: bool,
    /// The client has ended its direction; there may be bytes before the end.
    hung_up: bool,
    /// The end has been read.
    ended: bool,
    /// The client would not send another request.
    client_closes: bool,
    /// The body of the request that is in the application.
    pub(crate) body: Complete,
    /// The request that came last had a body.
    brought_body: bool,
    /// It may have waited to be accepted for so long that nobody waits for its first request any more.
    pub(crate) is_old: bool,
    /// The poll has told that nothing would reach the client.
    pub(crate) is_gone: bool,
    /// How many requests it has brought.
    pub(crate) requests: u32,
    /// Since when nothing depends on it, if its state says so; `NEVER` until its socket has been looked at.
    spare_since: Millis,
    farewell: Farewell,
    /// The reply that is being made ends with the connection, so that closing the socket resets it until all is sent.
    pub(crate) fragile: bool,
}

impl Connection {
    /// A connection that has just been accepted.
    pub(crate) fn new(
        line: Arc<Line>,
        listener: usize,
        peer: Peer,
        standing: Standing,
        mut deadline: Deadline,
        tools: &Tools,
    ) -> Self {
        deadline.at = tools.clock.now + tools.times.head;
        Self {
            line,
            listener,
            peer,
            standing,
            input: Buffer::default(),
            out: Outgoing::new(&tools.common.storage),
            deadline,
            listed: false,
            polled: false,
            state: if tools.common.proxies.preface.is_some() { State::Preface } else { State::Idle },
            readable: false,
            hung_up: false,
            ended: false,
            client_closes: false,
            body: Complete::NoBody,
            brought_body: false,
            is_old: false,
            is_gone: false,
            requests: 0,
            spare_since: NEVER,
            farewell: Farewell::Due,
            fragile: false,
        }
    }

    /// The poll says that bytes may be waiting, and whether the client has ended its direction.
    #[inline]
    pub(crate) fn note_readable(&mut self, hung_up: bool) {
        self.readable = true;
        self.hung_up |= hung_up;
    }

    /// Since when it could be closed and nobody would miss it: it waits for a request, or for its client to have seen the
    /// end.
    #[inline]
    pub(crate) fn spare_since(&self) -> Option<Millis> {
        let is_spare = matches!(self.state, State::Idle | State::Lingering) && self.spare_since != NEVER;
        is_spare.then_some(self.spare_since)
    }

    /// Whether bytes have come that nobody has looked at: then it is not spare after all.
    #[cold]
    pub(crate) fn has_news(&mut self) -> bool {
        let has_news = matches!(self.state, State::Idle) && self.line.socket.has_bytes();
        self.readable |= has_news;
        has_news
    }

    /// Goes on as far as possible.
    #[inline]
    pub(crate) fn advance(&mut self, tools: &mut Tools) -> Verdict {
        self.input.borrow(&mut tools.spares);
        self.out.borrow(&mut tools.spare_out);
        let verdict = self.run(tools);
        // What has been borrowed goes along into the application.
        if verdict != Verdict::Run {
            self.input.give_back(&mut tools.spares);
            self.out.give_back(&mut tools.spare_out);
        }
        verdict
    }

    fn run(&mut self, tools: &mut Tools) -> Verdict {
        // Whether `tools.sheet` is of the request in front of this connection's buffer.
        let mut head_is_here = false;
        loop {
            let step = match std::mem::replace(&mut self.state, State::Idle) {
                State::Preface => self.read_preface(tools),
                State::Idle => self.await_request(tools, &mut head_is_here),
                State::Head => self.read_head(tools, &mut head_is_here),
                State::Body { head_size, arriving } => self.read_body(head_size, arriving, tools),
                State::Queued { complete, until, waits } => {
                    match self.await_turn(complete, until, waits, head_is_here, tools) {
                        Step::Go(state) => Step::Go(state),
                        rest_or_close => {
                            head_is_here = false;
                            rest_or_close
                        }
                    }
                }
                State::Flushing(then) => self.flush(then, tools),
                State::Lingering => self.linger(tools),
            };
            match step {
                Step::Go(state) => self.state = state,
                Step::Rest(state, verdict) => {
                    self.state = state;
                    return verdict;
                }
                Step::Close => return Verdict::Close,
            }
        }
    }

    /// The deadline has passed, as far as the poll has told. Bytes that came since are looked at first.
    pub(crate) fn late(&mut self, tools: &mut Tools) -> Verdict {
        if matches!(self.state, State::Lingering) {
            return Verdict::Close;
        }
        self.readable = true;
        let verdict = self.advance(tools);
        let now = tools.clock.now;
        if matches!(verdict, Verdict::Close | Verdict::Run) || self.deadline.at > now {
            return verdict;
        }
        let step = match std::mem::replace(&mut self.state, State::Idle) {
            State::Preface if self.input.is_empty() => Step::Close,
            State::Preface | State::Head => self.refuse(&Reason::HeadTimeout.into(), tools),
            State::Body { arriving, .. } => self.refuse(&arriving.pace.offence(now, &tools.times).into(), tools),
            State::Flushing(_) if !self.out.is_empty() => {
                self.cut_off("it took nothing of its reply for send_timeout", tools)
            }
            State::Queued { waits, .. } => {
                if waits {
                    tools.stop_waiting();
                }
                self.refuse_old(tools)
            }
            State::Idle | State::Flushing(_) | State::Lingering => Step::Close,
        };
        match step {
            Step::Go(state) => {
                self.input = Buffer::default();
                self.state = state;
                self.advance(tools)
            }
            Step::Rest(..) | Step::Close => Verdict::Close,
        }
    }

    /// The last thing that is done with it.
    pub(crate) fn say_goodbye(&self) {
        // Without a copy of the socket in another process, closing it says as much.
        if self.farewell == Farewell::Due && tapster_sys::fork::has_forked() {
            // It fails where the client is gone already.
            let _ = self.line.socket.finish();
        }
    }

    /// Whether a request's head is here, or a reply that has not been sent, or what came behind one and nobody has looked at.
    pub(crate) fn has_request(&self) -> bool {
        match self.state {
            State::Body { .. } | State::Queued { .. } | State::Flushing(_) => true,
            State::Idle => self.listed,
            State::Preface | State::Head | State::Lingering => false,
        }
    }

    /// The worker is about to end: a connection that has not sent a request gets no more than a moment, for one that may
    /// be on its way.
    pub(crate) fn hurry(&mut self, now: Millis) {
        if matches!(self.state, State::Preface | State::Idle | State::Head) {
            self.deadline.at = self.deadline.at.min(now + LAST_CALL);
        }
    }

    /// The connection is being dropped, whatever it is at. Tells what is cut off by that.
    pub(crate) fn drop_everything(&mut self, tools: &mut Tools) -> Option<Lost> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Flushing(_) if !self.out.is_empty() => {
                self.break_off();
                Some(Lost::Reply)
            }
            State::Queued { waits, .. } => {
                if waits {
                    tools.stop_waiting();
                }
                Some(Lost::Request)
            }
            State::Head | State::Body { .. } => Some(Lost::Request),
            State::Idle if !self.input.is_empty() => Some(Lost::Request),
            State::Preface | State::Idle | State::Flushing(_) | State::Lingering => None,
        }
    }

    /// What was cut off, for the log.
    pub(crate) fn name_of(&self, lost: Lost) -> String {
        match lost {
            Lost::Request => {
                format!("a request {} that was not run: {}", self.line.socket, first_line(self.input.bytes()))
            }
            Lost::Reply => format!("a reply to a request {}", self.line.socket),
        }
    }

    /// Reads once, at most `most` bytes.
    #[inline]
    fn fill(&mut self, most: usize) -> Fill {
        self.fill_by(|input, socket| input.read_from(&mut &*socket, most))
    }

    /// Reads once by `read`, which answers how many bytes came, and whether no more are waiting.
    #[inline]
    fn fill_by(&mut self, mut read: impl FnMut(&mut Buffer, &Socket) -> io::Result<(usize, bool)>) -> Fill {
        loop {
            if self.ended {
                return Fill::Ended;
            }
            if !self.readable {
                return Fill::Blocked;
            }
            match read(&mut self.input, &self.line.socket) {
                Ok((0, _)) => self.ended = true,
                Ok((_, emptied)) => {
                    // An edge-triggered poll tells when more comes; after a hang-up it has told all it will.
                    self.readable = !emptied || self.hung_up;
                    return Fill::Filled;
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.readable = false,
                    ErrorKind::Interrupted => {}
                    _ => self.ended = true,
                },
            }
        }
    }
}

/// The request line that these bytes begin with, as far as it is here, cut.
fn first_line(bytes: &[u8]) -> impl std::fmt::Display {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty()).unwrap_or_default();
    line[..line.len().min(MOST_NAMED)].escape_ascii()
}
