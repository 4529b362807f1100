//! The arbiter: binds the sockets, starts a template and workers through it, supervises them, reloads and stops them.
//!
//! One thread, no Python, no unsafe. It never touches a connection, and never parses what a client sent. Policy is
//! `decide`, a pure function from events to actions; `perform` carries actions out. The binary calls `run` and `check`.
#![forbid(unsafe_code)]

pub mod check;
pub mod run;

// Policy: values and one function, without I/O and without a clock.
pub mod action;
pub mod decide;
pub mod event;
pub mod fleet;
pub mod process;
pub mod throttle;

// Mechanism: each file acts, and decides nothing.
pub mod channels;
mod door;
pub mod event_loop;
pub mod interpreter;
pub mod listeners;
pub mod load;
pub mod perform;
pub mod pidfile;
pub mod reap;
pub mod spawn;
pub mod systemd;
