//! Python exceptions as text, in Python's own form.

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::text::escaped;

/// The most bytes of a traceback that go into a log or a report; its end is kept, which is where the error stands.
pub(crate) const MOST_BYTES: usize = 60 * 1024;

/// What `traceback.print_exception` would print, without the last line's end. Runs Python code.
pub(crate) fn format(py: Python<'_>, error: &PyErr) -> String {
    let lines = py
        .import("traceback")
        .and_then(|module| {
            module.call_method1("format_exception", (error.get_type(py), error.value(py), error.traceback(py)))
        })
        .and_then(|lines| escaped(&PyString::new(py, "").call_method1("join", (lines,))?));
    // An exception whose own `__str__` fails, or an interpreter that is shutting down.
    let text = lines.unwrap_or_else(|_| error.to_string());
    let text = text.trim_end();
    if text.len() <= MOST_BYTES {
        return text.to_owned();
    }
    format!("[the first frames are left out]\n{}", &text[text.ceil_char_boundary(text.len() - MOST_BYTES)..])
}

/// The exception that is set in this thread, as a value, with the thread's cleared.
pub(crate) fn take(py: Python<'_>) -> PyErr {
    PyErr::take(py).unwrap_or_else(|| pyo3::exceptions::PySystemError::new_err("an error without an exception"))
}
