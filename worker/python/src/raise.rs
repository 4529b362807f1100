//! The exceptions that `start_response` and `write` raise at an application, worded for its author.
//!
//! Made while this thread is attached. Naming an object's type may run Python code (a metaclass can have a `__name__` of
//! its own), so nothing here is called while a reply is borrowed, but for [`assertion`] with a text that is there already.

use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::text::{Latin1, NotLatin1, type_name};

/// What to raise: the class and the message; a null class where an exception is set already.
pub(crate) struct Raise(*mut ffi::PyObject, String);

impl Raise {
    /// The exception that Python code has set in this thread.
    pub(crate) fn already_set() -> Self {
        Self(null_mut(), String::new())
    }

    /// Sets the exception and answers the null that tells the interpreter so.
    pub(crate) fn set(self, _py: Python<'_>) -> *mut ffi::PyObject {
        if self.0.is_null() {
            return null_mut();
        }
        let message = std::ffi::CString::new(self.1.replace('\0', "\\0")).unwrap_or_default();
        // SAFETY: attached, by the token; the class is one of the interpreter's statics.
        unsafe { ffi::PyErr_SetString(self.0, message.as_ptr()) };
        null_mut()
    }
}

pub(crate) fn assertion(message: &str) -> Raise {
    // SAFETY: a static of the interpreter; read while attached.
    Raise(unsafe { ffi::PyExc_AssertionError }, message.into())
}

pub(crate) fn broken_pipe(message: &str) -> Raise {
    // SAFETY: as above.
    Raise(unsafe { ffi::PyExc_BrokenPipeError }, message.into())
}

pub(crate) fn runtime_error(message: &str) -> Raise {
    // SAFETY: as above.
    Raise(unsafe { ffi::PyExc_RuntimeError }, message.into())
}

pub(crate) fn type_error(message: String) -> Raise {
    // SAFETY: as above.
    Raise(unsafe { ffi::PyExc_TypeError }, message)
}

pub(crate) fn value_error(message: String) -> Raise {
    // SAFETY: as above.
    Raise(unsafe { ffi::PyExc_ValueError }, message)
}

/// "… must be a str, not int".
pub(crate) fn not_text(what: &str, object: &Bound<'_, PyAny>, why: &NotLatin1) -> Raise {
    match why {
        NotLatin1::NotStr => type_error(format!("{what} must be a str, not {}", type_name(object))),
        NotLatin1::Character => {
            value_error(format!("{what} has a character that latin-1 does not have (PEP 3333, \"Unicode Issues\")"))
        }
    }
}

/// A header's text as a message shows it, cut and with nothing unprintable.
pub(crate) fn shown(text: &Latin1<'_>) -> String {
    let bytes = text.bytes();
    format!("'{}'", bytes[..bytes.len().min(80)].escape_ascii())
}
