//! How the number of workers follows the load, where `workers` is a range.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! scaling {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Scaling" {
        scale_target: u32 = 70; Whole { min: 10, max: 95 };
        {
            brief: "How busy the workers are to be, in per cent of their threads, where `workers` is a range.",
            long: "Busier than that over `scale_window`, they become more, as many as would bring them back to it. They \
                   become fewer, one at a time, when those that are left would stay a fifth below it: between the two nothing \
                   changes, so that the number does not swing. A request counts as long as it is in the application, be it \
                   computing or waiting. [scaling.md](scaling.md) says more of this and the settings below.",
            value: "PERCENT",
        }
        scale_window: Duration = Duration::from_secs(10); Time { min: 1000, max: 10 * MINUTE };
        {
            brief: "Over how long a time the load is averaged before workers are started or retired for it.",
            long: "Nothing is decided from less, but see `scale_burst`. A reload begins a new window.",
            value: "DURATION",
        }
        scale_cooldown: Duration = Duration::from_secs(60); Time { min: 1000, max: DAY };
        {
            brief: "How long fewer workers must have been enough, without any change, before one is retired.",
            long: "Where one is missed within that time after it was retired, the next waits twice as long, up to sixteen times; \
                   thirty-two times this setting without that (half an hour, if it is not set) halve it again.",
            value: "DURATION",
        }
        scale_step: u32 = 4; Whole { min: 1, max: MOST_WORKERS };
        {
            brief: "The most workers that are started for load at once.",
            long: "More follow only when these are ready.",
            value: "NUMBER",
        }
        scale_burst: Duration = Duration::from_secs(1); Time { min: 0, max: HOUR };
        {
            brief: "How long every thread may be busy while as many requests wait, until workers are started at once. 0 leaves it to `scale_window`.",
            long: "What counts as waiting: connections that no worker has accepted, which the system tells of TCP and not of \
                   Unix sockets, and requests that wait in a worker for a free thread. As many workers are started as have \
                   threads for what waits all the time, at most `scale_step`.",
            value: "DURATION",
        }
    } } };
}
