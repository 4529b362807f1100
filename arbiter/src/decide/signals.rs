//! What each signal asks for.

use log::Level;
use nix::sys::signal::Signal;
use tapster_config::MOST_WORKERS;

use super::turn::Turn;
use crate::action::Action;
use crate::event::Sender;
use crate::fleet::{Generation, Manner, Phase};

impl Turn<'_> {
    pub(super) fn signal(&mut self, signal: Signal, sender: Option<&Sender>) {
        let name = name(signal, sender);
        match signal {
            Signal::SIGHUP => self.reload(&name),
            Signal::SIGTERM => self.stop(Manner::Graceful, &name),
            Signal::SIGQUIT if self.calls_successor(&name) => {}
            Signal::SIGINT | Signal::SIGQUIT => self.stop(Manner::Quick, &name),
            Signal::SIGUSR2 => self.upgrade(&name),
            Signal::SIGTTIN => self.resize(1, &name),
            Signal::SIGTTOU => self.resize(-1, &name),
            Signal::SIGWINCH => self.pause(sender, &name),
            Signal::SIGUSR1 => self.reopen(&name),
            _ => self.log(Level::Info, format!("{name}: ignored, for it asks for nothing here")),
        }
    }

    /// As TTIN or TTOU, so many times.
    pub(super) fn resize_by(&mut self, by: i32, sender: Option<&Sender>) {
        let signal = if by < 0 { Signal::SIGTTOU } else { Signal::SIGTTIN };
        let times = if by.unsigned_abs() == 1 { String::new() } else { format!(", {} times", by.unsigned_abs()) };
        self.resize(by, &format!("{}{times}", name(signal, sender)));
    }

    fn resize(&mut self, by: i32, name: &str) {
        if self.refuses(name) {
            return;
        }
        let wanted = self.fleet.generations.get(&self.fleet.target).map_or(1, Generation::workers);
        let workers = wanted.saturating_add_signed(by).clamp(1, MOST_WORKERS);
        if workers == wanted {
            return self.log(Level::Info, format!("{name}: {wanted} workers already, which is the limit"));
        }
        let when = if self.fleet.is_paused { ", once SIGHUP brings them back" } else { "" };
        let is_range = self.fleet.rules(self.fleet.target).is_some();
        let most = if is_range { "at most " } else { "" };
        let noun = if workers == 1 { "worker" } else { "workers" };
        self.log(Level::Info, format!("{name}: {most}{workers} {noun}, no longer {wanted}{when}"));
        // During a reload the generation that serves changes too, from the number that is its own: it may be the one that
        // stays.
        let serving = self.fleet.proven().filter(|proven| *proven != self.fleet.target);
        for number in serving.into_iter().chain([self.fleet.target]) {
            if let Some(generation) = self.fleet.generations.get_mut(&number) {
                let own = generation.workers().saturating_add_signed(by).clamp(1, MOST_WORKERS);
                generation.shift = own.cast_signed().saturating_sub(generation.limits.workers.cast_signed());
            }
        }
    }

    /// Sends the workers away; templates stay, so that they are soon back. `sender` is `None` where the signal came from
    /// outside of this process's container: engines pass on what their own terminal brings, such as a change of its size.
    fn pause(&mut self, sender: Option<&Sender>, name: &str) {
        if self.refuses(name) {
            return;
        }
        match self.fleet.phase {
            _ if sender.is_none() => {
                let text = format!("{name}: ignored, for it may be no more than a terminal's change of size");
                self.log(Level::Info, text);
            }
            Phase::Starting => self.log(Level::Info, format!("{name}: ignored, for no worker is ready yet")),
            Phase::Up { .. } | Phase::Stopping { .. } if self.fleet.is_paused => {
                self.log(Level::Info, format!("{name}: the workers are gone already, until SIGHUP brings them back"));
            }
            Phase::Up { .. } | Phase::Stopping { .. } => {
                self.log(Level::Warn, format!("{name}: all workers retire, until SIGHUP brings them back"));
                self.fleet.is_paused = true;
            }
        }
    }

    /// Says so and answers true where nothing is changed any more, since the server stops or is about to.
    pub(super) fn refuses(&mut self, name: &str) -> bool {
        let refuses = self.is_stopping() || self.fleet.stops_at.is_some();
        if refuses {
            self.log(Level::Info, format!("{name}: ignored, the server is stopping"));
            self.act(Action::Refuse("the server is stopping".to_owned()));
        }
        refuses
    }

    /// Whether nothing is started any more.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.fleet.phase, Phase::Stopping { .. })
    }
}

/// A signal and its sender, as messages name them.
fn name(signal: Signal, sender: Option<&Sender>) -> String {
    match sender {
        Some(sender) => format!("{signal} from {sender}"),
        None => format!("{signal} received"),
    }
}
