//! What `environ` tells of the server (PEP 3333, "environ Variables"): the same for all requests of a listener.
//!
//! Made once a process, and shared by its threads. `environ` copies it for each request.

use std::net::IpAddr;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::ErrorStream;
use crate::file_wrapper;

/// The server's side of the connections of one listener, and the `environ` they all start from.
#[derive(Debug)]
pub struct Server {
    pub(crate) base: Py<PyDict>,
    /// `SERVER_NAME` and `SERVER_PORT` come from each request's `Host`: a Unix socket has neither.
    pub(crate) named_by_host: bool,
    /// Where the application is mounted, unless a request says otherwise.
    pub(crate) script_name: String,
    /// Whether applications may send early hints.
    pub(crate) early_hints: bool,
}

impl Server {
    /// For a listener at this address and port, or for a Unix socket. Siblings share `errors`, which is `wsgi.errors`, and
    /// `script_name`, where the application is mounted unless a request says otherwise. Without `early_hints` there is no
    /// `wsgi.early_hints`.
    ///
    /// # Errors
    /// Where Python's standard library is not what it should be.
    pub fn new(
        py: Python<'_>,
        address: Option<(IpAddr, u16)>,
        multi: Multi,
        early_hints: bool,
        errors: &ErrorStream,
        script_name: &str,
    ) -> PyResult<Self> {
        let base = PyDict::new(py);
        // The very strings that requests and applications look up, so that a lookup finds its key without a comparison.
        let set = |key: &str, value: Bound<'_, PyAny>| base.set_item(PyString::intern(py, key), value);
        set("wsgi.version", (1, 0).into_bound_py_any(py)?)?;
        set("wsgi.url_scheme", PyString::intern(py, "http").into_any())?;
        set("wsgi.errors", errors.0.bind(py).clone())?;
        set("wsgi.multithread", multi.multithread.into_bound_py_any(py)?)?;
        set("wsgi.multiprocess", multi.multiprocess.into_bound_py_any(py)?)?;
        set("wsgi.run_once", false.into_bound_py_any(py)?)?;
        set("wsgi.input_terminated", true.into_bound_py_any(py)?)?;
        set("wsgi.file_wrapper", file_wrapper::class(py)?.bind(py).clone())?;
        set("SERVER_SOFTWARE", concat!("tapster/", env!("CARGO_PKG_VERSION")).into_bound_py_any(py)?)?;
        let (name, port) = address.map_or_else(Default::default, |(ip, port)| (ip.to_string(), port.to_string()));
        set("SERVER_NAME", name.into_bound_py_any(py)?)?;
        set("SERVER_PORT", port.into_bound_py_any(py)?)?;
        set("SCRIPT_NAME", script_name.into_bound_py_any(py)?)?;
        for (key, value) in USUAL {
            set(key, PyString::intern(py, value).into_any())?;
        }
        for key in REQUEST_KEYS {
            set(key, py.None().into_bound(py))?;
        }
        if early_hints {
            set(EARLY_HINTS, py.None().into_bound(py))?;
        }
        let script_name = script_name.to_owned();
        Ok(Self { base: base.unbind(), named_by_host: address.is_none(), script_name, early_hints })
    }

    /// The same, for requests of the server's own, which `environ` then says of them.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn for_warmup(self, py: Python<'_>) -> PyResult<Self> {
        self.base.bind(py).set_item("tapster.warmup", true)?;
        Ok(self)
    }
}

/// What most requests have, and need not set.
const USUAL: [(&str, &str); 3] = [("REQUEST_METHOD", "GET"), ("SERVER_PROTOCOL", "HTTP/1.1"), ("QUERY_STRING", "")];

/// Set for each request. Standing in the base they make the dict large enough that setting them, and a browser's headers
/// after them, never resizes the copy.
const REQUEST_KEYS: [&str; 6] =
    ["PATH_INFO", "RAW_URI", "REQUEST_URI", "REMOTE_ADDR", "wsgi.input", "tapster.client_disconnected"];

/// As those, where there are such.
const EARLY_HINTS: &str = "wsgi.early_hints";

/// Whether the application may be running more than once at the same time, as `environ` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multi {
    /// In other threads of its process.
    pub multithread: bool,
    /// In other processes.
    pub multiprocess: bool,
}
