//! What the arbiter and signals tell a worker, all of it about its end.

use std::time::Duration;

use nix::sys::signal::Signal;
use tapster_ipc::{Order, ReceiveError, Report};

use super::gate::Expect;
use super::{LISTENERS, Life, Reactor};
use crate::clock::millis;
use crate::seat::Seat;
use crate::worker::FINALISATION;

impl Reactor {
    pub(super) fn hear_signals(&mut self) {
        match self.signals.take() {
            Some(Signal::SIGQUIT) => {
                self.arm_deadman(Duration::ZERO);
                self.life = Life::Over;
            }
            Some(_) => self.retire(self.graceful, false),
            None => {}
        }
    }

    pub(super) fn hear_arbiter(&mut self) {
        while let Some(channel) = &self.channel {
            match channel.receive() {
                Ok((Order::Retire { within_ms, drain }, _)) => {
                    self.retire(Duration::from_millis(within_ms.into()), drain);
                }
                Ok((Order::Quit, _)) => {
                    self.arm_deadman(Duration::ZERO);
                    self.life = Life::Over;
                }
                Ok((other, _)) => log::warn!("an order that a worker does not expect: {other:?}"),
                Err(ReceiveError::Gossip(what)) => log::warn!("the arbiter sent what is no order: {what}"),
                Err(ReceiveError::Empty) => return,
                Err(ReceiveError::Closed) => {
                    self.channel = None;
                    if self.life == Life::Serving {
                        log::error!("the arbiter is gone; finishing what is running");
                    }
                    self.retire(self.graceful, true);
                }
            }
        }
    }

    /// Takes no more connections, but first, with `drain`, those that nobody else would take; ends when the rest is done.
    fn retire(&mut self, within: Duration, drain: bool) {
        self.tools.clock.look();
        let now = self.tools.clock.now;
        self.arm_deadman(within);
        if self.life != Life::Serving {
            return;
        }
        self.life = Life::Retiring { until: now + millis(within) };
        self.tools.retiring = true;
        if drain {
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

    fn arm_deadman(&mut self, within: Duration) {
        if let Err(error) = self.deadman.arm(within + FINALISATION) {
            log::error!("can't set the timer that ends a worker that is stuck: {error}");
        }
    }
}
