//! Two servers side by side, as the arbiter of either knows the other: values only.
//!
//! `decide/upgrade.rs` changes them; what the two do with each other is `upgrade`'s.

use std::time::Duration;

/// The server that is to take this one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Successor {
    /// The pid of its arbiter.
    pub pid: i32,
    /// How far it is.
    pub stage: Stage,
}

/// How far a successor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not said yet that it serves. It has a deadline of its own.
    Booting,
    /// As [`Stage::Booting`], and this server has been told to hand over to it as soon as it is up.
    Called {
        /// When.
        since: Duration,
    },
    /// It serves beside this server.
    Up {
        /// Whether it listens at all of this server's addresses.
        keeps_all: bool,
    },
    /// This server stops before it was up, and has told it to end.
    Ending {
        /// When it is killed.
        kill_at: Duration,
    },
    /// It has been sent SIGKILL.
    Killed,
}

/// The server whose place this one is to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Predecessor {
    /// The pid of its arbiter.
    pub pid: i32,
    /// Whether it has been told that this server serves.
    pub knows: bool,
}

impl Successor {
    /// Whether it can take this server's place.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self.stage, Stage::Up { .. })
    }

    /// Whether it has not said yet that it serves, and nobody has ended it.
    #[must_use]
    pub fn is_booting(self) -> bool {
        matches!(self.stage, Stage::Booting | Stage::Called { .. })
    }

    /// Whether it has been told to end because this server stops.
    #[must_use]
    pub fn is_ending(self) -> bool {
        matches!(self.stage, Stage::Ending { .. } | Stage::Killed)
    }

    /// When it has to be looked at next.
    #[must_use]
    pub fn deadline(self) -> Option<Duration> {
        match self.stage {
            Stage::Ending { kill_at } => Some(kill_at),
            Stage::Booting | Stage::Called { .. } | Stage::Up { .. } | Stage::Killed => None,
        }
    }
}
