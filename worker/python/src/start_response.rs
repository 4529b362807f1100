//! `start_response` and the `write` that it returns (PEP 3333, "The `start_response()` Callable").
//!
//! Both are built-in functions over one capsule that owns the [`Response`]. They are used for request after request; where
//! the application keeps one beyond its request, new ones are made for the next, and the kept ones only raise.

use std::ffi::{CStr, c_void};
use std::ptr::{NonNull, null_mut};

use pyo3::ffi;
use pyo3::prelude::*;
use tapster_wire::http1::reply::{self, FieldKind, ReplyFacts};

use crate::response::{Phase, Response};
use crate::text::{Latin1, NotLatin1, bytes_of, encode_latin1};

/// A `start_response` with its `write` and its reply.
#[derive(Debug)]
pub(crate) struct StartResponse {
    function: Py<PyAny>,
    write: Py<PyAny>,
    /// Owned by the capsule that both functions hold.
    shared: NonNull<Shared>,
}

/// What the functions share.
struct Shared {
    response: Response,
    /// Borrowed from the [`StartResponse`], so there while the response is not [`Phase::Over`].
    write: *mut ffi::PyObject,
}

/// Where a reply's functions come from.
pub(crate) struct StartResponses {
    start_definition: *mut ffi::PyMethodDef,
    write_definition: *mut ffi::PyMethodDef,
    spare: Vec<StartResponse>,
}

/// More replies than this are never in the making at once in one thread.
const MOST_SPARE: usize = 4;
const CAPSULE: &CStr = c"tapster.response";
const START_DOC: &CStr = c"start_response(status, response_headers, exc_info=None): declares the reply's status and \
headers, and returns write(body_data). PEP 3333.";

impl StartResponses {
    pub(crate) fn new() -> Self {
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
        let shared = Box::into_raw(Box::new(Shared { response: Response::new(), write: null_mut() }));
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
            })
        }
    }
}

impl StartResponse {
    pub(crate) fn function(&self) -> &Py<PyAny> {
        &self.function
    }

