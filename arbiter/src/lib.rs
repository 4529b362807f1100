//! The arbiter: binds the sockets, starts a template and workers through it, supervises them, reloads and stops them.
//!
//! One thread, no Python, no unsafe. It never touches a connection, and never parses what a client sent. Policy is
//! `decide`, a pure function from events to actions; `perform` carries actions out. The binaries call `run` and
//! `check`, and `ask`, which asks a server that runs.
#![forbid(unsafe_code)]

pub mod activation;
pub mod ask;
pub mod check;
pub mod run;
pub mod upgrade;

// Policy: values and one function, without I/O and without a clock. Public for its table tests.
pub mod action;
pub mod decide;
pub mod event;
pub mod fleet;
pub mod limits;
pub mod process;
pub mod reloads;
pub mod scale;
pub mod succession;
pub mod throttle;
pub mod wear;
pub mod worker;

// Mechanism: each file acts, and decides nothing.
mod channels;
mod control;
mod daemon;
mod door;
mod event_loop;
mod identity;
mod interpreter;
mod listeners;
mod load;
mod memory;
mod perform;
mod pidfile;
mod reap;
mod running;
mod spawn;
mod systemd;

/// Writes a line to the standard error stream, for what happens where there is no log. Nobody may be reading it any more,
/// which is no reason to panic.
pub fn complain(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "tapster: {what}");
}
