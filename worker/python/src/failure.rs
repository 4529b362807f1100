//! What an application can do wrong in the course of a request, as the log tells it.

use std::fmt;

use pyo3::exceptions::PyBrokenPipeError;
use pyo3::prelude::*;

use crate::module_tapster::is_request_timeout;
use crate::traceback;

/// What the application did wrong.
pub(crate) enum Failure {
    /// An exception left it.
    Raised(PyErr),
    /// It never called `start_response`.
    NotStarted,
    /// What it returned can't be iterated.
    NotIterable(String),
    /// A block of the body is no `bytes`.
    NotBytes(String),
}

impl Failure {
    /// Whether it is what `write()` raises for a client that is gone, which is no fault of the application's.
    pub(crate) fn is_broken_pipe(&self, py: Python<'_>) -> bool {
        matches!(self, Self::Raised(error) if error.is_instance_of::<PyBrokenPipeError>(py))
    }

    /// Whether it is the end of the request's time, which the log has told by then, with all stacks.
    pub(crate) fn is_timeout(&self, py: Python<'_>) -> bool {
        matches!(self, Self::Raised(error) if is_request_timeout(py, error))
    }

    /// It in words. Runs Python code, for the traceback.
    pub(crate) fn text(&self, py: Python<'_>, request: impl fmt::Display) -> String {
        let what = match self {
            Self::Raised(error) => {
                return format!("Error handling request {request}\n{}", traceback::format(py, error));
            }
            Self::NotStarted => {
                "the application did not call start_response() before its first block of body, or at all".to_owned()
            }
            Self::NotIterable(kind) => format!("the application must return an iterable of bytes, not {kind}"),
            Self::NotBytes(kind) => format!("the application's body must consist of bytes, not {kind}"),
        };
        format!("Error handling request {request}: {what}")
    }
}
