//! The holder of a slot, as the arbiter knows it. Only values and questions about them; what changes them is `decide`.

use std::time::Duration;

use crate::process::{Life, Process, Why};
use crate::wear::{Wear, Worn};

/// The holder of a slot.
#[derive(Debug)]
pub struct Worker {
    /// Which template it is of.
    pub generation: u64,
    /// Why it is to be replaced, if it is; it serves until another worker can take its place.
    pub worn: Option<Worn>,
    /// How far it is.
    pub seat: Seat,
}

/// Whether a slot's process is known.
#[derive(Debug)]
pub enum Seat {
    /// Its fork has been ordered.
    Forking {
        /// When the template must have answered.
        deadline: Duration,
    },
    /// It has a process.
    Taken(Process),
}

impl Worker {
    /// Its process, if it is known.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match &self.seat {
            Seat::Taken(process) => Some(process),
            Seat::Forking { .. } => None,
        }
    }

    /// Whether it serves, and counts as one of those that are wanted.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.is_ready() && !self.worn.is_some_and(|worn| worn.is_leaving)
    }

    /// Whether it serves.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.process().is_some_and(|process| matches!(process.life, Life::Ready { .. }))
    }

    /// Whether it serves, or finishes what it has: not one that is done with its requests and has only Python's own end before
    /// it.
    #[must_use]
    pub fn may_run_requests(&self) -> bool {
        let finishes =
            |why: Why| matches!(why, Why::Replaced | Why::Surplus | Why::Worn(_) | Why::NotNeeded | Why::ServerStops);
        self.process().is_some_and(|process| match process.life {
            _ if process.last_steps.is_some() => false,
            Life::Ready { .. } => true,
            Life::Ending { why, .. } => finishes(why),
            Life::Booting { .. } | Life::Killed { .. } => false,
        })
    }

    /// Whether another worker takes its place, or is about to: one at a time, but for those in which a request is stuck.
    #[must_use]
    pub(crate) fn is_being_recycled(&self) -> bool {
        let is_by_choice = |wear: Wear| wear != Wear::Stuck;
        match self.process().map(|process| &process.life) {
            Some(Life::Ready { .. }) => self.worn.is_some_and(|worn| worn.is_leaving && is_by_choice(worn.wear)),
            Some(Life::Ending { why: Why::Worn(wear), .. } | Life::Killed { why: Why::Worn(wear) }) => {
                is_by_choice(*wear)
            }
            _ => false,
        }
    }

    /// Whether it is on its way to serve.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.process().is_none_or(|process| matches!(process.life, Life::Booting { .. }))
    }

    /// Whether its fork has been ordered and not been answered.
    #[must_use]
    pub fn is_forking(&self) -> bool {
        matches!(self.seat, Seat::Forking { .. })
    }
}
