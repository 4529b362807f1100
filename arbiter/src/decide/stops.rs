//! How the server stops: after a while (`drain_delay`), after its requests, quickly, at once; each may follow those before it.

use std::time::Duration;

use log::Level;
use tapster_ipc::message::{FINALISATION, QUICK};
use tapster_ipc::{ExitCode, Order};

use super::turn::{Turn, words};
use crate::action::{Action, Notice};
use crate::fleet::{Child, Manner, Phase, Template};
use crate::process::{Life, Why};

/// How long a template, which runs no request, may take to end.
pub(super) const TEMPLATE_END: Duration = Duration::from_secs(5);
/// Two signals that come closer together are one: a terminal signals a group whose leader passes its own on, and `timeout`
/// and service managers signal a process and its group.
pub(super) const TWICE: Duration = Duration::from_millis(250);

impl Turn<'_> {
    /// A signal asks for a stop.
    pub(super) fn stop(&mut self, manner: Manner, name: &str) {
        if self.fleet.stop_asked.is_some_and(|(at, of)| of == manner && self.now < at.saturating_add(TWICE)) {
            return self.log(Level::Debug, format!("{name}: taken for the same signal as the one before"));
        }
        self.fleet.stop_asked = Some((self.now, manner));
        let manner = self.manner_beside_another(manner);
        let exit = match self.fleet.phase {
            Phase::Stopping { manner: Manner::Quick, since, exit } if manner == Manner::Quick => {
                if self.now < since.saturating_add(TWICE) {
                    return self.log(Level::Debug, format!("{name}: taken for the same signal as the one before"));
                }
                return self.stop_at_once(name, exit);
            }
            Phase::Stopping { manner: Manner::Graceful, exit, .. } if manner == Manner::Quick => exit,
            Phase::Stopping { manner: present, .. } => {
                return self.log(Level::Info, format!("{name}: the server is stopping already, {present}"));
            }
            // Beside another server there is nothing to wait for.
            Phase::Up { proven } if manner == Manner::Graceful && self.fleet.stops_at.is_none() && self.is_alone() => {
                let delay = self.fleet.generations.get(&proven).map(|proven| proven.limits.drain_delay);
                if let Some(delay) = delay.filter(|delay| !delay.is_zero() && !self.fleet.is_paused) {
                    return self.announce_stop(delay, name);
                }
                ExitCode::Stopped
            }
            Phase::Starting | Phase::Up { .. } => ExitCode::Stopped,
        };
        self.stop_now(manner, name, exit);
    }

    /// The server is to stop, but goes on serving for `delay`, so that whoever sends it requests can learn of it.
    fn announce_stop(&mut self, delay: Duration, name: &str) {
        let text = format!("{name}: serving on for drain_delay = {}, then stopping", words(delay));
        self.log(Level::Info, text);
        self.act(Action::Notify(Notice::Stopping));
        self.part(Manner::Graceful, name);
        self.fleet.stops_at = Some(self.now.saturating_add(delay));
        if let Phase::Up { proven } = self.fleet.phase
            && proven != self.fleet.target
        {
            self.fleet.target = proven;
        }
        self.end_reloads("the server stops");
        let ready = self.fleet.workers.iter().filter(|(_, worker)| worker.is_ready());
        for slot in ready.map(|(&slot, _)| slot).collect::<Vec<_>>() {
            self.tell(Child::Worker(slot), Order::LetGo);
        }
    }

    /// Begins the stop that was announced, once its time has come.
    pub(super) fn stop_as_announced(&mut self) {
        if self.fleet.stops_at.is_some_and(|at| at <= self.now) {
            self.stop_now(Manner::Graceful, "drain_delay is over", ExitCode::Stopped);
        }
    }

    fn stop_now(&mut self, manner: Manner, name: &str, exit: ExitCode) {
        let within = if manner == Manner::Graceful { self.graceful_timeout() } else { QUICK };
        self.log(Level::Info, format!("{name}: stopping {manner}, within {}", words(within)));
        self.part(manner, name);
        self.enter_stopping(manner, exit, "the server stops");
        for child in self.fleet.children() {
            match manner {
                Manner::Graceful => self.stop_gracefully(child, within),
                Manner::Quick | Manner::AtOnce => self.stop_quickly(child),
            }
        }
    }

    /// A quick stop was asked for again. Workers that are forked just now see the end of their channel.
    fn stop_at_once(&mut self, name: &str, exit: ExitCode) {
        let left = self.fleet.workers.values().filter(|worker| worker.process().is_some()).count();
        self.log(Level::Warn, format!("{name}: again, so everything is killed at once (workers left: {left})"));
        self.part(Manner::AtOnce, name);
        self.enter_stopping(Manner::AtOnce, exit, "the server stops");
        for child in self.fleet.children() {
            self.kill(child, Why::ServerStops);
        }
    }

    /// Nothing is started any more, and nothing listened to. `reason` is what whoever waits for a reload is told.
    pub(super) fn enter_stopping(&mut self, manner: Manner, exit: ExitCode, reason: &str) {
        if !self.is_stopping() {
            self.end_reloads(reason);
            if self.fleet.stops_at.take().is_none() {
                self.act(Action::Notify(self.last_notice()));
            }
            self.act(Action::CloseListeners { at_once: manner != Manner::Graceful });
        } else if manner != Manner::Graceful {
            self.act(Action::RefuseConnections);
        }
        self.fleet.phase = Phase::Stopping { manner, since: self.now, exit };
        for generation in self.fleet.generations.values_mut() {
            if matches!(generation.template, Template::Absent { .. }) {
                generation.template = Template::Gone;
            }
        }
    }

    fn stop_gracefully(&mut self, child: Child, within: Duration) {
        match (child, self.fleet.process(child).map(|process| &process.life)) {
            (_, Some(Life::Booting { .. })) => {
                self.kill(child, Why::ServerStops);
            }
            (Child::Template(_), _) => self.end(child, TEMPLATE_END, Order::Quit, Why::ServerStops),
            // Nobody is left to accept what waits in the queues, so the workers do before they go.
            (Child::Worker(_), _) => {
                self.end(child, within + FINALISATION, retire(within, self.must_drain()), Why::ServerStops);
            }
        }
    }

    fn stop_quickly(&mut self, child: Child) {
        let within = match child {
            Child::Template(_) => QUICK,
            Child::Worker(_) => QUICK + FINALISATION,
        };
        match self.fleet.process(child).map(|process| &process.life) {
            Some(Life::Booting { .. }) => {
                self.kill(child, Why::ServerStops);
            }
            // It has been told to finish its requests. Now it has less time for them.
            Some(Life::Ending { .. }) => {
                self.end(child, within, Order::Quit, Why::ServerStops);
                self.tell(child, Order::Quit);
            }
            _ => self.end(child, within, Order::Quit, Why::ServerStops),
        }
    }

    /// How long workers may take to finish, by the newest settings.
    pub(super) fn graceful_timeout(&self) -> Duration {
        self.fleet.generations.get(&self.fleet.target).map_or(QUICK, |target| target.limits.graceful)
    }
}

/// The order to finish.
pub(super) fn retire(within: Duration, drain: bool) -> Order {
    Order::Retire { within_ms: u32::try_from(within.as_millis()).unwrap_or(u32::MAX), drain }
}
