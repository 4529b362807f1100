//! What an application is given to make a reply with: `start_response` with its `write`, and `environ`'s own functions.
//!
//! All are built-in functions over one capsule that owns the [`Response`]. They are used for request after request; where
//! the application keeps one beyond its request, new ones are made for the next, and the kept ones only raise. What they do
//! when they are called is `callables`'.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::ptr::{NonNull, null_mut};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::callables::{
    client_disconnected, client_disconnected_over, early_hints, early_hints_over, start_response, write,
};
use crate::declaration::HopByHop;
use crate::response::{HIGH_WATER, Line, Phase, Response};

/// A `start_response` with what belongs to it, and its reply.
#[derive(Debug)]
pub(crate) struct StartResponse {
    function: Py<PyAny>,
    write: Py<PyAny>,
    early_hints: Py<PyAny>,
    client_disconnected: Py<PyAny>,
    /// Owned by the capsule that all functions hold.
    shared: NonNull<Shared>,
    /// Method and target of the request, as they came, cut.
    request: Vec<u8>,
}

/// What the functions share.
pub(crate) struct Shared {
    pub(crate) response: Response,
    pub(crate) hop_by_hop: HopByHop,
    /// Borrowed from the [`StartResponse`], so there while the response is not [`Phase::Over`].
    pub(crate) write: *mut ffi::PyObject,
}

/// Where a reply's functions come from, in one thread.
pub(crate) struct StartResponses {
    /// That of the last request, if the application has not kept it.
    spare: Option<StartResponse>,
    hop_by_hop: HopByHop,
    over: Over,
}

/// `environ`'s functions for after the request, which belong to none.
pub(crate) struct Over {
    pub(crate) early_hints: Py<PyAny>,
    pub(crate) client_disconnected: Py<PyAny>,
}

/// How CPython is told of a function. It keeps a pointer to it, and never writes there.
pub(crate) struct Definition(ffi::PyMethodDef);

// SAFETY: nobody writes to one, and what it points to are constants.
unsafe impl Sync for Definition {}

impl Definition {
    pub(crate) const fn new(
        name: &'static CStr,
        function: ffi::PyMethodDefPointer,
        flags: i32,
        doc: &'static CStr,
    ) -> Self {
        let (ml_name, ml_doc) = (name.as_ptr(), doc.as_ptr());
        Self(ffi::PyMethodDef { ml_name, ml_meth: function, ml_flags: flags, ml_doc })
    }

    /// A function over `own`, its first argument, which may be null where the function makes no use of it.
    ///
    /// # Safety
    /// `own` is null or a live object.
    pub(crate) unsafe fn function(&'static self, py: Python<'_>, own: *mut ffi::PyObject) -> PyResult<Py<PyAny>> {
        let definition = std::ptr::from_ref(&self.0).cast_mut();
        // SAFETY: attached by `py`; the definition is a static, and the caller's promise is for `own`.
        let function = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(definition, own, null_mut())) };
        function.map(Bound::unbind)
    }
}

const EARLY_HINTS: &CStr = c"early_hints";
const EARLY_HINTS_DOC: &CStr =
    c"early_hints(headers): sends a reply 103 (RFC 8297) with these headers at once, before the \
final one; to a client of HTTP/1.0 nothing.";
const DISCONNECTED: &CStr = c"client_disconnected";
const DISCONNECTED_DOC: &CStr =
    c"client_disconnected(): whether the client has closed its connection, or the request is \
over.";

static START_RESPONSE: Definition = Definition::new(
    c"start_response",
    ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: start_response },
    ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
    c"start_response(status, response_headers, exc_info=None): declares the reply's status and headers, and returns \
write(body_data). PEP 3333.",
);
static WRITE: Definition = Definition::new(
    c"write",
    ffi::PyMethodDefPointer { PyCFunction: write },
    ffi::METH_O,
    c"write(body_data): sends bytes of the body. PEP 3333.",
);
static HINTS: Definition =
    Definition::new(EARLY_HINTS, ffi::PyMethodDefPointer { PyCFunction: early_hints }, ffi::METH_O, EARLY_HINTS_DOC);
