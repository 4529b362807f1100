//! Everything of Tapster that touches CPython: the module's entry, loading the application, and WSGI (PEP 3333).
//!
//! It does no I/O on sockets and knows no connections: bytes of replies are left in a buffer, and a [`Sink`] takes them
//! while the application is still running. Called by the worker. With `arbiter/sys` this is the only crate with `unsafe`,
//! which is all of one kind: calls of CPython's stable ABI while this thread is attached to the interpreter.

mod module;

mod application;
mod hooks;
mod module_tapster;
mod modules;
mod process;
mod provision;
mod threads;

mod blocks;
mod callables;
mod context;
mod declaration;
mod environ;
mod errors;
mod exchange;
mod failure;
mod file_wrapper;
mod input;
mod names;
mod origin;
mod peer;
mod raise;
mod response;
mod server;
mod start_response;
mod text;
mod traceback;

pub use application::{Application, LoadError};
pub use declaration::HopByHop;
pub use errors::ErrorStream;
pub use exchange::{Caller, Ending, Request, Wire};
pub use hooks::{run_post_fork, run_worker_exit};
pub use input::RequestBody;
pub use module::{Main, init};
pub use module_tapster::install_module;
pub use modules::{count_modules, module_files};
pub use peer::Peer;
pub use process::{
    Interpreter, around_fork, call_last, note_foreign_fork, run_exit_functions, run_signal_handlers, wake_on_signals,
};
pub use provision::{provide, share_standard_library};
pub use pyo3::Python;
pub use response::{HIGH_WATER, Sink};
pub use server::{Multi, Server};
pub use threads::{calm, interrupt, stacks, start_thread, thread_ident};
