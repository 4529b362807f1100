//! What the settings ask of the fleet. Only values: `load` makes them of the settings, `decide` keeps the fleet to them.

use std::time::Duration;

use crate::scale::Rules;

/// How much longer than for a request that is stuck the arbiter waits for a worker that has come to a halt altogether.
const HALT_MARGIN: Duration = Duration::from_secs(1);

/// What the settings ask of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many workers there should be; where that follows the load, the most.
    pub workers: u32,
    /// How the number follows the load, if it does.
    pub scale: Option<Rules>,
    /// How many requests each of them has in the application at once.
    pub threads: u32,
    /// How long a request may be in the application; `None` is for ever.
    pub timeout: Option<Duration>,
    /// How long its thread may then take to come back.
    pub grace: Duration,
    /// How long a process may take until it is ready; `None` is for ever.
    pub boot: Option<Duration>,
    /// How long a worker may take to finish once it is told to stop.
    pub graceful: Duration,
    /// How many workers a reload that rolls starts at a time.
    pub reload_batch: u32,
    /// How long the server goes on serving after it was told to stop.
    pub drain_delay: Duration,
    /// How long the first worker of a new generation has to be ready until the others follow. Zero while developing.
    pub probation: Duration,
    /// Whether an address that was listened at before is not one of these settings': what waits there is for older workers to
    /// accept.
    pub leaves_addresses: bool,
    /// How many requests a worker is to serve; the worker itself counts them. `None` is no limit, or not known here.
    pub max_requests: Option<u64>,
    /// How long a worker is to serve; `None` is for ever.
    pub max_lifetime: Option<Duration>,
    /// By how much this is raised at the most, differently for each worker.
    pub max_lifetime_jitter: Duration,
    /// How many bytes of memory a worker may have before another takes its place; `None` is any number.
    pub max_memory: Option<u64>,
    /// How many it may have at the very most; `None` is any number.
    pub max_memory_hard: Option<u64>,
}

impl Limits {
    /// One worker with one thread, and no limit at all: for tests to start from.
    pub const BLANK: Self = Self {
        workers: 1,
        scale: None,
        threads: 1,
        timeout: None,
        grace: Duration::ZERO,
        boot: None,
        graceful: Duration::ZERO,
        reload_batch: 1,
        drain_delay: Duration::ZERO,
        probation: Duration::ZERO,
        leaves_addresses: false,
        max_requests: None,
        max_lifetime: None,
        max_lifetime_jitter: Duration::ZERO,
        max_memory: None,
        max_memory_hard: None,
    };

    /// How long a worker's loop may be at one thing: as long as a request may take to come back, and a moment more, in which a
    /// worker that still can says itself that one is stuck. `None` is for ever.
    #[must_use]
    pub fn halt(&self) -> Option<Duration> {
        self.timeout.map(|timeout| timeout.saturating_add(self.grace).saturating_add(HALT_MARGIN))
    }
}
