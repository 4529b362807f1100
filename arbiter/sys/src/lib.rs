//! The system calls that Tapster needs and that no safe library offers, each behind one safe function.
//!
//! Nothing here decides anything: a function makes its call, says why that is sound, and hands the answer or the errno
//! back. Called by the arbiter, by `ipc` and by the worker. With `worker/python` this is the only crate with `unsafe`.

pub mod environment;
pub mod epoll;
pub mod fds;
pub mod fork;
pub mod identity;
pub mod interpreter;
pub mod lifeline;
pub mod memory;
pub mod rights;
pub mod shm;
pub mod signals;
pub mod sockets;
pub mod stamp;
pub mod wait;
