//! The worker library, `_tapster` to the interpreter that loads it: the life of a template and of the workers it forks.
//!
//! A template waits for orders and forks; a worker owns connections, parses with `wire`, and calls the application through
//! `python`. Nothing here supervises anything: that is the arbiter's, which this crate knows by its messages only.
#![forbid(unsafe_code)]

mod life;
mod template;
mod worker;

mod backlog;
mod baton;
mod common;
mod crew;
mod job;
mod monitor;
mod witness;

mod listeners;
mod reactor;
mod seat;
mod signals;
mod turns;

mod body;
mod budget;
mod buffer;
mod clock;
mod connection;
mod deadlines;
mod line;
mod outgoing;
mod pace;
mod proxies;
mod refusals;
mod reply;
mod socket;
mod state;
mod temporary;
mod tools;

tapster_python::entry!(life::main);
