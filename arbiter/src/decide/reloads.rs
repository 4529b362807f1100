//! Reloads, from the signal that asks for one to its conclusion.
//!
//! One reload is under way at a time; what is asked for meanwhile is taken up after it, once. It is over when it has failed,
//! or when the new generation is proven and no worker of an older one serves, or when more workers of it don't boot. Where
//! nothing serves yet there is nothing to wait for: a first start that hangs is left at once for the settings and the code of
//! now. So is a new generation that may boot for ever (`boot_timeout = 0`), for its end may never come, be it that of its first
//! worker or of a later one, and one of code that is being written (`reload`).

use log::Level;
use tapster_config::MOST_WORKERS;

use super::turn::Turn;
use crate::action::{Action, Notice};
use crate::fleet::{Child, Generation, Limits, Phase, Worker};

impl Turn<'_> {
    /// Settings and code are to be loaded anew; `name` says who asks.
    pub(super) fn reload(&mut self, name: &str) {
        if self.refuses(name) {
            return self.act(Action::Conclude { reload: None, outcome: Err("the server is stopping".to_owned()) });
        }
        if std::mem::take(&mut self.fleet.is_paused) {
            self.log(
                Level::Info,
                format!("{name}: the workers come back, at first those of the settings and code of before"),
            );
        }
        if !self.fleet.reloads.under_way.is_empty() && !self.may_start_over() {
            self.fleet.reloads.waiting = self.fleet.reloads.waiting.saturating_add(1);
            self.log(Level::Info, format!("{name}: a reload is under way, and another one follows it"));
            return self.act(Action::Notify(Notice::Reloading));
        }
        self.begin_reload(name);
    }

    /// Whether the reload that is under way need not be waited for.
    fn may_start_over(&self) -> bool {
        match self.fleet.phase {
            Phase::Starting => true,
            Phase::Up { .. } | Phase::Stopping { .. } => {
                let target = self.fleet.generations.get(&self.fleet.target);
                let need_not_end = |limits: &Limits| limits.boot.is_none() || limits.probation.is_zero();
                target.is_some_and(|target| need_not_end(&target.limits))
            }
        }
    }

    fn begin_reload(&mut self, name: &str) {
        let reloads = &mut self.fleet.reloads;
        reloads.begun += 1;
        let reload = reloads.begun;
        reloads.under_way.push_back(reload);
        reloads.is_loading = true;
        reloads.failure = None;
        reloads.has_faltered = false;
        self.log(Level::Info, format!("{name}: loading the settings and the application anew"));
        self.act(Action::Notify(Notice::Reloading));
        self.act(Action::LoadSettings { reload });
    }

    pub(super) fn settings_loaded(&mut self, limits: Limits) {
        if self.is_stopping() {
            return;
        }
        self.fleet.reloads.is_loading = false;
        let (before, number) = (self.fleet.target, self.fleet.newest + 1);
        let is_proven = self.fleet.proven() == Some(before);
        if !is_proven {
            self.log(Level::Info, format!("Generation {before} gives way to generation {number} before it was ready"));
        }
        let when = if is_proven { "served alone" } else { "was ready" };
        while self.fleet.reloads.under_way.len() > 1 {
            self.conclude(Err(format!("generation {before} gave way to generation {number} before it {when}")));
        }
        self.carry_number();
        let shift = self.kept_shift(&limits);
        self.fleet.newest = number;
        self.fleet.target = number;
        self.fleet.generations.insert(number, Generation { shift, ..Generation::new(limits) });
        self.act(Action::Adopt { generation: number });
    }

    /// What TTIN and TTOU have asked for beyond the settings holds on, unless the settings themselves have another number now.
    fn kept_shift(&mut self, limits: &Limits) -> i32 {
        let serving = self.fleet.proven().unwrap_or(self.fleet.target);
        let Some(serving) = self.fleet.generations.get(&serving) else { return 0 };
        let (shift, text) = kept(serving.shift, serving.limits.workers, limits);
        if let Some(text) = text {
            self.log(Level::Info, text);
        }
        shift
    }

    pub(super) fn settings_refused(&mut self, reason: &str) {
        self.fleet.reloads.is_loading = false;
        if self.is_stopping() {
            return;
        }
        let target = self.fleet.target;
        self.log(Level::Error, format!("The settings can't be loaded; generation {target} goes on: {reason}"));
        let loaded = self.fleet.reloads.under_way.pop_back();
        self.conclude_that(loaded, Err(reason.to_owned()));
        if self.fleet.proven() == Some(target) {
            self.tell_ready();
        }
    }

    /// The service manager learns that the server is as it should be, unless the next reload is about to begin.
    pub(super) fn tell_ready(&mut self) {
        if self.fleet.reloads.waiting == 0 {
            self.act(Action::Notify(Notice::Ready));
        }
    }

    /// The reload that has been under way for longest is over.
    pub(super) fn conclude(&mut self, outcome: Result<u64, String>) {
        let oldest = self.fleet.reloads.under_way.pop_front();
        self.conclude_that(oldest, outcome);
    }

    fn conclude_that(&mut self, reload: Option<u64>, outcome: Result<u64, String>) {
        let reloads = &mut self.fleet.reloads;
        reloads.failure = outcome.as_ref().err().map(|reason| reason.lines().next().unwrap_or_default().to_owned());
        self.act(Action::Conclude { reload, outcome });
    }

    /// A stop ends what is under way, and what was to follow.
    pub(super) fn end_reloads(&mut self, reason: &str) {
        while !self.fleet.reloads.under_way.is_empty() {
            self.conclude(Err(reason.to_owned()));
        }
        self.end_waiting(reason);
    }

    /// What was to follow the reload that is under way does not.
    pub(super) fn end_waiting(&mut self, reason: &str) {
        if std::mem::take(&mut self.fleet.reloads.waiting) > 0 {
            self.act(Action::Conclude { reload: None, outcome: Err(reason.to_owned()) });
        }
    }

    fn serves_alone(&self, proven: u64) -> bool {
        let is_older = |worker: &Worker| worker.generation < proven && worker.is_ready();
        !self.fleet.workers.values().any(is_older)
    }

    /// Whether a worker that retires has to accept first what waits, since no newer one listens everywhere where it does.
    pub(super) fn must_empty(&self, slot: u32) -> bool {
        let generation = self.fleet.generation_of(Child::Worker(slot));
        self.fleet.proven().is_some_and(|proven| generation < proven && self.leaves_addresses(proven))
    }

    /// A worker has accepted what waited, and accepts no more: nobody does at addresses that no worker that serves knows.
    pub(super) fn drained(&mut self) {
        match self.fleet.phase {
            Phase::Stopping { .. } => self.act(Action::RefuseConnections),
            Phase::Up { proven } if self.serves_alone(proven) && self.leaves_addresses(proven) => {
                self.act(Action::LeaveAddresses { generation: proven });
            }
            Phase::Starting | Phase::Up { .. } => {}
        }
    }

    fn leaves_addresses(&self, generation: u64) -> bool {
        self.fleet.generations.get(&generation).is_some_and(|one| one.limits.leaves_addresses)
    }

    /// Concludes the reload once the new generation serves alone, and takes up what was asked for meanwhile.
    pub(super) fn follow_up(&mut self) {
        let Phase::Up { proven } = self.fleet.phase else { return };
        let is_complete = proven == self.fleet.target && self.serves_alone(proven);
        if !self.fleet.reloads.under_way.is_empty() && !self.fleet.reloads.is_loading && is_complete {
            self.log(Level::Info, format!("The reload is complete: generation {proven} serves alone"));
            self.conclude(Ok(proven));
        } else if is_complete && std::mem::take(&mut self.fleet.reloads.has_faltered) {
            self.log(Level::Info, format!("The reload is complete after all: generation {proven} serves alone"));
            self.fleet.reloads.failure = None;
        }
        if self.fleet.reloads.under_way.is_empty() && self.fleet.reloads.waiting > 0 {
            let times = match std::mem::take(&mut self.fleet.reloads.waiting) {
                1 => "once".to_owned(),
                times => format!("{times} times"),
            };
            self.begin_reload(&format!("Another reload was asked for during the last one ({times})"));
        }
    }
}

/// What of a shift by signals holds that came to settings which asked for `before`, and what the log is to say of it.
pub(super) fn kept(shift: i32, before: u32, limits: &Limits) -> (i32, Option<String>) {
    let (workers, all) = (limits.workers, before.saturating_add_signed(shift).clamp(1, MOST_WORKERS));
    let most = if limits.scale.is_some() { "at most " } else { "" };
    let (noun, remain) = if all == 1 { ("worker", "remains") } else { ("workers", "remain") };
    match shift {
        0 => (0, None),
        _ if workers == before => {
            let text = format!("{most}{all} {noun} {remain} wanted, as signals have asked; workers = {workers}");
            (shift, Some(text))
        }
        _ => {
            let forgotten = format!("what signals have asked for ({all} {noun}) is forgotten");
            (0, Some(format!("workers = {workers}, no longer {before}: {forgotten}")))
        }
    }
}
