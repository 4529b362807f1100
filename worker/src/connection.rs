//! One client's connection: its states, what moves it from one to the next, and when each has taken too long.
//!
//! ```text
//! Preface → Idle → Head → Body → Queued → (the application) → Flushing → Idle, Lingering or closed
//! ```
//!
//! A state owns what it needs, and every transition stands in this file. It is moved on by the reactor when its socket, its
//! deadline or a free thread lets it; each call goes as far as it can. A complete request takes its connection with it into the
//! application (`job`).

use std::io::{self, ErrorKind};
use std::sync::Arc;

use log::Level;
use tapster_python::{Ending, Peer};
use tapster_wire::http1::{glimpse, parse_head, reply};
use tapster_wire::proxy_protocol::parse_preface;
use tapster_wire::{Body, Progress, Reason, Reject, Version};

use crate::body::{Arriving, Refused};
use crate::buffer::Buffer;
use crate::deadlines::{Deadline, Millis, NEVER};
use crate::job::{Complete, Outcome};
use crate::line::Line;
use crate::outgoing::{Flow, Outgoing};
use crate::proxies::Standing;
use crate::socket::Socket;
use crate::state::{Farewell, Fill, State, Step, Then, Verdict};
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
                    tools.turns.stop_waiting();
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

    /// Ends it in the midst of a reply, and shows that: a plain end could make a reply without a length look whole.
    fn cut_off(&mut self, why: &str, tools: &mut Tools) -> Step {
        let level = if tools.refusals.note_cut_off(tools.clock.now) { Level::Info } else { Level::Debug };
        log::log!(level, "cut off a client {}: {why}", self.line.socket);
        self.break_off();
        Step::Close
    }

    fn break_off(&mut self) {
        self.line.socket.reset_on_close(true);
        self.farewell = Farewell::Needless;
    }

    /// The last thing that is done with it.
    pub(crate) fn say_goodbye(&self) {
        // Without a copy of the socket in another process, closing it says as much.
        if self.farewell == Farewell::Due && tapster_sys::fork::has_forked() {
            // It fails where the client is gone already.
            let _ = self.line.socket.finish();
        }
    }

    /// Whether a request's head is here, or a reply that has not been sent.
    pub(crate) fn has_request(&self) -> bool {
        matches!(self.state, State::Body { .. } | State::Queued { .. } | State::Flushing(_))
    }

    /// The worker is about to end: a connection that has not sent a request gets no more than a moment, for one that may
    /// be on its way.
    pub(crate) fn hurry(&mut self, now: Millis) {
        if matches!(self.state, State::Preface | State::Idle | State::Head) {
            self.deadline.at = self.deadline.at.min(now + LAST_CALL);
        }
    }

    /// The connection is being dropped, whatever it is at. Tells whether a request was cut off by that.
    pub(crate) fn drop_everything(&mut self, tools: &mut Tools) -> bool {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Flushing(_) if !self.out.is_empty() => {
                self.break_off();
                true
            }
            State::Queued { waits, .. } => {
                if waits {
                    tools.turns.stop_waiting();
                }
                true
            }
            State::Head | State::Body { .. } => true,
            State::Preface | State::Idle | State::Flushing(_) | State::Lingering => false,
        }
    }

    /// The PROXY header tells the client's address (the protocol's text, section 2: nothing is served before it is here).
    fn read_preface(&mut self, tools: &mut Tools) -> Step {
        match self.fill(tools.most_pipelined) {
            Fill::Filled => {}
            Fill::Blocked => return Step::Rest(State::Preface, Verdict::Wait),
            Fill::Ended => return Step::Close,
        }
        if !self.standing.sends_preface {
            return self.refuse(&Reason::ProxyForbidden.into(), tools);
        }
        let Some(mode) = tools.common.proxies.preface else { return Step::Go(State::Idle) };
        match parse_preface(self.input.bytes(), mode) {
            Ok(Progress::Ready(preface)) => {
                self.input.used(preface.size);
                self.peer.note_preface(&preface);
                Step::Go(State::Idle)
            }
            Ok(Progress::NeedMore) => Step::Go(State::Preface),
            Err(reject) => self.refuse(&reject, tools),
        }
    }

    fn await_request(&mut self, tools: &mut Tools, head_is_here: &mut bool) -> Step {
        if self.input.is_empty() {
            match self.fill(tools.most_pipelined) {
                Fill::Filled => {}
                Fill::Blocked => {
                    if self.spare_since == NEVER {
                        self.spare_since = tools.clock.now;
                    }
                    return Step::Rest(State::Idle, Verdict::Wait);
                }
                Fill::Ended => return Step::Close,
            }
        }
        self.take_up_head(true, tools, head_is_here)
    }

    fn read_head(&mut self, tools: &mut Tools, head_is_here: &mut bool) -> Step {
        match self.fill(tools.most_pipelined) {
            Fill::Filled => self.take_up_head(false, tools, head_is_here),
            Fill::Blocked => Step::Rest(State::Head, Verdict::Wait),
            Fill::Ended => Step::Close,
        }
    }

    /// Looks at what there is of a head, of which the first byte has just come or an earlier time.
    #[inline]
    fn take_up_head(&mut self, is_new: bool, tools: &mut Tools, head_is_here: &mut bool) -> Step {
        match self.parse(tools) {
            Ok(Progress::Ready(())) => {
                *head_is_here = true;
                self.take_head(tools)
            }
            Ok(Progress::NeedMore) => {
                if is_new {
                    self.deadline.at = tools.clock.now + tools.times.head;
                }
                Step::Go(State::Head)
            }
            Err(reject) => self.refuse(&reject, tools),
        }
    }

    /// Parses the head in front of the buffer into `tools.sheet`.
    #[inline]
    fn parse(&self, tools: &mut Tools) -> Result<Progress<()>, Reject> {
        let (bytes, names) = (self.input.bytes(), tools.common.proxies.names(self.standing));
        let progress = parse_head(bytes, &tools.limits, names, &mut tools.sheet.head)?;
        if progress == Progress::Ready(()) {
            tools.common.proxies.mount(&mut tools.sheet.head, bytes)?;
        }
        Ok(progress)
    }

    /// The head is complete: what follows it?
    fn take_head(&mut self, tools: &mut Tools) -> Step {
        let head = &tools.sheet.head;
        self.client_closes = !head.keep_alive;
        let behind = self.input.len() - head.size;
        let is_here = match head.body {
            Body::None => true,
            Body::Length(length) => length <= behind as u64,
            Body::Chunked => false,
        };
        // The call judges it; but who would have to wait for that, for a body or a turn, is told at once.
        if !(is_here && tools.turns.is_open(false))
            && let Err(reject) = tools.common.proxies.origin(self.standing, head, self.input.bytes())
        {
            return self.refuse(&reject, tools);
        }
        let mut arriving = match head.body {
            Body::None | Body::Length(0) => return self.queue(Complete::NoBody, tools),
            Body::Length(length) if is_here => {
                return self.queue(Complete::InPlace(usize::try_from(length).unwrap_or(behind)), tools);
            }
            Body::Length(length) => Arriving::of_length(length, tools.clock.now, &tools.common.storage),
            Body::Chunked => Arriving::chunked(tools.limits.body, tools.clock.now, &tools.common.storage),
        };
        arriving.pace.note(behind, tools.clock.now);
        if head.expect_continue && head.version == Version::Http11 && behind == 0 {
            self.out.memory.end().extend_from_slice(reply::CONTINUE);
            if self.out.flush(&self.line.socket).is_err() {
                return Step::Close;
            }
        }
        self.deadline.at = arriving.pace.deadline(&tools.times);
        Step::Go(State::Body { head_size: tools.sheet.head.size, arriving: Box::new(arriving) })
    }

    /// The request is complete.
    #[inline]
    fn queue(&mut self, complete: Complete, tools: &mut Tools) -> Step {
        let until = tools.clock.now.saturating_add(tools.times.queue);
        if self.is_old {
            return self.queue_old(complete, until, tools);
        }
        Step::Go(State::Queued { complete, until, waits: false })
    }

    /// The first request of a connection that has waited to be accepted is complete: `queue_timeout` counts from when the kernel
    /// had all of it.
    #[cold]
    fn queue_old(&mut self, complete: Complete, until: Millis, tools: &mut Tools) -> Step {
        self.is_old = false;
        if self.line.socket.is_gone() {
            log::debug!("a client was gone before its request, which waited to be accepted, could run");
            return Step::Close;
        }
        let until = until.saturating_sub(self.line.socket.since_last_data().unwrap_or_default());
        if until <= tools.clock.now {
            return self.refuse_old(tools);
        }
        Step::Go(State::Queued { complete, until, waits: false })
    }

    /// The request has waited for too long.
    fn refuse_old(&mut self, tools: &mut Tools) -> Step {
        if tools.refusals.busy_notices.is_time(tools.clock.now) {
            log::warn!(
                "a request waited longer than queue_timeout for a free thread, and got a 503; more threads (where the \
                 application waits for others), more workers (where it computes) or a faster application would help"
            );
        }
        self.refuse(&Reason::Busy.into(), tools)
    }

    /// On into the application, or into the queue.
    #[inline]
    fn await_turn(
        &mut self,
        complete: Complete,
        until: Millis,
        waits: bool,
        head_is_here: bool,
        tools: &mut Tools,
    ) -> Step {
        if tools.turns.is_open(waits) {
            if waits {
                tools.turns.stop_waiting();
                if self.is_gone {
                    log::debug!("a client was gone before its request, which waited for a thread, could run");
                    return Step::Close;
                }
            }
            // Other connections' heads may have been looked at since this one's.
            if !head_is_here && !matches!(self.parse(tools), Ok(Progress::Ready(()))) {
                return Step::Close;
            }
            return Step::Rest(State::Queued { complete, until, waits: false }, Verdict::Run);
        }
        if !waits && !tools.turns.wait() {
            if tools.refusals.busy_notices.is_time(tools.clock.now) {
                log::warn!(
                    "a request got a 503, since limit_queue requests wait for a free thread already; more threads (where the \
                     application waits for others), more workers (where it computes) or a faster application would help"
                );
            }
            return self.refuse(&Reason::QueueFull.into(), tools);
        }
        self.deadline.at = until;
        Step::Rest(State::Queued { complete, until, waits: true }, Verdict::AwaitTurn)
    }

    /// Its request is to run, with which it goes away.
    #[inline]
    pub(crate) fn take_request(&mut self) {
        if let State::Queued { complete, .. } = std::mem::replace(&mut self.state, State::Idle) {
            self.brought_body = !matches!(complete, Complete::NoBody);
            self.body = complete;
        }
    }

    fn read_body(&mut self, head_size: usize, mut arriving: Box<Arriving>, tools: &mut Tools) -> Step {
        for _ in 0..READS_AT_ONCE {
            let behind = &self.input.bytes()[head_size..];
            match arriving.feed(behind, &tools.common.storage) {
                Ok((used, complete)) => {
                    self.input.used_behind(head_size, used);
                    if complete {
                        return self.queue(Complete::Stored(arriving.into_store()), tools);
                    }
                }
                Err(Refused::Client(reject)) => return self.refuse(&reject, tools),
                Err(Refused::Disk(error)) => {
                    tools.common.storage.complain("a request's body", &error);
                    return self.refuse(&Reason::Storage.into(), tools);
                }
            }
            // What comes behind the body is the next request's.
            let rest = arriving.missing().map_or(0, |missing| usize::try_from(missing).unwrap_or(usize::MAX));
            let most = rest.saturating_add(tools.most_pipelined);
            let mut came = 0;
            let filled = self.fill_by(|input, socket| {
                let is_behind = input.len() > head_size;
                let read = if is_behind { None } else { arriving.read_from(socket) };
                let read = read.unwrap_or_else(|| input.read_from(&mut &*socket, most))?;
                came = read.0;
                Ok(read)
            });
            match filled {
                Fill::Filled => {
                    arriving.pace.note(came, tools.clock.now);
                    self.deadline.at = arriving.pace.deadline(&tools.times);
                }
                Fill::Blocked => return Step::Rest(State::Body { head_size, arriving }, Verdict::Wait),
                Fill::Ended => return Step::Close,
            }
        }
        Step::Rest(State::Body { head_size, arriving }, Verdict::Again)
    }

    /// The request has come back from the application.
    #[inline]
    pub(crate) fn complete(&mut self, outcome: Outcome, tools: &mut Tools) -> Verdict {
        match self.after(outcome, tools) {
            Step::Go(state) | Step::Rest(state, _) => {
                self.state = state;
                self.advance(tools)
            }
            Step::Close => Verdict::Close,
        }
    }

    fn after(&mut self, outcome: Outcome, tools: &mut Tools) -> Step {
        let ending = match outcome {
            Outcome::Replied(ending) => ending,
            Outcome::Refused(reject) => return self.refuse(&reject, tools),
            Outcome::Gone => return Step::Close,
            Outcome::GivenUp => return self.cut_off("it took nothing of its reply for send_timeout", tools),
        };
        tools.common.board.count_request();
        self.requests = self.requests.saturating_add(1);
        if self.requests == 2 {
            tools.habit.note_reuse();
        }
        self.deadline.at = tools.clock.now + tools.times.send;
        Step::Go(State::Flushing(match ending {
            Ending::KeepAlive => Then::NextRequest,
            Ending::Close => Then::End,
            Ending::Broken => Then::Cut,
            Ending::Reset => Then::Reset,
        }))
    }

    /// Its client has been told that the connection is over.
    pub(crate) fn forget_client(&mut self) {
        self.farewell = Farewell::Needless;
    }

    fn flush(&mut self, then: Then, tools: &mut Tools) -> Step {
        let before = self.out.waiting();
        let Ok(flow) = self.out.flush(&self.line.socket) else { return Step::Close };
        if !self.out.is_empty() {
            if self.out.waiting() < before {
                self.deadline.at = tools.clock.now + tools.times.send;
            }
            // A slow client's reply need not stay in memory. Where neither memory nor disk has room for it, the client has
            // to go: the application has given it away already, and cannot be held back any more.
            if !self.out.is_kept(&tools.common.storage) {
                return self.cut_off("there is no room for what it has not taken of its reply", tools);
            }
            let verdict = if flow == Flow::Paused { Verdict::Again } else { Verdict::Wait };
            return Step::Rest(State::Flushing(then), verdict);
        }
        if self.fragile && then == Then::End {
            self.line.socket.reset_on_close(false);
            self.fragile = false;
        }
        match then {
            Then::NextRequest => {
                let idle = if tools.retiring { LAST_CALL.min(tools.times.keep_alive) } else { tools.times.keep_alive };
                self.deadline.at = tools.clock.now + idle;
                self.spare_since = tools.clock.now;
                match (self.input.is_empty(), self.readable) {
                    (false, _) => Step::Rest(State::Idle, Verdict::Again),
                    (true, true) => Step::Go(State::Idle),
                    (true, false) => Step::Rest(State::Idle, Verdict::Wait),
                }
            }
            // Nothing is on its way from a client that has said that it would close, and has sent all it announced.
            Then::End if self.client_closes && !self.has_unread() => Step::Close,
            Then::End => match self.line.socket.finish() {
                Ok(()) => {
                    self.farewell = Farewell::Needless;
                    self.deadline.at = tools.clock.now + tools.times.linger;
                    self.spare_since = tools.clock.now;
                    Step::Go(State::Lingering)
                }
                Err(_) => Step::Close,
            },
            Then::Cut => Step::Close,
            Then::Reset => {
                self.break_off();
                Step::Close
            }
        }
    }

    /// Whether bytes are here, or on their way as far as is known. Some clients send an empty line behind a body, which they
    /// did not announce; with it unread, a close would be a reset, and cost them the reply.
    fn has_unread(&self) -> bool {
        !self.input.is_empty() || self.readable || (self.brought_body && self.line.socket.has_bytes())
    }

    fn linger(&mut self, tools: &Tools) -> Step {
        for _ in 0..READS_AT_ONCE {
            self.input.used(self.input.len());
            match self.fill(tools.most_pipelined) {
                Fill::Filled => {}
                Fill::Blocked => return Step::Rest(State::Lingering, Verdict::Wait),
                Fill::Ended => return Step::Close,
            }
        }
        self.input.used(self.input.len());
        Step::Rest(State::Lingering, Verdict::Again)
    }

    /// Answers in the application's place, and ends the connection: what else it holds can't be told apart any more.
    pub(crate) fn refuse(&mut self, reject: &Reject, tools: &mut Tools) -> Step {
        tools.refusals.note(reject, tools.clock.now);
        log::debug!("refused a request {}: {reject}", self.line.socket);
        let wanted = glimpse(self.input.bytes());
        let page = reply::ErrorPage {
            status: reject.status,
            explain: reject.reason.explain(),
            head_only: wanted.is_head_method,
            json: wanted.prefers_json,
        };
        reply::error_page(&page, &tools.clock.server, self.out.memory.end());
        self.client_closes = false;
        self.deadline.at = tools.clock.now + tools.times.send;
        Step::Go(State::Flushing(Then::End))
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
