//! A request's way out of the reactor and back, and what is done when it does not come back in time.
//!
//! `timeout` is a request's: its client is answered, Python's stacks are logged and its thread is asked to stop, by an exception.
//! Where that does not come back within `timeout_grace` either (stuck in C code), the arbiter is told, and replaces the worker.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use tapster_ipc::Report;
use tapster_wire::Reason;
use tapster_wire::http1::reply::{self, ErrorPage};

use super::Reactor;
use crate::common::Common;
use crate::deadlines::Millis;
use crate::job::{Complete, Done, Job, Outcome};
use crate::line::Sent;
use crate::outgoing::Flow;
use crate::seat::{Away, Lateness, Seat};
use crate::witness::Overdue;

impl Reactor {
    /// The connection's request goes into the application, in the thread that has the reactor now.
    #[inline]
    pub(super) fn send_away(&mut self, key: usize) {
        let Some(seat) = self.seats.get_mut(key) else { return };
        let Seat::Here(connection) = &*seat else { return };
        let now = self.tools.clock.now;
        let tools = &mut self.tools;
        tools.common.board.busy(Duration::from_millis(now));
        self.tickets += 1;
        let line = Arc::clone(&connection.line);
        line.begin(now);
        let mut deadline = connection.deadline;
        deadline.at = now.saturating_add(tools.times.timeout);
        let away = Away {
            line,
            deadline,
            lateness: Lateness::InTime,
            since: now,
            thread: self.thread,
            ticket: self.tickets,
            wanted: tools.wanted(connection),
            readable: false,
            hung_up: false,
        };
        tools.common.board.begin_request(away.thread, now, away.wanted.name());
        if let Seat::Here(connection) = std::mem::replace(seat, Seat::Away(away)) {
            self.job = Some(tools.job(key, self.tickets, connection));
            tools.common.board.set_running(tools.turns.running());
        }
        self.deadlines.watch(key, seat.deadline_mut());
        if self.tools.turns.waiting() > 0 {
            self.pass_on();
        }
    }

    /// While requests wait here, a connection does not stay whose next one an idle sibling would take: a worker that was started
    /// for the load can only have of it what comes by new connections, and a proxy keeps those that it has.
    #[cold]
    fn pass_on(&mut self) {
        if let Some(job) = &mut self.job
            && self.spreads
            && self.listeners.has_idler_sibling(self.seats.len())
        {
            job.stays = false;
        }
    }

    /// The poll has told something of a connection whose request is in the application.
    #[inline]
    pub(super) fn see_to(away: &Away, key: usize, common: &Common) {
        let line = &away.line;
        if line.backlog.go_on(&line.socket) == Flow::Paused {
            // It fails where the client has been cut off, of which the poll is to tell no more.
            let _ = common.poll_again(&line.socket, key);
        }
        if away.lateness == Lateness::Stuck {
            away.line.part();
        }
    }

    /// A request has come back from the application.
    #[inline]
    pub(super) fn complete(&mut self, done: Done) {
        let Done { key, ticket, mut connection, sheet, outcome, waited } = done;
        let tools = &mut self.tools;
        tools.turns.leave(waited);
        tools.common.board.set_running(tools.turns.running());
        tools.sheets.push(sheet);
        // However long it took: deadlines count from now.
        tools.clock.glance();
        let Some(seat) = self.seats.get_mut(key) else { return };
        let Seat::Away(away) = &mut *seat else { return };
        if away.ticket != ticket {
            return;
        }
        tools.common.board.end_request(away.thread);
        connection.deadline = away.deadline;
        if away.readable {
            connection.note_readable(away.hung_up);
        }
        let (lateness, spent) = (away.lateness, tools.clock.now - away.since);
        let wanted = std::mem::take(&mut away.wanted);
        self.stuck -= usize::from(lateness == Lateness::Stuck);
        if lateness != Lateness::InTime {
            log::warn!("{wanted} has come back from the application after {}", words(spent));
        }
        tools.wanted.push(wanted);
        let verdict = match lateness {
            Lateness::InTime => connection.complete(outcome, tools),
            _ if connection.line.is_closed() => connection.see_off(tools),
            // It was the work behind a whole reply that took too long. Nobody but the log need hear of it.
            Lateness::TimedOut => connection.complete(outcome, tools),
            Lateness::Stuck => connection.complete(outcome.closing(), tools),
        };
        *seat = Seat::Here(connection);
        let requests = tools.common.board.requests();
        if requests >= self.worn_at {
            self.wear_out(requests);
        }
        self.follow(key, false, verdict);
    }

