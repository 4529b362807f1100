//! One request through the application: call it, iterate what it returns, close that, and tell how the reply ended.
//!
//! PEP 3333, "Specification Details". All of it happens in one thread, which the application has to itself meanwhile; the
//! sink takes each block away before the next is made.

use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

use pyo3::exceptions::PyAttributeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;
use tapster_wire::http1::reply::{RequestFacts, ServerFields};
use tapster_wire::{Head, Origin, Outbox};

use crate::application::Application;
use crate::blocks::Blocks;
use crate::context::Contexts;
use crate::declaration::HopByHop;
use crate::environ::{Environs, Made};
use crate::failure::Failure;
use crate::file_wrapper;
use crate::input::RequestBody;
use crate::module_tapster::is_request_timeout;
use crate::peer::Peer;
use crate::process::leave_if_forked;
use crate::response::{Line, Phase, Sink, this_thread};
use crate::server::Server;
use crate::start_response::{StartResponse, StartResponses};
use crate::text::{bytes_of, type_name};
use crate::traceback;

/// A request, complete.
pub struct Request<'a> {
    /// What its head says.
    pub head: &'a Head,
    /// What the head's spans refer to.
    pub buffer: &'a [u8],
    /// Where it came in.
    pub server: &'a Server,
    /// Where it came from.
    pub peer: &'a Peer,
    /// What proxies that are trusted say of where it came from before.
    pub origin: Origin<'a>,
    /// Its body.
    pub body: RequestBody<'a>,
}

/// How the worker's side of an exchange is reached while the application runs.
pub struct Wire<'a> {
    /// Where the reply's bytes go.
    pub out: &'a mut Outbox,
    /// How they leave.
    pub sink: &'a mut dyn Sink,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It may carry the next request.
    KeepAlive,
    /// It is closed once everything is sent.
    Close,
    /// It is cut off after what has been sent, so that the client sees the body is not whole.
    Broken,
    /// It is reset after what has been sent: the body had no other end than the connection's, so that a plain close would
    /// make it look whole.
    Reset,
}

impl Ending {
    /// Whether it comes behind a whole reply.
    #[must_use]
    pub fn is_whole(self) -> bool {
        matches!(self, Self::KeepAlive | Self::Close)
    }
}

/// Calls the application, one request at a time. Each thread that does has one.
pub struct Caller {
    application: Arc<Application>,
    environs: Environs,
    starts: StartResponses,
    contexts: Contexts,
    close: Py<PyString>,
}

// SAFETY: the pointers in it are to memory of its own (the spare replies) or that lives for ever (definitions of functions), and
// all is used by `call` and dropped by the interpreter's rules, which both ask for its lock. Between two calls it holds nothing
// of the thread that made the last.
unsafe impl Send for Caller {}

impl Caller {
    /// A caller of `application`, for one thread.
    ///
    /// # Errors
    /// Where Python's standard library is not what it should be.
    pub fn new(py: Python<'_>, application: Arc<Application>, hop_by_hop: HopByHop) -> PyResult<Self> {
        let (environs, starts) = (Environs::new(py)?, StartResponses::new(py, hop_by_hop)?);
        let contexts = Contexts::default();
        Ok(Self { application, environs, starts, contexts, close: PyString::intern(py, "close").unbind() })
    }

    /// One whole exchange: calls the application with `request`, sends what it gives, and closes what it returned. `server` is
    /// what the server says of itself, `keep_alive` whether it would have another request on this connection. What has not
    /// been sent is left in the outbox.
    pub fn call(
        &mut self,
        py: Python<'_>,
        request: Request<'_>,
        keep_alive: bool,
        server: &ServerFields,
        wire: &mut Wire<'_>,
    ) -> Ending {
        let (head, buffer) = (request.head, request.buffer);
        let mut start = match self.starts.take(py) {
            Ok(start) => start,
            Err(error) => {
                log::error!("can't make a start_response: {}", traceback::format(py, &error));
                return Ending::Broken;
            }
        };
        start.name_request(head.method.of(buffer), head.target.of(buffer));
        let keep_alive = head.keep_alive && keep_alive;
        let Head { version, is_head_method: is_head, prefers_json, .. } = *head;
        start.response().open(RequestFacts { version, is_head, keep_alive, prefers_json }, server);
        let ending = running(&mut start, wire, |start| match self.contexts.enter(py) {
            Ok(context) => {
                let ending = self.exchange(py, request, start);
                self.contexts.leave(context);
                ending
            }
            Err(error) => self.end(py, start, None, Err(Failure::Raised(error))),
        });
        // The application's code may have run where the last of its objects went.
        leave_if_forked(py, None);
        self.starts.give_back(start);
        ending
    }

