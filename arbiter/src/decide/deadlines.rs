//! What is late is ended, and the log says why.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster_ipc::ExitCode;

use super::turn::{Turn, words};
use crate::action::Action;
use crate::fleet::{Child, Limits, Manner, Phase, Seat, Worker};
use crate::process::{LastSteps, Life, Process, Why};

/// From SIGABRT, at which Python may show its stacks, to SIGKILL.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Turn<'_> {
    /// Ends the workers that have come to a halt as a whole, and so have not said themselves that a request is stuck: stopped
    /// ones, and those in which something keeps all threads from running.
    pub(super) fn tick(&mut self, busy: &[(u32, Duration)]) {
        for &(slot, since) in busy {
            let Some(worker) = self.fleet.workers.get(&slot).filter(|worker| worker.may_run_requests()) else {
                continue;
            };
            let generation = self.fleet.generations.get(&worker.generation);
            let Some(limit) = generation.and_then(|generation| generation.limits.halt()) else { continue };
            let spent = self.now.saturating_sub(since);
            if spent >= limit {
                self.end_halt(slot, &format!("the whole process has been at a halt for {}", words(spent)));
            }
        }
    }

    /// Ends a worker that is at a halt as a whole, which `what` says.
    pub(super) fn end_halt(&mut self, slot: u32, what: &str) {
        let is_ready = self.fleet.workers.get(&slot).is_some_and(Worker::is_ready);
        let then = if is_ready { "it is killed and replaced" } else { "it is killed" };
        let text = self.timeout_text(slot, what, then);
        self.act(Action::LogRunning { level: Level::Error, text, slot });
        self.time_out(slot);
    }

    /// Logs what a request or a worker has taken too long for, the settings that say so, and what happens now.
    pub(super) fn say_timeout(&mut self, slot: u32, what: &str, then: &str) {
        let text = self.timeout_text(slot, what, then);
        self.log(Level::Error, text);
    }

    fn timeout_text(&self, slot: u32, what: &str, then: &str) -> String {
        let child = Child::Worker(slot);
        let pid = self.fleet.process(child).map_or(0, |process| process.pid);
        let limits = self.fleet.generations.get(&self.fleet.generation_of(child)).map(|generation| generation.limits);
        let limit = |of: fn(Limits) -> Duration| words(limits.map_or(Duration::ZERO, of));
        let (timeout, grace) = (limit(|limits| limits.timeout.unwrap_or_default()), limit(|limits| limits.grace));
        let limits = format!("limits timeout = {timeout}, timeout_grace = {grace}");
        format!("WORKER TIMEOUT (pid: {pid}, slot: {slot}): {what}, {limits}; {then}")
    }

    /// Has the worker print its stacks, and kills it soon after.
    pub(super) fn time_out(&mut self, slot: u32) {
        let kill_at = self.now.saturating_add(LAST_WORDS);
        let Some(process) = self.fleet.process_mut(Child::Worker(slot)) else { return };
        let pid = process.pid;
        process.time_out(kill_at, Why::RequestTimeout);
        self.act(Action::Kill { pid, signal: Signal::SIGABRT });
    }

    /// Kills whatever is past its deadline.
    pub(super) fn expire(&mut self) {
        for child in self.fleet.children() {
            if let Some(why) = self.fleet.process(child).and_then(|process| process.overdue(self.now)) {
                self.kill_overdue(child, why);
            }
        }
        let is_late = |seat: &Seat| matches!(seat, Seat::Forking { deadline, .. } if *deadline <= self.now);
        let late: Vec<_> = self.fleet.workers.values().filter(|worker| is_late(&worker.seat)).collect();
        let templates: Vec<_> = late.into_iter().map(|worker| Child::Template(worker.generation)).collect();
        for template in templates {
            self.kill_overdue(template, Why::NoAnswer);
        }
    }

    fn kill_overdue(&mut self, child: Child, why: Why) {
        let generation = self.fleet.generation_of(child);
        let was_booting = self.fleet.process(child).is_some_and(|one| matches!(one.life, Life::Booting { .. }));
        if was_booting && why == Why::BootTimeout {
            return self.time_out_boot(child, generation);
        }
        let late = self.fleet.process(child).map(|process| self.lateness(child, process, why)).unwrap_or_default();
        if !self.kill(child, why) {
            return;
        }
        match why {
            Why::NoAnswer | Why::Deaf => {
                self.say(Level::Error, child, "is killed", &why.to_string());
                self.count_death(generation, was_booting, why);
            }
            Why::BootTimeout | Why::RequestTimeout | Why::CannotStart => {
                self.say(Level::Debug, child, "is killed", &why.to_string());
            }
            Why::ServerStops
            | Why::Replaced
            | Why::Surplus
            | Why::Worn(_)
            | Why::Memory
            | Why::NotNeeded
            | Why::OwnAccord => {
                self.say(Level::Warn, child, "is killed", &format!("{late}; {why}"));
            }
        }
    }

    /// Like a request's: SIGABRT first, at which Python shows where the start hangs.
    fn time_out_boot(&mut self, child: Child, generation: u64) {
        let kill_at = self.now.saturating_add(LAST_WORDS);
        let Some(process) = self.fleet.process_mut(child) else { return };
        let pid = process.pid;
        process.time_out(kill_at, Why::BootTimeout);
        let limit = self.fleet.generations.get(&generation).and_then(|one| one.limits.boot).unwrap_or_default();
        self.say(Level::Error, child, "is killed", &format!("{} = {}", Why::BootTimeout, words(limit)));
        self.act(Action::Kill { pid, signal: Signal::SIGABRT });
        self.count_death(generation, true, Why::BootTimeout);
    }

    /// A process was killed that the arbiter could not leave as it was.
    pub(super) fn count_death(&mut self, generation: u64, was_booting: bool, why: Why) {
        if was_booting || why == Why::NoAnswer || self.is_candidate(generation) {
            self.count_boot_failure(generation);
            match why {
                // Trying again would most likely take as long again, and bring the same.
                Why::BootTimeout => self.fail(generation, ExitCode::AppImport, &why.to_string()),
                _ => self.judge(generation, ExitCode::AppImport),
            }
        } else {
            self.count_crash(generation);
        }
    }

    /// What kept a process from its end, as far as it has said so itself, and the time that it had.
    pub(super) fn lateness(&self, child: Child, process: &Process, why: Why) -> String {
        let limit = match (child, self.fleet.phase) {
            (Child::Template(_), _) => String::new(),
            _ if why == Why::OwnAccord => String::new(),
            (_, Phase::Stopping { manner: Manner::Quick | Manner::AtOnce, .. }) => " (a quick stop)".to_owned(),
            _ => format!(" (graceful_timeout = {})", words(self.graceful_timeout())),
        };
        let Some(LastSteps { since, left }) = process.last_steps else {
            return format!("it did not stop in time{limit}");
        };
        let ago = words(self.now.saturating_sub(since));
        match left {
            0 => format!(
                "it did not stop in time{limit}: it was done with its requests {ago} ago, so a function that is registered with atexit or \
             tapster.worker_exit has not returned, or a thread that is no daemon goes on"
            ),
            _ => format!(
                "it did not stop in time{limit}: it gave its requests up {ago} ago, and {left} had not come back then"
            ),
        }
    }
}
