//! A world of values: it takes the actions of `decide`, plays the processes that they make, and lets time pass.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster::action::{Action, Notice};
use tapster::decide::decide;
use tapster::event::{End, Event, Sender};
use tapster::fleet::{Child, Fleet, Limits};
use tapster_ipc::succession::Staff;
use tapster_ipc::{ExitCode, Order, Report};

use crate::serving::{Serving, Told};

/// How long the first worker of a new generation has to be ready until the generation is proven.
pub(crate) const PROBATION: Duration = Duration::from_secs(1);
pub(crate) const SIGSEGV: End = End::Killed { signal: 11, out_of_memory: false };
pub(crate) const SIGKILL: End = End::Killed { signal: 9, out_of_memory: false };
pub(crate) const CLEAN: End = End::Status(0);

pub(crate) fn limits(workers: u32) -> Limits {
    Limits {
        workers,
        timeout: Some(Duration::from_secs(30)),
        grace: Duration::from_secs(5),
        boot: Some(Duration::from_secs(60)),
        graceful: Duration::from_secs(20),
        probation: PROBATION,
        ..Limits::BLANK
    }
}

pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) now: Duration,
    /// All actions since they were last taken.
    actions: Vec<Action>,
    /// Forks that have been ordered and not been answered, by slot.
    pub(crate) forks: BTreeMap<u32, u64>,
    /// What the next reload finds.
    pub(crate) reload: Result<Limits, String>,
    /// Whether templates can be started.
    pub(crate) can_spawn: bool,
    pub(crate) exit: Option<ExitCode>,
    killed: BTreeSet<i32>,
    told: Told,
    /// The processes that live, in their places.
    living: BTreeMap<i32, Option<Child>>,
    next_pid: i32,
}

impl World {
    /// A server that has just been started.
    pub(crate) fn new(workers: u32) -> Self {
        Self::started(limits(workers))
    }

    pub(crate) fn started(limits: Limits) -> Self {
        let mut world = Self {
            fleet: Fleet::new(limits),
            now: Duration::from_secs(1000),
            actions: Vec::new(),
            forks: BTreeMap::new(),
            reload: Ok(limits),
            can_spawn: true,
            exit: None,
            killed: BTreeSet::new(),
            told: Told::default(),
            living: BTreeMap::new(),
            next_pid: 100,
        };
        world.happens(Event::Tick { busy: Vec::new() });
        world
    }

    /// A server whose workers are all ready.
    pub(crate) fn up(workers: u32) -> Self {
        Self::up_with(limits(workers))
    }

    /// A server with these limits, which a reload finds again, whose workers are all ready.
    pub(crate) fn up_with(limits: Limits) -> Self {
        let mut world = Self::started(limits);
        world.template_ready(1);
        world.all_ready();
        world.pass(Duration::from_secs(10));
        world.take();
        world
    }

