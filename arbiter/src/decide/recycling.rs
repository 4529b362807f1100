//! Workers that have served for long enough, or have grown too large, and how they are replaced.
//!
//! A worker that is worn is only marked, and serves on. `converge` has another one started for it, and retires it when that is
//! ready. They are replaced one after the other, the one that was marked first in front, and none while a reload is under
//! way, which replaces them anyway. A limit that new workers reach at once would have them replaced for ever: then it is
//! waited ever longer, and the log names the setting. What passes `max_memory_hard` is killed.

use std::time::Duration;

use log::Level;

use super::turn::{Turn, words};
use crate::fleet::{Child, Limits, Phase, Worker};
use crate::process::{Life, Why};
use crate::wear::{Wear, Worn, mebibytes};

/// A worker that is worn by requests or time so soon after it was ready shows that the limit is too low for what it does.
const YOUNG: Duration = Duration::from_secs(1);
/// As [`YOUNG`], for memory, which is measured now and then.
const YOUNG_IN_MEMORY: Duration = Duration::from_secs(10);

impl Turn<'_> {
    /// A worker says that it has served its share of requests.
    pub(super) fn worn_out(&mut self, slot: u32, served: u64) {
        if self.fleet.workers.get(&slot).is_none_or(Worker::is_starting) {
            return self
                .gossip(Child::Worker(slot), &format!("that it has served {served} requests, before it was ready"));
        }
        let limit = self.limits(slot).and_then(|limits| limits.max_requests);
        self.wear(slot, Wear::Requests { served, limit });
    }

    /// The memory of workers has been measured.
    pub(super) fn measured(&mut self, sizes: &[(u32, u64)]) {
        for &(slot, bytes) in sizes {
            let Some(limits) = self.limits(slot) else { continue };
            if let Some(limit) = limits.max_memory_hard.filter(|limit| bytes > *limit) {
                self.kill_for_memory(slot, bytes, limit);
            } else if let Some(limit) = limits.max_memory.filter(|limit| bytes > *limit) {
                self.wear(slot, Wear::Memory { bytes, limit });
            }
        }
    }

    /// Marks those that have served for as long as they are to.
    pub(super) fn outlive(&mut self) {
        let is_over = |worker: &Worker| self.fleet.lasts_until(worker).is_some_and(|until| until <= self.now);
        let over = self.fleet.workers.iter().filter(|(_, worker)| is_over(worker));
        for slot in over.map(|(&slot, _)| slot).collect::<Vec<_>>() {
            let limit = self.limits(slot).and_then(|limits| limits.max_lifetime).unwrap_or_default();
            let served = self.age(slot).unwrap_or_default();
            self.wear(slot, Wear::Lifetime { served, limit });
        }
    }

    /// Marks a worker that serves, unless it is marked already.
    fn wear(&mut self, slot: u32, wear: Wear) {
        let (now, age) = (self.now, self.age(slot));
        let (Some(age), Some(worker)) = (age, self.fleet.workers.get_mut(&slot)) else { return };
        if worker.worn.is_some() {
            return;
        }
        worker.worn = Some(Worn { wear, since: now, is_leaving: false });
        let number = worker.generation;
        self.say(Level::Debug, Child::Worker(slot), "is to be replaced", &wear.to_string());
        let young = if matches!(wear, Wear::Memory { .. }) { YOUNG_IN_MEMORY } else { YOUNG };
        if age >= young {
            return;
        }
        let Some(generation) = self.fleet.generations.get_mut(&number) else { return };
        if generation.wears.fail_anew(now) {
            let wait = words(generation.wears.until().saturating_sub(now));
            let (setting, age) = (wear.setting(), words(age));
            let text =
                format!("{wear} after {age}: replaced in {wait} at the earliest, for {setting} seems to be too low");
            self.say(Level::Warn, Child::Worker(slot), "is worn as soon as it was ready", &text);
        }
    }

    /// Lets the next worn worker leave, once that of before has gone.
    pub(super) fn choose_worn(&mut self) {
        let Phase::Up { proven } = self.fleet.phase else { return };
        let may_wait =
            !self.fleet.reloads.under_way.is_empty() || self.fleet.stops_at.is_some() || self.fleet.is_paused;
        let is_early = self.fleet.generations.get(&proven).is_none_or(|proven| proven.wears.until() > self.now);
        if may_wait || is_early || self.fleet.workers.values().any(Worker::is_being_recycled) {
            return;
        }
        let marked = |worker: &Worker| {
            worker.worn.filter(|worn| worker.generation == proven && worker.is_ready() && !worn.is_leaving)
        };
        let worn = self.fleet.workers.iter_mut().filter_map(|(_, worker)| Some((marked(worker)?.since, worker)));
        if let Some((_, Worker { worn: Some(worn), .. })) = worn.min_by_key(|(since, _)| *since) {
            worn.is_leaving = true;
        }
    }

    fn kill_for_memory(&mut self, slot: u32, bytes: u64, limit: u64) {
        let child = Child::Worker(slot);
        let Some(worker) = self.fleet.workers.get(&slot) else { return };
        let (generation, was_booting) = (worker.generation, worker.is_starting());
        let (age, pid) = (self.age(slot), worker.process().map_or(0, |process| process.pid));
        if !self.kill(child, Why::Memory) {
            return;
        }
        let detail = format!("it has {} of memory, max_memory_hard = {}", mebibytes(bytes), mebibytes(limit));
        self.say_last(Level::Error, child, (pid, generation), "is killed", &detail);
        if was_booting || age.is_some_and(|age| age < YOUNG_IN_MEMORY) {
            self.count_death(generation, was_booting, Why::Memory);
        }
    }

    /// For how long a worker that serves has done so.
    fn age(&self, slot: u32) -> Option<Duration> {
        match self.fleet.process(Child::Worker(slot))?.life {
            Life::Ready { since } => Some(self.now.saturating_sub(since)),
            Life::Booting { .. } | Life::Ending { .. } | Life::Killed { .. } => None,
        }
    }

    fn limits(&self, slot: u32) -> Option<Limits> {
        let worker = self.fleet.workers.get(&slot)?;
        self.fleet.generations.get(&worker.generation).map(|generation| generation.limits)
    }
}
