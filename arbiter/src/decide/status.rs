//! The line that a service manager shows of the server.

use super::turn::Turn;
use crate::action::{Action, Notice};
use crate::fleet::Phase;

impl Turn<'_> {
    /// Tells the service manager how the server is, where that has changed.
    pub(super) fn tell_status(&mut self) {
        let status = self.status();
        if status != self.fleet.status {
            self.fleet.status.clone_from(&status);
            self.act(Action::Notify(Notice::Status(status)));
        }
    }

    fn status(&self) -> String {
        let (ready, target) = (self.fleet.ready(), self.fleet.target);
        match self.fleet.phase {
            Phase::Starting => "starting".to_owned(),
            Phase::Stopping { .. } => format!("stopping, workers left: {}", self.fleet.workers.len()),
            Phase::Up { .. } if self.fleet.stops_at.is_some() => {
                format!("stopping after drain_delay, and serving until then; workers ready: {ready}")
            }
            Phase::Up { .. } if self.fleet.is_paused => {
                format!("paused by SIGWINCH until SIGHUP; workers left: {}", self.fleet.workers.len())
            }
            Phase::Up { proven } if proven != target => {
                format!("workers ready: {ready}; generation {proven} serves, generation {target} boots")
            }
            Phase::Up { proven } => match &self.fleet.reloads.failure {
                Some(reason) => {
                    format!("workers ready: {ready}; reload failed ({reason}); generation {proven} goes on serving")
                }
                None => format!("workers ready: {ready}, generation {proven}{}", self.load_words()),
            },
        }
    }
}
