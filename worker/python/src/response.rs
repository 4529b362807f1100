//! One reply in the making: what the application has declared so far, and the bytes that follow from it.
//!
//! All of PEP 3333's rules about when headers leave, and of RFC 9112's about how a body ends, meet here. It calls no Python
//! code; `start_response` and `exchange` do, and tell this what came.

use std::io;
use std::ptr::NonNull;

use tapster_wire::{Outbox, Version};

use crate::exchange::Ending;
use tapster_wire::http1::reply::{self, Framing, ReplyFacts, ReplyHead, RequestFacts};

/// Takes bytes to the client while the application is still running.
pub trait Sink {
    /// Sends of `out` and, behind it, `more` what the client's socket takes at once; what it doesn't take of `more` is
    /// left at the end of `out`.
    ///
    /// # Errors
    /// Where the client is gone.
    fn send(&mut self, out: &mut Outbox, more: &[u8]) -> io::Result<()>;

    /// Makes room in `out`, or waits for it, so that an application may go on writing. Called without the interpreter's
    /// lock.
    ///
    /// # Errors
    /// Where the client is gone or takes nothing for too long.
    fn make_room(&mut self, out: &mut Outbox) -> io::Result<()>;
}

/// How far a reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `start_response` has not been called.
    Expected,
    /// Status and headers are here and may still be replaced.
    Declared,
    /// The head has left.
    Sent,
    /// The exchange is over; whoever still holds its `start_response` comes too late.
    Over,
}

/// A chunk of at least this many bytes is given to the socket from where the application has it.
const UNCOPIED: usize = 16 * 1024;

/// One reply.
pub(crate) struct Response {
    pub(crate) phase: Phase,
    pub(crate) status_line: Vec<u8>,
    pub(crate) fields: Vec<u8>,
    pub(crate) facts: ReplyFacts,
    request: RequestFacts,
    date: [u8; 29],
    framing: Framing,
    keep_alive: bool,
    body_sent: u64,
    /// Whether the application has sent more body than it declared.
    pub(crate) overrun: bool,
    pub(crate) out: Outbox,
    /// Set only while the application runs.
    pub(crate) sink: Option<NonNull<dyn Sink>>,
    /// The client is gone, as far as a write has told.
    pub(crate) client_gone: bool,
}

impl Response {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Over,
            status_line: Vec::new(),
            fields: Vec::new(),
            facts: ReplyFacts::default(),
            request: RequestFacts { version: Version::Http11, is_head: false, keep_alive: false },
            date: [b' '; 29],
            framing: Framing::NoBody,
            keep_alive: false,
            body_sent: 0,
            overrun: false,
            out: Outbox::default(),
            sink: None,
            client_gone: false,
        }
    }

    /// Makes this the reply to another request.
    pub(crate) fn open(&mut self, request: RequestFacts, date: [u8; 29]) {
        self.phase = Phase::Expected;
        (self.request, self.date) = (request, date);
        (self.body_sent, self.overrun, self.client_gone) = (0, false, false);
    }

    /// Whether the body would not be sent whatever it is (HEAD, 204, 304), the head having left.
    pub(crate) fn has_no_body(&self) -> bool {
        self.framing == Framing::NoBody
    }

    /// The head leaves, if it has not: with the first bytes of the body, or at its end. `length` is the whole body's,
    /// where it is known already.
    pub(crate) fn send_head(&mut self, length: Option<u64>) {
        if self.phase != Phase::Declared {
            return;
        }
        let (framing, keep_alive, content_length) = reply::framing(&self.request, &self.facts, length);
        (self.framing, self.keep_alive) = (framing, keep_alive);
        let head = ReplyHead {
            version: self.request.version,
            status_line: &self.status_line,
            app_fields: &self.fields,
            facts: &self.facts,
            framing,
            keep_alive,
            content_length,
            date: &self.date,
        };
        reply::write_head(self.out.end(), &head);
        self.phase = Phase::Sent;
    }

    /// The next bytes of the body, behind a head that has left.
    pub(crate) fn send_body(&mut self, data: &[u8]) {
        let data = match self.framing {
            Framing::NoBody => return,
            Framing::Length(length) => {
                let room = usize::try_from(length - self.body_sent.min(length)).unwrap_or(usize::MAX);
                self.overrun |= data.len() > room;
                &data[..data.len().min(room)]
            }
            Framing::Chunked | Framing::UntilClose => data,
        };
        self.body_sent += data.len() as u64;
        match self.framing {
            Framing::Chunked => reply::chunk(self.out.end(), data),
            _ if data.len() >= UNCOPIED => self.send_now(data),
            _ => self.out.end().extend_from_slice(data),
        }
    }

    /// Everything up to here leaves now, as far as the client takes it.
    pub(crate) fn send_now(&mut self, more: &[u8]) {
        match self.sink {
            // SAFETY: `Caller` sets the sink from a live reference for the length of a call into the application, and takes
            // it away before that reference ends. The sink is reached from here only, in the thread that set it.
            Some(mut sink) if !self.client_gone => match unsafe { sink.as_mut() }.send(&mut self.out, more) {
                Ok(()) => {}
                Err(_) => self.client_gone = true,
            },
            _ => self.out.end().extend_from_slice(more),
        }
    }

    /// The body is complete. Tells whether the connection may carry another request, or how the body falls short.
    pub(crate) fn finish(&mut self) -> Result<bool, String> {
        self.send_head(Some(0));
        match self.framing {
            Framing::Length(length) if self.body_sent < length => {
                Err(format!("sent {} bytes of body after declaring a Content-Length of {length}", self.body_sent))
            }
            Framing::Chunked => {
                reply::last_chunk(self.out.end());
                Ok(self.keep_alive)
            }
            Framing::UntilClose => Ok(false),
            Framing::Length(_) | Framing::NoBody => Ok(self.keep_alive),
        }
    }

    /// How a reply whose head has left ends when it can't be completed.
    pub(crate) fn broken(&self) -> Ending {
        if self.framing == Framing::UntilClose { Ending::Reset } else { Ending::Broken }
    }

    /// Answers with an error page in the application's place, whose head has not left.
    pub(crate) fn fail(&mut self, status: u16, explanation: &str) {
        reply::error_page(status, explanation, self.request.is_head, &self.date, self.out.end());
        self.phase = Phase::Sent;
    }
}
