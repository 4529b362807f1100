//! One client's connection: its states, what moves it from one to the next, and when each has taken too long.
//!
//! ```text
//! Idle → Head → Body → Queued → Replying → Flushing → Idle, Lingering or closed
//! ```
//!
//! A state owns what it needs, and every transition stands in this file. It is moved on by the reactor when its socket, its
//! deadline or the turn to run lets it; each call goes as far as it can.

use std::io::ErrorKind;

use tapster_python::{Ending, Exchange, Peer, Python, Turn};
use tapster_wire::http1::{parse_head, reply};
use tapster_wire::{Body, Progress, Reject, Version};

use crate::body::{Arriving, Refused};
use crate::buffer::Buffer;
use crate::deadlines::{Deadline, Millis, NEVER};
use crate::dispatch::Complete;
use crate::outgoing::Outgoing;
use crate::socket::Socket;
use crate::tools::{Tools, TurnToRun};

/// From a request's first byte to the end of its head, and from the connection's start to that first byte.
pub(crate) const HEAD_TIME: Millis = 30_000;
/// Without any byte of a body that is due.
const BODY_TIME: Millis = 30_000;
/// Without the client taking anything of a reply.
pub(crate) const WRITE_TIME: Millis = 60_000;
/// For a client to see our end of the connection and end its own.
const LINGER_TIME: Millis = 2_000;
/// For a request to arrive on an idle connection of a worker that is about to end. Closing at once would lose one that is
/// on its way.
const LAST_CALL: Millis = 2_000;
/// Reads of one body in one go, so that a fast client does not keep the others waiting.
const READS_AT_ONCE: usize = 16;

/// A connection.
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    /// The number of the listener that it came in by.
    pub(crate) listener: usize,
    pub(crate) peer: Peer,
    pub(crate) input: Buffer,
    pub(crate) out: Outgoing,
    pub(crate) deadline: Deadline,
    /// Whether it stands in the reactor's list of connections to go on with.
    pub(crate) listed: bool,
    state: State,
    /// Bytes may be waiting in the socket.
    readable: bool,
    /// The client has ended its direction; there may be bytes before the end.
    hung_up: bool,
    /// The end has been read.
    ended: bool,
    /// The client would not send another request.
    client_closes: bool,
    /// The request that is being served is a HEAD.
    wants_head_only: bool,
    /// How many requests it has brought.
    pub(crate) requests: u32,
    farewell: Farewell,
}

/// Whether the client must be told that the connection is over, when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// It must: closing the socket would not tell it where a process that the application has forked holds it too.
    Due,
    /// It knows, or must learn it by a reset.
    Needless,
}

pub(crate) enum State {
    /// Between requests, or before the first.
    Idle,
    /// A part of a head is here.
    Head,
    /// A head is here, in front in the buffer, and its body is arriving behind it.
    Body { head_size: usize, arriving: Box<Arriving> },
    /// A request is here, and is given up if its turn has not come by then.
    Queued { complete: Complete, until: Millis },
    /// The application has begun its reply and has more to give.
    Replying(Exchange),
    /// The reply is complete, and on its way.
    Flushing(Then),
    /// Our direction is ended; what the client sends is thrown away until it ends its own (RFC 9112 section 9.6).
    Lingering,
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
    /// Call it when the turn to run is free.
    AwaitTurn,
    /// Drop it.
    Close,
}

/// A transition: on at once, or rest in the state until the verdict is met.
pub(crate) enum Step {
    Go(State),
    Rest(State, Verdict),
    Close,
}

enum Fill {
    Filled,
    Blocked,
    Ended,
}

impl Connection {
    /// A connection that has just been accepted, at `now`.
    pub(crate) fn new(socket: Socket, listener: usize, peer: Peer, mut deadline: Deadline, now: Millis) -> Self {
        deadline.at = now + HEAD_TIME;
        Self {
            socket,
            listener,
            peer,
            input: Buffer::default(),
            out: Outgoing::default(),
            deadline,
            listed: false,
            state: State::Idle,
            readable: false,
            hung_up: false,
            ended: false,
            client_closes: false,
            wants_head_only: false,
            requests: 0,
            farewell: Farewell::Due,
        }
    }

    /// The poll says that bytes may be waiting, and whether the client has ended its direction.
    #[inline]
    pub(crate) fn note_readable(&mut self, hung_up: bool) {
        self.readable = true;
        self.hung_up |= hung_up;
    }