    /// The reply. The borrow must end before Python code runs, which may come back to it through the functions.
    pub(crate) fn response(&mut self) -> &mut Response {
        // SAFETY: alive as long as the functions that this value holds; other borrows are those of the functions below,
        // which run only inside calls of Python code, and of this method, which `&mut self` keeps apart.
        unsafe { &mut self.shared.as_mut().response }
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

/// What to raise: the class and the message.
struct Raise(*mut ffi::PyObject, String);

fn assertion(message: &str) -> Raise {
    // SAFETY: a static of the interpreter; read while attached.
    Raise(unsafe { ffi::PyExc_AssertionError }, message.into())
}

fn type_error(message: String) -> Raise {
    // SAFETY: as above.
    Raise(unsafe { ffi::PyExc_TypeError }, message)
}

fn value_error(message: String) -> Raise {
    // SAFETY: as above.
    Raise(unsafe { ffi::PyExc_ValueError }, message)
}

/// Sets the exception and answers the null that tells the interpreter so.
fn raise(Raise(class, message): Raise) -> *mut ffi::PyObject {
    let message = std::ffi::CString::new(message.replace('\0', "\\0")).unwrap_or_default();
    // SAFETY: only called from the functions below, attached.
    unsafe { ffi::PyErr_SetString(class, message.as_ptr()) };
    null_mut()
}

unsafe extern "C" fn start_response(
    capsule: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this attached, with `count` positional arguments and one more for each of `names`, all
    // alive until it returns. The shared state is the capsule's, and no Python code runs while it is borrowed.
    unsafe {
        let Some(shared) = shared_of(capsule) else { return null_mut() };
        let declared = arguments_of(arguments, count, names)
            .and_then(|[status, headers, exc_info]| declare(&mut shared.response, status, headers, exc_info));
        match declared {
            Ok(Declared::Yes) => {
                // Not `Over`, or `declare` had refused: so its owner, which holds `write`, is alive.
                ffi::Py_INCREF(shared.write);
                shared.write
            }
            Ok(Declared::Reraised) => null_mut(),
            Err(error) => raise(error),
        }
    }
}

unsafe extern "C" fn write(capsule: *mut ffi::PyObject, data: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as for `start_response`, with one argument.
    unsafe {
        let Some(shared) = shared_of(capsule) else { return null_mut() };
        let response = &mut shared.response;
        let Some(bytes) = bytes_of(data) else { return raise(type_error(not_bytes("write()", data))) };
        match response.phase {
            Phase::Expected => return raise(assertion("write() was called before start_response()")),
            Phase::Over => return raise(assertion("write() was called after the request was over")),
            Phase::Declared | Phase::Sent => {}
        }
        if !bytes.is_empty() {
            response.send_head(None);
            response.send_body(bytes);
            response.send_now(&[]);
            wait_for_room(response);
        }
        ffi::Py_INCREF(ffi::Py_None());
        ffi::Py_None()
    }
}

/// Above this many bytes that a client has not taken, an application that pushes needs room made for it.
const HIGH_WATER: usize = 1024 * 1024;

/// Holds an application back that pushes faster than its client takes, with other Python threads running on.
///
/// # Safety
/// This thread is attached.
unsafe fn wait_for_room(response: &mut Response) {
    let Some(mut sink) = response.sink.filter(|_| response.out.waiting().len() > HIGH_WATER && !response.client_gone)
    else {
        return;
    };
    // Another thread of the application may come to this response meanwhile, so it must not find bytes half sent.
    let mut out = std::mem::take(&mut response.out);
    // SAFETY: attached by the caller's promise, and again before returning; the sink is alive while it is set.
    let waited = unsafe {
        let state = ffi::PyEval_SaveThread();
        let waited = sink.as_mut().make_room(&mut out);
        ffi::PyEval_RestoreThread(state);
        waited
    };
    response.client_gone |= waited.is_err();
    out.end().extend_from_slice(response.out.waiting());
    response.out = out;
}

/// What the capsule holds; with an exception set where it is not ours.
///
/// # Safety
/// This thread is attached, and the borrow ends before Python code runs.
unsafe fn shared_of<'a>(capsule: *mut ffi::PyObject) -> Option<&'a mut Shared> {
    // SAFETY: the name is checked by the call; the pointer is the one that `make` put in.
    unsafe { ffi::PyCapsule_GetPointer(capsule, CAPSULE.as_ptr()).cast::<Shared>().as_mut() }
}

/// Status, headers and exc_info, by position or by the names that PEP 3333 gives them; the last may be null.
///
/// # Safety
/// As the interpreter calls functions with `METH_FASTCALL | METH_KEYWORDS`.
unsafe fn arguments_of(
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> Result<[*mut ffi::PyObject; 3], Raise> {
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
            found[slot] = *arguments.add(positional + place);
        }
        if found[2] == ffi::Py_None() {
            found[2] = null_mut();
        }
    }
    if found[0].is_null() || found[1].is_null() {
        return Err(type_error("start_response() needs a status and response headers".into()));
    }
    Ok(found)
}

enum Declared {
    Yes,
    /// `exc_info`'s exception is set again: the head has left already.
    Reraised,
}

/// # Safety
/// This thread is attached and all three point to live objects, the last may be null.
unsafe fn declare(
    response: &mut Response,
    status: *mut ffi::PyObject,
    headers: *mut ffi::PyObject,
    exc_info: *mut ffi::PyObject,
) -> Result<Declared, Raise> {
    match (response.phase, exc_info.is_null()) {
        (Phase::Over, _) => return Err(assertion("start_response() was called after the request was over")),
        (Phase::Declared | Phase::Sent, true) => {
            return Err(assertion("start_response() was called a second time without exc_info (PEP 3333)"));
        }
        // SAFETY: the caller's promise.
        (Phase::Sent, false) => return unsafe { reraise(exc_info) },
        (Phase::Expected, _) | (Phase::Declared, false) => {}
    }
    // Not declared until all of it is right.
    response.phase = Phase::Expected;
    // SAFETY: the caller's promise.
    unsafe {
        let line = encode_latin1(status).map_err(|why| not_text("the status", status, &why))?;
        let code = reply::check_status(line.bytes())
            .map_err(|error| value_error(format!("the status {}: {error}", shown(&line))))?;
        response.facts = ReplyFacts { status: code, ..ReplyFacts::default() };
        response.status_line.clear();
        response.status_line.extend_from_slice(line.bytes());
        response.fields.clear();
        for_each_item(headers, |item| declare_field(response, item))?;
    }
    response.phase = Phase::Declared;
    Ok(Declared::Yes)
}

/// # Safety
/// As [`declare`]; `headers` is any object.
unsafe fn for_each_item(
    headers: *mut ffi::PyObject,
    mut each: impl FnMut(*mut ffi::PyObject) -> Result<(), Raise>,
) -> Result<(), Raise> {
    // SAFETY: the caller's promise. Nothing in `each` runs Python code, so the list keeps its length and its items.
    unsafe {
        if ffi::PyList_Check(headers) == 0 {
            return Err(type_error(format!(
                "start_response(): the response headers must be a list of (name, value) tuples, not {}",
                kind_of(headers)
            )));
        }
        for place in 0..ffi::PyList_Size(headers) {
            each(ffi::PyList_GetItem(headers, place))?;
        }
    }
    Ok(())
}

/// # Safety
/// As [`declare`]; `item` is any object.
unsafe fn declare_field(response: &mut Response, item: *mut ffi::PyObject) -> Result<(), Raise> {
    // SAFETY: the caller's promise; a tuple keeps its items.
    let (name, value) = unsafe {
        if ffi::PyTuple_Check(item) == 0 || ffi::PyTuple_Size(item) != 2 {
            let kind = kind_of(item);
            return Err(type_error(format!("each response header must be a (name, value) tuple, not {kind}")));
        }
        let (name, value) = (ffi::PyTuple_GetItem(item, 0), ffi::PyTuple_GetItem(item, 1));
        let name = encode_latin1(name).map_err(|why| not_text("a response header's name", name, &why))?;
        let value = encode_latin1(value)
            .map_err(|why| not_text(&format!("the response header {}", shown(&name)), value, &why))?;
        (name, value)
    };
    let field = |error: &dyn std::fmt::Display| value_error(format!("the response header {}: {error}", shown(&name)));
    match reply::append_field(&mut response.fields, name.bytes(), value.bytes()) {
        Ok(FieldKind::HopByHop | FieldKind::TransferEncoding) => Err(assertion(&format!(
            "the response header {} is hop-by-hop, which only the server may send (PEP 3333, \"Other HTTP Features\")",
            shown(&name)
        ))),
        Ok(kind) => response.facts.note(kind).map_err(|error| field(&error)),
        Err(error) => Err(field(&error)),
    }
}

/// Sets the exception that `exc_info` holds, traceback included.
///
/// # Safety
/// As [`declare`].
unsafe fn reraise(exc_info: *mut ffi::PyObject) -> Result<Declared, Raise> {
    // SAFETY: the caller's promise; PyErr_Restore takes over the references that are added here.
    unsafe {
        if ffi::PyTuple_Check(exc_info) == 0 || ffi::PyTuple_Size(exc_info) != 3 {
            return Err(type_error(format!("exc_info must be what sys.exc_info() returns, not {}", kind_of(exc_info))));
        }
        let [class, value, trace] = [0, 1, 2].map(|place| {
            let part = ffi::PyTuple_GetItem(exc_info, place);
            if part == ffi::Py_None() {
                return null_mut();
            }
            ffi::Py_INCREF(part);
            part
        });
        if class.is_null() {
            ffi::Py_XDECREF(value);
            ffi::Py_XDECREF(trace);
            return Err(assertion("start_response() was called after the headers were sent, with an empty exc_info"));
        }
        ffi::PyErr_Restore(class, value, trace);
    }
    Ok(Declared::Reraised)
}

/// # Safety
/// As [`declare`].
unsafe fn not_text(what: &str, object: *mut ffi::PyObject, why: &NotLatin1) -> Raise {
    match why {
        // SAFETY: the caller's promise.
        NotLatin1::NotStr => type_error(format!("{what} must be a str, not {}", unsafe { kind_of(object) })),
        NotLatin1::Character => {
            value_error(format!("{what} has a character that latin-1 does not have (PEP 3333, \"Unicode Issues\")"))
        }
    }
}

/// "… must be bytes, not str".
///
/// # Safety
/// As [`declare`].
pub(crate) unsafe fn not_bytes(what: &str, object: *mut ffi::PyObject) -> String {
    // SAFETY: the caller's promise.
    format!("{what} must be given bytes, not {}", unsafe { kind_of(object) })
}

/// The name of the type of the object that `object` points to.
///
/// # Safety
/// As [`declare`].
pub(crate) unsafe fn kind_of(object: *mut ffi::PyObject) -> String {
    // SAFETY: the caller's promise: attached, and the object is alive.
    let (py, object) = unsafe { (Python::assume_attached(), object) };
    // SAFETY: as above.
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    object.get_type().name().map_or_else(|_| "an object".into(), |name| name.to_string())
}

/// A header's text as a message shows it, cut and with nothing unprintable.
fn shown(text: &Latin1<'_>) -> String {
    let bytes = text.bytes();
    format!("'{}'", bytes[..bytes.len().min(80)].escape_ascii())
}
