//! One request through the application: call it, iterate what it returns, close that, and tell how the reply ended.
//!
//! PEP 3333, "Specification Details". The caller of [`Caller::call`] sends what is left in the outbox after each turn, so
//! every block is on its way before the application makes the next.

use std::ptr::{NonNull, null_mut};

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;
use tapster_wire::http1::reply::{RequestFacts, ServerFields};
use tapster_wire::{Head, Origin, Outbox};

use crate::application::Application;
use crate::blocks::Blocks;
use crate::declaration::HopByHop;
use crate::environ::{Environs, Server};
use crate::failure::Failure;
use crate::input::RequestBody;
use crate::peer::Peer;
use crate::process::{leave_if_forked, mark_forked_children};
use crate::response::{Line, Phase, Sink, this_thread};
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

/// How far a turn has brought an exchange.
#[derive(Debug)]
pub enum Turn {
    /// There may be more: send what is in the outbox, then [`Caller::resume`].
    More(Exchange),
    /// It is over.
    Done(Ending),
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

/// An exchange whose application has more of the body to give.
#[derive(Debug)]
pub struct Exchange {
    start: StartResponse,
    iterable: Py<PyAny>,
    iterator: Py<PyAny>,
}

/// Calls the application, one request at a time.
pub struct Caller {
    application: Application,
    environs: Environs,
    starts: StartResponses,
    close: Py<PyString>,
}

impl Caller {
    /// A caller of `application`.
    ///
    /// # Errors
    /// Where Python's standard library is not what it should be.
    pub fn new(py: Python<'_>, application: Application, hop_by_hop: HopByHop) -> PyResult<Self> {
        mark_forked_children(py)?;
        let close = PyString::intern(py, "close").unbind();
        Ok(Self { application, environs: Environs::new(py)?, starts: StartResponses::new(hop_by_hop), close })
    }

    /// Calls the application with `request` and takes what it gives at once. `server` is what the server says of itself,
    /// `keep_alive` whether it would have another request on this connection.
    pub fn call(
        &mut self,
        py: Python<'_>,
        request: Request<'_>,
        keep_alive: bool,
        server: ServerFields,
        wire: &mut Wire<'_>,
    ) -> Turn {
        let (head, buffer) = (request.head, request.buffer);
        let mut start = match self.starts.take(py) {
            Ok(start) => start,
            Err(error) => {
                log::error!("can't make a start_response: {}", traceback::format(py, &error));
                return Turn::Done(Ending::Broken);
            }
        };
        start.name_request(head.method.of(buffer), head.target.of(buffer));
        let keep_alive = head.keep_alive && keep_alive;
        let Head { version, is_head_method: is_head, prefers_json, .. } = *head;
        start.response().open(RequestFacts { version, is_head, keep_alive, prefers_json }, server);
        let environ = match self.environs.make(py, request) {
            Ok(environ) => environ,
            Err(error) => return self.end(py, start, None, Err(Failure::Raised(error)), wire),
        };
        let returned = running(&mut start, wire, |start| {
            // SAFETY: attached by `py`; all are live objects, and null ends the arguments.
            unsafe {
                let (app, start) = (self.application.object(py).as_ptr(), start.function().as_ptr());
                let end = null_mut::<ffi::PyObject>();
                Bound::from_owned_ptr_or_opt(py, ffi::PyObject_CallFunctionObjArgs(app, environ.as_ptr(), start, end))
            }
        });
        drop(environ);
        let Some(iterable) = returned else {
            let error = traceback::take(py);
            leave_if_forked(py, Some(&error));
            return self.end(py, start, None, Err(Failure::Raised(error)), wire);
        };
        leave_if_forked(py, None);
        match Blocks::of(&iterable) {
            // Lists and tuples are the whole body at once, and have no `close`.
            Some(blocks) => {
                let replied = blocks.and_then(|blocks| blocks.send(&mut start, wire));
                self.end(py, start, None, replied, wire)
            }
            None => self.iterate(py, start, iterable, wire),
        }
    }

    /// Takes the next block of an exchange's body.
    pub fn resume(&mut self, py: Python<'_>, exchange: Exchange, wire: &mut Wire<'_>) -> Turn {
        let Exchange { mut start, iterable, iterator } = exchange;
        match next_block(py, &mut start, &iterator, wire) {
            Ok(Next::Sent) => Turn::More(Exchange { start, iterable, iterator }),
            Ok(Next::End) => self.end(py, start, Some(iterable.bind(py)), Ok(()), wire),
            Err(failure) => self.end(py, start, Some(iterable.bind(py)), Err(failure), wire),
        }
    }

    /// Ends an exchange whose client is gone: the application learns it by `close()`.
    pub fn abandon(&mut self, py: Python<'_>, exchange: Exchange) {
        let Exchange { mut start, iterable, iterator } = exchange;
        start.response().phase = Phase::Over;
        drop(iterator);
        self.close(iterable.bind(py), &start);
        self.starts.give_back(start);
    }

