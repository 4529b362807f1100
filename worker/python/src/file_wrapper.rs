//! `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling"): plain files are sent by the kernel, and whatever
//! is only like a file is iterated as any other body.
//!
//! Which file is plain is `file_wrapper.py`'s to say. Sending is the sink's.

use std::os::fd::{FromRawFd, OwnedFd};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;

static MODULE: PyOnceLock<Wrapping> = PyOnceLock::new();

struct Wrapping {
    class: Py<PyAny>,
    plain_part: Py<PyAny>,
}

/// What is left of a plain file.
pub(crate) struct Part {
    /// A descriptor of its own, so that the application may close the file.
    pub(crate) file: OwnedFd,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

fn wrapping(py: Python<'_>) -> PyResult<&Wrapping> {
    MODULE.get_or_try_init(py, || {
        let source = std::ffi::CString::new(include_str!("file_wrapper.py"))?;
        let module = PyModule::from_code(py, &source, c"<tapster file wrapper>", c"_tapster_file_wrapper")?;
        let [class, plain_part] = ["FileWrapper", "plain_part"].map(|name| module.getattr(name).map(Bound::unbind));
        Ok(Wrapping { class: class?, plain_part: plain_part? })
    })
}

/// The class that applications get as `wsgi.file_wrapper`.
pub(crate) fn class(py: Python<'_>) -> PyResult<&Py<PyAny>> {
    wrapping(py).map(|wrapping| &wrapping.class)
}

/// Whether an object is a file wrapper, and of no class that the application has made of it.
#[inline]
pub(crate) fn is_one(object: &Bound<'_, PyAny>) -> bool {
    let py = object.py();
    // SAFETY: attached and alive, by the bound.
    let class_of_it = unsafe { ffi::Py_TYPE(object.as_ptr()) };
    MODULE.get(py).is_some_and(|wrapping| wrapping.class.as_ptr() == class_of_it.cast())
}

/// What the file in a wrapper has left, if it is a plain one.
///
/// # Errors
/// What is raised in this thread from outside, such as the end of the request's time.
pub(crate) fn plain_part(wrapper: &Bound<'_, PyAny>) -> PyResult<Option<Part>> {
    let py = wrapper.py();
    let part = wrapping(py)?.plain_part.bind(py).call1((wrapper,))?;
    let Some((descriptor, offset, length)) = part.extract::<Option<(i32, u64, u64)>>()? else { return Ok(None) };
    // SAFETY: a duplicate that has just been made, for this, and that nobody else has seen.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Ok(Some(Part { file, offset, length }))
}
