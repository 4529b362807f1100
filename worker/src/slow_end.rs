//! What keeps a worker from its end, for the log.
//!
//! A thread of its own tells it, which nothing of Python's knows, and which has ended before Python does: see [`dismiss`]. Started
//! by `crew`; `life` sees to it that it is dismissed.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::sys::signal::SigSet;
use tapster_python::{Python, call_last, stacks};

/// A worker that takes longer than this to end has what keeps it from its end logged; less than `FINALISATION`.
const SLOW_END: Duration = Duration::from_secs(1);

/// The thread that tells, and what ends it when it is dropped. A static, since Python's end is the process's and not an owner's.
static TELLER: Mutex<Option<(Sender<Infallible>, JoinHandle<()>)>> = Mutex::new(None);

/// Has the stacks of all threads logged if the worker takes long to end, which begins now.
pub(crate) fn watch(py: Python<'_>) {
    // Anew where the application has had `atexit` forget what was registered before.
    if let Err(error) = call_last(py, dismiss) {
        log::debug!("can't watch the worker's end: {error}");
        return;
    }
    let (sender, receiver) = channel();
    match Builder::new().name("tapster-slow-end".into()).spawn(move || tell_if_slow(&receiver)) {
        Ok(thread) => *TELLER.lock().unwrap_or_else(PoisonError::into_inner) = Some((sender, thread)),
        Err(error) => log::debug!("can't watch the worker's end: {error}"),
    }
}

/// Ends the thread, and waits for that, so that it does not come for the interpreter's lock when the interpreter ends. For
/// [`call_last`].
pub(crate) fn dismiss(py: Python<'_>) {
    let teller = TELLER.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((sender, thread)) = teller {
        drop(sender);
        let _ = py.detach(|| thread.join());
    }
}

fn tell_if_slow(dismissed: &Receiver<Infallible>) {
    // Signals are the main thread's.
    let _ = SigSet::all().thread_block();
    if dismissed.recv_timeout(SLOW_END) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    Python::attach(|py| {
        log::warn!(
            "the worker has not ended {SLOW_END:?} after its requests were done or given up; a function registered with atexit or \
             tapster.worker_exit takes long, or a thread that is no daemon goes on:\n{}",
            stacks(py, &[], true)
        );
    });
}
