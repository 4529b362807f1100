//! The worker library, `_tapster` to the interpreter that loads it: the life of a template and of the workers it forks.
//!
//! A template waits for orders and forks; a worker owns connections, parses with `wire`, and calls the application through
//! `python`; how its threads and connections share what there is, is `sharing`'s matter. Nothing here supervises anything:
//! that is the arbiter's, which this crate knows by its messages only.
#![forbid(unsafe_code)]

mod life;
mod sentinel;
mod template;
mod warmup;
mod worker;

mod backlog;
mod common;
mod crew;
mod job;
mod monitor;
mod slow_end;
mod witness;

mod listeners;
mod reactor;
mod seat;
mod signals;

mod body;
mod connection;
mod line;
mod outgoing;
mod proxies;
mod refusals;
mod reply;
mod socket;
mod state;
mod temporary;
mod tools;

// What needs no interpreter, and so has tests of its own.
use tapster_sharing::{budget, buffer, clock, deadlines, lost, pace, turns};

tapster_python::entry!(life::main);
