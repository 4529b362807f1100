//! The life of one child process, template or worker alike, and all its transitions.
//!
//! Only values: what goes with a transition (a signal, a message, a line in the log) is `decide`'s.

use std::fmt;
use std::time::Duration;

use crate::wear::Wear;

/// A child process that has not been reaped.
#[derive(Debug)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// How far it is.
    pub life: Life,
    /// When it is killed because its channel is closed and it goes on; `None` while the channel is open.
    deaf_until: Option<Duration>,
    /// What a worker that is done has said of its end.
    pub last_steps: Option<LastSteps>,
    /// Since when it is stopped by a signal, if it is: it does nothing at all then.
    pub stopped_since: Option<Duration>,
}

/// A worker's end, from the moment on at which its loop is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSteps {
    /// That moment.
    pub since: Duration,
    /// How many requests were given up that did not come back.
    pub left: u32,
}

/// How far a process is.
#[derive(Debug)]
pub enum Life {
    /// It is not ready yet.
    Booting {
        /// When it must be; `None` is never.
        deadline: Option<Duration>,
    },
    /// A worker that serves, a template that forks.
    Ready {
        /// Since when.
        since: Duration,
    },
    /// It is to end by itself.
    Ending {
        /// When it is killed.
        kill_at: Duration,
        /// Why it ends.
        why: Why,
    },
    /// It has been sent SIGKILL.
    Killed {
        /// Why.
        why: Why,
    },
}

/// Why a process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The server stops.
    ServerStops,
    /// A newer generation serves in its place.
    Replaced,
    /// Fewer workers are wanted.
    Surplus,
    /// Its generation failed, or a newer one was asked for before it was ready.
    NotNeeded,
    /// It has said that it can't start.
    CannotStart,
    /// It was not ready in time.
    BootTimeout,
    /// A request has been in it for too long, and nothing else can be.
    RequestTimeout,
    /// It has served for long enough, or a request is stuck in it, and another worker serves in its place.
    Worn(Wear),
    /// It has more memory than `max_memory_hard`.
    Memory,
    /// A template that did not answer the order to fork.
    NoAnswer,
    /// Its channel was closed, but it went on.
    Deaf,
    /// A signal from elsewhere told it to, or it could not go on; the arbiter did not.
    OwnAccord,
}

impl Process {
    /// One that has just been made.
    #[must_use]
    pub fn booting(pid: i32, deadline: Option<Duration>) -> Self {
        Self { pid, life: Life::Booting { deadline }, deaf_until: None, last_steps: None, stopped_since: None }
    }

    /// It is ready. Answers whether it is news: a process that has been told to end stays so.
    pub fn become_ready(&mut self, now: Duration) -> bool {
        let is_news = matches!(self.life, Life::Booting { .. });
        if is_news {
            self.life = Life::Ready { since: now };
        }
        is_news
    }

    /// It is to end by itself until `kill_at`, or until an earlier time that was set before. Answers whether it is news.
    pub fn end(&mut self, kill_at: Duration, why: Why) -> bool {
        match &mut self.life {
            Life::Booting { .. } | Life::Ready { .. } => {
                self.life = Life::Ending { kill_at, why };
                true
            }
            Life::Ending { kill_at: earlier, .. } => {
                *earlier = kill_at.min(*earlier);
                false
            }
            Life::Killed { .. } => false,
        }
    }

    /// It has been at its start or at a request for too long, whether it was to end or not: it is killed at `kill_at`, or
    /// when it would have been anyway.
    pub fn time_out(&mut self, kill_at: Duration, why: Why) {
        let kill_at = match self.life {
            Life::Booting { .. } | Life::Ready { .. } => kill_at,
            Life::Ending { kill_at: earlier, .. } => kill_at.min(earlier),
            Life::Killed { .. } => return,
        };
        self.life = Life::Ending { kill_at, why };
    }

    /// It is sent SIGKILL. Answers whether it is news. A reason that it had to end before stays.
    pub fn kill(&mut self, why: Why) -> bool {
        let why = match self.life {
            Life::Booting { .. } | Life::Ready { .. } => why,
            Life::Ending { why: earlier, .. } => earlier,
            Life::Killed { .. } => return false,
        };
        self.life = Life::Killed { why };
        true
    }

    /// Its channel is closed: if it goes on until `kill_at`, it is killed.
    pub fn lose_channel(&mut self, kill_at: Duration) {
        self.deaf_until = Some(kill_at);
    }

    /// Whether its channel is open.
    #[must_use]
    pub fn hears(&self) -> bool {
        self.deaf_until.is_none()
    }

    /// Why it is to be killed at `now`, if it is.
    #[must_use]
    pub fn overdue(&self, now: Duration) -> Option<Why> {
        let (deadline, why) = match self.life {
            Life::Booting { deadline } => (deadline, Why::BootTimeout),
            Life::Ready { .. } => (None, Why::Deaf),
            Life::Ending { kill_at, why } => (Some(kill_at), why),
            Life::Killed { .. } => return None,
        };
        let is_over = |deadline: Option<Duration>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(deadline) {
            return Some(why);
        }
        // One that is ending has its deadline already, and may close what it no longer needs.
        (is_over(self.deaf_until) && !matches!(self.life, Life::Ending { .. })).then_some(Why::Deaf)
    }

    /// When it has to be looked at next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let own = match self.life {
            Life::Booting { deadline } => deadline,
            Life::Ready { .. } => None,
            Life::Ending { kill_at, .. } => return Some(kill_at),
            Life::Killed { .. } => return None,
        };
        own.into_iter().chain(self.deaf_until).min()
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerStops => "the server stops",
            Self::Replaced => "a newer generation serves",
            Self::Surplus => "fewer workers are wanted",
            Self::NotNeeded => "it is no longer needed",
            Self::CannotStart => "it can't start",
            Self::BootTimeout => "it was not ready within boot_timeout",
            Self::RequestTimeout => "a request took longer than timeout and timeout_grace",
            Self::Worn(wear) => return write!(f, "{wear}, and another worker serves in its place"),
            Self::Memory => "it had more memory than max_memory_hard",
            Self::NoAnswer => "it did not answer the order to fork",
            Self::Deaf => "its channel to the arbiter was closed, but it went on",
            Self::OwnAccord => {
                "it was told to end, but not by the arbiter (somebody sent it SIGTERM, SIGINT or SIGQUIT)"
            }
        })
    }
}
