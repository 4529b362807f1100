//! The functions that an application has registered by the module `tapster`, called at their time.
//!
//! They run in the base context, so the context variables that they set hold for requests. Called by the worker, in its main
//! thread.

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::application::LoadError;
use crate::context::within_base;
use crate::module_tapster::{post_fork_functions, worker_exit_functions};
use crate::process::leave_if_forked;
use crate::text::escaped;
use crate::traceback;

/// Calls what `tapster.post_fork` has registered, in that order; what these register meanwhile too.
///
/// # Errors
/// The first exception, after which no other function is called: the worker is not what the application wants it to be.
pub fn run_post_fork(py: Python<'_>) -> Result<(), LoadError> {
    let Some(functions) = post_fork_functions(py) else { return Ok(()) };
    let failed = |what: &str, error: &PyErr| LoadError {
        status: LoadError::RAISED,
        report: format!("{what} failed:\n{}", traceback::format(py, error)),
    };
    let mut place = 0;
    while let Ok(function) = functions.get_item(place) {
        call(py, &function).map_err(|error| failed(&format!("the post_fork function {}", name(&function)), &error))?;
        place += 1;
    }
    Ok(())
}

/// Calls what `tapster.worker_exit` has registered, the last first. An exception is logged, and the others are still called.
pub fn run_worker_exit(py: Python<'_>) {
    let Some(functions) = worker_exit_functions(py) else { return };
    let reversed = || -> PyResult<Bound<'_, PyList>> {
        let copy = PyList::new(py, &functions)?;
        copy.reverse()?;
        Ok(copy)
    };
    let Ok(functions) = reversed() else { return };
    for function in functions {
        if let Err(error) = call(py, &function) {
            let name = name(&function);
            log::error!("the worker_exit function {name} failed:\n{}", traceback::format(py, &error));
        }
    }
}

fn call(py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<()> {
    let called = within_base(py, || function.call0().map(drop)).flatten();
    leave_if_forked(py, called.as_ref().err());
    called
}

/// As `module.qualname`; an object that is no function, by its representation.
fn name(function: &Bound<'_, PyAny>) -> String {
    let part = |name| escaped(function.getattr(name)?.str()?.as_any());
    let name = || -> PyResult<String> { Ok(format!("{}.{}", part("__module__")?, part("__qualname__")?)) };
    name().or_else(|_| escaped(function.repr()?.as_any())).unwrap_or_else(|_| "without a name".to_owned())
}
