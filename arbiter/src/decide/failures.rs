//! What a failure to boot means for its generation: another trial, the return to the one before, or the end of the server.
//!
//! A server that has never been up ends with the failure's status; one that is up never does.

use std::time::Duration;

use log::Level;
use tapster_ipc::{ExitCode, Order};

use super::stops::TEMPLATE_END;
use super::turn::{Turn, words};
use crate::fleet::{Child, Manner, Phase};
use crate::process::{Life, Why};
use crate::throttle::Throttle;

/// After so many failures without a ready worker a generation is given up, if it may be.
const TRIALS: u32 = 3;

/// What a generation is to the server, when it fails.
enum Standing {
    /// Nothing serves yet: the server stands and falls with it.
    First,
    /// Another one serves, and goes on if this one fails.
    Candidate { proven: u64 },
    /// It serves: there is nothing better to go back to.
    Serving,
    /// It is on its way out.
    Former,
}

impl Turn<'_> {
    /// Counts it, and answers when the next trial may be made.
    pub(super) fn count_boot_failure(&mut self, number: u64) -> Duration {
        let now = self.now;
        let Some(generation) = self.fleet.generations.get_mut(&number) else { return now };
        let (is_news, until) = (generation.boots.fail(now), generation.boots.until());
        if is_news {
            self.setback = Some((number, "failed to boot"));
        }
        until
    }

    /// Counts a process that was ready, but did not last.
    pub(super) fn count_crash(&mut self, number: u64) {
        let now = self.now;
        if self.fleet.generations.get_mut(&number).is_some_and(|generation| generation.crashes.fail_anew(now)) {
            self.setback = Some((number, "ended soon after they were ready"));
        }
    }

    /// Says for how long nothing is started after what has failed. Rare by itself, since one wait has one line.
    pub(super) fn tell_setback(&mut self) {
        let Some((number, what)) = self.setback.take() else { return };
        let is_wanted = number == self.fleet.target || Some(number) == self.fleet.proven();
        let Some(generation) = self.fleet.generations.get(&number).filter(|_| is_wanted && !self.is_stopping()) else {
            return;
        };
        let throttle = [generation.boots, generation.crashes].into_iter().max_by_key(Throttle::until);
        let failures = throttle.as_ref().map_or(0, Throttle::failures);
        let wait = words(generation.may_start().saturating_sub(self.now));
        let text = format!("Processes of generation {number} {what}, {failures} in a row: the next trial in {wait}");
        self.log(Level::Warn, text);
    }

    /// A child has said that it can't start, and why: trying again would bring the same.
    pub(super) fn condemn(&mut self, child: Child, exit: ExitCode, report: &str) {
        let generation = self.fleet.generation_of(child);
        match self.standing(generation) {
            Standing::First => {
                self.say(Level::Error, child, "can't start", report);
                self.give_up(exit, report);
            }
            Standing::Candidate { proven } => self.abandon(generation, proven, report, &format!(": {report}")),
            Standing::Serving => {
                self.say(Level::Error, child, "can't start", report);
                self.falter(generation, report);
            }
            Standing::Former => self.say(Level::Debug, child, "can't start", report),
        }
    }

    /// A process of the generation has failed without saying why, which has been logged and counted. `exit` is the server's
    /// status if it ends over this.
    pub(super) fn judge(&mut self, generation: u64, exit: ExitCode) {
        let failures = self.fleet.generations.get(&generation).map_or(0, |generation| generation.boots.failures());
        if failures >= TRIALS {
            let last = self.fleet.generations.get(&generation).and_then(|generation| generation.last_end);
            let last = last.map_or_else(String::new, |end| format!("; the last: {end}"));
            self.fail(generation, exit, &format!("after {failures} trials{last}"));
        }
    }

    /// A generation is given up, if it may be; `detail` says why. `exit` is the server's status if it ends over this.
    pub(super) fn fail(&mut self, generation: u64, exit: ExitCode, detail: &str) {
        match self.standing(generation) {
            Standing::First => {
                let text = format!("Generation {generation} failed to boot ({detail}): the server ends");
                self.log(Level::Error, text);
                self.give_up(exit, &format!("generation {generation} failed to boot: {detail}"));
            }
            Standing::Candidate { proven } => {
                let reason = format!("generation {generation} failed to boot: {detail}");
                self.abandon(generation, proven, &reason, &format!(" ({detail})"));
            }
            Standing::Serving => self.falter(generation, detail),
            Standing::Former => {}
        }
    }

    /// A reload that rolls does not get on: the generation has shown that it works, but more of its workers don't become ready.
    /// What serves goes on, and so do the trials; but whoever waits for the end is told, and the next reload may mend it.
    fn falter(&mut self, generation: u64, detail: &str) {
        let failures = self.fleet.generations.get(&generation).map_or(0, |generation| generation.boots.failures());
        let reloads = &self.fleet.reloads;
        let is_rolling = generation == self.fleet.target && !reloads.under_way.is_empty() && !reloads.is_loading;
        if !is_rolling || failures < TRIALS {
            return;
        }
        let text = format!("generation {generation} serves, but not alone: {detail}");
        self.log(Level::Error, format!("The reload is not complete, and is given up while trials go on: {text}"));
        self.conclude(Err(text));
        self.fleet.reloads.has_faltered = true;
    }

    /// Whether the generation has yet to show that it works, while another one serves.
    pub(super) fn is_candidate(&self, generation: u64) -> bool {
        matches!(self.standing(generation), Standing::Candidate { .. })
    }

    fn standing(&self, generation: u64) -> Standing {
        match self.fleet.phase {
            Phase::Starting if generation == self.fleet.target => Standing::First,
            Phase::Up { proven } if generation == proven => Standing::Serving,
            Phase::Up { proven } if generation == self.fleet.target => Standing::Candidate { proven },
            Phase::Starting | Phase::Up { .. } | Phase::Stopping { .. } => Standing::Former,
        }
    }

    /// Goes back to the generation that serves. What is left of the other one, `converge` ends.
    fn abandon(&mut self, generation: u64, proven: u64, reason: &str, detail: &str) {
        let text = format!("Generation {generation} failed to boot; generation {proven} goes on serving{detail}");
        self.log(Level::Error, text);
        self.fleet.target = proven;
        self.conclude(Err(reason.to_owned()));
        self.tell_ready();
    }

    /// Ends the server, which has never been up.
    fn give_up(&mut self, exit: ExitCode, reason: &str) {
        self.enter_stopping(Manner::Quick, exit, reason);
        for child in self.fleet.children() {
            match (child, self.fleet.process(child).map(|process| &process.life)) {
                // Those that have said why they can't start are on their way out, and may have last things to do.
                (_, Some(Life::Ending { .. })) => {}
                // One that is killed in the midst of a fork leaves a worker behind that nobody knows.
                (Child::Template(_), Some(Life::Ready { .. })) => {
                    self.end(child, TEMPLATE_END, Order::Quit, Why::ServerStops);
                }
                _ => {
                    self.kill(child, Why::ServerStops);
                }
            }
        }
    }
}
