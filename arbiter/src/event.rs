//! What can happen to the arbiter: all that `decide` ever hears of the world.
//!
//! Plain values, made by the event loop, by `reap` and by `perform`; tests make them by hand. Nothing here acts.

use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;
use tapster_ipc::Report;

use crate::fleet::{Child, Limits};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A signal came in.
    Signal {
        /// Which.
        signal: Signal,
        /// Who sent it, where the kernel says so.
        sender: Option<Sender>,
    },
    /// The control socket asks for so many workers more, or fewer: as many times SIGTTIN or SIGTTOU, in one order.
    Resize {
        /// How many.
        by: i32,
        /// Who asks, where the kernel says so.
        sender: Option<Sender>,
    },
    /// A template's process exists.
    Spawned {
        /// Whose template it is.
        generation: u64,
        /// Its pid.
        pid: i32,
    },
    /// A template's process could not be made.
    SpawnFailed {
        /// Whose template it was to be.
        generation: u64,
        /// The system's reason.
        reason: String,
    },
    /// A child said something.
    Report {
        /// Who.
        from: Child,
        /// What.
        report: Report,
    },
    /// A child said something that no child should.
    Gossip {
        /// Who.
        from: Child,
        /// What it looked like.
        what: String,
    },
    /// A child's channel has come to its end.
    Closed {
        /// Whose.
        from: Child,
    },
    /// A process that this one is the parent of has ended.
    Exited {
        /// Its pid.
        pid: i32,
        /// How.
        end: End,
    },
    /// A signal has stopped a process that this one is the parent of, as SIGSTOP does.
    Stopped {
        /// Its pid.
        pid: i32,
        /// The signal's number.
        signal: i32,
    },
    /// A process that was stopped goes on.
    Continued {
        /// Its pid.
        pid: i32,
    },
    /// The settings were read anew, their addresses are bound, and a generation can be made of them.
    SettingsLoaded {
        /// What they ask of the fleet.
        limits: Limits,
    },
    /// The settings were read anew and are not good, or can't be met.
    SettingsRefused {
        /// All that is wrong, for the log.
        reason: String,
    },
    /// The server that is to take this one's place has been started.
    Launched {
        /// Its pid.
        pid: i32,
    },
    /// The server that was to take this one's place could not be started.
    LaunchFailed {
        /// Why.
        reason: String,
    },
    /// The successor serves: see `decide/upgrade.rs`.
    SuccessorUp {
        /// Whether it listens at all addresses at which this server did when it was started.
        keeps_all: bool,
    },
    /// A reload has opened an address that the successor does not listen at.
    SuccessorLacks,
    /// The server whose place this one takes stops, and has named this one to the service manager.
    NamedMain,
    /// The server whose place this one takes has gone.
    PredecessorGone,
    /// The memory of workers has been measured.
    Measured {
        /// Their slots, and how many bytes each has.
        sizes: Vec<(u32, u64)>,
    },
    /// The load has been looked at: see [`Fleet::sampled`](crate::fleet::Fleet::sampled).
    Load {
        /// How many threads of the workers sampled are at work.
        busy: u32,
        /// How many connections and requests wait.
        waiting: u32,
    },
    /// Time has passed.
    Tick {
        /// The watched workers that are at something, and since when on the clock of `now`.
        busy: Vec<(u32, Duration)>,
    },
}

/// The process that sent a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its pid.
    pub pid: i32,
    /// Its name, empty where it was gone already.
    pub name: String,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited.
    Status(i32),
    /// A signal ended it.
    Killed {
        /// The signal's number.
        signal: i32,
        /// Whether the kernel has, since the last death, counted a process of this control group that it killed for want
        /// of memory.
        out_of_memory: bool,
    },
}

impl End {
    /// Whether SIGKILL ended it.
    #[must_use]
    pub fn is_sigkill(self) -> bool {
        matches!(self, Self::Killed { signal, .. } if signal == Signal::SIGKILL as i32)
    }

    /// Whether the kernel may have ended it for want of memory.
    #[must_use]
    pub fn is_out_of_memory(self) -> bool {
        matches!(self, Self::Killed { out_of_memory: true, .. })
    }

    /// Whether it ended as one does that is told to: with status 0, or by a signal that asks for an end.
    #[must_use]
    pub fn is_clean(self) -> bool {
        match self {
            Self::Status(status) => status == 0,
            Self::Killed { signal, .. } => [Signal::SIGTERM as i32, Signal::SIGINT as i32].contains(&signal),
        }
    }

    /// The end in words, for a process that the arbiter has not killed.
    #[must_use]
    pub fn unasked(self) -> String {
        match self {
            Self::Killed { out_of_memory: true, .. } if self.is_sigkill() => {
                format!(
                    "{self}: out of memory (the kernel has killed in this control group; its own log names the limit: dmesg)"
                )
            }
            Self::Killed { .. } if self.is_sigkill() => format!("{self} (not sent by the arbiter)"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Killed { signal, .. } => match Signal::try_from(*signal) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {signal}"),
            },
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "pid {}", self.pid),
            name => write!(f, "pid {} ({name})", self.pid),
        }
    }
}