static HINTS_OVER: Definition = Definition::new(
    EARLY_HINTS,
    ffi::PyMethodDefPointer { PyCFunction: early_hints_over },
    ffi::METH_O,
    EARLY_HINTS_DOC,
);
static IS_GONE: Definition = Definition::new(
    DISCONNECTED,
    ffi::PyMethodDefPointer { PyCFunction: client_disconnected },
    ffi::METH_NOARGS,
    DISCONNECTED_DOC,
);
static IS_GONE_OVER: Definition = Definition::new(
    DISCONNECTED,
    ffi::PyMethodDefPointer { PyCFunction: client_disconnected_over },
    ffi::METH_NOARGS,
    DISCONNECTED_DOC,
);

/// The most bytes of a request's target that the log tells.
const MOST_NAMED: usize = 500;

const CAPSULE: &CStr = c"tapster.response";

impl StartResponses {
    pub(crate) fn new(py: Python<'_>, hop_by_hop: HopByHop) -> PyResult<Self> {
        // SAFETY: these two make no use of a capsule.
        let over = unsafe {
            Over {
                early_hints: HINTS_OVER.function(py, null_mut())?,
                client_disconnected: IS_GONE_OVER.function(py, null_mut())?,
            }
        };
        Ok(Self { spare: None, hop_by_hop, over })
    }

    /// One for the next request.
    pub(crate) fn take(&mut self, py: Python<'_>) -> PyResult<StartResponse> {
        match self.spare.take() {
            Some(spare) => Ok(spare),
            None => self.make(py),
        }
    }

    /// Takes one back after its request, if nobody else holds any of its functions.
    pub(crate) fn give_back(&mut self, mut used: StartResponse) {
        used.end();
        let functions = [&used.function, &used.write, &used.early_hints, &used.client_disconnected];
        // SAFETY: all are live objects; reading a reference count has no effect.
        let kept = functions.into_iter().any(|function| unsafe { ffi::Py_REFCNT(function.as_ptr()) > 1 });
        if !kept {
            self.spare = Some(used);
        }
    }

    /// What may stand in `environ` when the request is over.
    pub(crate) fn over(&self) -> &Over {
        &self.over
    }

    fn make(&self, py: Python<'_>) -> PyResult<StartResponse> {
        let shared = Shared { response: Response::new(), hop_by_hop: self.hop_by_hop, write: null_mut() };
        let shared = Box::into_raw(Box::new(shared));
        // SAFETY: attached by `py`. The capsule takes the response over, and frees it when the last function is gone.
        unsafe {
            let capsule = ffi::PyCapsule_New(shared.cast::<c_void>(), CAPSULE.as_ptr(), Some(free_shared));
            if capsule.is_null() {
                drop(Box::from_raw(shared));
                return Err(PyErr::fetch(py));
            }
            let capsule = Bound::from_owned_ptr(py, capsule);
            let function = |definition: &'static Definition| definition.function(py, capsule.as_ptr());
            let write = function(&WRITE)?;
            (*shared).write = write.as_ptr();
            Ok(StartResponse {
                function: function(&START_RESPONSE)?,
                write,
                early_hints: function(&HINTS)?,
                client_disconnected: function(&IS_GONE)?,
                shared: NonNull::new_unchecked(shared),
                request: Vec::new(),
            })
        }
    }
}

impl StartResponse {
    pub(crate) fn function(&self) -> &Py<PyAny> {
        &self.function
    }

    pub(crate) fn early_hints(&self) -> &Py<PyAny> {
        &self.early_hints
    }

    pub(crate) fn client_disconnected(&self) -> &Py<PyAny> {
        &self.client_disconnected
    }

    /// The reply. The borrow must end before Python code runs or the interpreter's lock is given away, since both let the
    /// application come to the reply through the functions.
    pub(crate) fn response(&mut self) -> &mut Response {
        // SAFETY: alive as long as the functions that this value holds; other borrows are those of the functions' calls,
        // which run only where the callers of this method let Python code run, and of this method, which `&mut self`
        // keeps apart.
        unsafe { &mut self.shared.as_mut().response }
    }

