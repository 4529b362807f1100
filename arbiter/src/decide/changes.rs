//! What a change of the application's files means (auto-reload): the same as HUP, once for all workers that tell of it.

use std::time::Duration;

use super::turn::Turn;
use crate::fleet::Child;
use crate::process::Life;

impl Turn<'_> {
    /// The worker in `slot` has seen that the file `path` has changed, the last of a burst of changes having come at `at`.
    pub(super) fn changed(&mut self, slot: u32, path: &str, at: Duration) {
        let life = self.fleet.process(Child::Worker(slot)).map(|process| &process.life);
        // One that is on its way out has been replaced by what sees such things itself.
        let is_asked = matches!(life, Some(Life::Booting { .. } | Life::Ready { .. }));
        if !is_asked || self.is_stopping() || at < self.fleet.changes_taken {
            return;
        }
        self.fleet.changes_taken = self.now;
        self.reload(&format!("{path} has changed"));
    }
}
