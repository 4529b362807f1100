//! `wsgi.input`: the whole body, already here, as one of Python's own file objects.
//!
//! `io.BytesIO` and `io.BufferedReader` have every method of PEP 3333 with every argument right.

use std::fs::File;
use std::os::fd::IntoRawFd;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A request's body, complete.
#[derive(Debug)]
pub enum RequestBody<'a> {
    /// There is none, or it has no bytes.
    Empty,
    /// It is in memory.
    Memory(&'a [u8]),
    /// It is in a temporary file, positioned at its start.
    File {
        /// The file, which Python will close.
        file: File,
        /// The body's bytes.
        length: u64,
    },
}

impl RequestBody<'_> {
    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

/// Makes `wsgi.input` objects.
pub(crate) struct Inputs {
    bytes_io: Py<PyAny>,
    open: Py<PyAny>,
}

impl Inputs {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let io = py.import("io")?;
        Ok(Self { bytes_io: io.getattr("BytesIO")?.unbind(), open: io.getattr("open")?.unbind() })
    }

    #[inline]
    pub(crate) fn make<'py>(&self, py: Python<'py>, body: RequestBody<'_>) -> PyResult<Bound<'py, PyAny>> {
        match body {
            // SAFETY: attached by `py`; `bytes_io` is a live callable.
            RequestBody::Empty => unsafe {
                Bound::from_owned_ptr_or_err(py, ffi::PyObject_CallNoArgs(self.bytes_io.as_ptr()))
            },
            RequestBody::Memory(bytes) => self.bytes_io.bind(py).call1((PyBytes::new(py, bytes),)),
            RequestBody::File { file, .. } => {
                let number = file.into_raw_fd();
                let opened = self.open.bind(py).call1((number, "rb"));
                if opened.is_err() {
                    // Python has not taken the descriptor, so it is still this function's to close.
                    // SAFETY: `into_raw_fd` above gave up the only owner.
                    drop(unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(number) });
                }
                opened
            }
        }
    }
}
