//! What the arbiter and signals tell a worker, most of it about its end.

use std::time::Duration;

use nix::sys::signal::Signal;
use tapster_ipc::message::{FINALISATION, QUICK};
use tapster_ipc::{Order, ReceiveError, Report};

use super::gate::Expect;
use super::{LISTENERS, Life, Reactor};
use crate::clock::millis;
use crate::deadlines::NEVER;
use crate::life::reopen_log;
use crate::seat::Seat;

/// How much later than the arbiter, which can say why, the worker's own timer kills it.
const ARBITER_FIRST: Duration = Duration::from_millis(500);

/// After so many requests more the arbiter is told again what it could not be told.
const TELL_AGAIN: u64 = 1000;

impl Reactor {
    pub(super) fn hear_signals(&mut self) {
        let heard = self.signals.take();
        self.has_signal |= heard.for_python;
        if heard.reopen {
            reopen_log();
        }
        match heard.stop {
            Some(Signal::SIGQUIT) => self.quit(),
            Some(_) => self.retire(self.graceful, false),
            None => {}
        }
    }

    pub(super) fn hear_arbiter(&mut self) {
        while let Some(channel) = &self.channel {
            match channel.receive() {
                Ok((Order::Serve, _)) => self.serve(),
                Ok((Order::Retire { within_ms, drain }, _)) => {
                    self.retire(Duration::from_millis(within_ms.into()), drain);
                }
                Ok((Order::Quit, _)) => self.quit(),
                Ok((Order::Reopen, _)) => reopen_log(),
                Ok((Order::LetGo, _)) => self.tools.lets_go = true,
                Ok((other, _)) => log::warn!("an order that a worker does not expect: {other:?}"),
                Err(ReceiveError::Gossip(what)) => log::warn!("the arbiter sent what is no order: {what}"),
                Err(ReceiveError::Empty) => return,
                Err(ReceiveError::Closed) => {
                    self.channel = None;
                    match self.life {
                        Life::Waiting => log::error!("the arbiter's channel ended before this worker was to serve"),
                        Life::Serving => log::error!("the arbiter is gone; finishing what is running"),
                        Life::Retiring { .. } => {}
                    }
                    self.retire(self.graceful, true);
                }
            }
        }
    }

    /// Takes connections from now on.
    fn serve(&mut self) {
        if self.life == Life::Waiting {
            self.life = Life::Serving;
        }
    }

    fn is_retiring(&self) -> bool {
        matches!(self.life, Life::Retiring { .. })
    }

    /// Takes no more connections, but first, with `drain`, those that nobody else would take; ends when the rest is done. One that
    /// was never told to serve takes none even then: the arbiter may be about to kill it.
    fn retire(&mut self, within: Duration, drain: bool) {
        self.tools.clock.look();
        let now = self.tools.clock.now;
        self.arm_deadman(within);
        if self.is_retiring() {
            return;
        }
        let drains = drain && self.life == Life::Serving;
        self.life = Life::Retiring { until: now + millis(within), quick: false };
        (self.tools.retiring, self.tools.lets_go) = (true, true);
        if drains {
            for listener in 0..self.listeners.count() {
                while self.accept(listener, Expect::Events) {}
            }
            if let Some(Err(error)) = self.channel.as_ref().map(|channel| channel.send(&Report::Drained)) {
                log::debug!("the arbiter is not there to hear that no connection waits: {error}");
            }
        }
        if let Err(error) = self.listeners.arm(&self.poll, LISTENERS, false) {
            log::error!("can't stop listening: {error}");
        }
        self.listeners.close();
        for (key, seat) in &mut self.seats {
            if let Seat::Here(connection) = seat {
                connection.hurry(now);
                self.deadlines.watch(key, &mut connection.deadline);
            }
        }
    }

    /// Ends when the requests are done that are there, or a moment later at the latest.
    fn quit(&mut self) {
        self.retire(QUICK, false);
        let soon = self.tools.clock.now + millis(QUICK);
        if let Life::Retiring { until, quick } = &mut self.life {
            (*until, *quick) = ((*until).min(soon), true);
        }
    }

    /// Tells the arbiter, once, that the worker has served as many requests as it is to. It goes on until it is told to retire, when
    /// another one serves.
    #[cold]
    pub(super) fn wear_out(&mut self, requests: u64) {
        self.worn_at = u64::MAX;
        if let Some(Err(error)) = self.channel.as_ref().map(|channel| channel.send(&Report::WornOut { requests })) {
            log::warn!("can't tell the arbiter that the worker has served {requests} requests: {error}");
            self.worn_at = requests.saturating_add(TELL_AGAIN);
        }
    }

    /// Tells the arbiter that nothing is left but Python's own end, and so many requests that have been given up.
    pub(super) fn tell_of_end(&mut self, left: u32) {
        self.tools.clock.glance();
        if self.ends_by == NEVER {
            self.arm_deadman(Duration::ZERO);
        }
        let within = self.ends_by.saturating_sub(self.tools.clock.now);
        let report = Report::Ending { within_ms: u32::try_from(within).unwrap_or(u32::MAX), left };
        if let Some(Err(error)) = self.channel.as_ref().map(|channel| channel.send(&report)) {
            log::debug!("the arbiter is not there to hear of the worker's end: {error}");
        }
    }

    /// Has the process killed unless it ends soon after the time that its requests have; what was set earlier stays.
    fn arm_deadman(&mut self, within: Duration) {
        let ends_by = self.tools.clock.now + millis(within + FINALISATION);
        if ends_by >= self.ends_by {
            return;
        }
        self.ends_by = ends_by;
        if let Err(error) = self.deadman.arm(within + FINALISATION + ARBITER_FIRST) {
            log::error!("can't set the timer that ends a worker that is stuck: {error}");
        }
    }
}