    /// As the arbiter's loop does: what an action brings about comes before everything else.
    pub(crate) fn happens(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            assert_eq!(self.exit, None, "{event:?} after the end");
            let before = Serving::of(&self.fleet);
            let actions = decide(&mut self.fleet, event, self.now);
            before.is_kept_by(&self.fleet, &actions);
            self.told.follow(&self.fleet, &actions);
            let mut outcome: VecDeque<Event> = actions.iter().filter_map(|action| self.play(action)).collect();
            self.actions.extend(actions);
            outcome.append(&mut events);
            events = outcome;
        }
    }

    fn play(&mut self, action: &Action) -> Option<Event> {
        match action {
            Action::SpawnTemplate { generation } if self.can_spawn => {
                let pid = self.pid(Some(Child::Template(*generation)));
                Some(Event::Spawned { generation: *generation, pid })
            }
            Action::SpawnTemplate { generation } => {
                Some(Event::SpawnFailed { generation: *generation, reason: "no memory".into() })
            }
            Action::Fork { generation, slot } => {
                let is_free = !self.living.values().any(|child| *child == Some(Child::Worker(*slot)));
                assert!(is_free && self.forks.insert(*slot, *generation).is_none(), "slot {slot} is given twice");
                None
            }
            Action::LoadSettings { .. } => Some(match self.reload.clone() {
                Ok(limits) => Event::SettingsLoaded { limits },
                Err(reason) => Event::SettingsRefused { reason },
            }),
            Action::Replay(event) => Some(event.clone()),
            Action::Upgrade { .. } => Some(match self.can_spawn {
                true => Event::Launched { pid: self.pid(None) },
                false => Event::LaunchFailed { reason: "no memory".into() },
            }),
            Action::Kill { pid, signal: Signal::SIGKILL } => {
                assert!(self.living.contains_key(pid), "pid {pid} is killed, which is gone");
                assert!(self.killed.insert(*pid), "pid {pid} is killed twice");
                None
            }
            Action::Exit(exit) => {
                self.exit = Some(*exit);
                None
            }
            _ => None,
        }
    }

    fn pid(&mut self, child: Option<Child>) -> i32 {
        self.next_pid += 1;
        self.living.insert(self.next_pid, child);
        self.next_pid
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        // From outside of a container this one means nothing.
        let sender = (signal == Signal::SIGWINCH).then(|| Sender { pid: 1, name: "sh".into() });
        self.happens(Event::Signal { signal, sender });
    }

    pub(crate) fn report(&mut self, from: Child, report: Report) {
        self.happens(Event::Report { from, report });
    }

    pub(crate) fn template_ready(&mut self, generation: u64) {
        self.report(Child::Template(generation), Report::TemplateReady { python: "3.12.1".into() });
    }

    /// The template answers one order to fork.
    pub(crate) fn forked(&mut self, slot: u32) -> i32 {
        let generation = self.forks.remove(&slot).expect("a fork was ordered");
        let pid = self.pid(Some(Child::Worker(slot)));
        self.report(Child::Template(generation), Report::Forked { slot, pid });
        pid
    }

    /// The templates answer all orders to fork. Answers the slots.
    pub(crate) fn all_forked(&mut self) -> Vec<u32> {
        let slots: Vec<u32> = self.forks.keys().copied().collect();
        for slot in &slots {
            self.forked(*slot);
        }
        slots
    }

    pub(crate) fn ready(&mut self, slot: u32) {
        self.report(Child::Worker(slot), Report::WorkerReady);
    }

    /// Forks are answered and workers become ready, and a new generation's first one stays so until that is proven, until
    /// nothing more is ordered.
    pub(crate) fn all_ready(&mut self) {
        while !self.forks.is_empty() {
            for slot in self.all_forked() {
                self.ready(slot);
            }
            if self.fleet.is_reloading() {
                self.pass(PROBATION);
            }
        }
    }

    /// All that was ordered is done and nothing fails, until nothing is under way any more, or the server has ended.
    pub(crate) fn calm(&mut self) {
        for _ in 0..100 {
            let before = self.progress();
            for generation in 1..=self.fleet.newest {
                self.template_ready(generation);
            }
            self.all_ready();
            for slot in self.fleet.workers.keys().copied().collect::<Vec<_>>() {
                self.ready(slot);
            }
            self.pass(PROBATION);
            if self.exit.is_none() {
                self.settle();
            }
            if self.exit.is_some() || (before == self.progress() && self.forks.is_empty() && before.1 == 0) {
                return;
            }
        }
        let fleet = &self.fleet;
        assert!(self.exit.is_some(), "no calm: {fleet:?}");
    }

    fn progress(&self) -> (u64, usize, usize, usize) {
        let fleet = &self.fleet;
        (fleet.newest, fleet.reloads.under_way.len(), fleet.workers.len(), fleet.ready())
    }

    /// The worker becomes ready and stays so for as long as it takes to prove a generation.
    pub(crate) fn proves(&mut self, slot: u32) {
        self.ready(slot);
        self.pass(PROBATION);
    }

    pub(crate) fn boot_failed(&mut self, from: Child, exit: ExitCode) {
        let report = "no module named site\nTraceback".into();
        self.report(from, Report::BootFailed { exit, report });
    }

    /// A child's process ends.
    pub(crate) fn exits(&mut self, child: Child, end: End) {
        let pid = self.fleet.process(child).expect("the child has a process").pid;
        self.killed.remove(&pid);
        self.living.remove(&pid);
        if let Child::Template(generation) = child {
            self.forks.retain(|_, of| *of != generation);
        }
        self.happens(Event::Exited { pid, end });
    }

    /// The new server's process ends.
    pub(crate) fn successor_ends(&mut self, pid: i32, end: End) {
        self.killed.remove(&pid);
        self.living.remove(&pid);
        self.happens(Event::Exited { pid, end });
    }

    /// A signal stops a child's process.
    pub(crate) fn halts(&mut self, child: Child, signal: Signal) {
        let pid = self.fleet.process(child).expect("the child has a process").pid;
        self.happens(Event::Stopped { pid, signal: signal as i32 });
    }

    /// A child's process goes on.
    pub(crate) fn goes_on(&mut self, child: Child) {
        let pid = self.fleet.process(child).expect("the child has a process").pid;
        self.happens(Event::Continued { pid });
    }

    /// All that has been killed is reaped.
    pub(crate) fn reap_killed(&mut self) {
        for pid in std::mem::take(&mut self.killed) {
            if let Some(Some(Child::Template(generation))) = self.living.remove(&pid) {
                self.forks.retain(|_, of| *of != generation);
            }
            if self.exit.is_none() {
                self.happens(Event::Exited { pid, end: SIGKILL });
            }
        }
        self.forks.retain(|slot, _| self.fleet.workers.contains_key(slot));
    }

    /// Everything that has been told to end ends, however often that brings more.
    pub(crate) fn settle(&mut self) {
        loop {
            self.reap_killed();
            let ending = |child: &Child| {
                let life = &self.fleet.process(*child).expect("it has one").life;
                matches!(life, tapster::process::Life::Ending { .. })
            };
            let Some(child) = self.fleet.children().into_iter().find(ending) else { return };
            self.exits(child, CLEAN);
            if self.exit.is_some() {
                return;
            }
        }
    }

    /// Time passes, with a look at every deadline on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.fleet.next_deadline(self.now).filter(|next| *next <= until && self.exit.is_none()) {
            self.now = next;
            self.happens(Event::Tick { busy: Vec::new() });
        }
        self.now = until;
        if self.exit.is_none() {
            self.happens(Event::Tick { busy: Vec::new() });
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Whether the log has a line of that level with that text, since actions were last taken.
    pub(crate) fn has_logged(&self, level: Level, part: &str) -> bool {
        self.actions
            .iter()
            .any(|action| matches!(logged(action), Some((of, text)) if of == level && text.contains(part)))
    }

    pub(crate) fn logged(&self) -> Vec<&str> {
        self.actions.iter().filter_map(logged).map(|(_, text)| text).collect()
    }

    pub(crate) fn has_done(&self, action: &Action) -> bool {
        self.actions.contains(action)
    }

    /// Whether the logs are being opened anew.
    pub(crate) fn has_reopened(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Reopen { .. }))
    }

    pub(crate) fn has_notified(&self, notice: Notice) -> bool {
        self.has_done(&Action::Notify(notice))
    }

    /// Whether a new server has been started, and what it is to begin with.
    pub(crate) fn launched(&self) -> Option<Staff> {
        self.actions.iter().find_map(|action| match action {
            Action::Upgrade { staff } => Some(*staff),
            _ => None,
        })
    }

    /// Whether a reload has begun.
    pub(crate) fn has_begun_a_reload(&self) -> bool {
        self.actions.iter().any(is_reload)
    }

    /// Who has been told this.
    pub(crate) fn told(&self, what: impl Fn(&Order) -> bool) -> Vec<Child> {
        let child = |action: &Action| match action {
            Action::Tell { child, order } if what(order) => Some(*child),
            _ => None,
        };
        self.actions.iter().filter_map(child).collect()
    }

    /// The outcomes of reloads, since actions were last taken.
    pub(crate) fn concluded(&self) -> Vec<Result<u64, String>> {
        let outcome = |action: &Action| match action {
            Action::Conclude { outcome, .. } => Some(outcome.clone()),
            _ => None,
        };
        self.actions.iter().filter_map(outcome).collect()
    }

    /// The numbers of the reloads that were concluded, since actions were last taken.
    pub(crate) fn concluded_numbers(&self) -> Vec<Option<u64>> {
        let number = |action: &Action| match action {
            Action::Conclude { reload, .. } => Some(*reload),
            _ => None,
        };
        self.actions.iter().filter_map(number).collect()
    }

    pub(crate) fn retired(&self) -> Vec<u32> {
        let slot = |child| match child {
            Child::Worker(slot) => Some(slot),
            Child::Template(_) => None,
        };
        self.told(|order| matches!(order, Order::Retire { .. })).into_iter().filter_map(slot).collect()
    }

    pub(crate) fn has_been_killed(&self, child: Child) -> bool {
        self.fleet.process(child).is_some_and(|process| self.killed.contains(&process.pid))
    }

    /// The slots of the workers that serve, by generation.
    pub(crate) fn serving(&self, generation: u64) -> usize {
        self.fleet.slots_of(generation, tapster::fleet::Worker::is_ready).len()
    }
}

/// Whether a reload begins.
pub(crate) fn is_reload(action: &Action) -> bool {
    matches!(action, Action::LoadSettings { .. })
}

/// The line that an action writes to the log, if it does.
fn logged(action: &Action) -> Option<(Level, &str)> {
    match action {
        Action::Log(level, text) | Action::LogRunning { level, text, .. } => Some((*level, text)),
        _ => None,
    }
}