    /// Gives a request up that nobody can run.
    pub(crate) fn turn_away(&mut self, job: Job) {
        let Job { key, ticket, mut connection, sheet, .. } = job;
        connection.body = Complete::NoBody;
        let outcome = Outcome::Refused(Reason::Busy.into());
        self.bring_back(Done { key, ticket, connection, sheet, outcome, waited: None });
    }

    /// A request's deadline has passed, while it is in the application.
    #[cold]
    pub(super) fn mind_late_request(&mut self, key: usize) {
        let Some(Seat::Away(away)) = self.seats.get_mut(key) else { return };
        let (now, times) = (self.tools.clock.now, &self.tools.times);
        match away.lateness {
            Lateness::InTime => {
                // One that waits for its client begins anew with each block that is taken.
                let due = away.line.heard().unwrap_or(now).saturating_add(times.timeout);
                if due > now {
                    // It has given a block of its reply since.
                    away.deadline.at = due;
                    return;
                }
                away.lateness = Lateness::TimedOut;
                away.deadline.at = now.saturating_add(times.grace);
                self.time_out(key);
            }
            Lateness::TimedOut => {
                away.lateness = Lateness::Stuck;
                self.stuck += 1;
                // Before the worker ends: its client has nothing more to wait for.
                away.line.part();
                self.report_stuck(key);
            }
            Lateness::Stuck => {}
        }
    }

    /// Answers in the application's place, where there is no whole reply, and asks that to stop.
    fn time_out(&mut self, key: usize) {
        let Some(Seat::Away(away)) = self.seats.get(key) else { return };
        let sent = away.line.close();
        let (now, limit) = (self.tools.clock.now, words(self.tools.times.timeout));
        let what = match sent {
            Sent::Nothing => "its client gets a 504",
            Sent::Part => "its client, which has a part of the reply, is cut off",
            Sent::Whole => "its client is left alone, since the reply is whole",
        };
        let (wanted, spent, heard) = (&away.wanted, words(now - away.since), away.line.heard().unwrap_or(now));
        let silent = match now.saturating_sub(heard) {
            silent if heard > away.since => format!(", and has given nothing for the last {}", words(silent)),
            _ => String::new(),
        };
        log::error!("{wanted} has been in the application for {spent}{silent}, longer than timeout = {limit}: {what}");
        if sent != Sent::Whole {
            // The poll has nothing more to tell of it; whatever the client sends is no request any more.
            let _ = self.poll.registry().deregister(&mut SourceFd(&away.line.socket.as_fd().as_raw_fd()));
        }
        match sent {
            Sent::Nothing => self.answer_late(away),
            Sent::Part => away.line.socket.cut(),
            Sent::Whole => {}
        }
        let overdue = Overdue { thread: away.thread, ticket: away.ticket, request: wanted.to_string() };
        if let Err(error) = self.tools.common.witness.call(overdue) {
            log::error!("can't start the thread that logs Python's stacks: {error}");
        }
        self.tools.refusals.note_timed_out(now);
    }

    fn answer_late(&self, away: &Away) {
        let page = ErrorPage {
            status: Reason::Timeout.status(),
            explain: Reason::Timeout.explain(),
            head_only: away.wanted.head_only,
            json: away.wanted.json,
        };
        let mut bytes = Vec::new();
        reply::error_page(&page, &self.tools.clock.server, &mut bytes);
        // The reply that was to be may have ended with the connection, and so been prepared for being cut off.
        away.line.socket.reset_on_close(false);
        // It is the first that is sent of this reply, so the socket has room for it, or the client is not reading.
        let _ = (&mut &away.line.socket).write(&bytes);
        let _ = away.line.socket.finish();
    }

    /// The thread has not come back. Only the arbiter can help: by another worker.
    fn report_stuck(&self, key: usize) {
        let Some(Seat::Away(away)) = self.seats.get(key) else { return };
        let spent = self.tools.clock.now - away.since;
        let running =
            self.seats.iter().filter(|(_, seat)| matches!(seat, Seat::Away(away) if away.lateness != Lateness::Stuck));
        let report = Report::Stuck {
            request: away.wanted.to_string(),
            spent_ms: spent,
            running: u32::try_from(running.count()).unwrap_or(u32::MAX),
        };
        if let Some(Err(error)) = self.channel.as_ref().map(|channel| channel.send(&report)) {
            log::error!("can't tell the arbiter that {} is stuck: {error}", away.wanted);
        }
    }
}

/// A time as log lines tell it.
fn words(time: Millis) -> String {
    format!("{:?}", Duration::from_millis(time))
}
