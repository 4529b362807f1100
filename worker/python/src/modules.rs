//! The files that the application has imported, as far as Python tells.
//!
//! It runs no Python code: modules that load themselves when they are looked at stay as they are. Called by the worker where
//! `reload` is on.

use std::path::PathBuf;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyString};

/// How many modules there are: a cheap way to see that there are others than before.
#[must_use]
pub fn count_modules(py: Python<'_>) -> usize {
    modules(py).map_or(0, |modules| modules.len())
}

/// The source files of all modules. One that was compiled elsewhere is told as the source that it would have.
#[must_use]
pub fn module_files(py: Python<'_>) -> Vec<PathBuf> {
    let Some(modules) = modules(py) else { return Vec::new() };
    modules.values().iter().filter_map(|module| file_of(&module)).collect()
}

fn modules(py: Python<'_>) -> Option<Bound<'_, PyDict>> {
    // SAFETY: attached by `py`; a borrowed reference, made an own one at once.
    let modules = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyImport_GetModuleDict()) };
    modules?.cast_into().ok()
}

fn file_of(module: &Bound<'_, PyAny>) -> Option<PathBuf> {
    // By the module's dict itself, since `__getattr__` may be the application's.
    let file = module.cast::<PyModule>().ok()?.dict().get_item("__file__").ok()??;
    let path: PathBuf = file.cast::<PyString>().ok()?.extract().ok()?;
    let is_compiled = path.extension().is_some_and(|extension| extension == "pyc");
    path.is_absolute().then(|| if is_compiled { path.with_extension("py") } else { path })
}