    fn exchange(&mut self, py: Python<'_>, request: Request<'_>, start: &mut StartResponse) -> Ending {
        let Made { environ, upload } = match self.environs.make(py, request, start) {
            Ok(made) => made,
            Err(error) => return self.end(py, start, None, Err(Failure::Raised(error))),
        };
        // SAFETY: attached by `py`; all are live objects, and null ends the arguments.
        let returned = unsafe {
            let (app, start) = (self.application.object(py).as_ptr(), start.function().as_ptr());
            let end = null_mut::<ffi::PyObject>();
            Bound::from_owned_ptr_or_opt(py, ffi::PyObject_CallFunctionObjArgs(app, environ.as_ptr(), start, end))
        };
        let returned = returned.ok_or_else(|| traceback::take(py));
        leave_if_forked(py, returned.as_ref().err());
        // What only the server still holds goes now, with a body in memory, however long the reply takes.
        // SAFETY: a live object; reading its reference count has no effect.
        let kept = unsafe { ffi::Py_REFCNT(environ.as_ptr()) > 1 }.then_some(environ);
        // The last of something of the application's may have gone with it.
        leave_if_forked(py, None);
        let ending = match returned {
            Ok(returned) => self.reply(py, start, &returned),
            Err(error) => self.end(py, start, None, Err(Failure::Raised(error))),
        };
        if let Some(environ) = kept {
            self.environs.retire(&environ, start, self.starts.over());
        }
        if let Some(upload) = upload {
            // It fails where the application has taken it apart.
            let _ = upload.call_method0(self.close.bind(py));
        }
        ending
    }

    fn reply(&self, py: Python<'_>, start: &mut StartResponse, returned: &Bound<'_, PyAny>) -> Ending {
        match Blocks::of(returned) {
            // Lists and tuples are the whole body at once, and have no `close`.
            Some(blocks) => {
                let sent = blocks.and_then(|blocks| blocks.send(start));
                self.end(py, start, None, sent)
            }
            None => {
                let sent = send_iterable(py, start, returned);
                self.end(py, start, Some(returned), sent)
            }
        }
    }

    /// Completes the reply, or answers for its failure, and closes what the application returned.
    fn end(
        &self,
        py: Python<'_>,
        start: &mut StartResponse,
        iterable: Option<&Bound<'_, PyAny>>,
        ended: Result<(), Failure>,
    ) -> Ending {
        let ending = match ended {
            Ok(()) => complete(start),
            Err(failure) => fail(py, start, &failure),
        };
        let response = start.response();
        // What `close()` would still write could not be sent any more.
        response.phase = Phase::Over;
        let Some(iterable) = iterable else { return ending };
        if !response.has_file {
            // The client need not wait for what the application tidies up. A file can only be sent when that is done, and
            // the head then leaves with its first bytes.
            response.send_now(&[]);
            start.wait_for_room(py, 0);
        }
        let response = start.response();
        let ending = if response.client_gone { response.broken() } else { ending };
        if ending.is_whole() {
            response.note_whole();
        }
        self.close(iterable, start);
        ending
    }

    /// Calls `close()` where the iterable has it (PEP 3333: in every case, error or not).
    fn close(&self, iterable: &Bound<'_, PyAny>, start: &mut StartResponse) {
        let py = iterable.py();
        let closed = match iterable.getattr(self.close.bind(py)) {
            Ok(close) => close.call0().map(drop),
            Err(error) if error.is_instance_of::<PyAttributeError>(py) => Ok(()),
            Err(error) => Err(error),
        };
        leave_if_forked(py, closed.as_ref().err());
        match closed {
            Ok(()) => {}
            Err(error) if is_request_timeout(py, &error) => say_interrupted(start),
            Err(error) => {
                let traceback = traceback::format(py, &error);
                let text = format!("Error in close() after request {}\n{traceback}", start.request());
                start.response().complain(&text);
            }
        }
    }
}

/// Runs an exchange with the outbox and the sink in the response's hands, where `write()` finds them if this thread calls it.
fn running(start: &mut StartResponse, wire: &mut Wire<'_>, run: impl FnOnce(&mut StartResponse) -> Ending) -> Ending {
    let sink: NonNull<dyn Sink + '_> = NonNull::from(&mut *wire.sink);
    // SAFETY: only the lifetime changes. The pointer is taken away again below, within the borrow that it came from; where
    // `run` panics instead, its owner drops the `StartResponse` and by that takes it away too.
    let sink: NonNull<dyn Sink> = unsafe { std::mem::transmute(sink) };
    let response = start.response();
    std::mem::swap(&mut response.out, wire.out);
    response.line = Line::Up { sink, thread: this_thread() };
    let ending = run(start);
    let response = start.response();
    std::mem::swap(&mut response.out, wire.out);
    response.line = Line::Down;
    ending
}

