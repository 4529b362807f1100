//! A request whose thread does not come back: what becomes of its worker.
//!
//! Where nothing else can run in the worker, it is killed. Elsewhere it is only marked: `converge` then counts it no longer,
//! so that another is started, and retires it first once that one serves. It goes on with its other threads until then.

use std::time::Duration;

use super::turn::{Turn, words};
use crate::fleet::{Child, Worker};
use crate::process::Life;
use crate::wear::{Wear, Worn};

/// What becomes of a worker in which a request is stuck.
enum Fate {
    /// Nothing else can run in it: it is killed, and replaced if it is wanted.
    Killed {
        /// Whether it is.
        is_wanted: bool,
    },
    /// It goes on with its other threads until another one serves in its place.
    Replaced,
    /// That was decided when another request was stuck in it.
    ReplacedAlready,
    /// It is about to end, and is killed after this time if it has not.
    Retires(Duration),
    /// It is being ended, for this or another reason.
    Ended,
}

impl Turn<'_> {
    /// The worker says that `request` has been in the application for `spent`, which is longer than it may, and that so many
    /// others are there too.
    pub(super) fn stuck(&mut self, slot: u32, spent: Duration, running: u32, request: &str) {
        let Some(worker) = self.fleet.workers.get(&slot) else { return };
        if worker.is_starting() {
            return self.gossip(Child::Worker(slot), &format!("that {request} is stuck, before it was ready"));
        }
        let fate = self.fate(worker, running);
        let then = match fate {
            Fate::Killed { is_wanted: true } => "the worker is killed and replaced".to_owned(),
            Fate::Killed { is_wanted: false } => "the worker, which was to retire, is killed".to_owned(),
            Fate::Replaced => format!(
                "the worker goes on until another one serves in its place (other requests running in it: {running})"
            ),
            Fate::ReplacedAlready => "the worker is being replaced already".to_owned(),
            Fate::Retires(within) => {
                format!("the worker retires already, and is killed unless it ends within {}", words(within))
            }
            Fate::Ended => "the worker is being ended already".to_owned(),
        };
        let spent = words(spent);
        let what = format!("{request} has been in the application for {spent}, and its thread does not come back");
        self.say_timeout(slot, &what, &then);
        match fate {
            Fate::Killed { .. } => self.time_out(slot),
            Fate::Replaced => {
                let worn = Worn { wear: Wear::Stuck, since: self.now, is_leaving: true };
                if let Some(worker) = self.fleet.workers.get_mut(&slot) {
                    worker.worn = Some(worn);
                }
            }
            Fate::ReplacedAlready | Fate::Retires(_) | Fate::Ended => {}
        }
    }

    fn fate(&self, worker: &Worker, running: u32) -> Fate {
        let generation = self.fleet.generations.get(&worker.generation);
        let has_one_thread = generation.is_some_and(|generation| generation.limits.threads == 1);
        match worker.process().map(|process| &process.life) {
            _ if !worker.may_run_requests() => Fate::Ended,
            Some(Life::Ready { .. }) if has_one_thread && running == 0 => Fate::Killed { is_wanted: true },
            _ if has_one_thread && running == 0 => Fate::Killed { is_wanted: false },
            Some(Life::Ending { kill_at, .. }) => Fate::Retires(kill_at.saturating_sub(self.now)),
            _ if worker.worn.is_some_and(|worn| worn.wear == Wear::Stuck) => Fate::ReplacedAlready,
            _ => Fate::Replaced,
        }
    }
}
