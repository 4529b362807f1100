//! The upgrade of the program itself: a new server beside this one, and which of the two stays.
//!
//! Nothing here ends what serves: the old server goes on until it is told to stop, whatever becomes of the new one.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;
use tapster_ipc::message::{FINALISATION, QUICK};
use tapster_ipc::succession::Staff;

use super::reloads::kept;
use super::stops::{TEMPLATE_END, TWICE};
use super::turn::Turn;
use crate::action::{Action, Notice};
use crate::event::End;
use crate::fleet::{Fleet, Generation, Manner, Phase};
use crate::succession::{Predecessor, Stage, Successor};

/// How much longer than its processes an unfinished successor may take to end.
const ARBITER_END: Duration = Duration::from_secs(1);

impl Fleet {
    /// How many workers a new server is to begin with, which reads the newest settings too.
    fn staff(&self) -> Staff {
        let target = self.generations.get(&self.target);
        let (workers, shift) = target.map_or((0, 0), |target| (target.limits.workers, target.shift));
        Staff { workers, shift, wanted: self.asked_for(self.target) }
    }

    /// This server is to take the place of another, and begins with as many workers as that has, as far as its settings allow: a
    /// hand-over is to leave no fewer. Answers what the log is to say of it.
    pub fn succeed(&mut self, predecessor: i32, staff: Option<Staff>) -> Vec<String> {
        self.predecessor = Some(Predecessor { pid: predecessor, knows: false });
        let target = self.target;
        let (Some(staff), Some(generation)) = (staff, self.generations.get_mut(&target)) else { return Vec::new() };
        let (shift, kept) = kept(staff.shift, staff.workers, &generation.limits);
        generation.shift = shift;
        self.scaled.workers = staff.wanted;
        let begins = self.rules(target).filter(|rules| staff.wanted > rules.min).map(|_| {
            let (wanted, theirs) = (self.asked_for(target), staff.wanted);
            format!("Workers to begin with: {wanted}, since the server before this one has {theirs}")
        });
        kept.into_iter().chain(begins).collect()
    }
}

