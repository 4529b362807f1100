//! What the children say, and what becomes of their channels.

use std::time::Duration;

use log::Level;
use tapster_ipc::{ExitCode, Order, Report};

use super::turn::Turn;
use crate::action::Action;
use crate::event::Event;
use crate::fleet::{Child, Phase, Seat, Template};
use crate::process::{LastSteps, Life, Process, Why};

/// How long a process whose channel is closed may take to end.
const DEAF: Duration = Duration::from_secs(2);
/// How long a process that has said that it can't start may take to end.
const FAILED: Duration = Duration::from_secs(2);
/// Of so many messages that are none, each is logged; later ones rarely.
const GOSSIP_LOGGED: u64 = 10;

impl Turn<'_> {
    pub(super) fn spawned(&mut self, generation: u64, pid: i32) {
        let Some(Template::Spawning { deadline }) = self.fleet.generations.get(&generation).map(|one| &one.template)
        else {
            return;
        };
        let process = Process::booting(pid, *deadline);
        self.set_template(generation, Template::Running(process));
        if self.is_stopping() {
            self.kill(Child::Template(generation), Why::ServerStops);
        }
    }

    pub(super) fn spawn_failed(&mut self, generation: u64, reason: &str) {
        let until = self.count_boot_failure(generation);
        self.set_template(generation, Template::Absent { until });
        self.log(Level::Error, format!("The template of generation {generation} can't be started: {reason}"));
        self.judge(generation, ExitCode::Failed);
    }

    pub(super) fn report(&mut self, from: Child, report: Report) {
        match (from, report) {
            (Child::Template(generation), Report::TemplateReady { python }) => self.template_ready(generation, &python),
            (Child::Template(generation), Report::Forked { slot, pid }) => self.forked(generation, slot, pid),
            (Child::Template(generation), Report::ForkFailed { slot, reason }) => {
                self.fork_failed(generation, slot, &reason);
            }
            (Child::Worker(slot), Report::WorkerReady) => self.worker_ready(slot),
            // The worker that is first to find the queues empty; one that is in the midst of a request could not close its
            // end of the listeners for as long as that takes.
            (Child::Worker(_), Report::Drained) => self.drained(),
            (Child::Worker(slot), Report::Stuck { spent_ms, running, request }) => {
                self.stuck(slot, Duration::from_millis(spent_ms), running, &request);
            }
            (Child::Worker(slot), Report::WornOut { requests }) => self.worn_out(slot, requests),
            (Child::Worker(slot), Report::Ending { within_ms, left }) => {
                self.ending(slot, Duration::from_millis(within_ms.into()), left);
            }
            (Child::Worker(slot), Report::Changed { path, at_ms }) => {
                self.changed(slot, &path, Duration::from_millis(at_ms));
            }
            (_, Report::BootFailed { exit, report }) => self.boot_failed(from, exit, &report),
            (_, report) => self.gossip(from, &format!("{report:?}, which is not its to say")),
        }
    }

    fn template_ready(&mut self, generation: u64, python: &str) {
        let (child, now) = (Child::Template(generation), self.now);
        let Some(process) = self.fleet.process_mut(child) else { return };
        let (pid, is_news) = (process.pid, process.become_ready(now));
        if is_news {
            self.log(Level::Info, format!("Template ready (pid: {pid}, generation: {generation}, CPython {python})"));
        }
    }

    fn forked(&mut self, generation: u64, slot: u32, pid: i32) {
        if self.forking(generation, slot).is_none() {
            let what = format!("a fork for slot {slot} (pid {pid}), which was not ordered");
            return self.gossip(Child::Template(generation), &what);
        }
        // The template may have been at a halt since it was told.
        let boot = self.fleet.generations.get(&generation).and_then(|generation| generation.limits.boot);
        let process = Process::booting(pid, boot.map(|boot| self.now.saturating_add(boot)));
        if let Some(worker) = self.fleet.workers.get_mut(&slot) {
            worker.seat = Seat::Taken(process);
        }
        self.act(Action::Attend { slot });
        if let Some(position) = self.fleet.unclaimed.iter().position(|&(unclaimed, _)| unclaimed == pid)
            && let Some((pid, end)) = self.fleet.unclaimed.remove(position)
        {
            self.act(Action::Replay(Event::Exited { pid, end }));
        } else if self.is_stopping() {
            self.kill(Child::Worker(slot), Why::ServerStops);
        }
        self.disown_unclaimed();
    }

    fn fork_failed(&mut self, generation: u64, slot: u32, reason: &str) {
        if self.forking(generation, slot).is_none() {
            let what = format!("a failed fork for slot {slot}, which was not ordered");
            return self.gossip(Child::Template(generation), &what);
        }
        self.fleet.workers.remove(&slot);
        self.act(Action::Discard { child: Child::Worker(slot) });
        self.disown_unclaimed();
        if !self.is_stopping() {
            self.count_boot_failure(generation);
            let text = format!("A worker can't be forked (slot: {slot}, generation: {generation}): {reason}");
            self.log(Level::Error, text);
            self.judge(generation, ExitCode::Failed);
        }
    }

    fn worker_ready(&mut self, slot: u32) {
        let (child, now) = (Child::Worker(slot), self.now);
        if !self.fleet.process_mut(child).is_some_and(|process| process.become_ready(now)) {
            return;
        }
        self.tell(child, Order::Serve);
        self.say(Level::Info, child, "ready", "");
        if self.fleet.stops_at.is_some() {
            self.tell(child, Order::LetGo);
        }
        let generation = self.fleet.generation_of(child);
        match self.fleet.phase {
            // Nothing serves that could be lost.
            Phase::Starting => self.rely_on(generation),
            // As long as it may crash any moment, it proves nothing: see `prove`.
            Phase::Up { proven } if proven < generation => {}
            Phase::Up { .. } | Phase::Stopping { .. } => self.forget_failures(generation),
        }
    }

    /// Relies on the wanted generation once its first worker has been ready for long enough.
    pub(super) fn prove(&mut self) {
        if let Some(proven) = self.fleet.proven()
            && self.fleet.proof().is_some_and(|proof| proof <= self.now)
        {
            let target = self.fleet.target;
            self.log(Level::Info, format!("Generation {target} serves; generation {proven} retires"));
            self.rely_on(target);
        }
    }

    /// The generation is the one that serves.
    fn rely_on(&mut self, generation: u64) {
        self.forget_failures(generation);
        self.fleet.phase = Phase::Up { proven: generation };
        self.act(Action::Follow { generation });
        self.tell_ready();
    }

    fn forget_failures(&mut self, generation: u64) {
        if let Some(generation) = self.fleet.generations.get_mut(&generation) {
            generation.boots.succeed();
        }
    }

    fn boot_failed(&mut self, from: Child, exit: ExitCode, report: &str) {
        let kill_at = self.now.saturating_add(FAILED);
        let Some(process) = self.fleet.process_mut(from) else { return };
        if !matches!(process.life, Life::Booting { .. }) {
            return self.say(Level::Debug, from, "says that it can't start", report);
        }
        process.end(kill_at, Why::CannotStart);
        let generation = self.fleet.generation_of(from);
        self.count_boot_failure(generation);
        self.condemn(from, exit, report);
    }

    /// The worker is done with its requests. It has until then what it takes to end; whether it was told to or not, it serves no
    /// more.
    fn ending(&mut self, slot: u32, within: Duration, left: u32) {
        let (child, now) = (Child::Worker(slot), self.now);
        let generation = self.fleet.generation_of(child);
        let Some(process) = self.fleet.process_mut(child) else { return };
        let before = match process.life {
            Life::Booting { .. } => return self.gossip(child, "that it ends, before it was ready"),
            Life::Ready { since } => Some(since),
            Life::Ending { .. } | Life::Killed { .. } => None,
        };
        process.end(now.saturating_add(within), Why::OwnAccord);
        process.last_steps = Some(LastSteps { since: now, left });
        if let Some(since) = before {
            self.count_end(generation, since);
        }
    }

    pub(super) fn gossip(&mut self, from: Child, what: &str) {
        self.fleet.gossip += 1;
        let count = self.fleet.gossip;
        if count <= GOSSIP_LOGGED || count.is_power_of_two() {
            self.say(Level::Warn, from, "sent no known message", &format!("{what} ({count} so far)"));
        }
    }

    pub(super) fn closed(&mut self, from: Child) {
        let kill_at = self.now.saturating_add(DEAF);
        // The end of a channel is mostly the end of its process, of which the kernel tells a moment later.
        if let Some(process) = self.fleet.process_mut(from) {
            process.lose_channel(kill_at);
        }
        self.act(Action::Discard { child: from });
    }

    /// The seat of the worker whose fork has been ordered so.
    fn forking(&self, generation: u64, slot: u32) -> Option<&Seat> {
        let worker = self.fleet.workers.get(&slot)?;
        (worker.generation == generation && worker.is_forking()).then_some(&worker.seat)
    }
}
