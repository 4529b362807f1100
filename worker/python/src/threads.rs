//! Threads as Python knows them: started by `threading`, shown by their stacks, and interrupted.
//!
//! Nothing here decides which thread is late; the worker does.

use std::ffi::{c_int, c_ulong};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCFunction, PyModule};

use crate::module_tapster::request_timeout;
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

/// The Python stacks of all threads but this one, with their names and idents; first that of the `marked` one, which is
/// named as late.
#[must_use]
pub fn stacks(py: Python<'_>, marked: Option<c_ulong>) -> String {
    let source = std::ffi::CString::new(include_str!("stacks.py")).unwrap_or_default();
    let text = PyModule::from_code(py, &source, c"<tapster stacks>", c"_tapster_stacks")
        .and_then(|module| escaped(&module.call_method1("stacks", (marked, traceback::MOST_BYTES))?));
    text.unwrap_or_else(|error| format!("the stacks can't be told: {error}"))
}

/// Has `tapster.RequestTimeout` raised in the thread of that ident, as soon as it runs Python code; tells whether there is
/// such a thread.
pub fn interrupt(py: Python<'_>, ident: c_ulong) -> bool {
    request_timeout(py).is_some_and(|class| set_asynchronous_exception(py, ident, class.as_ptr()) > 0)
}

/// Takes back what [`interrupt`] has asked for, where it has not been raised yet.
pub fn calm(py: Python<'_>, ident: c_ulong) {
    set_asynchronous_exception(py, ident, null_mut());
}

fn set_asynchronous_exception(_py: Python<'_>, ident: c_ulong, class: *mut ffi::PyObject) -> c_int {
    // SAFETY: attached by the token; null, or a live class, to which CPython takes a reference of its own. CPython's
    // parameter is an unsigned long, so the cast is undone there.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident.cast_signed(), class) }
}