/// Sends what a body has that is no list.
fn send_iterable(py: Python<'_>, start: &mut StartResponse, body: &Bound<'_, PyAny>) -> Result<(), Failure> {
    let is_file_wrapper = file_wrapper::is_one(body);
    if is_file_wrapper {
        let part = file_wrapper::plain_part(body);
        leave_if_forked(py, part.as_ref().err());
        if let Some(part) = part.map_err(Failure::Raised)?
            && start.response().takes_file()
        {
            start.response().send_file(part);
            return Ok(());
        }
        if start.response().wants_no_body() {
            // Reading it would be for nothing, and may take long.
            return Ok(());
        }
    }
    let sent = iterate(py, start, body);
    if is_file_wrapper {
        // A declared length says where in the file to stop, so a file that has more is no mistake (PEP 3333, "Optional
        // Platform-Specific File Handling").
        start.response().overrun = false;
    }
    sent
}

/// Sends block after block, each before the application makes the next (PEP 3333, "Buffering and Streaming").
fn iterate(py: Python<'_>, start: &mut StartResponse, body: &Bound<'_, PyAny>) -> Result<(), Failure> {
    // SAFETY: attached by `py`; a live object.
    let iterator = unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyObject_GetIter(body.as_ptr())) };
    let Some(iterator) = iterator else {
        let error = traceback::take(py);
        leave_if_forked(py, Some(&error));
        return Err(if is_iterable(body) { Failure::Raised(error) } else { Failure::NotIterable(type_name(body)) });
    };
    leave_if_forked(py, None);
    loop {
        // SAFETY: attached by `py`; a live iterator.
        let block = unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyIter_Next(iterator.as_ptr())) };
        let Some(block) = block else {
            let raised = PyErr::take(py);
            leave_if_forked(py, raised.as_ref());
            return match raised {
                Some(error) => Err(Failure::Raised(error)),
                None if start.response().phase == Phase::Expected => Err(Failure::NotStarted),
                None => Ok(()),
            };
        };
        leave_if_forked(py, None);
        // SAFETY: attached, and `block` is held until the bytes have been used.
        let Some(bytes) = (unsafe { bytes_of(block.as_ptr()) }) else {
            return Err(Failure::NotBytes(type_name(&block)));
        };
        if bytes.is_empty() {
            continue;
        }
        let response = start.response();
        if response.phase == Phase::Expected {
            return Err(Failure::NotStarted);
        }
        response.send_head(None);
        start.send_block(py, bytes);
        let response = start.response();
        response.progress();
        // Nothing of the rest would be sent: the client is gone, or has all it may have, or wanted the head only.
        if response.has_no_body() || response.client_gone || response.overrun {
            return Ok(());
        }
    }
}

/// Whether the type of an object has a way to iterate it: if that fails, the application's own code has.
fn is_iterable(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached and alive, by the bound; slots may be asked of every type, and null is one that is not there.
    unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        !ffi::PyType_GetSlot(kind, ffi::Py_tp_iter).is_null() || ffi::PySequence_Check(object.as_ptr()) != 0
    }
}

/// The application has given all it has.
fn complete(start: &mut StartResponse) -> Ending {
    let response = start.response();
    if response.client_gone {
        // An end to what was not all sent would make it look whole.
        return response.broken();
    }
    let finished = response.finish();
    let (overrun, client_gone, broken) = (response.overrun, response.client_gone, response.broken());
    if overrun {
        log::warn!(
            "the application sent more body than the Content-Length it declared for {}; the rest was cut off",
            start.request()
        );
    }
    match finished {
        _ if client_gone => broken,
        Ok(true) => Ending::KeepAlive,
        Ok(false) => Ending::Close,
        Err(shortfall) => {
            let text = format!("the application {shortfall} for {}; the connection is closed", start.request());
            start.response().complain(&text);
            broken
        }
    }
}

/// The application has failed: writes it down, and answers for it where it can still be done.
fn fail(py: Python<'_>, start: &mut StartResponse, failure: &Failure) -> Ending {
    let is_timeout = failure.is_timeout(py);
    if is_timeout {
        say_interrupted(start);
    } else if start.response().client_gone && failure.is_broken_pipe(py) {
        log::debug!("the client was gone before the end of the reply to {}", start.request());
    } else {
        let text = failure.text(py, start.request());
        start.response().complain(&text);
    }
    let response = start.response();
    if response.is_whole() {
        // Its length has told the client so.
        return response.ending();
    }
    if response.phase == Phase::Sent || response.client_gone {
        return response.broken();
    }
    match is_timeout {
        // Whoever has interrupted the request has answered it.
        true if response.is_disconnected() == Ok(true) => return Ending::Broken,
        true => response.fail(504, "The application did not answer this request in time."),
        false => response.fail(500, "The application failed to answer this request."),
    }
    Ending::Close
}

/// The stacks are in the log already, from when the time was over.
fn say_interrupted(start: &StartResponse) {
    log::warn!("request {} was interrupted after its timeout", start.request());
}
