//! How the number of workers follows the load: when it may, what is seen, and what is said of it.
//!
//! The policy is `scale`'s. What is wanted is kept in the fleet (`scaled`), and `converge` makes the fleet follow it as any
//! other number.

use std::time::Duration;

use log::Level;

use super::turn::{Turn, words};
use crate::fleet::{Fleet, Phase, Worker};
use crate::scale::{Cause, Rules, Sample};

/// The status tells how busy the workers are no more often than this.
const SHOWN_EVERY: Duration = Duration::from_secs(5);

impl Fleet {
    /// Whether the load is to be looked at, every [`EVERY`](crate::scale::EVERY).
    #[must_use]
    pub fn follows_load(&self) -> bool {
        let is_fixed = self.is_paused || self.stops_at.is_some();
        matches!(self.phase, Phase::Up { .. }) && !is_fixed && self.rules(self.target).is_some()
    }

    /// The slots of the workers whose load counts: those that serve by the newest settings.
    #[must_use]
    pub fn sampled(&self) -> Vec<u32> {
        self.slots_of(self.target, Worker::is_sound)
    }

    /// By what a generation follows the load, if it does.
    pub(crate) fn rules(&self, number: u64) -> Option<Rules> {
        let generation = self.generations.get(&number)?;
        let rules = generation.limits.scale?;
        // What signals have asked for moves both bounds.
        let max = generation.workers();
        Some(Rules { min: rules.min.saturating_add_signed(generation.shift).clamp(1, max), max, ..rules })
    }

    /// Whether workers of older generations serve yet, or the newest is still to show that it works.
    fn is_rolling(&self) -> bool {
        self.is_reloading() || self.workers.values().any(|worker| worker.generation != self.target && worker.is_ready())
    }
}

impl Turn<'_> {
    /// So many threads are at work, and so much waits.
    pub(super) fn load(&mut self, busy: u32, waiting: u32) {
        let Some(mut rules) = self.fleet.rules(self.fleet.target).filter(|_| self.fleet.follows_load()) else { return };
        if self.fleet.is_rolling() {
            // How busy they are now says little of how busy they will be.
            return self.fleet.scaled.policy.pause();
        }
        let count = |workers: usize| u32::try_from(workers).unwrap_or(u32::MAX);
        let sample = Sample {
            planned: count(self.fleet.desired(self.fleet.target)),
            ready: count(self.fleet.sampled().len()),
            threads: self.fleet.generations.get(&self.fleet.target).map_or(1, |target| target.limits.threads),
            busy,
            waiting,
        };
        if self.fleet.predecessor.is_some() || self.fleet.successor.is_some() {
            // Each of two servers sees a part of the load, and either may soon have all of it.
            rules.min = sample.planned;
        }
        if let Some(change) = self.fleet.scaled.policy.observe(self.now, &rules, sample) {
            let (workers, before, cause) = (change.workers, sample.planned, reason(change.cause));
            self.fleet.scaled.workers = workers;
            let noun = if workers == 1 { "worker" } else { "workers" };
            self.log(Level::Info, format!("{workers} {noun}, no longer {before}: {cause}"));
        } else if self.fleet.scaled.policy.is_exhausted(self.now, &rules, sample) {
            let most = rules.max;
            let text =
                format!("All {most} workers are busy and {waiting} wait, and {most} is the most that workers allows");
            self.log(Level::Warn, text);
        }
        self.show();
    }

    /// Takes over, from settings that fix the number of workers into such as may leave it to the load, the number that there is:
    /// a busy server does not begin anew with the least.
    pub(super) fn carry_number(&mut self) {
        self.fleet.scaled.workers = self.fleet.asked_for(self.fleet.target);
        self.fleet.scaled.policy.pause();
    }

    /// Remembers what the status is to say.
    fn show(&mut self) {
        let is_old = |(since, _): (Duration, u32)| since.saturating_add(SHOWN_EVERY) <= self.now;
        if self.fleet.scaled.shown.is_none_or(is_old) {
            self.fleet.scaled.shown = self.fleet.scaled.policy.busy().map(|busy| (self.now, busy));
        }
    }

    /// What the status says of the load: `; 3 of 2-8 wanted, 45 % busy`.
    pub(super) fn load_words(&self) -> String {
        let Some(rules) = self.fleet.rules(self.fleet.target) else { return String::new() };
        let wanted = self.fleet.desired(self.fleet.target);
        let busy = self.fleet.scaled.shown.map_or(String::new(), |(_, busy)| format!(", {busy} % busy"));
        format!("; {wanted} of {}-{} wanted{busy}", rules.min, rules.max)
    }
}

fn reason(cause: Cause) -> String {
    match cause {
        Cause::Load { busy, over } => format!("{busy} % busy over {}", words(over)),
        Cause::Burst { waiting: 1 } => "all busy, and 1 waits".to_owned(),
        Cause::Burst { waiting } => format!("all busy, and {waiting} wait"),
    }
}
