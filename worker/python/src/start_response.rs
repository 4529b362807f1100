//! `start_response` and the `write` that it returns (PEP 3333, "The `start_response()` Callable").
//!
//! Both are built-in functions over one capsule that owns the [`Response`]. They are used for request after request; where
//! the application keeps one beyond its request, new ones are made for the next, and the kept ones only raise.
//!
//! The application may hand them to other threads, and what it does there comes at any moment at which Python code runs
//! anywhere, or at which this thread has given the interpreter's lock away. So a response is borrowed only between such
//! moments, and the functions raise for everybody but the thread that the application was called in.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::ptr::{NonNull, null_mut};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::declaration::{Declaration, HopByHop};
use crate::raise::{Raise, assertion, broken_pipe, type_error};
use crate::response::{Phase, Response};
use crate::text::{bytes_of, encode_latin1, type_name};

/// A `start_response` with its `write` and its reply.
#[derive(Debug)]
pub(crate) struct StartResponse {
    function: Py<PyAny>,
    write: Py<PyAny>,
    /// Owned by the capsule that both functions hold.
    shared: NonNull<Shared>,
    /// Method and target of the request, as they came, cut.
    request: Vec<u8>,
}

/// What the functions share.
struct Shared {
    response: Response,
    hop_by_hop: HopByHop,
    /// Borrowed from the [`StartResponse`], so there while the response is not [`Phase::Over`].
    write: *mut ffi::PyObject,
}

/// Where a reply's functions come from.
pub(crate) struct StartResponses {
    start_definition: *mut ffi::PyMethodDef,
    write_definition: *mut ffi::PyMethodDef,
    spare: Vec<StartResponse>,
    hop_by_hop: HopByHop,
}

/// More replies than this are never in the making at once in one thread.
const MOST_SPARE: usize = 4;
const CAPSULE: &CStr = c"tapster.response";
const START_DOC: &CStr = c"start_response(status, response_headers, exc_info=None): declares the reply's status and \
headers, and returns write(body_data). PEP 3333.";

