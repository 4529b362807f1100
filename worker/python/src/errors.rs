//! `wsgi.errors` (PEP 3333, "Input and Error Streams"): where an application's own complaints go.
//!
//! One object a process, made by `errors.py`, over the log file or over the standard error stream's descriptor. In the
//! second case what is written goes to whatever `sys.stderr` is at that moment, as long as that can be written to; so who
//! replaces that stream gets these lines too, and who closes it takes them from nobody. The functions that do this are
//! built-in ones: `print` calls `write` twice a line, and no other thread runs Python code in between.

use std::cell::Cell;
use std::os::fd::RawFd;
use std::ptr::null_mut;

use pyo3::exceptions::{PyAttributeError, PyException};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyTuple};

use crate::start_response::Definition;

/// The application's `wsgi.errors`.
#[derive(Debug)]
pub struct ErrorStream(pub(crate) Py<PyAny>);

static WRITE: Definition = Definition::new(
    c"write",
    ffi::PyMethodDefPointer { PyCFunction: write },
    ffi::METH_O,
    c"write(text): writes to sys.stderr as it is now, or to the server's log where that is closed.",
);
static FLUSH: Definition = Definition::new(
    c"flush",
    ffi::PyMethodDefPointer { PyCFunction: flush },
    ffi::METH_NOARGS,
    c"flush(): writes out what is buffered.",
);

impl ErrorStream {
    /// Over the server's log file, of which this is the descriptor, or over the standard error stream.
    ///
    /// # Errors
    /// Where Python's standard library is not what it should be.
    pub fn new(py: Python<'_>, log: Option<RawFd>) -> PyResult<Self> {
        let stream = module(py)?.call_method1("open_stream", (log,))?;
        if log.is_none() {
            for (name, definition) in [("write", &WRITE), ("flush", &FLUSH)] {
                let own = PyTuple::new(py, [&stream, &stream.getattr(name)?])?;
                // SAFETY: a live object, which the function keeps.
                let function = unsafe { definition.function(py, own.as_ptr()) }?;
                stream.setattr(name, function)?;
            }
        }
        Ok(Self(stream.unbind()))
    }
}

/// What `errors.py` has; made at the first call.
pub(crate) fn module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let made = MODULE.get_or_try_init(py, || {
        let source = std::ffi::CString::new(include_str!("errors.py"))?;
        PyModule::from_code(py, &source, c"<tapster errors>", c"_tapster_errors").map(Bound::unbind)
    });
    made.map(|module| module.bind(py))
}

unsafe extern "C" fn write(own: *mut ffi::PyObject, text: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this attached, with objects that live until it returns; `own` is what `new` made.
    let (py, own, text) = unsafe {
        let py = Python::assume_attached();
        (py, Bound::from_borrowed_ptr(py, own), Bound::from_borrowed_ptr(py, text))
    };
    answer(py, with_target(&own, "write", |target, own| target.unwrap_or(own).call1((&text,))))
}

unsafe extern "C" fn flush(own: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as for `write`.
    let (py, own) = unsafe {
        let py = Python::assume_attached();
        (py, Bound::from_borrowed_ptr(py, own))
    };
    // What was written to the stream's own `buffer` is flushed too.
    let flushed = with_target(&own, "flush", |target, own| {
        target.map_or(Ok(()), |flush| flush.call0().map(drop)).and(own.call0())
    });
    answer(py, flushed)
}

fn answer(py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> *mut ffi::PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(py);
            null_mut()
        }
    }
}

thread_local! {
    /// This thread is in a function of this file. A `sys.stderr` that writes to `wsgi.errors` in its turn (a logger's, say)
    /// would have it call itself for ever.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Gives `call` the method of that name of what `sys.stderr` is now, where that is another stream and open, and the own one.
fn with_target<'py, T>(
    own: &Bound<'py, PyAny>,
    name: &str,
    call: impl FnOnce(Option<&Bound<'py, PyAny>>, &Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<T> {
    let (stream, method) = own.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
    if INSIDE.replace(true) {
        return call(None, &method);
    }
    let called = method_of_stderr(&stream, name).and_then(|target| call(target.as_ref(), &method));
    INSIDE.set(false);
    called
}

/// `None` where `sys.stderr` is not there, closed, no stream at all, or the application's `wsgi.errors` itself.
fn method_of_stderr<'py>(own: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = own.py();
    // SAFETY: attached by the bound; the borrowed reference is made an own one before any Python code runs.
    let stderr = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PySys_GetObject(c"stderr".as_ptr())) };
    let Some(stderr) = stderr.filter(|stderr| !stderr.is_none() && !stderr.is(own)) else { return Ok(None) };
    // What is raised in this thread from outside, such as the end of the request's time, goes on.
    match stderr.getattr("closed").and_then(|closed| closed.is_truthy()) {
        // A stream that does not tell is open.
        Err(error) if error.is_instance_of::<PyAttributeError>(py) => {}
        Ok(false) => {}
        Err(error) if !error.is_instance_of::<PyException>(py) => return Err(error),
        // It says so too where it has been taken apart.
        Ok(true) | Err(_) => return Ok(None),
    }
    match stderr.getattr(name) {
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        found => found.map(Some),
    }
}
