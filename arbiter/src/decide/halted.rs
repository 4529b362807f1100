//! Processes that a signal has stopped, as SIGSTOP does: the log says so at once, and a worker is given as long as one that is at
//! a halt for another reason.
//!
//! `deadlines` knows only of workers that are at something. One that is stopped while it is idle is known of by this alone.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;

use super::turn::{Turn, words};
use crate::fleet::Child;

impl Turn<'_> {
    /// A signal has stopped a process. The kernel does not tell who sent it.
    pub(super) fn stopped(&mut self, pid: i32, signal: i32) {
        let Some(child) = self.child_of(pid) else { return };
        let now = self.now;
        if let Some(process) = self.fleet.process_mut(child) {
            process.stopped_since = Some(now);
        }
        let by = Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string());
        let then = match child {
            Child::Template(_) => "it forks no worker until SIGCONT".to_owned(),
            Child::Worker(slot) => self.halted_then(slot),
        };
        self.say(Level::Warn, child, &format!("has been stopped by {by}"), &then);
    }

    fn halted_then(&self, slot: u32) -> String {
        let Some(worker) = self.fleet.workers.get(&slot).filter(|worker| worker.may_run_requests()) else {
            return "it is at a halt until SIGCONT".to_owned();
        };
        match self.fleet.halted_until(worker) {
            Some(at) => {
                let within = words(at.saturating_sub(self.now));
                format!(
                    "it serves nobody until SIGCONT; it is killed unless that comes within {within} (timeout, timeout_grace and 1 s)"
                )
            }
            None => "it serves nobody until SIGCONT, however long that takes (timeout = 0)".to_owned(),
        }
    }

    /// A process that was stopped goes on.
    pub(super) fn continued(&mut self, pid: i32) {
        let Some(child) = self.child_of(pid) else { return };
        let Some(since) = self.fleet.process_mut(child).and_then(|process| process.stopped_since.take()) else {
            // Its stop was not heard of: it was over by then.
            return;
        };
        let spent = words(self.now.saturating_sub(since));
        self.say(Level::Info, child, "goes on", &format!("it had been stopped for {spent}"));
    }

    /// Ends the workers that have been stopped for as long as one may be at a halt.
    pub(super) fn end_halted(&mut self) {
        let workers = self.fleet.workers.iter();
        let is_late = |at: Duration| at <= self.now;
        let late = workers.filter(|(_, worker)| self.fleet.halted_until(worker).is_some_and(is_late));
        for slot in late.map(|(&slot, _)| slot).collect::<Vec<_>>() {
            let process = self.fleet.process(Child::Worker(slot));
            let since = process.and_then(|process| process.stopped_since).unwrap_or(self.now);
            let spent = words(self.now.saturating_sub(since));
            self.end_halt(slot, &format!("the whole process has been at a halt for {spent}, stopped by a signal"));
        }
    }
}
