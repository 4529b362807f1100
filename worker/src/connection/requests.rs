//! How a request arrives on its connection, up to its turn in the application: the states from `Preface` to `Queued`.

use tapster_wire::http1::{parse_head, reply};
use tapster_wire::proxy_protocol::parse_preface;
use tapster_wire::{Body, Progress, Reason, Reject, Version};

use super::{Connection, READS_AT_ONCE};
use crate::body::{Arriving, Refused};
use crate::deadlines::{Millis, NEVER};
use crate::job::Complete;
use crate::state::{Fill, State, Step, Verdict};
use crate::tools::Tools;

/// What helps where requests wait for too long.
const ADVICE: &str = "more threads (where the application waits for others), more workers (where it computes) or a faster \
                      application would help";

impl Connection {
    /// The PROXY header tells the client's address (the protocol's text, section 2: nothing is served before it is here).
    pub(super) fn read_preface(&mut self, tools: &mut Tools) -> Step {
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

    pub(super) fn await_request(&mut self, tools: &mut Tools, head_is_here: &mut bool) -> Step {
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

    pub(super) fn read_head(&mut self, tools: &mut Tools, head_is_here: &mut bool) -> Step {
        match self.fill(tools.most_pipelined) {
            Fill::Filled => self.take_up_head(false, tools, head_is_here),
            Fill::Blocked => Step::Rest(State::Head, Verdict::Wait),
            Fill::Ended => Step::Close,
        }
    }

    /// Looks at what there is of a head, of which the first byte has just come or an earlier time.
    #[inline]
    pub(super) fn take_up_head(&mut self, is_new: bool, tools: &mut Tools, head_is_here: &mut bool) -> Step {
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
    pub(super) fn parse(&self, tools: &mut Tools) -> Result<Progress<()>, Reject> {
        let (bytes, names) = (self.input.bytes(), tools.common.proxies.names(self.standing));
        let progress = parse_head(bytes, &tools.limits, names, &mut tools.sheet.head)?;
        if progress == Progress::Ready(()) {
            tools.common.proxies.mount(&mut tools.sheet.head, bytes)?;
        }
        Ok(progress)
    }

    /// The head is complete: what follows it?
    pub(super) fn take_head(&mut self, tools: &mut Tools) -> Step {
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
    pub(super) fn queue(&mut self, complete: Complete, tools: &mut Tools) -> Step {
        let until = tools.clock.now.saturating_add(tools.times.queue);
        if self.is_old {
            return self.queue_old(complete, until, tools);
        }
        Step::Go(State::Queued { complete, until, waits: false })
    }

    /// The first request of a connection that has waited to be accepted is complete: `queue_timeout` counts from when the kernel
    /// had all of it.
    #[cold]
    pub(super) fn queue_old(&mut self, complete: Complete, until: Millis, tools: &mut Tools) -> Step {
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
    pub(super) fn refuse_old(&mut self, tools: &mut Tools) -> Step {
        if tools.refusals.busy_notices.is_time(tools.clock.now) {
            log::warn!("a request waited longer than queue_timeout for a free thread, and got a 503; {ADVICE}");
        }
        self.refuse(&Reason::Busy.into(), tools)
    }

    /// On into the application, or into the queue.
    #[inline]
    pub(super) fn await_turn(
        &mut self,
        complete: Complete,
        until: Millis,
        waits: bool,
        head_is_here: bool,
        tools: &mut Tools,
    ) -> Step {
        if tools.turns.is_open(waits) {
            if waits {
                tools.stop_waiting();
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
        if !waits && !tools.begin_waiting() {
            if tools.refusals.busy_notices.is_time(tools.clock.now) {
                log::warn!("a request got a 503, since limit_queue requests wait for a free thread already; {ADVICE}");
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

    pub(super) fn read_body(&mut self, head_size: usize, mut arriving: Box<Arriving>, tools: &mut Tools) -> Step {
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
}