    /// Notes which request this is for.
    pub(crate) fn name_request(&mut self, method: &[u8], target: &[u8]) {
        self.request.clear();
        self.request.extend_from_slice(method);
        self.request.push(b' ');
        self.request.extend_from_slice(&target[..target.len().min(MOST_NAMED)]);
    }

    /// The request as log lines name it.
    pub(crate) fn request(&self) -> impl fmt::Display {
        self.request.escape_ascii()
    }

    /// Waits where the client takes less than has been sent, with other Python threads running on.
    pub(crate) fn wait_for_room(&mut self, py: Python<'_>, more_than: usize) {
        // SAFETY: attached by the token; alive by the functions that this value holds, and borrowed by nobody, by `&mut`.
        unsafe { wait_for_room(py, self.shared, more_than) };
    }

    /// Sends a block of the body, and waits where the client takes less.
    #[inline]
    pub(crate) fn send_block(&mut self, py: Python<'_>, bytes: &[u8]) {
        // SAFETY: as in `wait_for_room`; the block is the caller's, and bytes are immutable.
        unsafe { send_block(py, self.shared, bytes) };
    }

    /// From here on the functions refuse everybody.
    fn end(&mut self) {
        let response = self.response();
        (response.phase, response.line) = (Phase::Over, Line::Down);
    }
}

impl Drop for StartResponse {
    fn drop(&mut self) {
        // The functions may live on in the application's hands.
        self.end();
    }
}

/// Sends a block of the body. A large one goes piece by piece, each when there is room for it, so that it is never copied as a
/// whole for a client that takes it slowly.
///
/// # Safety
/// The shared state is alive until this returns, nobody has a borrow of it, and the bytes stay what they are while other threads
/// run.
#[inline]
pub(crate) unsafe fn send_block(py: Python<'_>, shared: NonNull<Shared>, bytes: &[u8]) {
    for piece in bytes.chunks(HIGH_WATER) {
        // SAFETY: the caller's promise; the borrow ends before the wait.
        unsafe {
            let response = &mut (*shared.as_ptr()).response;
            response.send_body(piece);
            response.send_now(&[]);
            wait_for_room(py, shared, 0);
            let response = &(*shared.as_ptr()).response;
            if response.client_gone || response.overrun {
                return;
            }
        }
    }
}

/// Holds an application back that pushes faster than its client takes, with other Python threads running on.
///
/// # Safety
/// The shared state is alive until this returns, and nobody has a borrow of it.
pub(crate) unsafe fn wait_for_room(py: Python<'_>, shared: NonNull<Shared>, more_than: usize) {
    // SAFETY: the caller's promise; the borrow ends at once.
    let Some(mut held) = (unsafe { (*shared.as_ptr()).response.begin_waiting(more_than) }) else { return };
    let (held, waited) = py.detach(move || {
        let waited = held.make_room();
        (held, waited)
    });
    // SAFETY: attached again; no borrow was held while other threads ran, and none of theirs outlives its function's call.
    unsafe { (*shared.as_ptr()).response.end_waiting(held, waited.is_err()) };
}

/// What the capsule holds; with an exception set where it is not ours.
///
/// # Safety
/// This thread is attached.
pub(crate) unsafe fn shared_of(capsule: *mut ffi::PyObject) -> Option<NonNull<Shared>> {
    // SAFETY: the name is checked by the call; the pointer is the one that `make` put in.
    NonNull::new(unsafe { ffi::PyCapsule_GetPointer(capsule, CAPSULE.as_ptr()).cast::<Shared>() })
}

unsafe extern "C" fn free_shared(capsule: *mut ffi::PyObject) {
    // SAFETY: called once, by the capsule's deallocator, with the pointer that `make` put in.
    unsafe {
        let shared = ffi::PyCapsule_GetPointer(capsule, CAPSULE.as_ptr()).cast::<Shared>();
        if !shared.is_null() {
            drop(Box::from_raw(shared));
        }
    }
}
