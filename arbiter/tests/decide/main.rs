//! Table tests of `decide`: every signal in every phase, and the stories of starts, reloads, deaths and deadlines. No process
//! is started and no time passes: `world` plays both.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "clippy knows only the functions with #[test] as tests")]

mod changes;
mod deadlines;
mod deaths;
mod drains;
mod endings;
mod halted;
mod heritage;
mod logs;
mod phases;
mod property;
mod recycling;
mod reloads;
mod resizes;
mod rolling;
mod scaling;
mod serving;
mod signals;
mod starts;
mod stuck;
mod table;
mod upgrades;
mod world;
