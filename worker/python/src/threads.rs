//! Threads as Python knows them: started by `threading`, shown by their stacks, and interrupted.
//!
//! Nothing here decides which thread is late; the worker does.

use std::ffi::c_ulong;
use std::sync::{Mutex, PoisonError};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCFunction, PyDict, PyModule};

use crate::module_tapster::{is_request_timeout, request_timeout};
use crate::text::escaped;
use crate::traceback;

/// Starts a daemon thread of that name, by `threading`, so that `current_thread()`, thread-local state, profilers and stacks
/// are as in threads that an application starts. It is attached when `run` begins.
///
/// # Errors
/// Where the system has no thread left.
pub fn start_thread(py: Python<'_>, name: &str, run: impl FnOnce(Python<'_>) + Send + 'static) -> PyResult<()> {
    // A closure that Python may call more than once, round one that is called once.
    let once = Mutex::new(Some(run));
    let target = PyCFunction::new_closure(py, Some(c"tapster"), None, move |arguments, _keywords| {
        let run = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(run) = run {
            run(arguments.py());
        }
    })?;
    let options = [("target", target.into_any())].into_py_dict(py)?;
    options.set_item("name", name)?;
    options.set_item("daemon", true)?;
    py.import("threading")?.getattr("Thread")?.call((), Some(&options))?.call_method0("start").map(drop)
}

/// This thread's number, as `threading.get_ident()` tells it.
#[must_use]
pub fn thread_ident() -> c_ulong {
    // SAFETY: asks the system's thread library only, attached or not.
    unsafe { ffi::PyThread_get_thread_ident() }
}

/// The Python stacks of late threads, each of which is given by its ident and its request; with `others`, behind them those of
/// all threads but this one.
#[must_use]
pub fn stacks(py: Python<'_>, late: &[(c_ulong, &str)], others: bool) -> String {
    let told = || {
        let source = std::ffi::CString::new(include_str!("stacks.py"))?;
        let module = PyModule::from_code(py, &source, c"<tapster stacks>", c"_tapster_stacks")?;
        let late = late.iter().copied().into_py_dict(py)?;
        escaped(&module.call_method1("stacks", (late, traceback::MOST_BYTES, others))?)
    };
    told().unwrap_or_else(|error: PyErr| format!("the stacks can't be told: {error}"))
}

/// Has `tapster.RequestTimeout` raised in the thread of that ident, as soon as it runs Python code; tells whether there is
/// such a thread. Not for the thread that this runs in.
pub fn interrupt(py: Python<'_>, ident: c_ulong) -> bool {
    let is_there = request_in(py, ident);
    // Up to CPython 3.12 what has been asked for raises a flag of the whole interpreter's, and only an exception that is
    // raised lowers it, in whatever thread. While it is up, each thread looks again and again what there is to do, and in 3.11
    // one that is traced or profiled does nothing else; and the thread may be in C code for long. So one is raised here too.
    // The other thread raises the flag anew when it takes the interpreter's lock, which it has to before it runs Python code.
    if is_there && request_in(py, thread_ident()) {
        calm(py);
    }
    is_there
}

/// Has what [`interrupt`] may have asked for in this thread raised now, if it has not been, and forgets it.
///
/// To take it back would leave the interpreter's flag up for ever (see there), and whether it has been raised can't be asked: so
/// Python code is run that has nothing else to do. What was raised before, and swallowed by the application, is not raised again.
#[cold]
pub fn calm(py: Python<'_>) {
    /// Signal handlers of the application's may raise here as well, and come first.
    const MOST_RAISED: usize = 10;

    for _ in 0..MOST_RAISED {
        // CPython looks whether there is something to raise where code begins, or where it jumps back.
        match py.run(c"for _ in range(100):\n    pass\n", Some(&PyDict::new(py)), None) {
            Err(error) if !is_request_timeout(py, &error) => {
                log::error!("an exception came from outside the request\n{}", traceback::format(py, &error));
            }
            Ok(()) | Err(_) => return,
        }
    }
}

fn request_in(py: Python<'_>, ident: c_ulong) -> bool {
    let Some(class) = request_timeout(py) else { return false };
    // SAFETY: attached by the token; a live class, to which CPython takes a reference of its own. CPython's parameter is an
    // unsigned long, so the cast is undone there.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident.cast_signed(), class.as_ptr()) > 0 }
}
