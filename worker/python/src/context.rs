//! Context variables (PEP 567): each request runs in a context of its own, so that nothing leaks into the next.
//!
//! There is one base context in the process: a copy of what the main thread has before the application is loaded. The
//! application is loaded in it, and the functions of `tapster.post_fork` and `tapster.worker_exit` run in it, so what they set
//! holds everywhere; each request gets a copy, whichever thread it runs in.

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::traceback;

// Not in the limited API, so not among `pyo3`'s declarations for it; but each libpython from 3.7.1 on exports them, with
// these signatures, and contexts are opaque objects to them. Copying takes the same time however many variables are set.
unsafe extern "C" {
    fn PyContext_CopyCurrent() -> *mut ffi::PyObject;
    fn PyContext_Copy(context: *mut ffi::PyObject) -> *mut ffi::PyObject;
    fn PyContext_Enter(context: *mut ffi::PyObject) -> c_int;
    fn PyContext_Exit(context: *mut ffi::PyObject) -> c_int;
}

static BASE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The base context. Whoever asks first decides what is in it, which is `Application::load`.
fn base(py: Python<'_>) -> PyResult<&Py<PyAny>> {
    BASE.get_or_try_init(py, || {
        // SAFETY: attached by `py`.
        unsafe { Bound::from_owned_ptr_or_err(py, PyContext_CopyCurrent()) }.map(Bound::unbind)
    })
}

/// Runs `run` in the base context itself.
///
/// # Errors
/// Where memory runs out, or the base context is entered already, by another thread or further up in this one.
pub(crate) fn within_base<T>(py: Python<'_>, run: impl FnOnce() -> T) -> PyResult<T> {
    let _entered = Entered::enter(base(py)?.bind(py).clone())?;
    Ok(run())
}

/// The contexts of one thread's requests, one at a time.
#[derive(Default)]
pub(crate) struct Contexts {
    /// One that is as a new copy of the base would be.
    spare: Option<Py<PyAny>>,
}

impl Contexts {
    /// Enters a copy of the base context.
    ///
    /// # Errors
    /// Where memory runs out.
    #[inline]
    pub(crate) fn enter<'py>(&mut self, py: Python<'py>) -> PyResult<Entered<'py>> {
        let context = match self.spare.take() {
            Some(spare) => spare.into_bound(py),
            // SAFETY: attached by `py`; the base is a live context.
            None => unsafe { Bound::from_owned_ptr_or_err(py, PyContext_Copy(base(py)?.as_ptr()))? },
        };
        Entered::enter(context)
    }

    /// Leaves it. Where nothing was set that is set still, and nobody else holds it (a token that could undo what was set, a
    /// task), the next request may have the same.
    #[inline]
    pub(crate) fn leave(&mut self, entered: Entered<'_>) {
        let context = entered.0.clone();
        drop(entered);
        // SAFETY: attached by the bound, and live objects; reading a count has no effect.
        let is_new = unsafe {
            let is_empty = |context: *mut ffi::PyObject| ffi::PyObject_Size(context) == 0;
            ffi::Py_REFCNT(context.as_ptr()) == 1
                && is_empty(context.as_ptr())
                && BASE.get(context.py()).is_some_and(|base| is_empty(base.as_ptr()))
        };
        if is_new {
            self.spare = Some(context.unbind());
        }
    }
}

/// A context that this thread is in, until this is dropped.
pub(crate) struct Entered<'py>(Bound<'py, PyAny>);

impl<'py> Entered<'py> {
    #[inline]
    fn enter(context: Bound<'py, PyAny>) -> PyResult<Self> {
        // SAFETY: attached by the bound, and a live context.
        if unsafe { PyContext_Enter(context.as_ptr()) } == 0 {
            Ok(Self(context))
        } else {
            Err(PyErr::fetch(context.py()))
        }
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: attached by the bound; a live context, which `enter` has entered in this thread.
        if unsafe { PyContext_Exit(self.0.as_ptr()) } != 0 {
            complain(self.0.py());
        }
    }
}

/// An extension module has entered a context and not left it. The next request enters a context of its own all the same.
#[cold]
fn complain(py: Python<'_>) {
    let error = traceback::take(py);
    log::error!(
        "the application has left a request in another context than its own: {}",
        traceback::format(py, &error)
    );
}