impl Turn<'_> {
    /// SIGUSR2: starts the program anew, unless there are two servers already.
    pub(super) fn upgrade(&mut self, name: &str) {
        if self.refuses(name) {
            return;
        }
        let refusal = match (self.fleet.phase, self.fleet.successor, self.fleet.predecessor) {
            (_, Some(Successor { pid, stage: Stage::Up { .. } }), _) => format!(
                "the new server (pid: {pid}) runs beside this one already: QUIT to this one to have it take over, or TERM to \
                 it to go back"
            ),
            (_, Some(Successor { pid, .. }), _) => {
                format!("a new server (pid: {pid}) is on its way already: wait until it serves, or send it TERM")
            }
            (.., Some(predecessor)) => format!(
                "this server has itself not taken over yet from the one before it (pid: {pid}): send that QUIT first",
                pid = predecessor.pid
            ),
            (Phase::Starting, ..) => "no worker has been ready yet".to_owned(),
            (Phase::Up { .. } | Phase::Stopping { .. }, None, None) => {
                self.log(Level::Info, format!("{name}: starting the program anew, beside this server"));
                return self.act(Action::Upgrade { staff: self.fleet.staff() });
            }
        };
        self.log(Level::Warn, format!("{name}: refused, {refusal}"));
        self.act(Action::Refuse(refusal));
    }

    pub(super) fn launched(&mut self, pid: i32) {
        self.fleet.successor = Some(Successor { pid, stage: Stage::Booting });
        self.log(Level::Info, format!("The new server has been started (pid: {pid})"));
    }

    pub(super) fn launch_failed(&mut self, reason: &str) {
        let text = format!("No new server is started, and this one goes on: {reason}");
        self.log(Level::Error, text.clone());
        self.act(Action::Refuse(text));
    }

    /// SIGQUIT, which asks for a hand-over: to a new server that is not ready yet, this one hands over when it is. A client may
    /// have had the new one's answer before this one hears of it. Answers false where there is nobody to wait for, or that was
    /// asked for before: then it is a stop.
    pub(super) fn calls_successor(&mut self, name: &str) -> bool {
        let serves = matches!(self.fleet.phase, Phase::Up { .. }) && self.fleet.stops_at.is_none();
        let now = self.now;
        let Some(successor) = self.fleet.successor.as_mut().filter(|_| serves) else { return false };
        match successor.stage {
            Stage::Booting => {
                successor.stage = Stage::Called { since: now };
                let then = "this server hands over to it as soon as it is; another QUIT, INT or TERM ends both";
                let text = format!("{name}: the new server (pid: {}) is not ready yet, and {then}", successor.pid);
                self.log(Level::Info, text);
                true
            }
            Stage::Called { since } if now < since.saturating_add(TWICE) => {
                self.log(Level::Debug, format!("{name}: taken for the same signal as the one before"));
                true
            }
            Stage::Called { .. } | Stage::Up { .. } | Stage::Ending { .. } | Stage::Killed => false,
        }
    }

    pub(super) fn successor_up(&mut self, keeps_all: bool) {
        let Some(successor) = self.fleet.successor.as_mut().filter(|successor| successor.is_booting()) else {
            // It is to end already.
            return;
        };
        let before = std::mem::replace(&mut successor.stage, Stage::Up { keeps_all });
        let (pid, is_called) = (successor.pid, before != Stage::Booting);
        let own = match is_called {
            true => "it takes over now, as QUIT has asked",
            false => "QUIT to this one has it take over, TERM to it goes back",
        };
        self.log(Level::Info, format!("The new server serves beside this one (pid: {pid}): {own}"));
        if is_called {
            self.stop(Manner::Graceful, "The QUIT before");
        }
        if let Stage::Called { since } = before {
            self.fleet.stop_asked = Some((since, Manner::Quick));
        }
    }

    /// This server listens where the successor does not.
    pub(super) fn successor_lacks(&mut self) {
        if let Some(Successor { stage: Stage::Up { keeps_all }, .. }) = &mut self.fleet.successor {
            *keeps_all = false;
        }
    }

    /// Answers whether the process that has ended was the successor.
    pub(super) fn successor_exited(&mut self, pid: i32, end: End) -> bool {
        let Some(successor) = self.fleet.successor.filter(|successor| successor.pid == pid) else { return false };
        self.fleet.successor = None;
        self.fleet.scaled.policy.pause();
        if successor.is_ending() {
            self.log(Level::Info, format!("The new server has ended (pid: {pid}): {end}"));
            return true;
        }
        let (level, ended) = if end.is_clean() { (Level::Warn, "has ended") } else { (Level::Error, "died") };
        let when = if successor.is_up() { "" } else { " before it was ready" };
        let then = match self.fleet.phase {
            Phase::Stopping { .. } => "this one had handed over to it already, and ends",
            Phase::Starting | Phase::Up { .. } if matches!(successor.stage, Stage::Called { .. }) => {
                "this one goes on, and the QUIT that asked it to hand over is void"
            }
            Phase::Starting | Phase::Up { .. } => "this one goes on",
        };
        self.log(level, format!("The new server {ended}{when} (pid: {pid}): {}; {then}", end.unasked()));
        self.act(Action::Disinherit);
        true
    }

    /// How to stop at a first signal: with another server beside this one nothing is to be lost.
    pub(super) fn manner_beside_another(&self, manner: Manner) -> Manner {
        if self.is_alone() || self.is_stopping() { manner } else { Manner::Graceful }
    }

    /// Whether no other server serves at the same addresses.
    pub(super) fn is_alone(&self) -> bool {
        self.fleet.predecessor.is_none() && !self.fleet.successor.is_some_and(Successor::is_up)
    }

    /// This server is to stop: it hands over to a successor that is up, and takes one along that is not.
    pub(super) fn part(&mut self, manner: Manner, name: &str) {
        let Some(Successor { pid, stage }) = self.fleet.successor else { return };
        let (signal, within) = match manner {
            Manner::Graceful => (Signal::SIGTERM, self.graceful_timeout()),
            Manner::Quick => (Signal::SIGQUIT, QUICK),
            Manner::AtOnce => (Signal::SIGKILL, Duration::ZERO),
        };
        let kill_at = self.now.saturating_add(within.max(TEMPLATE_END) + FINALISATION + ARBITER_END);
        let kill_at = match stage {
            Stage::Up { .. } if self.is_stopping() => return,
            Stage::Up { .. } => {
                return self.log(Level::Info, format!("{name}: this server hands over to pid {pid}"));
            }
            Stage::Killed => return,
            Stage::Ending { kill_at: earlier } => kill_at.min(earlier),
            Stage::Booting | Stage::Called { .. } => {
                let text = format!("The new server (pid: {pid}) is not ready, and ends with this one");
                self.log(Level::Warn, text);
                // Before its listeners are closed: they are to be refused at for good.
                self.act(Action::Disinherit);
                kill_at
            }
        };
        let stage = if manner == Manner::AtOnce { Stage::Killed } else { Stage::Ending { kill_at } };
        self.fleet.successor = Some(Successor { pid, stage });
        self.act(Action::Kill { pid, signal });
    }

    /// What the service manager is told at the end.
    pub(super) fn last_notice(&self) -> Notice {
        match self.fleet.successor {
            Some(successor) if successor.is_up() => Notice::MainPid(successor.pid),
            _ => Notice::Stopping,
        }
    }

    /// Whether nobody else accepts what waits in the listeners' queues.
    pub(super) fn must_drain(&self) -> bool {
        !self.fleet.successor.is_some_and(|successor| successor.stage == Stage::Up { keeps_all: true })
    }

    /// Whether a successor that ends with this server is still there.
    pub(super) fn awaits_successor(&self) -> bool {
        self.fleet.successor.is_some_and(Successor::is_ending)
    }

    /// Kills a successor that is late to end.
    pub(super) fn expire_successor(&mut self) {
        if let Some(Successor { pid, stage: Stage::Ending { kill_at } }) = self.fleet.successor
            && kill_at <= self.now
        {
            self.log(Level::Warn, format!("The new server did not end in time (pid: {pid}): it is killed"));
            self.fleet.successor = Some(Successor { pid, stage: Stage::Killed });
            self.act(Action::Kill { pid, signal: Signal::SIGKILL });
        }
    }

    /// Tells the predecessor, once, that this server serves: with all its workers, since with fewer the other one's end would
    /// leave less than there was. Where workers fail, or may boot for ever, with those that there are: it is not waited for
    /// what may never be.
    pub(super) fn report_up(&mut self) {
        let target = self.fleet.target;
        let fails = |generation: &Generation| {
            let may_take_for_ever = generation.limits.boot.is_none();
            may_take_for_ever || generation.boots.failures() > 0 || generation.may_start() > self.now
        };
        let is_whole = self.fleet.ready() >= self.fleet.desired(target);
        let is_up =
            self.fleet.proven().is_some() && (is_whole || self.fleet.generations.get(&target).is_some_and(fails));
        if let Some(predecessor) = self.fleet.predecessor.as_mut().filter(|predecessor| is_up && !predecessor.knows) {
            predecessor.knows = true;
            let pid = predecessor.pid;
            self.log(Level::Info, format!("This server serves beside the one before it (pid: {pid})"));
            self.act(Action::ReportUp);
        }
    }

    pub(super) fn predecessor_gone(&mut self) {
        let Some(predecessor) = self.fleet.predecessor.take() else { return };
        self.fleet.scaled.policy.pause();
        let pid = predecessor.pid;
        self.log(Level::Info, format!("The server before this one has gone (pid: {pid}): this one has taken over"));
        // What there has been to tell the service manager, it is told now.
        self.act(Action::TakeOver { predecessor: pid });
    }
}
