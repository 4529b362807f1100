//! What holds after every decision, whatever happens: the server never has fewer workers ready because of the arbiter than it is
//! to have, or than it had; and who may have a request is not killed but for what it does itself.

use std::collections::BTreeSet;

use tapster::action::Action;
use tapster::fleet::{Child, Fleet, Phase};
use tapster::process::{Life, Process, Why};
use tapster_ipc::Order;

use crate::world::is_reload;

/// What was before a decision.
pub(crate) struct Serving {
    /// Who served: slots and pids.
    ready: Vec<(u32, i32)>,
    /// Whether the server was about to stop.
    stops: bool,
}

impl Serving {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let ready = fleet.workers.iter().filter(|(_, worker)| worker.is_ready());
        Self {
            ready: ready.filter_map(|(&slot, worker)| Some((slot, worker.process()?.pid))).collect(),
            stops: fleet.stops_at.is_some() || matches!(fleet.phase, Phase::Stopping { .. }),
        }
    }

    /// Those whom the decision has sent away of its own free will were more than are wanted; and what is to stop begins nothing.
    pub(crate) fn is_kept_by(&self, fleet: &Fleet, actions: &[Action]) {
        assert!(!(self.stops && actions.iter().any(is_reload)), "a reload begins in a server that stops");
        let is_sent_away = |(slot, pid): &&(u32, i32)| {
            let process = fleet.process(Child::Worker(*slot)).filter(|process| process.pid == *pid);
            process.is_some_and(|process| match process.life {
                Life::Ending { why, .. } | Life::Killed { why } => is_free(why),
                Life::Booting { .. } | Life::Ready { .. } => false,
            })
        };
        let gone: Vec<_> = self.ready.iter().filter(is_sent_away).collect();
        let wanted = fleet.proven().map_or(0, |proven| fleet.desired(proven));
        assert!(gone.is_empty() || fleet.ready() >= wanted, "{gone:?} were sent away, of {wanted} wanted: {fleet:?}");
    }
}

/// Who has been told to serve and not to finish: the pids.
#[derive(Default)]
pub(crate) struct Told(BTreeSet<i32>);

impl Told {
    /// After a decision: all who are taken for ready have been told to serve, once, and none of them is killed that nobody needs.
    pub(crate) fn follow(&mut self, fleet: &Fleet, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Tell { child, order: Order::Serve } => {
                    let pid = fleet.process(*child).expect("it is there").pid;
                    assert!(self.0.insert(pid), "{child:?} is told to serve twice");
                }
                Action::Tell { child, order: Order::Retire { .. } | Order::Quit } => {
                    if let Some(process) = fleet.process(*child) {
                        self.0.remove(&process.pid);
                    }
                }
                // Whatever the signal, it is its end.
                Action::Kill { pid, .. } if self.0.contains(pid) => {
                    let is_it = |process: &&Process| process.pid == *pid;
                    let process = fleet.children().into_iter().find_map(|child| fleet.process(child).filter(is_it));
                    // One that has gone in the same decision has left none.
                    let Some(process) = process else { continue };
                    let is_needed = match process.life {
                        Life::Killed { why } | Life::Ending { why, .. } => {
                            !is_free(why) && !matches!(why, Why::ServerStops | Why::BootTimeout)
                        }
                        Life::Booting { .. } | Life::Ready { .. } => false,
                    };
                    assert!(is_needed, "killed, though it may have a request: {process:?}");
                }
                _ => {}
            }
        }
        for (slot, worker) in fleet.workers.iter().filter(|(_, worker)| worker.is_ready()) {
            let pid = worker.process().expect("it is ready").pid;
            assert!(self.0.contains(&pid), "nobody has told the worker in slot {slot} to serve: {fleet:?}");
        }
    }
}

/// Whether the arbiter could have done without it. Stops, limits and what a worker does by itself leave it no choice.
fn is_free(why: Why) -> bool {
    matches!(why, Why::Replaced | Why::Surplus | Why::NotNeeded | Why::Worn(_))
}
