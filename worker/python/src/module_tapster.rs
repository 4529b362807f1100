//! The module `tapster`, which an application may import (`tapster.py`).
//!
//! It holds what the application has registered; `hooks` calls it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyModule};

static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// Makes the module `tapster` importable. To be called before the application is imported, and with its folders on the path:
/// what has the same name there is hidden, and the log says so.
///
/// # Errors
/// Where memory runs out, or Python's standard library is not what it should be.
pub fn install_module(py: Python<'_>) -> PyResult<()> {
    if let Some(file) = namesake(py)? {
        log::warn!(
            "the application can't import {file}: `import tapster` gives the server's own module; rename it if it is needed"
        );
    }
    let source = std::ffi::CString::new(include_str!("module_tapster/tapster.py"))?;
    let module = PyModule::from_code(py, &source, c"<tapster>", c"tapster")?;
    let _ = MODULE.set(py, module.unbind());
    Ok(())
}

/// The file of a module or package `tapster` on Python's path.
fn namesake(py: Python<'_>) -> PyResult<Option<String>> {
    let spec = py.import("importlib.machinery")?.getattr("PathFinder")?.call_method1("find_spec", ("tapster",))?;
    // A mere folder of that name has no origin: it would count only where nothing else is found, and most hold no module.
    if spec.is_none() { Ok(None) } else { spec.getattr("origin")?.extract() }
}

/// The class `tapster.RequestTimeout`.
pub(crate) fn request_timeout(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    MODULE.get(py)?.bind(py).getattr("RequestTimeout").ok()
}

/// Whether an exception is `tapster.RequestTimeout`.
pub(crate) fn is_request_timeout(py: Python<'_>, error: &PyErr) -> bool {
    request_timeout(py).is_some_and(|class| error.is_instance(py, &class))
}

/// What the application has registered by `tapster.post_fork`.
pub(crate) fn post_fork_functions(py: Python<'_>) -> Option<Bound<'_, PyList>> {
    list(py, "_post_fork")
}

/// What the application has registered by `tapster.worker_exit`.
pub(crate) fn worker_exit_functions(py: Python<'_>) -> Option<Bound<'_, PyList>> {
    list(py, "_worker_exit")
}

fn list<'py>(py: Python<'py>, name: &str) -> Option<Bound<'py, PyList>> {
    MODULE.get(py)?.bind(py).getattr(name).ok()?.cast_into().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_module_tells_the_version_of_this_crate() {
        let line = format!("\n__version__ = \"{}\"\n", env!("CARGO_PKG_VERSION"));
        assert!(include_str!("module_tapster/tapster.py").contains(&line));
    }
}
