//! The processes that serve, and the deadlines that the arbiter holds them to.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! workers {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Workers" {
        workers: u32 = 1; WorkerCount;
        {
            brief: "How many worker processes serve, or auto: as many as there are CPUs for them.",
            long: "`auto` counts the CPUs that this process may run on, and heeds a CPU quota of its control group \
                   (container), rounded up.",
            short: Some('w'),
            value: "NUMBER",
            platform: Some(Platform {
                variable: "WEB_CONCURRENCY",
                reading: |number| Ok(number.to_owned()),
                means: "the number of workers",
            }),
        }
        preload: bool = false; Switch;
        {
            brief: "Import the application once, before the workers are forked, so that they share its memory.",
            long: "A reload still brings new code: it imports the application anew.",
        }
        timeout: Duration = Duration::from_secs(30); Time { min: 0, max: DAY };
        {
            brief: "A worker whose request takes longer is killed and replaced; 0 is no limit.",
            long: "What counts is one call into the application: a reply that it yields block by block may take longer, if \
                   no block does. A request that waits so long for another's reply to be made gets a 503; on a new connection it \
                   counts from when the worker takes that, which is while it could serve.",
            short: Some('t'),
            value: "DURATION",
        }
        boot_timeout: Duration = Duration::from_secs(120); Time { min: 0, max: DAY };
        {
            brief: "A worker that is not ready by then (a hung import, say) is killed; 0 is no limit.",
            value: "DURATION",
        }
        graceful_timeout: Duration = Duration::from_secs(30); Time { min: 0, max: DAY };
        {
            brief: "How long a retiring worker may take to finish its running requests.",
            long: "On stop and reload. What still runs then is cut off.",
            value: "DURATION",
        }
        keep_alive: Duration = Duration::from_secs(2); Time { min: 0, max: HOUR };
        {
            brief: "How long an idle connection is kept for its next request; 0 closes it after each.",
            long: "Behind a proxy that keeps connections to Tapster, set it longer than the proxy does.",
            value: "DURATION",
        }
    } } };
}
