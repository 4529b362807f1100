//! The log has been moved away (SIGUSR1): the arbiter opens it anew first, since it may have to make the file for the others.

use tapster_ipc::Order;

use super::turn::Turn;
use crate::action::Action;
use crate::fleet::Child;

impl Turn<'_> {
    /// Whatever the server is at: a log that is rotated while it stops is one too.
    pub(super) fn reopen(&mut self, name: &str) {
        self.act(Action::Reopen { by: name.to_owned() });
        let mut children = self.fleet.children();
        // One that is being forked may have the file that its template had; it hears of it once it hears orders.
        let forking = self.fleet.workers.iter().filter(|(_, worker)| worker.is_forking());
        children.extend(forking.map(|(&slot, _)| Child::Worker(slot)));
        for child in children {
            self.tell(child, Order::Reopen);
        }
    }
}
