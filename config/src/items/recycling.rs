//! When a worker has served for long enough, and another takes its place.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! recycling {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Recycling" {
        max_requests: u64 = 0; Whole { min: 0, max: 1_000_000_000 };
        {
            brief: "How many requests a worker serves; then another takes its place. 0 is no limit.",
            long: "Against an application that leaks. The worker goes on until another one is ready, so no capacity is \
                   lost, and serves a few requests more.",
            value: "NUMBER",
        }
        max_requests_jitter: u64 = 0; Whole { min: 0, max: 1_000_000_000 };
        {
            brief: "By how many requests at the most `max_requests` is raised, at random, for each worker.",
            long: "So that workers that were started together do not all end together.",
            value: "NUMBER",
        }
        max_memory: u64 = 0; MemoryLimit;
        {
            brief: "How much memory a worker may have; then another takes its place. 0 is no limit.",
            long: "As `memory_measure` counts it, every `memory_interval`. The worker goes on until another one is ready, \
                   and then finishes its requests. Set it well above what a worker has that serves: one that is over it \
                   as soon as it is ready would be replaced again and again.",
            value: "SIZE",
        }
        max_memory_hard: u64 = 0; MemoryLimit;
        {
            brief: "How much memory a worker may have at the very most; then it is killed, with its requests. 0 is no limit.",
            long: "Looked at every `memory_interval`, as `max_memory` is, so a worker that grows fast may have more for a \
                   moment. For a limit that is never passed use the control group's (`MemoryMax=` in a systemd unit, a \
                   container's limit), at which the kernel kills.",
            value: "SIZE",
        }
        memory_measure: MemoryMeasure = MemoryMeasure::Pss; Choice { all: &MemoryMeasure::ALL, name: MemoryMeasure::name };
        {
            brief: "What counts as a worker's memory: pss, with its share of what it shares, or uss, what it alone has.",
            long: "Memory that several processes share (with `preload` most of it) is divided among them by `pss`, and left \
                   out by `uss`. Either counts what is swapped out too. A worker's `pss` grows when another one ends, \
                   since fewer share; `uss` depends on nobody else. What tools show as RSS has the shared memory in full \
                   for each process.",
            value: "MEASURE",
        }
        memory_interval: Duration = Duration::from_secs(5); Time { min: 1000, max: HOUR };
        {
            brief: "How often the memory of each worker is measured, where a limit is set.",
            long: "The kernel goes through all pages of the process for that, which takes some milliseconds for each \
                   100 MB, and holds up what the process maps or unmaps meanwhile. Workers are measured one by one, spread \
                   over this time.",
            value: "DURATION",
        }
        max_lifetime: Duration = Duration::ZERO; Time { min: 0, max: 30 * DAY };
        {
            brief: "How long a worker serves; then another takes its place. 0 is for ever.",
            long: "Against an application that leaks, or keeps what goes stale. The worker goes on until another one is \
                   ready, and then finishes its requests. Workers are replaced one after the other.",
            value: "DURATION",
        }
        max_lifetime_jitter: Duration = Duration::ZERO; Time { min: 0, max: 30 * DAY };
        {
            brief: "By how much at the most `max_lifetime` is raised, differently for each worker.",
            long: "So that workers that were started together are not all due together.",
            value: "DURATION",
        }
    } } };
}
