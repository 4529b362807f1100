//! From a complete request into the application.
//!
//! Today in the reactor's own thread, one request at a time. Whose turn it is to run stands in [`TurnToRun`]. What comes of a
//! call is `connection`'s to say, which is also its only caller.
//!
//! [`TurnToRun`]: crate::tools::TurnToRun

use std::time::Duration;

use tapster_python::{Exchange, Python, Request, RequestBody, Turn, Wire};
use tapster_wire::Reason;

use crate::body::Store;
use crate::connection::Connection;
use crate::outgoing::ReplySink;
use crate::state::Step;
use crate::tools::Tools;

/// A request's body, wherever it is.
#[derive(Debug)]
pub(crate) enum Complete {
    NoBody,
    /// So many bytes behind the head, in the connection's buffer.
    InPlace(usize),
    Stored(Store),
}

impl Connection {
    /// Calls the application with the request in front of the buffer, whose head is `tools.head`.
    pub(crate) fn call(&mut self, py: Python<'_>, mut complete: Complete, key: usize, tools: &mut Tools) -> Step {
        tools.board.busy(Duration::from_millis(tools.clock.now));
        let size = tools.head.size;
        let origin = match tools.proxies.origin(self.standing, &tools.head, self.input.bytes()) {
            Ok(origin) => origin,
            Err(reject) => return self.refuse(&reject, tools),
        };
        let mut used = size;
        let body = match &mut complete {
            Complete::NoBody => RequestBody::Empty,
            Complete::InPlace(length) => {
                used += *length;
                RequestBody::Memory(&self.input.bytes()[size..used])
            }
            Complete::Stored(store) => match store.as_request_body() {
                Ok(body) => body,
                Err(error) => {
                    tools.storage.complain("a request's body", &error);
                    return self.refuse(&Reason::Storage.into(), tools);
                }
            },
        };
        let request = Request {
            head: &tools.head,
            buffer: self.input.bytes(),
            server: &tools.servers[self.listener],
            peer: &self.peer,
            origin,
            body,
        };
        let stays = tools.times.keep_alive > 0 && !tools.retiring && self.requests + 1 < tools.most_requests;
        let mut sink =
            ReplySink::new(&mut self.socket, &mut self.fragile, &mut self.out.disk, &tools.storage, tools.times.push());
        let mut wire = Wire { out: &mut self.out.memory, sink: &mut sink };
        let turn = tools.caller.call(py, request, stays, tools.clock.server, &mut wire);
        // However long it took: deadlines count from now.
        tools.clock.glance();
        self.input.used(used);
        self.after(turn, key, tools)
    }

    /// Asks the application for more of its reply.
    pub(crate) fn resume(&mut self, py: Python<'_>, exchange: Exchange, tools: &mut Tools) -> Turn {
        tools.board.busy(Duration::from_millis(tools.clock.now));
        let mut sink =
            ReplySink::new(&mut self.socket, &mut self.fragile, &mut self.out.disk, &tools.storage, tools.times.push());
        let turn = tools.caller.resume(py, exchange, &mut Wire { out: &mut self.out.memory, sink: &mut sink });
        tools.clock.glance();
        turn
    }
}
