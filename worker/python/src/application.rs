//! The WSGI application object, how it is found (`loader.py`), and what stands in for one that can't be loaded
//! (`explanation.py`).

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;

use crate::context::within_base;
use crate::process::{forget_lost_wakeup, leave_if_forked};
use crate::text::escaped;
use crate::traceback;

/// The application, loaded. All threads share it.
#[derive(Debug)]
pub struct Application {
    object: Py<PyAny>,
    loaded_since: SystemTime,
    explains: Option<Vec<PathBuf>>,
}

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
        Self::find(py, spec).map_err(|(error, _)| error)
    }

    /// The same, for development: what goes wrong is logged, and the application is then one that answers with it.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn load_or_explain(py: Python<'_>, spec: &str) -> Result<Self, LoadError> {
        let since = SystemTime::now();
        Self::find(py, spec).or_else(|(error, files)| Self::explaining(py, error, files, since))
    }

    /// An application that answers every request with `error`, which is logged. It is one of this application's, loaded since
    /// when this was.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn explain(&self, py: Python<'_>, error: LoadError) -> Result<Self, LoadError> {
        Self::explaining(py, error, Vec::new(), self.loaded_since)
    }

    fn explaining(py: Python<'_>, error: LoadError, files: Vec<PathBuf>, since: SystemTime) -> Result<Self, LoadError> {
        let source = std::ffi::CString::new(include_str!("explanation.py")).unwrap_or_default();
        let made = PyModule::from_code(py, &source, c"<tapster explanation>", c"_tapster_explanation")
            .and_then(|module| module.call_method1("explain", (&error.report,)));
        log::error!("The application can't be loaded, and until a file changes this is every answer: {error}");
        match made {
            Ok(made) => Ok(Self { object: made.unbind(), loaded_since: since, explains: Some(files) }),
            Err(_) => Err(error),
        }
    }

    fn find(py: Python<'_>, spec: &str) -> Result<Self, (LoadError, Vec<PathBuf>)> {
        let since = SystemTime::now();
        let loaded = within_base(py, || loader(py)?.call_method1("load", (spec,)));
        let loaded = loaded.flatten().and_then(|loaded| forget_lost_wakeup(py).map(|()| loaded));
        leave_if_forked(py, loaded.as_ref().err());
        loaded.map(|app| Self { object: app.unbind(), loaded_since: since, explains: None }).map_err(|error| {
            let refused = error.value(py).getattr("args").and_then(|args| {
                let (status, report, files) = args.extract::<(u8, Bound<'_, PyAny>, Vec<PathBuf>)>()?;
                Ok((LoadError { status, report: escaped(&report)? }, files))
            });
            refused.unwrap_or_else(|_| {
                (LoadError { status: LoadError::RAISED, report: traceback::format(py, &error) }, Vec::new())
            })
        })
    }

    /// When its loading began: what was written to its files later may not be in it.
    #[must_use]
    pub fn loaded_since(&self) -> SystemTime {
        self.loaded_since
    }

    /// Where it only stands in for one that can't be loaded: the files that this is about, beside those of modules.
    #[must_use]
    pub fn explains(&self) -> Option<&[PathBuf]> {
        self.explains.as_deref()
    }

    /// Another hold on the same application.
    #[must_use]
    pub fn share(&self, py: Python<'_>) -> Self {
        let Self { object, loaded_since, explains } = self;
        Self { object: object.clone_ref(py), loaded_since: *loaded_since, explains: explains.clone() }
    }

    pub(crate) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.object.bind(py)
    }
}

/// What `loader.py` has; made at the first call.
pub(crate) fn loader(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static LOADER: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let made = LOADER.get_or_try_init(py, || {
        let source = std::ffi::CString::new(include_str!("loader.py"))?;
        PyModule::from_code(py, &source, c"<tapster loader>", c"_tapster_loader").map(Bound::unbind)
    });
    made.map(|module| module.bind(py))
}
