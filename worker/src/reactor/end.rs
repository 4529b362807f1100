//! The reactor's end: when it is over, and what becomes of the requests that are left, and is told of them.

use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use tapster_ipc::ExitCode;

use super::{Life, MAIN, Reactor};
use crate::line::Sent;
use crate::seat::{Lateness, Seat};

impl Reactor {
    /// The last thing that is done: whatever is running is cut off, and nobody is to have the reactor any more.
    pub(crate) fn end(mut self: Box<Self>, exit: ExitCode) {
        let board = self.tools.common.board;
        board.busy(tapster_sys::stamp::monotonic());
        board.set_accepting(false);
        let is_quick = matches!(self.life, Life::Retiring { quick: true, .. });
        let (mut cut_off, mut left, mut main_is_stuck) = (CutOff::default(), 0, false);
        for (_, seat) in &mut self.seats {
            match seat {
                Seat::Here(connection) => {
                    if let Some(what) = connection.drop_everything(&mut self.tools) {
                        cut_off.note(|| connection.name_of(what));
                    }
                    connection.say_goodbye();
                }
                Seat::Away(away) if away.lateness == Lateness::InTime => {
                    left += 1;
                    main_is_stuck |= away.thread == MAIN && is_quick;
                    if away.line.close() != Sent::Whole || away.line.part() {
                        away.line.socket.cut();
                        cut_off.note(|| away.wanted.to_string());
                    }
                }
                // Its client has been told already, or has its reply.
                Seat::Away(away) => {
                    left += 1;
                    if away.line.part() {
                        away.line.socket.cut();
                        cut_off.note(|| away.wanted.to_string());
                    }
                    main_is_stuck |= away.thread == MAIN && (is_quick || away.lateness == Lateness::Stuck);
                }
            }
        }
        self.tools.refusals.sum_up();
        cut_off.tell(match self.life {
            Life::Waiting | Life::Serving => "it can't go on",
            Life::Retiring { quick: true, .. } => "a quick stop waits for no longer",
            Life::Retiring { .. } => "graceful_timeout is over",
        });
        if self.tools.common.witness.is_kept_waiting(WITNESS_PATIENCE) {
            // Nothing of Python's can run any more; but so it still prints the stacks of all threads (faulthandler).
            log::error!("a thread of the worker keeps the interpreter's lock, so the worker ends by SIGABRT");
            let _ = raise(Signal::SIGABRT);
        }
        if main_is_stuck {
            log::warn!(
                "the worker's main thread is still in the application, so nothing of that runs at the worker's end"
            );
            tapster_sys::fork::exit_now(exit.status().into());
        }
        self.tell_of_end(left);
        // Whatever Python's own end takes, it is no halt.
        board.idle();
        self.baton.end(exit);
    }

    pub(super) fn is_over(&self) -> bool {
        match self.life {
            Life::Waiting | Life::Serving => false,
            Life::Retiring { until, quick } => {
                let is_over = |seat: &Seat| seat.is_stuck() || (quick && !seat.has_request());
                self.tools.clock.now >= until || self.seats.iter().all(|(_, seat)| is_over(seat))
            }
        }
    }
}

/// Who waits for the interpreter's lock for longer than this at the worker's end is kept from it.
const WITNESS_PATIENCE: Duration = Duration::from_secs(1);

/// So many are named.
const NAMED: usize = 5;

/// The requests that have been cut off so far.
#[derive(Debug, Default)]
struct CutOff {
    count: usize,
    names: Vec<String>,
}

impl CutOff {
    /// One more, of which `name` says what it was.
    fn note(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(name());
        }
    }

    /// Writes them down, if there are any.
    fn tell(&self, why: &str) {
        if self.count == 0 {
            return;
        }
        let (count, names) = (self.count, self.names.join(", "));
        let more = match count - self.names.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        log::warn!("requests that were cut off by the worker's end: {count} ({why}): {names}{more}");
    }
}
