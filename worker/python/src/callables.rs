//! What `start_response`, `write` (PEP 3333, "The `start_response()` Callable") and `environ`'s functions do when they are
//! called.
//!
//! The application may hand them to other threads, and what it does there comes at any moment at which Python code runs
//! anywhere, or at which this thread has given the interpreter's lock away. So a response is borrowed only between such
//! moments, and the functions raise for everybody but the thread that the application was called in.

use std::ffi::c_long;
use std::ptr::{NonNull, null_mut};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::declaration::{Declaration, Hints};
use crate::process::is_foreign_fork;
use crate::raise::{Raise, assertion, broken_pipe, runtime_error, type_error};
use crate::response::{Phase, Response};
use crate::start_response::{Shared, send_block, shared_of, wait_for_room};
use crate::text::{bytes_of, encode_latin1, type_name};

pub(crate) unsafe extern "C" fn start_response(
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

pub(crate) unsafe extern "C" fn write(capsule: *mut ffi::PyObject, data: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as for `start_response`, with one argument. The response is borrowed where no Python code runs, and not while
    // `wait_for_room` lets other threads run.
    unsafe {
        let py = Python::assume_attached();
        let Some(shared) = shared_of(capsule) else { return null_mut() };
        if let Err(error) = admit_to_client(&(*shared.as_ptr()).response, "write()") {
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
            send_block(py, shared, bytes);
            let response = &mut (*shared.as_ptr()).response;
            response.progress();
            if response.client_gone {
                // An application that pushes for ever would not learn it otherwise.
                return broken_pipe("write(): the client is gone").set(py);
            }
            if response.overrun {
                // What fits has been sent (PEP 3333, "Handling the `Content-Length` Header").
                return assertion("write() was given more body than the Content-Length that was declared").set(py);
            }
        }
        none()
    }
}

/// `environ["wsgi.early_hints"]`, as gunicorn has it.
pub(crate) unsafe extern "C" fn early_hints(
    capsule: *mut ffi::PyObject,
    headers: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for `write`.
    unsafe {
        let py = Python::assume_attached();
        let Some(shared) = shared_of(capsule) else { return null_mut() };
        match hint(py, shared, &Bound::from_borrowed_ptr(py, headers)) {
            Ok(()) => none(),
            Err(error) => error.set(py),
        }
    }
}

/// # Safety
/// The shared state is alive until this returns, and nobody has a borrow of it.
unsafe fn hint(py: Python<'_>, shared: NonNull<Shared>, headers: &Bound<'_, PyAny>) -> Result<(), Raise> {
    let admit = |response: &Response| match (admit_to_client(response, HINTS), response.phase) {
        (Ok(()), Phase::Sent) => Err(assertion("early_hints() was called after the reply's head had been sent")),
        (admitted, _) => admitted,
    };
    // SAFETY: the caller's promise; each borrow ends at once, before Python code runs.
    let hop_by_hop = unsafe {
        admit(&(*shared.as_ptr()).response)?;
        (*shared.as_ptr()).hop_by_hop
    };
    // This may run Python code, and so come back here.
    let hints = Hints::read(headers, hop_by_hop)?;
    // SAFETY: as above; no Python code runs until the wait.
    unsafe {
        let response = &mut (*shared.as_ptr()).response;
        admit(response)?;
        if response.takes_hints() {
            response.send_hints(&hints.0);
            wait_for_room(py, shared, 0);
            (*shared.as_ptr()).response.end_hints();
        }
        (*shared.as_ptr()).response.progress();
    }
    Ok(())
}

const HINTS: &str = "early_hints()";

/// `environ["wsgi.early_hints"]` when the request is over.
pub(crate) unsafe extern "C" fn early_hints_over(
    _: *mut ffi::PyObject,
    _headers: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this attached.
    let py = unsafe { Python::assume_attached() };
    assertion("early_hints() was called after the request was over").set(py)
}

/// `environ["tapster.client_disconnected"]`.
pub(crate) unsafe extern "C" fn client_disconnected(
    capsule: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for `write`.
    unsafe {
        let py = Python::assume_attached();
        let Some(shared) = shared_of(capsule) else { return null_mut() };
        match (*shared.as_ptr()).response.is_disconnected() {
            Ok(gone) => ffi::PyBool_FromLong(c_long::from(gone)),
            Err(why) => assertion(&format!("client_disconnected() {why}")).set(py),
        }
    }
}

/// `environ["tapster.client_disconnected"]` when the request is over.
pub(crate) unsafe extern "C" fn client_disconnected_over(
    _: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this attached.
    unsafe { ffi::PyBool_FromLong(1) }
}

fn none() -> *mut ffi::PyObject {
    // SAFETY: only called from functions that the interpreter calls, and so attached.
    unsafe {
        ffi::Py_INCREF(ffi::Py_None());
        ffi::Py_None()
    }
}

/// Whether `function` may come to the response.
#[inline]
fn admit(response: &Response, function: &str) -> Result<(), Raise> {
    response.refusal().map_or(Ok(()), |why| Err(assertion(&format!("{function} {why}"))))
}

/// Whether `function` may send anything by the response.
#[inline]
fn admit_to_client(response: &Response, function: &str) -> Result<(), Raise> {
    if is_foreign_fork() {
        return Err(in_a_fork(function));
    }
    admit(response, function)
}

#[cold]
fn in_a_fork(function: &str) -> Raise {
    runtime_error(&format!(
        "{function} was called in a process that the application has forked: the client is its parent's (leave the reply to \
         the parent, and end this process by os._exit())"
    ))
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
    if let Err(error) = declaration.read(status, headers, hop_by_hop) {
        // SAFETY: as above; the borrow ends at once.
        unsafe { (*shared.as_ptr()).response.misdeclared = true };
        return Err(error);
    }
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
        // "This includes the case where the first call to start_response raised an error."
        (Phase::Expected, None) if response.misdeclared => Err(assertion(SECOND_TIME)),
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