impl StartResponses {
    pub(crate) fn new(hop_by_hop: HopByHop) -> Self {
        let definition = |name: &'static CStr, meth, flags, doc: &'static CStr| {
            // Leaked, because the interpreter keeps pointers to it.
            Box::into_raw(Box::new(ffi::PyMethodDef {
                ml_name: name.as_ptr(),
                ml_meth: meth,
                ml_flags: flags,
                ml_doc: doc.as_ptr(),
            }))
        };
        Self {
            start_definition: definition(
                c"start_response",
                ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: start_response },
                ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
                START_DOC,
            ),
            write_definition: definition(
                c"write",
                ffi::PyMethodDefPointer { PyCFunction: write },
                ffi::METH_O,
                c"write(body_data): sends bytes of the body. PEP 3333.",
            ),
            spare: Vec::with_capacity(MOST_SPARE),
            hop_by_hop,
        }
    }

    /// One for the next request.
    pub(crate) fn take(&mut self, py: Python<'_>) -> PyResult<StartResponse> {
        match self.spare.pop() {
            Some(spare) => Ok(spare),
            None => self.make(py),
        }
    }

    /// Takes one back after its request, if nobody else holds it.
    pub(crate) fn give_back(&mut self, mut used: StartResponse) {
        used.response().phase = Phase::Over;
        // SAFETY: both are live objects; reading a reference count has no effect.
        let shared = unsafe { ffi::Py_REFCNT(used.function.as_ptr()) > 1 || ffi::Py_REFCNT(used.write.as_ptr()) > 1 };
        if !shared && self.spare.len() < MOST_SPARE {
            self.spare.push(used);
        }
    }

    fn make(&self, py: Python<'_>) -> PyResult<StartResponse> {
        let shared = Shared { response: Response::new(), hop_by_hop: self.hop_by_hop, write: null_mut() };
        let shared = Box::into_raw(Box::new(shared));
        // SAFETY: attached by `py`. The capsule takes the response over, and frees it when the last function is gone; the
        // definitions live for ever.
        unsafe {
            let capsule = ffi::PyCapsule_New(shared.cast::<c_void>(), CAPSULE.as_ptr(), Some(free_shared));
            if capsule.is_null() {
                drop(Box::from_raw(shared));
                return Err(PyErr::fetch(py));
            }
            let capsule = Bound::from_owned_ptr(py, capsule);
            let function = |definition| {
                Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(definition, capsule.as_ptr(), null_mut()))
            };
            let (start, write) = (function(self.start_definition)?, function(self.write_definition)?);
            (*shared).write = write.as_ptr();
            Ok(StartResponse {
                function: start.unbind(),
                write: write.unbind(),
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

    /// The reply. The borrow must end before Python code runs or the interpreter's lock is given away, since both let the
    /// application come to the reply through the functions.
    pub(crate) fn response(&mut self) -> &mut Response {
        // SAFETY: alive as long as the functions that this value holds; other borrows are those of the functions below,
        // which run only where the callers of this method let Python code run, and of this method, which `&mut self`
        // keeps apart.
        unsafe { &mut self.shared.as_mut().response }
    }

    /// Notes which request this is for.
    pub(crate) fn name_request(&mut self, method: &[u8], target: &[u8]) {
        self.request.clear();
        self.request.extend_from_slice(method);
        self.request.push(b' ');
        self.request.extend_from_slice(&target[..target.len().min(500)]);
    }

    /// The request as log lines name it.
    pub(crate) fn request(&self) -> impl fmt::Display {
        self.request.escape_ascii()
    }

    /// Waits where the client takes less than has been sent, with other Python threads running on.
    pub(crate) fn wait_for_room(&mut self, _py: Python<'_>) {
        // SAFETY: attached by the token; alive by the functions that this value holds, and borrowed by nobody, by `&mut`.
        unsafe { wait_for_room(self.shared) };
    }
}

impl Drop for StartResponse {
    fn drop(&mut self) {
        // The functions may live on in the application's hands.
        self.response().phase = Phase::Over;
    }
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

unsafe extern "C" fn start_response(
    capsule: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this attached, with `count` positional arguments and one more for each of `names`, all
    // alive until it returns; so is the function, and the shared state by its capsule.
    unsafe {
        let py = Python::assume_attached();
        let Some(shared) = shared_of(capsule) else { return null_mut() };
        let declared = arguments_of(py, arguments, count, names).and_then(|arguments| declare(shared, &arguments));
        match declared {
            Ok(Declared::Yes) => {
                // Not `Over`, or `declare` had refused: so its owner, which holds `write`, is alive.
                let write = (*shared.as_ptr()).write;
                ffi::Py_INCREF(write);
                write
            }
            Ok(Declared::Reraised) => null_mut(),
            Err(error) => error.set(py),
        }
    }
}

unsafe extern "C" fn write(capsule: *mut ffi::PyObject, data: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as for `start_response`, with one argument. The response is borrowed where no Python code runs, and not while
    // `wait_for_room` lets other threads run.
    unsafe {
        let py = Python::assume_attached();
        let Some(shared) = shared_of(capsule) else { return null_mut() };
        if let Err(error) = admit(&(*shared.as_ptr()).response, "write()") {
            return error.set(py);
        }
        let Some(bytes) = bytes_of(data) else {
            let kind = type_name(&Bound::from_borrowed_ptr(py, data));
            return type_error(format!("write() must be given bytes, not {kind}")).set(py);
        };
        if (*shared.as_ptr()).response.phase == Phase::Expected {
            return assertion("write() was called before start_response()").set(py);
        }
        if !bytes.is_empty() {
            let response = &mut (*shared.as_ptr()).response;
            response.send_head(None);
            response.send_body(bytes);
            response.send_now(&[]);
            wait_for_room(shared);
            if (*shared.as_ptr()).response.client_gone {
                // An application that pushes for ever would not learn it otherwise.
                return broken_pipe("write(): the client is gone").set(py);
            }
        }
        ffi::Py_INCREF(ffi::Py_None());
        ffi::Py_None()
    }
}

/// Whether `function` may come to the response.
#[inline]
fn admit(response: &Response, function: &str) -> Result<(), Raise> {
    response.refusal().map_or(Ok(()), |why| Err(assertion(&format!("{function} {why}"))))
}

/// Holds an application back that pushes faster than its client takes, with other Python threads running on.
///
/// # Safety
/// This thread is attached; the shared state is alive until this returns, and nobody has a borrow of it.
unsafe fn wait_for_room(shared: NonNull<Shared>) {
    // SAFETY: the caller's promise; the borrow ends at once.
    let Some(mut held) = (unsafe { (*shared.as_ptr()).response.begin_waiting() }) else { return };
    // SAFETY: attached by the caller's promise, and again before returning. The sink is on this thread's stack, below this
    // call, and nobody else reaches it: it has been taken out of the response, which refuses everybody until the wait is
    // over. The outbox is this function's own meanwhile.
    let waited = unsafe {
        let state = ffi::PyEval_SaveThread();
        let waited = held.sink.as_mut().make_room(&mut held.out);
        ffi::PyEval_RestoreThread(state);
        waited
    };
    // SAFETY: attached again; no borrow was held while other threads ran, and none of theirs outlives its function's call.
    unsafe { (*shared.as_ptr()).response.end_waiting(held, waited.is_err()) };
}

/// What the capsule holds; with an exception set where it is not ours.
///
/// # Safety
/// This thread is attached.
unsafe fn shared_of(capsule: *mut ffi::PyObject) -> Option<NonNull<Shared>> {
    // SAFETY: the name is checked by the call; the pointer is the one that `make` put in.
    NonNull::new(unsafe { ffi::PyCapsule_GetPointer(capsule, CAPSULE.as_ptr()).cast::<Shared>() })
}

/// What an application gives to `start_response`.
struct Arguments<'py> {
    status: Bound<'py, PyAny>,
    headers: Bound<'py, PyAny>,
    exc_info: Option<Bound<'py, PyAny>>,
}

/// Status, headers and exc_info, by position or by the names that PEP 3333 gives them.
///
/// # Safety
/// As the interpreter calls functions with `METH_FASTCALL | METH_KEYWORDS`.
unsafe fn arguments_of(
    py: Python<'_>,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> Result<Arguments<'_>, Raise> {
    let positional = usize::try_from(count).unwrap_or(0);
    if positional > 3 {
        return Err(type_error(format!("start_response() takes 2 or 3 arguments, not {positional}")));
    }
    let mut found = [null_mut(); 3];
    // SAFETY: the caller's promise: that many pointers stand there, and `names` is null or a tuple of strings.
    unsafe {
        for (place, slot) in found.iter_mut().enumerate().take(positional) {
            *slot = *arguments.add(place);
        }
        let named = if names.is_null() { 0 } else { usize::try_from(ffi::PyTuple_Size(names)).unwrap_or(0) };
        for place in 0..named {
            let name = ffi::PyTuple_GetItem(names, place as ffi::Py_ssize_t);
            let name = encode_latin1(name).map_or_else(|_| Vec::new(), |name| name.bytes().to_vec());
            let slot = match name.as_slice() {
                b"status" => 0,
                b"response_headers" | b"headers" => 1,
                b"exc_info" => 2,
                other => {
                    let other = String::from_utf8_lossy(other);
                    return Err(type_error(format!("start_response() has no argument named '{other}'")));
                }
            };
            if !found[slot].is_null() {
                let name = String::from_utf8_lossy(&name).into_owned();
                return Err(type_error(format!("start_response() was given the argument '{name}' twice")));
            }
            found[slot] = *arguments.add(positional + place);
        }
        let [status, headers, exc_info] = found.map(|found| Bound::from_borrowed_ptr_or_opt(py, found));
        match (status, headers) {
            (Some(status), Some(headers)) => {
                Ok(Arguments { status, headers, exc_info: exc_info.filter(|given| !given.is_none()) })
            }
            _ => Err(type_error("start_response() needs a status and response headers".into())),
        }
    }
}

enum Declared {
    Yes,
    /// `exc_info`'s exception is set again: the head has left already.
    Reraised,
}

/// # Safety
/// This thread is attached, the shared state is alive until this returns, and nobody has a borrow of it.
unsafe fn declare(shared: NonNull<Shared>, arguments: &Arguments<'_>) -> Result<Declared, Raise> {
    let Arguments { status, headers, exc_info } = arguments;
    // SAFETY: the caller's promise; the borrow ends at once.
    let mut declaration = match unsafe { begin(&mut (*shared.as_ptr()).response, exc_info.as_ref()) }? {
        Begun::Reading(declaration) => declaration,
        Begun::TooLate(exc_info) => return reraise(exc_info),
    };
    // SAFETY: as above; it is never written to.
    let hop_by_hop = unsafe { (*shared.as_ptr()).hop_by_hop };
    // This may run Python code, and so come back here.
    declaration.read(status, headers, hop_by_hop)?;
    // SAFETY: the caller's promise; no Python code runs until it ends.
    let response = unsafe { &mut (*shared.as_ptr()).response };
    admit(response, "start_response()")?;
    if response.phase != Phase::Expected {
        return Err(assertion(SECOND_TIME));
    }
    response.declared = declaration;
    response.phase = Phase::Declared;
    Ok(Declared::Yes)
}

const SECOND_TIME: &str = "start_response() was called a second time without exc_info (PEP 3333)";

/// What becomes of a call of `start_response`.
enum Begun<'a, 'py> {
    /// Its arguments are read into this, the reply having no declaration until all of it is right.
    Reading(Declaration),
    /// The head has left, so this is raised again.
    TooLate(&'a Bound<'py, PyAny>),
}

fn begin<'a, 'py>(response: &mut Response, exc_info: Option<&'a Bound<'py, PyAny>>) -> Result<Begun<'a, 'py>, Raise> {
    admit(response, "start_response()")?;
    match (response.phase, exc_info) {
        (Phase::Declared | Phase::Sent, None) => Err(assertion(SECOND_TIME)),
        (Phase::Sent, Some(exc_info)) => Ok(Begun::TooLate(exc_info)),
        (Phase::Expected | Phase::Declared | Phase::Over, _) => {
            response.phase = Phase::Expected;
            Ok(Begun::Reading(std::mem::take(&mut response.declared)))
        }
    }
}

/// Sets the exception that `exc_info` holds, traceback included. An application may pass anything, so it is not taken for
/// what `sys.exc_info()` returns before it is known to be.
fn reraise(exc_info: &Bound<'_, PyAny>) -> Result<Declared, Raise> {
    let wrong = |part: &str| {
        let what = format!("start_response(): exc_info must be what sys.exc_info() returns, {part}");
        Err(type_error(what))
    };
    // SAFETY: attached and alive by the bound, which keeps the tuple, which keeps its items, until the calls return. What
    // PyErr_SetObject and PyErr_SetNone are given has been checked to be exceptions and classes of them.
    unsafe {
        let tuple = exc_info.as_ptr();
        if ffi::PyTuple_Check(tuple) == 0 || ffi::PyTuple_Size(tuple) != 3 {
            return wrong(&format!("a tuple of three, not {}", type_name(exc_info)));
        }
        let [class, value, trace] = [0, 1, 2].map(|place| ffi::PyTuple_GetItem(tuple, place));
        let none = ffi::Py_None();
        if class == none && value == none {
            return Err(assertion("start_response() was called after the headers were sent, with an empty exc_info"));
        }
        if trace != none && ffi::PyTraceBack_Check(trace) == 0 {
            return wrong("and its third part a traceback or None");
        }
        if ffi::PyExceptionInstance_Check(value) != 0 {
            if trace != none {
                ffi::PyException_SetTraceback(value, trace);
            }
            ffi::PyErr_SetObject(ffi::Py_TYPE(value).cast(), value);
        } else if value == none && ffi::PyExceptionClass_Check(class) != 0 {
            ffi::PyErr_SetNone(class);
        } else {
            return wrong("with an exception in it");
        }
    }
    Ok(Declared::Reraised)
}
