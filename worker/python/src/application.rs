//! The WSGI application object, and how it is found (`loader.py`).

use std::fmt;

use pyo3::prelude::*;
use pyo3::types::PyModule;

use crate::context::within_base;
use crate::process::{forget_lost_wakeup, leave_if_forked};
use crate::text::escaped;
use crate::traceback;

/// The application, loaded. All threads share it.
#[derive(Debug)]
pub struct Application(Py<PyAny>);

/// Why there is no application.
#[derive(Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The exit status that says so: 3 for an import that failed, 4 for a callable that isn't there (gunicorn's).
    pub status: u8,
    /// What is wrong, with the Python traceback where there is one.
    pub report: String,
}

impl LoadError {
    /// What an exception of the application's own code comes to.
    pub(crate) const RAISED: u8 = 3;
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report)
    }
}

impl std::error::Error for LoadError {}

impl Application {
    /// Imports the module that `spec` names and finds the callable in it. Context variables that are set meanwhile are set
    /// for all requests.
    ///
    /// # Errors
    /// Whatever goes wrong in the application's own code, told as its developer would want it.
    pub fn load(py: Python<'_>, spec: &str) -> Result<Self, LoadError> {
        let source = std::ffi::CString::new(include_str!("loader.py")).unwrap_or_default();
        let loaded = within_base(py, || {
            let loader = PyModule::from_code(py, &source, c"<tapster loader>", c"_tapster_loader")?;
            loader.call_method1("load", (spec,))
        });
        let loaded = loaded.flatten().and_then(|loaded| forget_lost_wakeup(py).map(|()| loaded));
        leave_if_forked(py, loaded.as_ref().err());
        loaded.map(|app| Self(app.unbind())).map_err(|error| {
            let refused = error.value(py).getattr("args").and_then(|args| {
                let (status, report) = args.extract::<(u8, Bound<'_, PyAny>)>()?;
                Ok((status, escaped(&report)?))
            });
            match refused {
                Ok((status, report)) => LoadError { status, report },
                Err(_) => LoadError { status: LoadError::RAISED, report: traceback::format(py, &error) },
            }
        })
    }

    /// Another hold on the same application.
    #[must_use]
    pub fn share(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    pub(crate) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.0.bind(py)
    }
}
