//! Why a worker that still serves is to be replaced, and when one has served for long enough.
//!
//! Only values and arithmetic; `decide/recycling.rs` marks workers and has them replaced.

use std::fmt;
use std::time::Duration;

use crate::decide::words;
use crate::limits::Limits;

/// That a worker is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worn {
    /// Why.
    pub wear: Wear,
    /// Since when this is known.
    pub since: Duration,
    /// Whether it no longer counts as one of those that are wanted, so that another is started, in whose favour it retires.
    pub is_leaving: bool,
}

/// Why a worker is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wear {
    /// A request is stuck in one of its threads.
    Stuck,
    /// It has served as many requests as it is to.
    Requests {
        /// How many.
        served: u64,
        /// The setting, where it is known.
        limit: Option<u64>,
    },
    /// It has served for as long as it is to.
    Lifetime {
        /// How long.
        served: Duration,
        /// The setting.
        limit: Duration,
    },
    /// It has more memory than it may have for long.
    Memory {
        /// Bytes that it has.
        bytes: u64,
        /// Bytes that it may have.
        limit: u64,
    },
}

impl Wear {
    /// The setting that says so.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Stuck => "timeout",
            Self::Requests { .. } => "max_requests",
            Self::Lifetime { .. } => "max_lifetime",
            Self::Memory { .. } => "max_memory",
        }
    }
}

/// For how long the worker with this pid serves, by its generation's limits; `None` is for ever. The jitter comes from the pid,
/// so that whoever asks gets the same answer, and workers that were started together different ones.
#[must_use]
pub fn lifetime(limits: &Limits, pid: i32) -> Option<Duration> {
    let jitter = u64::try_from(limits.max_lifetime_jitter.as_millis()).unwrap_or(u64::MAX);
    let share = scattered(u64::from(pid.unsigned_abs())) % jitter.saturating_add(1);
    limits.max_lifetime.map(|lifetime| lifetime.saturating_add(Duration::from_millis(share)))
}

/// The splitmix64 of a number: near numbers become far ones.
fn scattered(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Memory as messages give it: in MiB, rounded up, so that what exceeds a limit never looks like the limit.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

impl fmt::Display for Wear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck => f.write_str("a request is stuck in it"),
            Self::Requests { served, limit: Some(limit) } => {
                write!(f, "it has served {served} requests, max_requests = {limit}")
            }
            Self::Requests { served, limit: None } => write!(f, "it has served {served} requests (max_requests)"),
            Self::Lifetime { served, limit } => {
                write!(f, "it has served for {}, max_lifetime = {}", words(*served), words(*limit))
            }
            Self::Memory { bytes, limit } => {
                write!(f, "it has {} of memory, max_memory = {}", mebibytes(*bytes), mebibytes(*limit))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_differ_by_pid_within_the_jitter_and_are_the_same_each_time() {
        let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
        let limits = |max_lifetime, max_lifetime_jitter| Limits { max_lifetime, max_lifetime_jitter, ..Limits::BLANK };
        let all: Vec<_> = (1..1000).map(|pid| lifetime(&limits(Some(hour), minute), pid).unwrap()).collect();
        assert!(all.iter().all(|one| (hour..=hour + minute).contains(one)));
        let early = all.iter().filter(|one| **one < hour + minute / 2).count();
        assert!((400..600).contains(&early), "{early} of 999 in the first half");
        assert_eq!(lifetime(&limits(Some(hour), minute), 999), Some(all[998]));
        assert_eq!(lifetime(&limits(Some(hour), Duration::ZERO), 999), Some(hour));
        assert_eq!(lifetime(&limits(None, minute), 999), None);
    }

    #[test]
    fn each_reason_names_its_setting_and_its_figures() {
        let table = [
            (Wear::Requests { served: 53, limit: Some(50) }, "it has served 53 requests, max_requests = 50"),
            (Wear::Requests { served: 53, limit: None }, "it has served 53 requests (max_requests)"),
            (
                Wear::Lifetime { served: Duration::from_millis(61_300), limit: Duration::from_secs(60) },
                "it has served for 61.3 s, max_lifetime = 60 s",
            ),
            (
                Wear::Memory { bytes: (512 << 20) + 1, limit: 512 << 20 },
                "it has 513 MiB of memory, max_memory = 512 MiB",
            ),
        ];
        for (wear, text) in table {
            assert_eq!(wear.to_string(), text);
            assert!(text.contains(wear.setting()));
        }
    }
}
