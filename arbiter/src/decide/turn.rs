//! One call of `decide`: the fleet, the time, the actions so far, and the few steps that all of its parts take.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster_ipc::Order;

use crate::action::Action;
use crate::fleet::{Child, Fleet, Template};
use crate::process::Why;

/// See the module.
pub(super) struct Turn<'f> {
    pub(super) fleet: &'f mut Fleet,
    pub(super) now: Duration,
    pub(super) actions: Vec<Action>,
    /// The generation of which something has failed, so that the next trial waits, and what has.
    pub(super) setback: Option<(u64, &'static str)>,
}

impl<'f> Turn<'f> {
    pub(super) fn new(fleet: &'f mut Fleet, now: Duration) -> Self {
        Self { fleet, now, actions: Vec::new(), setback: None }
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn log(&mut self, level: Level, text: impl Into<String>) {
        self.act(Action::Log(level, text.into()));
    }

    /// Logs `Worker {what} (slot: 0, pid: 7, generation: 1)`, and the detail behind a colon.
    pub(super) fn say(&mut self, level: Level, child: Child, what: &str, detail: &str) {
        let pid = self.fleet.process(child).map_or(0, |process| process.pid);
        self.say_of(level, child, (pid, self.fleet.generation_of(child)), what, detail);
    }

    /// As [`Turn::say`], of a process that has left the fleet.
    pub(super) fn say_of(&mut self, level: Level, child: Child, id: (i32, u64), what: &str, detail: &str) {
        self.log(level, sentence(child, id, what, detail));
    }

    /// As [`Turn::say_of`], and names the requests that a worker was running.
    pub(super) fn say_last(&mut self, level: Level, child: Child, id: (i32, u64), what: &str, detail: &str) {
        let text = sentence(child, id, what, detail);
        self.act(match child {
            Child::Template(_) => Action::Log(level, text),
            Child::Worker(slot) => Action::LogRunning { level, text, slot },
        });
    }

    pub(super) fn tell(&mut self, child: Child, order: Order) {
        self.act(Action::Tell { child, order });
    }

    /// Has a process end by itself: tells it, and sets the time at which it is killed.
    pub(super) fn end(&mut self, child: Child, within: Duration, order: Order, why: Why) {
        let kill_at = self.now.saturating_add(within);
        if self.fleet.process_mut(child).is_some_and(|process| process.end(kill_at, why)) {
            self.tell(child, order);
        }
    }

    /// Sends SIGKILL, once. Answers whether this was the time.
    pub(super) fn kill(&mut self, child: Child, why: Why) -> bool {
        let Some(process) = self.fleet.process_mut(child) else { return false };
        let (pid, is_news) = (process.pid, process.kill(why));
        if is_news {
            self.act(Action::Kill { pid, signal: Signal::SIGKILL });
        }
        is_news
    }

    /// Which child has that pid.
    pub(super) fn child_of(&self, pid: i32) -> Option<Child> {
        let is_it = |child: &Child| self.fleet.process(*child).is_some_and(|process| process.pid == pid);
        self.fleet.children().into_iter().find(is_it)
    }

    /// Sets the template of a generation.
    pub(super) fn set_template(&mut self, generation: u64, template: Template) {
        if let Some(generation) = self.fleet.generations.get_mut(&generation) {
            generation.template = template;
        }
    }
}

fn sentence(child: Child, id: (i32, u64), what: &str, detail: &str) -> String {
    let (pid, generation) = id;
    let who = match child {
        Child::Template(_) => format!("Template {what} (pid: {pid}, generation: {generation})"),
        Child::Worker(slot) => format!("Worker {what} (slot: {slot}, pid: {pid}, generation: {generation})"),
    };
    if detail.is_empty() { who } else { format!("{who}: {detail}") }
}

/// A time as messages give it: `30 s`, `500 ms`.
pub(crate) fn words(time: Duration) -> String {
    match (time.as_secs(), time.subsec_millis() / 100) {
        (0, _) if !time.is_zero() => format!("{} ms", time.as_millis()),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, tenths) => format!("{seconds}.{tenths} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_given_without_idle_digits() {
        let table = [(0, "0 s"), (500, "500 ms"), (1000, "1 s"), (1003, "1 s"), (1500, "1.5 s"), (30_999, "30.9 s")];
        for (time, text) in table {
            assert_eq!(words(Duration::from_millis(time)), text);
        }
    }
}