    fn iterate(
        &mut self,
        py: Python<'_>,
        mut start: StartResponse,
        iterable: Bound<'_, PyAny>,
        wire: &mut Wire<'_>,
    ) -> Turn {
        let iterator = running(&mut start, wire, |_| {
            // SAFETY: attached by `py`; a live object.
            unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyObject_GetIter(iterable.as_ptr())) }
        });
        let Some(iterator) = iterator else {
            let error = traceback::take(py);
            leave_if_forked(py, Some(&error));
            let failure = match error {
                error if error.is_instance_of::<PyTypeError>(py) => Failure::NotIterable(type_name(&iterable)),
                error => Failure::Raised(error),
            };
            return self.end(py, start, Some(&iterable), Err(failure), wire);
        };
        leave_if_forked(py, None);
        let (iterable, iterator) = (iterable.unbind(), iterator.unbind());
        self.resume(py, Exchange { start, iterable, iterator }, wire)
    }

    /// Completes the reply, or answers for its failure, and closes what the application returned.
    fn end(
        &mut self,
        py: Python<'_>,
        mut start: StartResponse,
        iterable: Option<&Bound<'_, PyAny>>,
        ended: Result<(), Failure>,
        wire: &mut Wire<'_>,
    ) -> Turn {
        let ending = match ended {
            Ok(()) => running(&mut start, wire, complete),
            Err(failure) => {
                if start.response().client_gone && failure.is_broken_pipe(py) {
                    log::debug!("the client was gone before the end of the reply to {}", start.request());
                } else {
                    failure.log(py, start.request());
                }
                running(&mut start, wire, fail)
            }
        };
        // What `close()` would still write could not be sent any more.
        start.response().phase = Phase::Over;
        if let Some(iterable) = iterable {
            // The client need not wait for what the application tidies up.
            running(&mut start, wire, |start| start.response().send_now(&[]));
            self.close(iterable, &start);
        }
        self.starts.give_back(start);
        Turn::Done(ending)
    }

    /// Calls `close()` where the iterable has it (PEP 3333: in every case, error or not).
    fn close(&self, iterable: &Bound<'_, PyAny>, start: &StartResponse) {
        let py = iterable.py();
        let closed = match iterable.getattr(self.close.bind(py)) {
            Ok(close) => close.call0().map(drop),
            Err(error) if error.is_instance_of::<PyAttributeError>(py) => Ok(()),
            Err(error) => Err(error),
        };
        leave_if_forked(py, closed.as_ref().err());
        if let Err(error) = closed {
            log::error!("Error in close() after request {}\n{}", start.request(), traceback::format(py, &error));
        }
    }
}

/// Runs `run` with the outbox and the sink in the response's hands, where `write()` finds them if this thread calls it.
pub(crate) fn running<T>(
    start: &mut StartResponse,
    wire: &mut Wire<'_>,
    run: impl FnOnce(&mut StartResponse) -> T,
) -> T {
    let sink: NonNull<dyn Sink + '_> = NonNull::from(&mut *wire.sink);
    // SAFETY: only the lifetime changes. The pointer is taken away again below, within the borrow that it came from; where
    // `run` panics instead, its owner drops the `StartResponse` and by that makes the response refuse everybody.
    let sink: NonNull<dyn Sink> = unsafe { std::mem::transmute(sink) };
    let response = start.response();
    std::mem::swap(&mut response.out, wire.out);
    response.line = Line::Up { sink, thread: this_thread() };
    let result = run(start);
    let response = start.response();
    std::mem::swap(&mut response.out, wire.out);
    response.line = Line::Down;
    result
}

enum Next {
    Sent,
    End,
}

/// Asks the application for a block that isn't empty, and puts it on its way.
fn next_block(
    py: Python<'_>,
    start: &mut StartResponse,
    iterator: &Py<PyAny>,
    wire: &mut Wire<'_>,
) -> Result<Next, Failure> {
    loop {
        let block = running(start, wire, |_| {
            // SAFETY: attached by `py`; a live iterator.
            unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyIter_Next(iterator.as_ptr())) }
        });
        let Some(block) = block else {
            let raised = PyErr::take(py);
            leave_if_forked(py, raised.as_ref());
            return match raised {
                Some(error) => Err(Failure::Raised(error)),
                None if start.response().phase == Phase::Expected => Err(Failure::NotStarted),
                None => Ok(Next::End),
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
        if start.response().phase == Phase::Expected {
            return Err(Failure::NotStarted);
        }
        running(start, wire, |start| {
            start.response().send_head(None);
            start.response().send_body(bytes);
        });
        let response = start.response();
        // Nothing of the rest would be sent: the client is gone, or has all it may have, or wanted the head only.
        let sated = response.has_no_body() || response.client_gone || response.overrun;
        return Ok(if sated { Next::End } else { Next::Sent });
    }
}

/// The application has given all it has.
fn complete(start: &mut StartResponse) -> Ending {
    let response = start.response();
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
            log::error!("the application {shortfall} for {}; the connection is closed", start.request());
            broken
        }
    }
}

/// The application has failed, which the log tells already.
fn fail(start: &mut StartResponse) -> Ending {
    let response = start.response();
    if response.phase == Phase::Sent {
        return response.broken();
    }
    response.fail(500, "The application failed to answer this request.");
    Ending::Close
}
