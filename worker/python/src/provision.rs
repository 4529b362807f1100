//! What every worker needs of Python and of this crate, whatever its application is: made once, in the template.
//!
//! Its workers then share it, and are ready sooner. What each would compile and import for itself costs it more than a
//! megabyte: mostly of the template's pages, whose free places Python's compiler would use, and so copy. Called by `life`,
//! before the application is loaded, which leaves no such places in what that brings, and by `template`.

use pyo3::prelude::*;

use crate::{application, errors, file_wrapper, names};

/// Makes it.
///
/// # Errors
/// Where Python's standard library is not what it should be.
pub fn provide(py: Python<'_>) -> PyResult<()> {
    application::loader(py)?;
    errors::module(py)?;
    file_wrapper::class(py)?;
    names::provide(py);
    Ok(())
}

/// Imports what most frameworks import of the standard library, for the workers to share (`commons.py`): without it each of them
/// has some ten megabytes of that for itself. Answers whether it has: not where the application's own modules have such names.
///
/// # Errors
/// Where Python's standard library is not what it should be.
pub fn share_standard_library(py: Python<'_>) -> PyResult<bool> {
    let source = std::ffi::CString::new(include_str!("commons.py"))?;
    PyModule::from_code(py, &source, c"<tapster commons>", c"_tapster_commons")?.call_method0("share")?.extract()
}
