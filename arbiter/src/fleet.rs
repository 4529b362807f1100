//! The fleet: what the arbiter knows of its processes, and what it wants of them.
//!
//! Only values and questions about them; what changes them is `decide`. No I/O, no clock: every time here is one that the
//! caller brought, on the clock of `tapster_sys::stamp::monotonic`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use tapster_config::MOST_WORKERS;
use tapster_ipc::ExitCode;

use crate::event::End;
pub use crate::limits::Limits;
use crate::process::{Life, Process};
use crate::reloads::Reloads;
use crate::scale::Scaled;
use crate::succession::{Predecessor, Successor};
use crate::throttle::Throttle;
use crate::wear::lifetime;
pub use crate::worker::{Seat, Worker};

/// All processes, and what is wanted of them.
#[derive(Debug)]
pub struct Fleet {
    /// Where the server is in its life.
    pub phase: Phase,
    /// The newest generation that is wanted.
    pub target: u64,
    /// Every generation that still has a process, and the one that is wanted.
    pub generations: BTreeMap<u64, Generation>,
    /// The workers of all generations, by their slot.
    pub workers: BTreeMap<u32, Worker>,
    /// The number that the last generation got.
    pub newest: u64,
    /// Ends of processes that nobody has named yet, while forks are under way: one may be a worker whose template has not
    /// said so.
    pub unclaimed: VecDeque<(i32, End)>,
    /// How many messages came that were none.
    pub gossip: u64,
    /// Whether a worker was wanted for which there is no slot.
    pub is_full: bool,
    /// Whether SIGWINCH has sent the workers away, until SIGHUP brings them back.
    pub is_paused: bool,
    /// When the stop that was announced begins (`drain_delay`); until then the server serves, and changes nothing else.
    pub stops_at: Option<Duration>,
    /// When a signal has last asked for a stop, and for which: one that comes right after it is the same, delivered twice.
    pub stop_asked: Option<(Duration, Manner)>,
    /// The reloads that are under way, and what came of the last one.
    pub reloads: Reloads,
    /// When a change of files was last taken up (auto-reload): what has changed before is in what was loaded then.
    pub changes_taken: Duration,
    /// What the service manager was told last.
    pub status: String,
    /// What the load asks for.
    pub scaled: Scaled,
    /// The server that is to take this one's place, while it runs.
    pub successor: Option<Successor>,
    /// The server whose place this one is to take, while it runs.
    pub predecessor: Option<Predecessor>,
}

/// A worker that ends so soon after it was ready has shown nothing: the generation that it is the first of is not proven by
/// it, and it is not replaced as fast as one that has served.
pub(crate) const EARLY: Duration = Duration::from_secs(1);

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No worker has ever been ready.
    Starting,
    /// The server serves.
    Up {
        /// The newest generation that has shown that it works: a worker of it has been ready for a while, or was the
        /// server's first.
        proven: u64,
    },
    /// Everything is to end.
    Stopping {
        /// How.
        manner: Manner,
        /// Since when in this manner.
        since: Duration,
        /// The arbiter's own exit status, once nothing is left.
        exit: ExitCode,
    },
}

/// How the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Running requests are finished first.
    Graceful,
    /// Requests that take longer than a moment are cut off.
    Quick,
    /// Everything is killed.
    AtOnce,
}

/// One loading of settings and code, and the template that forks its workers.
#[derive(Debug)]
pub struct Generation {
    /// What its settings ask.
    pub limits: Limits,
    /// How many workers more than its settings ask for, or fewer, signals have asked for.
    pub shift: i32,
    /// Its template.
    pub template: Template,
    /// How the process ended that failed last.
    pub last_end: Option<End>,
    /// Processes that ended before they were ready, since one was ready last.
    pub boots: Throttle,
    /// Processes that ended soon after they were ready.
    pub crashes: Throttle,
    /// Workers that were to be replaced soon after they were ready.
    pub wears: Throttle,
}

/// The template of a generation.
#[derive(Debug)]
pub enum Template {
    /// There is none; one may be started from this time on.
    Absent {
        /// The earliest time.
        until: Duration,
    },
    /// Its start has been ordered.
    Spawning {
        /// When it must be ready.
        deadline: Option<Duration>,
    },
    /// It has a process.
    Running(Process),
    /// There is none and none will be.
    Gone,
}

