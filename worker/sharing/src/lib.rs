//! What the threads and connections of a worker share, and how: the reactor among threads, threads among requests, a
//! request's answer between its thread and the reactor, time, memory and disk among connections. And how a change of files is
//! noticed.
//!
//! Nothing here knows what a reactor, a connection or a request is, touches a socket, or needs the interpreter; so all of it is
//! tested without one. The worker alone calls it, and everything that happens to requests happens there. What any of them can't do
//! without, and the application has closed, is `lost`'s to tell.

#![forbid(unsafe_code)]

pub mod answer;
pub mod baton;
pub mod lost;
pub mod turns;

pub mod clock;
pub mod deadlines;
pub mod pace;

pub mod budget;
pub mod buffer;

pub mod watch;
pub mod wear;
