//! How a reply leaves its connection, and what follows it: the states `Flushing` and `Lingering`, and the ways to end.

use log::Level;
use tapster_python::Ending;
use tapster_wire::Reject;
use tapster_wire::http1::{glimpse, reply};

use super::{Connection, LAST_CALL, READS_AT_ONCE};
use crate::job::Outcome;
use crate::outgoing::{Flow, Outgoing};
use crate::state::{Farewell, Fill, State, Step, Then, Verdict};
use crate::tools::Tools;

impl Connection {
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

    pub(super) fn after(&mut self, outcome: Outcome, tools: &mut Tools) -> Step {
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

    /// Its client has been told in the application's place that the connection is over, and may not have read that yet: so what
    /// it still sends is thrown away, as behind any last reply.
    #[cold]
    pub(crate) fn see_off(&mut self, tools: &mut Tools) -> Verdict {
        self.out = Outgoing::new(&tools.common.storage);
        self.farewell = Farewell::Needless;
        // The poll has been told to forget it.
        (self.polled, self.readable) = (false, true);
        self.deadline.at = tools.clock.now + tools.times.linger;
        self.spare_since = tools.clock.now;
        self.state = State::Lingering;
        self.advance(tools)
    }

    pub(super) fn flush(&mut self, then: Then, tools: &mut Tools) -> Step {
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
    pub(super) fn has_unread(&self) -> bool {
        !self.input.is_empty() || self.readable || (self.brought_body && self.line.socket.has_bytes())
    }

    pub(super) fn linger(&mut self, tools: &Tools) -> Step {
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

    /// Ends it in the midst of a reply, and shows that: a plain end could make a reply without a length look whole.
    pub(super) fn cut_off(&mut self, why: &str, tools: &mut Tools) -> Step {
        let level = if tools.refusals.note_cut_off(tools.clock.now) { Level::Info } else { Level::Debug };
        log::log!(level, "cut off a client {}: {why}", self.line.socket);
        self.break_off();
        Step::Close
    }

    pub(super) fn break_off(&mut self) {
        self.line.socket.reset_on_close(true);
        // Closing it says nothing while another process has a copy of it.
        if tapster_sys::fork::has_forked() {
            self.line.socket.cut();
        }
        self.farewell = Farewell::Needless;
    }
}