/// A process that has a channel to the arbiter, by its place in the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Child {
    /// The template of a generation.
    Template(u64),
    /// The worker in a slot.
    Worker(u32),
}

impl Fleet {
    /// A fleet that is to start, with its first generation.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            phase: Phase::Starting,
            target: 1,
            generations: BTreeMap::from([(1, Generation::new(limits))]),
            workers: BTreeMap::new(),
            newest: 1,
            unclaimed: VecDeque::new(),
            gossip: 0,
            is_full: false,
            is_paused: false,
            stops_at: None,
            stop_asked: None,
            reloads: Reloads::default(),
            changes_taken: Duration::ZERO,
            status: String::new(),
            scaled: Scaled::default(),
            successor: None,
            predecessor: None,
        }
    }

    /// How many workers a generation is to have, now, for whatever reason: its settings, signals, load.
    #[must_use]
    pub fn desired(&self, number: u64) -> usize {
        if self.is_paused {
            return 0;
        }
        usize::try_from(self.asked_for(number)).unwrap_or(usize::MAX)
    }

    /// The same, even while nothing is to run.
    pub(crate) fn asked_for(&self, number: u64) -> u32 {
        let fixed = || self.generations.get(&number).map_or(0, Generation::workers);
        self.rules(number).map_or_else(fixed, |rules| self.scaled.workers.clamp(rules.min, rules.max))
    }

    /// The newest generation that has shown that it works, while the server is up.
    #[must_use]
    pub fn proven(&self) -> Option<u64> {
        match self.phase {
            Phase::Up { proven } => Some(proven),
            Phase::Starting | Phase::Stopping { .. } => None,
        }
    }

    /// Whether the wanted generation has yet to show that it works, while another serves.
    #[must_use]
    pub fn is_reloading(&self) -> bool {
        self.proven().is_some_and(|proven| proven != self.target)
    }

    /// When the wanted generation will have shown that it works, if its first worker goes on; `None` where there is none
    /// that is ready, or nothing to show.
    #[must_use]
    pub(crate) fn proof(&self) -> Option<Duration> {
        let ready_since = |worker: &Worker| match worker.process()? {
            process @ Process { life: Life::Ready { since }, .. } if process.hears() => Some(*since),
            _ => None,
        };
        let candidates = self.workers.values().filter(|worker| worker.generation == self.target && self.is_reloading());
        let probation = self.generations.get(&self.target).map_or(EARLY, |target| target.limits.probation);
        candidates.filter_map(ready_since).min().map(|since| since.saturating_add(probation))
    }

    /// Whether no process is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_template =
            |generation: &Generation| matches!(generation.template, Template::Running(_) | Template::Spawning { .. });
        self.workers.is_empty() && !self.generations.values().any(has_template)
    }

    /// The process in a place, if there is one.
    #[must_use]
    pub fn process(&self, child: Child) -> Option<&Process> {
        match child {
            Child::Template(generation) => self.generations.get(&generation)?.template.process(),
            Child::Worker(slot) => self.workers.get(&slot)?.process(),
        }
    }

    /// The process in a place, to change.
    pub(crate) fn process_mut(&mut self, child: Child) -> Option<&mut Process> {
        match child {
            Child::Template(generation) => match &mut self.generations.get_mut(&generation)?.template {
                Template::Running(process) => Some(process),
                Template::Absent { .. } | Template::Spawning { .. } | Template::Gone => None,
            },
            Child::Worker(slot) => match &mut self.workers.get_mut(&slot)?.seat {
                Seat::Taken(process) => Some(process),
                Seat::Forking { .. } => None,
            },
        }
    }

    /// The places of all processes.
    #[must_use]
    pub fn children(&self) -> Vec<Child> {
        let templates = self.generations.keys().map(|&number| Child::Template(number));
        let workers = self.workers.keys().map(|&slot| Child::Worker(slot));
        templates.chain(workers).filter(|&child| self.process(child).is_some()).collect()
    }

    /// Which generation a child is of.
    #[must_use]
    pub fn generation_of(&self, child: Child) -> u64 {
        match child {
            Child::Template(generation) => generation,
            Child::Worker(slot) => self.workers.get(&slot).map_or(0, |worker| worker.generation),
        }
    }

    /// The slots of the generation's workers that `is` holds for.
    pub fn slots_of(&self, generation: u64, is: impl Fn(&Worker) -> bool) -> Vec<u32> {
        let of = |worker: &&Worker| worker.generation == generation;
        self.workers.iter().filter(|(_, worker)| of(worker) && is(worker)).map(|(&slot, _)| slot).collect()
    }

    /// How many workers serve.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.workers.values().filter(|worker| worker.is_ready()).count()
    }

    /// The slots of the workers whose time at one thing is limited, and by how much.
    #[must_use]
    pub fn watched(&self) -> Vec<(u32, Duration)> {
        let limit = |worker: &Worker| self.generations.get(&worker.generation)?.limits.halt();
        let running = self.workers.iter().filter(|(_, worker)| worker.may_run_requests());
        running.filter_map(|(&slot, worker)| Some((slot, limit(worker)?))).collect()
    }

    /// When a worker that a signal has stopped is to be ended as one at a halt, if it is.
    #[must_use]
    pub(crate) fn halted_until(&self, worker: &Worker) -> Option<Duration> {
        let since = worker.process()?.stopped_since.filter(|_| worker.may_run_requests())?;
        Some(since.saturating_add(self.generations.get(&worker.generation)?.limits.halt()?))
    }

    /// When a worker that serves has served for as long as it is to.
    #[must_use]
    pub(crate) fn lasts_until(&self, worker: &Worker) -> Option<Duration> {
        let limits = &self.generations.get(&worker.generation)?.limits;
        match worker.process()? {
            Process { pid, life: Life::Ready { since }, .. } if worker.worn.is_none() => {
                Some(since.saturating_add(lifetime(limits, *pid)?))
            }
            _ => None,
        }
    }

    /// The next time after `ticked`, when the last tick was, at which something is due whatever else happens.
    #[must_use]
    pub fn next_deadline(&self, ticked: Duration) -> Option<Duration> {
        let processes = self.children().into_iter().filter_map(|child| self.process(child)?.next_deadline());
        let forks = self.workers.values().filter_map(|worker| match worker.seat {
            Seat::Forking { deadline, .. } => Some(deadline),
            Seat::Taken(_) => None,
        });
        let generations = self.generations.values().flat_map(|generation| {
            let start = match generation.template {
                Template::Absent { until } => until,
                Template::Spawning { .. } | Template::Running(_) | Template::Gone => Duration::ZERO,
            };
            [start, generation.boots.until(), generation.crashes.until(), generation.wears.until()]
        });
        let lifetimes = self.workers.values().filter_map(|worker| self.lasts_until(worker));
        let halts = self.workers.values().filter_map(|worker| self.halted_until(worker));
        let successor = self.successor.and_then(Successor::deadline);
        processes
            .chain(forks)
            .chain(generations)
            .chain(lifetimes)
            .chain(halts)
            .chain(self.proof())
            .chain(self.stops_at)
            .chain(successor)
            .filter(|&due| due > ticked)
            .min()
    }
}

impl Generation {
    /// One that has no process yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            shift: 0,
            template: Template::Absent { until: Duration::ZERO },
            last_end: None,
            boots: Throttle::default(),
            crashes: Throttle::default(),
            wears: Throttle::default(),
        }
    }

    /// How many workers its settings and signals ask for.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.limits.workers.saturating_add_signed(self.shift).clamp(1, MOST_WORKERS)
    }

    /// From when on processes of it may be started.
    #[must_use]
    pub fn may_start(&self) -> Duration {
        self.boots.until().max(self.crashes.until())
    }
}

impl Template {
    /// Its process, if it has one.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match self {
            Self::Running(process) => Some(process),
            Self::Absent { .. } | Self::Spawning { .. } | Self::Gone => None,
        }
    }

    /// Whether it can fork.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.process().is_some_and(|process| matches!(process.life, Life::Ready { .. }) && process.hears())
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Graceful => "after the running requests",
            Self::Quick => "quickly",
            Self::AtOnce => "at once",
        })
    }
}