    /// Goes on as far as possible. `key` is the reactor's name for it.
    #[inline]
    pub(crate) fn advance(&mut self, py: Python<'_>, key: usize, tools: &mut Tools) -> Verdict {
        self.input.borrow(&mut tools.spare);
        self.out.borrow(&mut tools.spare_out);
        let verdict = self.run(py, key, tools);
        self.input.give_back(&mut tools.spare);
        self.out.give_back(&mut tools.spare_out);
        verdict
    }

    fn run(&mut self, py: Python<'_>, key: usize, tools: &mut Tools) -> Verdict {
        // Whether `tools.head` is of the request in front of this connection's buffer.
        let mut head_is_here = false;
        loop {
            let step = match std::mem::replace(&mut self.state, State::Idle) {
                State::Idle => self.await_request(tools, &mut head_is_here),
                State::Head => self.read_head(tools, &mut head_is_here),
                State::Body { head_size, arriving } => self.read_body(head_size, arriving, tools),
                State::Queued { complete, .. } if tools.turn.is_open_to(key) => {
                    if head_is_here || self.parse_again(tools) {
                        head_is_here = false;
                        self.call(py, complete, key, tools)
                    } else {
                        Step::Close
                    }
                }
                State::Queued { complete, until } => {
                    self.deadline.at = until;
                    Step::Rest(State::Queued { complete, until }, Verdict::AwaitTurn)
                }
                State::Replying(exchange) => self.go_on_replying(py, exchange, key, tools),
                State::Flushing(then) => self.flush(then, tools),
                State::Lingering => self.linger(),
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
    pub(crate) fn late(&mut self, py: Python<'_>, key: usize, tools: &mut Tools) -> Verdict {
        if matches!(self.state, State::Lingering) {
            return Verdict::Close;
        }
        self.readable = true;
        let verdict = self.advance(py, key, tools);
        if matches!(verdict, Verdict::Again | Verdict::Close) || self.deadline.at > tools.clock.now {
            return verdict;
        }
        let step = match std::mem::replace(&mut self.state, State::Idle) {
            State::Head | State::Body { .. } => {
                log::debug!("refused a request: it did not arrive in time (408)");
                self.answer(408, "The request did not arrive in time.", tools)
            }
            State::Replying(exchange) => {
                log::info!("a client took nothing of its reply for {} s and was cut off", WRITE_TIME / 1000);
                self.abandon(py, exchange, key, tools);
                Step::Close
            }
            State::Queued { .. } => {
                log::warn!("a request waited longer than timeout while another reply was being made, and got a 503");
                self.answer(503, "The server was busy with another request for too long.", tools)
            }
            State::Idle | State::Flushing(_) | State::Lingering => Step::Close,
        };
        match step {
            Step::Go(state) => {
                self.input = Buffer::default();
                self.state = state;
                self.advance(py, key, tools)
            }
            Step::Rest(..) | Step::Close => Verdict::Close,
        }
    }

    /// The last thing that is done with it.
    pub(crate) fn say_goodbye(&self) {
        if self.farewell == Farewell::Due {
            // It fails where the client is gone already.
            let _ = self.socket.finish();
        }
    }

    /// The worker is about to end: a connection that has not sent a request gets no more than a moment, for one that may
    /// be on its way.
    pub(crate) fn hurry(&mut self, now: Millis) {
        if matches!(self.state, State::Idle | State::Head) {
            self.deadline.at = self.deadline.at.min(now + LAST_CALL);
        }
    }

    /// The connection is being dropped, whatever it is at. Tells whether a request was cut off by that.
    pub(crate) fn drop_everything(&mut self, py: Python<'_>, key: usize, tools: &mut Tools) -> bool {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Replying(exchange) => {
                self.abandon(py, exchange, key, tools);
                true
            }
            State::Head | State::Body { .. } | State::Queued { .. } => true,
            State::Flushing(_) => !self.out.is_empty(),
            State::Idle | State::Lingering => false,
        }
    }

    fn await_request(&mut self, tools: &mut Tools, head_is_here: &mut bool) -> Step {
        if self.input.is_empty() {
            match self.fill() {
                Fill::Filled => {}
                Fill::Blocked => return Step::Rest(State::Idle, Verdict::Wait),
                Fill::Ended => return Step::Close,
            }
        }
        match parse_head(self.input.bytes(), &tools.limits, &mut tools.head) {
            Ok(Progress::Ready(())) => {
                *head_is_here = true;
                self.take_head(tools)
            }
            Ok(Progress::NeedMore) => {
                self.deadline.at = tools.clock.now + HEAD_TIME;
                Step::Go(State::Head)
            }
            Err(reject) => self.refuse(&reject, tools),
        }
    }

    fn read_head(&mut self, tools: &mut Tools, head_is_here: &mut bool) -> Step {
        match self.fill() {
            Fill::Filled => {}
            Fill::Blocked => return Step::Rest(State::Head, Verdict::Wait),
            Fill::Ended => return Step::Close,
        }
        match parse_head(self.input.bytes(), &tools.limits, &mut tools.head) {
            Ok(Progress::Ready(())) => {
                *head_is_here = true;
                self.take_head(tools)
            }
            Ok(Progress::NeedMore) => Step::Go(State::Head),
            Err(reject) => self.refuse(&reject, tools),
        }
    }

    /// The head is complete: what follows it?
    fn take_head(&mut self, tools: &mut Tools) -> Step {
        let head = &tools.head;
        self.client_closes = !head.keep_alive;
        self.wants_head_only = head.is_head_method;
        let behind = self.input.len() - head.size;
        let arriving = match head.body {
            Body::None | Body::Length(0) => return self.queue(Complete::NoBody, tools),
            Body::Length(length) if length <= behind as u64 => {
                return self.queue(Complete::InPlace(usize::try_from(length).unwrap_or(behind)), tools);
            }
            Body::Length(length) => Arriving::of_length(length),
            Body::Chunked => Arriving::chunked(tools.limits.body),
        };
        if head.expect_continue && head.version == Version::Http11 && behind == 0 {
            self.out.memory.end().extend_from_slice(reply::CONTINUE);
            if self.out.flush(&mut self.socket).is_err() {
                return Step::Close;
            }
        }
        self.deadline.at = tools.clock.now + BODY_TIME;
        Step::Go(State::Body { head_size: head.size, arriving: Box::new(arriving) })
    }

    /// The request is complete.
    #[inline]
    fn queue(&self, complete: Complete, tools: &Tools) -> Step {
        Step::Go(State::Queued { complete, until: tools.clock.now.saturating_add(tools.patience) })
    }

    fn read_body(&mut self, head_size: usize, mut arriving: Box<Arriving>, tools: &mut Tools) -> Step {
        for _ in 0..READS_AT_ONCE {
            let behind = &self.input.bytes()[head_size..];
            match arriving.feed(behind, tools.upload_folder.as_deref()) {
                Ok((used, complete)) => {
                    self.input.used_behind(head_size, used);
                    if complete {
                        return self.queue(Complete::Stored(arriving.into_store()), tools);
                    }
                }
                Err(Refused::Client(reject)) => return self.refuse(&reject, tools),
                Err(Refused::Disk(error)) => {
                    log::error!("can't keep a request's body in a temporary file: {error} (see tmp_upload_dir)");
                    return self.answer(507, "The server has no room for the request's body.", tools);
                }
            }
            match self.fill() {
                Fill::Filled => self.deadline.at = tools.clock.now + BODY_TIME,
                Fill::Blocked => return Step::Rest(State::Body { head_size, arriving }, Verdict::Wait),
                Fill::Ended => return Step::Close,
            }
        }
        Step::Rest(State::Body { head_size, arriving }, Verdict::Again)
    }

    /// Other connections' heads have been looked at since this one's.
    fn parse_again(&mut self, tools: &mut Tools) -> bool {
        matches!(parse_head(self.input.bytes(), &tools.limits, &mut tools.head), Ok(Progress::Ready(())))
    }

    /// What a turn in the application has come to.
    pub(crate) fn after(&mut self, turn: Turn, key: usize, tools: &mut Tools) -> Step {
        match turn {
            Turn::More(exchange) => {
                tools.turn = TurnToRun::Of(key);
                self.deadline.at = NEVER;
                Step::Go(State::Replying(exchange))
            }
            Turn::Done(ending) => {
                tools.turn = TurnToRun::Free;
                tools.board.count_request();
                self.requests = self.requests.saturating_add(1);
                if self.requests == 2 {
                    tools.habit.note_reuse();
                }
                self.deadline.at = tools.clock.now + WRITE_TIME;
                Step::Go(State::Flushing(match ending {
                    Ending::KeepAlive => Then::NextRequest,
                    Ending::Close => Then::End,
                    Ending::Broken => Then::Cut,
                    Ending::Reset => Then::Reset,
                }))
            }
        }
    }

    fn go_on_replying(&mut self, py: Python<'_>, exchange: Exchange, key: usize, tools: &mut Tools) -> Step {
        let before = self.out.waiting();
        if self.out.flush(&mut self.socket).is_err() {
            self.abandon(py, exchange, key, tools);
            return Step::Close;
        }
        if !self.out.has_room(tools.upload_folder.as_deref()) {
            if self.out.waiting() < before || self.deadline.at == NEVER {
                self.deadline.at = tools.clock.now + WRITE_TIME;
            }
            return Step::Rest(State::Replying(exchange), Verdict::Wait);
        }
        self.deadline.at = NEVER;
        match self.resume(py, exchange, tools) {
            Turn::More(exchange) => {
                if self.out.flush(&mut self.socket).is_err() {
                    self.abandon(py, exchange, key, tools);
                    return Step::Close;
                }
                // The others' bytes move between the blocks of a long reply.
                Step::Rest(State::Replying(exchange), Verdict::Again)
            }
            done @ Turn::Done(_) => self.after(done, key, tools),
        }
    }

    fn abandon(&mut self, py: Python<'_>, exchange: Exchange, key: usize, tools: &mut Tools) {
        tools.caller.abandon(py, exchange);
        if tools.turn == TurnToRun::Of(key) {
            tools.turn = TurnToRun::Free;
        }
    }

    fn flush(&mut self, then: Then, tools: &mut Tools) -> Step {
        let before = self.out.waiting();
        if self.out.flush(&mut self.socket).is_err() {
            return Step::Close;
        }
        if !self.out.is_empty() {
            if self.out.waiting() < before {
                self.deadline.at = tools.clock.now + WRITE_TIME;
            }
            // A slow client's reply need not stay in memory; where the disk won't take it, it has to.
            let _ = self.out.has_room(tools.upload_folder.as_deref());
            return Step::Rest(State::Flushing(then), Verdict::Wait);
        }
        match then {
            Then::NextRequest => {
                let idle = if tools.retiring { LAST_CALL.min(tools.keep_alive) } else { tools.keep_alive };
                self.deadline.at = tools.clock.now + idle;
                self.wants_head_only = false;
                match (self.input.is_empty(), self.readable) {
                    (false, _) => Step::Rest(State::Idle, Verdict::Again),
                    (true, true) => Step::Go(State::Idle),
                    (true, false) => Step::Rest(State::Idle, Verdict::Wait),
                }
            }
            // Nothing is on its way from a client that has said that it would close, and has sent all it announced.
            Then::End if self.client_closes && self.input.is_empty() && !self.readable => Step::Close,
            Then::End => match self.socket.finish() {
                Ok(()) => {
                    self.farewell = Farewell::Needless;
                    self.deadline.at = tools.clock.now + LINGER_TIME;
                    Step::Go(State::Lingering)
                }
                Err(_) => Step::Close,
            },
            Then::Cut => Step::Close,
            Then::Reset => {
                self.socket.reset_on_close();
                self.farewell = Farewell::Needless;
                Step::Close
            }
        }
    }

    fn linger(&mut self) -> Step {
        for _ in 0..READS_AT_ONCE {
            self.input.used(self.input.len());
            match self.fill() {
                Fill::Filled => {}
                Fill::Blocked => return Step::Rest(State::Lingering, Verdict::Wait),
                Fill::Ended => return Step::Close,
            }
        }
        self.input.used(self.input.len());
        Step::Rest(State::Lingering, Verdict::Again)
    }

    fn refuse(&mut self, reject: &Reject, tools: &mut Tools) -> Step {
        log::debug!("refused a request: {} ({})", reject.reason.explain(), reject.reason.name());
        self.answer(reject.status, reject.reason.explain(), tools)
    }

    /// Answers in the application's place, and ends the connection: what else it holds can't be told apart any more.
    pub(crate) fn answer(&mut self, status: u16, explanation: &str, tools: &mut Tools) -> Step {
        reply::error_page(status, explanation, self.wants_head_only, &tools.clock.date, self.out.memory.end());
        self.client_closes = false;
        self.deadline.at = tools.clock.now + WRITE_TIME;
        Step::Go(State::Flushing(Then::End))
    }

    fn fill(&mut self) -> Fill {
        loop {
            if self.ended {
                return Fill::Ended;
            }
            if !self.readable {
                return Fill::Blocked;
            }
            match self.input.read_from(&mut self.socket) {
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
