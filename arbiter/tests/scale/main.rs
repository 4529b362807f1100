//! The policy that has the number of workers follow the load: tables of traces, a simulated server that it drives, and what
//! holds for any load. No process is started and no time passes.

mod properties;
mod server;
mod simulation;
mod traces;

use std::time::Duration;

use tapster::scale::Rules;

/// The defaults, from 1 to 8.
const RULES: Rules = Rules {
    min: 1,
    max: 8,
    target: 70,
    window: Duration::from_secs(10),
    cooldown: Duration::from_secs(60),
    step: 4,
    burst: Some(Duration::from_secs(1)),
};
