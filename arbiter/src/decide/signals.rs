//! What each signal asks for.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster_config::MOST_WORKERS;
use tapster_ipc::message::{FINALISATION, QUICK};
use tapster_ipc::{ExitCode, Order};

use super::turn::{Turn, words};
use crate::action::{Action, Notice};
use crate::event::Sender;
use crate::fleet::{Child, Manner, Phase, Template};
use crate::process::{Life, Why};

/// How long a template, which runs no request, may take to end.
pub(super) const TEMPLATE_END: Duration = Duration::from_secs(5);

impl Turn<'_> {
    pub(super) fn signal(&mut self, signal: Signal, sender: Option<&Sender>) {
        let name = match sender {
            Some(sender) => format!("{signal} from {sender}"),
            None => format!("{signal} received"),
        };
        match signal {
            Signal::SIGHUP => self.reload(&name),
            Signal::SIGTERM => self.stop(Manner::Graceful, &name),
            Signal::SIGINT | Signal::SIGQUIT => self.stop(Manner::Quick, &name),
            Signal::SIGTTIN => self.resize(1, &name),
            Signal::SIGTTOU => self.resize(-1, &name),
            _ => self.log(Level::Info, format!("{name}: ignored, for it asks for nothing here")),
        }
    }

    fn resize(&mut self, by: i32, name: &str) {
        if self.is_stopping() {
            return self.log(Level::Info, format!("{name}: ignored, the server is stopping"));
        }
        let wanted = self.fleet.generations.get(&self.fleet.target).map_or(1, |target| target.limits.workers);
        let workers = wanted.saturating_add_signed(by).clamp(1, MOST_WORKERS);
        if workers == wanted {
            return self.log(Level::Info, format!("{name}: {wanted} workers already, which is the limit"));
        }
        self.log(Level::Info, format!("{name}: {workers} workers, no longer {wanted}"));
        // During a reload the generation that serves changes too, from the number that is its own: it may be the one that
        // stays.
        let serving = self.fleet.proven().filter(|proven| *proven != self.fleet.target);
        for number in serving.into_iter().chain([self.fleet.target]) {
            if let Some(generation) = self.fleet.generations.get_mut(&number) {
                let own = &mut generation.limits.workers;
                *own = own.saturating_add_signed(by).clamp(1, MOST_WORKERS);
            }
        }
    }

    fn stop(&mut self, manner: Manner, name: &str) {
        let exit = match self.fleet.phase {
            Phase::Stopping { manner: Manner::Quick, .. } => return,
            Phase::Stopping { exit, .. } if manner == Manner::Quick => exit,
            Phase::Stopping { .. } => return self.log(Level::Debug, format!("{name}: the server is stopping already")),
            Phase::Starting | Phase::Up { .. } => ExitCode::Stopped,
        };
        let within = match manner {
            Manner::Graceful => self.graceful_timeout(),
            Manner::Quick => QUICK,
        };
        self.log(Level::Info, format!("{name}: stopping {manner}, within {}", words(within)));
        self.enter_stopping(manner, exit, "the server stops");
        for child in self.fleet.children() {
            match manner {
                Manner::Graceful => self.stop_gracefully(child, within),
                Manner::Quick => self.stop_quickly(child),
            }
        }
    }

    /// Nothing is started any more, and nothing listened to. `reason` is what whoever waits for a reload is told.
    pub(super) fn enter_stopping(&mut self, manner: Manner, exit: ExitCode, reason: &str) {
        if !self.is_stopping() {
            self.end_reloads(reason);
            self.act(Action::Notify(Notice::Stopping));
            self.act(Action::CloseListeners { at_once: manner == Manner::Quick });
        } else if manner == Manner::Quick {
            self.act(Action::RefuseConnections);
        }
        self.fleet.phase = Phase::Stopping { manner, exit };
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
            (Child::Worker(_), _) => self.end(child, within + FINALISATION, retire(within, true), Why::ServerStops),
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

    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.fleet.phase, Phase::Stopping { .. })
    }
}

/// The order to finish.
pub(super) fn retire(within: Duration, drain: bool) -> Order {
    Order::Retire { within_ms: u32::try_from(within.as_millis()).unwrap_or(u32::MAX), drain }
}
