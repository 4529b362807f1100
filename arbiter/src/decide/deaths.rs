//! The ends of processes: whose it was, what it means, and its true reason in the log.

use std::time::Duration;

use log::Level;
use tapster_ipc::ExitCode;

use super::turn::Turn;
use crate::action::Action;
use crate::event::End;
use crate::fleet::{Child, EARLY, Template};
use crate::process::{Life, Process, Why};

/// A worker's own timer and the arbiter's run out at the same time; which fires first is chance.
const CLOCKS_DIFFER: Duration = Duration::from_millis(250);
/// The most ends that are kept for a template to claim.
const MOST_UNCLAIMED: usize = 64;

impl Turn<'_> {
    pub(super) fn exited(&mut self, pid: i32, end: End) {
        if self.successor_exited(pid, end) {
            return;
        }
        match self.child_of(pid) {
            Some(Child::Template(generation)) => self.template_exited(generation, end),
            Some(Child::Worker(slot)) => self.worker_exited(slot, end),
            None if self.fleet.workers.values().any(crate::fleet::Worker::is_forking) => {
                self.fleet.unclaimed.push_back((pid, end));
                if self.fleet.unclaimed.len() > MOST_UNCLAIMED {
                    self.fleet.unclaimed.pop_front();
                }
            }
            None => self.disown(pid, end),
        }
    }

    fn template_exited(&mut self, generation: u64, end: End) {
        let child = Child::Template(generation);
        let Some(one) = self.fleet.generations.get_mut(&generation) else { return };
        let before = std::mem::replace(&mut one.template, Template::Gone);
        if matches!(before.process(), Some(Process { life: Life::Ready { .. }, .. })) {
            self.count_crash(generation);
        }
        self.act(Action::Discard { child });
        // Workers that it may have forked without saying so see the end of their channel, and end.
        for slot in self.fleet.slots_of(generation, crate::fleet::Worker::is_forking) {
            self.fleet.workers.remove(&slot);
            self.act(Action::Discard { child: Child::Worker(slot) });
        }
        self.disown_unclaimed();
        if let Template::Running(process) = before {
            self.account(child, generation, &process, end);
        }
        if !self.is_stopping() {
            let until = self.fleet.generations.get(&generation).map_or(self.now, crate::fleet::Generation::may_start);
            self.set_template(generation, Template::Absent { until });
        }
    }

    fn worker_exited(&mut self, slot: u32, end: End) {
        let child = Child::Worker(slot);
        let Some(worker) = self.fleet.workers.remove(&slot) else { return };
        self.act(Action::Discard { child });
        let Some(process) = worker.process() else { return };
        self.account(child, worker.generation, process, end);
        if let Life::Ready { since } = process.life {
            self.count_end(worker.generation, since);
        }
    }

    /// A worker that was ready `since` then ends without having been told to.
    pub(super) fn count_end(&mut self, generation: u64, since: Duration) {
        if self.is_candidate(generation) {
            // The canary: as long as its generation is not proven, it has not booted for good.
            self.count_boot_failure(generation);
            self.judge(generation, ExitCode::AppImport);
        } else if self.now.saturating_sub(since) < EARLY {
            self.count_crash(generation);
        }
    }

    /// Says why a process ended. One that ended before it was ready counts for its generation.
    fn account(&mut self, child: Child, generation: u64, process: &Process, end: End) {
        let id = (process.pid, generation);
        if let Some(generation) = self.fleet.generations.get_mut(&generation) {
            generation.last_end = Some(end);
        }
        match process.life {
            Life::Booting { .. } => {
                self.say_of(Level::Error, child, id, "died while booting", &end.unasked());
                self.count_boot_failure(generation);
                self.judge(generation, ExitCode::AppImport);
            }
            // Sent SIGTERM by somebody else, a worker finishes what it has, and its own timer kills it if it does not.
            Life::Ready { .. } if end.is_sigkill() && !end.is_out_of_memory() && matches!(child, Child::Worker(_)) => {
                let detail = format!("{}; if it had got SIGTERM from somebody, its own timer killed it", end.unasked());
                self.say_last(Level::Error, child, id, "died", &detail);
            }
            Life::Ending { why: why @ (Why::CannotStart | Why::RequestTimeout), .. }
            | Life::Killed { why: why @ Why::CannotStart } => {
                self.say_of(Level::Debug, child, id, "ended", &format!("{end}; {why}"));
            }
            Life::Ending { kill_at, why } if end.is_sigkill() && self.now + CLOCKS_DIFFER >= kill_at => {
                let text = format!("{end}, for {}; {why}", self.lateness(child, process, why));
                self.say_last(Level::Warn, child, id, "ended", &text);
            }
            Life::Ending { why: why @ Why::OwnAccord, .. } if end.is_clean() => {
                self.say_last(Level::Warn, child, id, "ended", &format!("{end}; {why}"));
            }
            Life::Ready { .. } | Life::Ending { why: Why::OwnAccord, .. } => {
                self.say_last(Level::Error, child, id, "died", &end.unasked());
            }
            Life::Ending { why, .. } if end.is_clean() => {
                self.say_last(Level::Info, child, id, "ended", &why.to_string());
            }
            Life::Ending { why, .. } => {
                self.say_last(Level::Warn, child, id, "ended", &format!("{}; {why}", end.unasked()));
            }
            Life::Killed { why } => self.say_last(Level::Info, child, id, "ended", &format!("{end}; {why}")),
        }
    }

    /// Once no fork is under way, nobody will claim these any more.
    pub(super) fn disown_unclaimed(&mut self) {
        if !self.fleet.workers.values().any(crate::fleet::Worker::is_forking) {
            for (pid, end) in std::mem::take(&mut self.fleet.unclaimed) {
                self.disown(pid, end);
            }
        }
    }

    fn disown(&mut self, pid: i32, end: End) {
        self.log(Level::Debug, format!("Reaped pid {pid}, a process that the application left behind: {end}"));
    }
}
