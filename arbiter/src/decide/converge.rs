//! Makes the fleet follow what is wanted: starts what is missing, ends what is too much, forgets what is over.
//!
//! Runs at the end of every decision and looks only at the fleet, so that it does not matter which event brought it about.

use std::time::Duration;

use log::Level;
use tapster_config::MOST_WORKERS;
use tapster_ipc::Order;
use tapster_ipc::message::FINALISATION;
use tapster_ipc::scoreboard::MOST_SLOTS;

use super::stops::{TEMPLATE_END, retire};
use super::turn::Turn;
use crate::action::Action;
use crate::fleet::{Child, Phase, Seat, Template, Worker};
use crate::process::{Life, Why};
use crate::wear::Worn;

/// How long a template may take to fork.
const FORK_ANSWER: Duration = Duration::from_secs(10);
/// The most forks that a template is ordered at once: more orders would not fit into its channel.
const MOST_FORKS: usize = 16;

// However many workers the settings ask for, a reload finds room for as many again.
const _: () = assert!(MOST_SLOTS > 2 * MOST_WORKERS);

impl Turn<'_> {
    pub(super) fn converge(&mut self) {
        if let Phase::Stopping { exit, .. } = self.fleet.phase {
            if self.fleet.is_empty() && !self.awaits_successor() {
                self.act(Action::Exit(exit));
            }
            return;
        }
        let (target, proven) = (self.fleet.target, self.fleet.proven());
        self.choose_worn();
        for number in self.fleet.generations.keys().copied().collect::<Vec<_>>() {
            if number == target || Some(number) == proven {
                self.keep(number);
            } else {
                self.dismiss(number);
            }
        }
        if let Some(proven) = proven {
            self.retire_surplus(proven);
        }
        self.forget_empty();
    }

    /// Starts what a wanted generation lacks.
    fn keep(&mut self, number: u64) {
        let wanted = self.wanted(number);
        let Some(generation) = self.fleet.generations.get_mut(&number) else { return };
        if matches!(generation.template, Template::Absent { until } if until <= self.now) {
            let deadline = generation.limits.boot.map(|boot| self.now.saturating_add(boot));
            generation.template = Template::Spawning { deadline };
            return self.act(Action::SpawnTemplate { generation: number });
        }
        if !generation.template.is_ready() || generation.may_start() > self.now {
            return;
        }
        let is_doubtful = generation.boots.failures() > 0;
        let batch = usize::try_from(generation.limits.reload_batch).unwrap_or(usize::MAX);
        let starting = self.fleet.slots_of(number, Worker::is_starting).len();
        let forking = self.fleet.slots_of(number, Worker::is_forking).len();
        let serving = self.fleet.slots_of(number, Worker::is_sound).len();
        let mut missing = wanted.saturating_sub(starting + serving).min(MOST_FORKS.saturating_sub(forking));
        let older = self.older(number).iter().filter(|slot| self.is_sound(**slot)).count();
        if older > 0 {
            // A reload rolls: what no older worker serves is started at once, and for those that do a few at a time.
            let lacking = wanted.saturating_sub(serving + older);
            missing = missing.min((lacking + batch).saturating_sub(starting));
        }
        if is_doubtful {
            // One tries whether it works again, before all do.
            missing = missing.min(1_usize.saturating_sub(starting));
        }
        for _ in 0..missing {
            let free = (0..MOST_SLOTS).find(|slot| !self.fleet.workers.contains_key(slot));
            self.tell_room(free.is_some());
            let Some(slot) = free else { return };
            let deadline = self.now.saturating_add(FORK_ANSWER);
            let seat = Seat::Forking { deadline };
            self.fleet.workers.insert(slot, Worker { generation: number, worn: None, seat });
            self.act(Action::Fork { generation: number, slot });
        }
    }

    /// Says once that there is no slot for another worker, which workers that take long to end may bring about.
    fn tell_room(&mut self, has_room: bool) {
        let was_full = std::mem::replace(&mut self.fleet.is_full, !has_room);
        if !has_room && !was_full {
            let text = format!("No worker can be started until one of the {MOST_SLOTS} that there are has ended");
            self.log(Level::Warn, text);
        }
    }

    /// How many workers a wanted generation is to have.
    fn wanted(&self, number: u64) -> usize {
        match self.fleet.proven() {
            // The canary: until it has proven its generation, no other worker of that is started.
            Some(proven) if number != proven => 1,
            Some(_) | None => self.fleet.desired(number),
        }
    }

    /// Ends what is not wanted: what boots, and the template. Workers that serve leave by [`Turn::retire_surplus`].
    fn dismiss(&mut self, number: u64) {
        let is_booting = |worker: &Worker| worker.is_starting() && !worker.is_forking();
        for slot in self.fleet.slots_of(number, is_booting) {
            self.kill(Child::Worker(slot), Why::NotNeeded);
        }
        let is_forking = !self.fleet.slots_of(number, Worker::is_forking).is_empty();
        let Some(generation) = self.fleet.generations.get_mut(&number) else { return };
        match &generation.template {
            Template::Absent { .. } => generation.template = Template::Gone,
            Template::Running(process) => match process.life {
                Life::Booting { .. } => {
                    self.kill(Child::Template(number), Why::NotNeeded);
                }
                Life::Ready { .. } if !is_forking => {
                    self.end(Child::Template(number), TEMPLATE_END, Order::Quit, Why::NotNeeded);
                }
                Life::Ready { .. } | Life::Ending { .. } | Life::Killed { .. } => {}
            },
            Template::Spawning { .. } | Template::Gone => {}
        }
    }

    /// Retires whatever serves beyond the number wanted: first those of a generation that was given up, which may be the only
    /// ones where others have died, then those of older ones, then those that are worn, then the oldest; and never so many that
    /// fewer would serve.
    fn retire_surplus(&mut self, proven: u64) {
        let wanted = self.fleet.desired(proven);
        let older = self.older(proven);
        let own = self.by_age(proven);
        let given_up = self.given_up(proven);
        let surplus = (given_up.len() + older.len() + own.len()).saturating_sub(wanted);
        for &slot in given_up.iter().take(surplus) {
            self.retire(slot, Why::NotNeeded);
        }
        let surplus = surplus.saturating_sub(given_up.len());
        for &slot in older.iter().take(surplus) {
            self.retire(slot, Why::Replaced);
        }
        let booting = self.fleet.slots_of(proven, |worker| worker.is_starting() && !worker.is_forking());
        let forking = self.fleet.slots_of(proven, Worker::is_forking).len();
        // One that is to take the place of another is none too many.
        let sound = own.iter().filter(|slot| self.is_sound(**slot)).count();
        let excess = (sound + booting.len() + forking).saturating_sub(wanted);
        for &slot in booting.iter().take(excess) {
            self.kill(Child::Worker(slot), Why::Surplus);
        }
        for &slot in own.iter().take(own.len().saturating_sub(wanted)) {
            let leaves = self.worn(slot).filter(|worn| worn.is_leaving);
            self.retire(slot, leaves.map_or(Why::Surplus, |worn| Why::Worn(worn.wear)));
        }
    }

    fn worn(&self, slot: u32) -> Option<Worn> {
        self.fleet.workers.get(&slot).and_then(|worker| worker.worn)
    }

    fn is_sound(&self, slot: u32) -> bool {
        self.fleet.workers.get(&slot).is_some_and(Worker::is_sound)
    }

    fn retire(&mut self, slot: u32, why: Why) {
        let within = self.graceful_timeout();
        self.say(Level::Info, Child::Worker(slot), "retires", &why.to_string());
        self.end(Child::Worker(slot), within + FINALISATION, retire(within, self.must_empty(slot)), why);
    }

    /// The slots of the workers that serve, of generations before `number`, by generation and age.
    fn older(&self, number: u64) -> Vec<u32> {
        self.fleet.generations.range(..number).flat_map(|(&older, _)| self.by_age(older)).collect()
    }

    /// The slots of the workers that serve, of generations that came after `number` and are not wanted.
    fn given_up(&self, number: u64) -> Vec<u32> {
        let later = self.fleet.generations.range(number.saturating_add(1)..).map(|(&later, _)| later);
        later.filter(|later| *later != self.fleet.target).flat_map(|later| self.by_age(later)).collect()
    }

    /// The slots of the generation's workers that serve: those that are leaving, then those that are to, in the order in which
    /// that became known, then the others, oldest first.
    fn by_age(&self, number: u64) -> Vec<u32> {
        let mut slots = self.fleet.slots_of(number, Worker::is_ready);
        slots.sort_by_key(|slot| {
            if let Some(worn) = self.worn(*slot) {
                return (if worn.is_leaving { 0 } else { 1 }, worn.since);
            }
            match self.fleet.process(Child::Worker(*slot)).map(|process| &process.life) {
                Some(Life::Ready { since }) => (2, *since),
                _ => (2, Duration::MAX),
            }
        });
        slots
    }

    fn forget_empty(&mut self) {
        let (target, proven) = (self.fleet.target, self.fleet.proven());
        let is_over = |number: u64, template: &Template| {
            number != target && Some(number) != proven && matches!(template, Template::Gone)
        };
        let over: Vec<_> =
            self.fleet.generations.iter().filter(|(number, one)| is_over(**number, &one.template)).collect();
        let over: Vec<_> = over.into_iter().map(|(&number, _)| number).collect();
        for number in over {
            if self.fleet.slots_of(number, |_| true).is_empty() {
                self.fleet.generations.remove(&number);
                self.act(Action::Forget { generation: number });
            }
        }
    }
}
