//! One reply in the making: what the application has declared so far, and the bytes that follow from it.
//!
//! All of PEP 3333's rules about when headers leave, and of RFC 9112's about how a body ends, meet here. It calls no Python
//! code; `start_response` and `exchange` do, and tell this what came.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use tapster_wire::http1::reply::{self, ErrorPage, Framing, ReplyHead, RequestFacts, ServerFields};
use tapster_wire::{Outbox, Version};

use crate::declaration::Declaration;
use crate::exchange::Ending;
use crate::file_wrapper::Part;

/// Takes bytes to the client while the application is still running.
pub trait Sink {
    /// Sends of `out` and, behind it, `more` what the client's socket takes at once; what it doesn't take of `more` is
    /// left at the end of `out`.
    ///
    /// # Errors
    /// Where the client is gone.
    fn send(&mut self, out: &mut Outbox, more: &[u8]) -> io::Result<()>;

    /// What has been sent so far, and has left, was an interim reply.
    fn note_interim(&mut self);

    /// The rest of the reply is this part of a file: `length` bytes from `offset`, whatever position the descriptor has. It is
    /// sent behind everything else, at the client's pace, and so when the application is done; an ending that breaks the
    /// connection comes behind it.
    fn send_file(&mut self, file: OwnedFd, offset: u64, length: u64);

    /// The reply's body ends with the connection. Until it is whole, the connection's end has to look like a break, even if this
    /// process is killed in between.
    fn until_close(&mut self);

    /// Takes what `out` holds upon itself, so that it goes on leaving while the application makes the next block (PEP 3333,
    /// "Buffering and Streaming"); waits where so much of it is left that there is no room. Called without the interpreter's lock.
    ///
    /// # Errors
    /// Where the client is gone or takes nothing for too long.
    fn make_room(&mut self, out: &mut Outbox) -> io::Result<()>;

    /// The application has given something that was sent at once, so it is alive. Not called for bodies that are whole.
    fn progress(&mut self);

    /// All of the reply has been given: what the application does from here on keeps it from nobody. May be called again.
    fn whole(&mut self);

    /// Whether the client has closed its connection or its sending side, or has been cut off.
    fn is_disconnected(&self) -> bool;

    /// Writes down what the application has done wrong.
    fn complain(&mut self, text: &str) {
        log::error!("{text}");
    }
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

/// Whether bytes of a reply have a way to the client just now, and who may give some.
#[derive(Clone, Copy)]
pub(crate) enum Line {
    /// No exchange is running.
    Down,
    /// One is, in the thread of that mark, and the sink takes its bytes.
    Up {
        /// On the stack of that thread, for the length of the exchange.
        sink: NonNull<dyn Sink>,
        /// See [`this_thread`].
        thread: usize,
    },
    /// The exchange's thread waits for the client, without the interpreter's lock: nobody else may come.
    Waiting,
}

/// A number that tells the running thread from all others that are alive.
#[inline]
pub(crate) fn this_thread() -> usize {
    thread_local! {
        static MARK: Cell<u8> = const { Cell::new(0) };
    }
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// A reply while its application is held back: what [`Response::begin_waiting`] has taken out of it.
pub(crate) struct Held {
    sink: NonNull<dyn Sink>,
    out: Outbox,
    line: Line,
}

impl Held {
    /// Waits until there is room. To be called without the interpreter's lock.
    pub(crate) fn make_room(&mut self) -> io::Result<()> {
        // SAFETY: the sink is on this thread's stack, below this call, and nobody else reaches it: it has been taken out of
        // the response, which refuses everybody until the wait is over.
        unsafe { self.sink.as_mut() }.make_room(&mut self.out)
    }
}

// SAFETY: it is what one thread has taken out of its reply, and it goes nowhere: the bound is what `Python::detach` asks of
// whatever is used while other threads run Python code, and those have no way to it.
unsafe impl Send for Held {}

const FROM_ANOTHER_THREAD: &str =
    "was called from another thread than the one that the server called the application in";

/// So many bytes that a client has not taken may be kept in memory.
pub const HIGH_WATER: usize = 1024 * 1024;

/// A chunk of at least this many bytes is given to the socket from where the application has it.
const UNCOPIED: usize = 16 * 1024;

/// One reply.
pub(crate) struct Response {
    pub(crate) phase: Phase,
    pub(crate) declared: Declaration,
    /// A call of `start_response` has raised because of what it was given.
    pub(crate) misdeclared: bool,
    request: RequestFacts,
    server: ServerFields,
    framing: Framing,
    keep_alive: bool,
    body_sent: u64,
    /// Whether the application has sent more body than it declared.
    pub(crate) overrun: bool,
    pub(crate) out: Outbox,
    pub(crate) line: Line,
    /// The client is gone, as far as a write has told.
    pub(crate) client_gone: bool,
    /// The rest of the body is a file, which the sink has.
    pub(crate) has_file: bool,
}

impl Response {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Over,
            declared: Declaration::default(),
            misdeclared: false,
            request: RequestFacts { version: Version::Http11, is_head: false, keep_alive: false, prefers_json: false },
            server: ServerFields::default(),
            framing: Framing::NoBody,
            keep_alive: false,
            body_sent: 0,
            overrun: false,
            out: Outbox::default(),
            line: Line::Down,
            client_gone: false,
            has_file: false,
        }
    }

    /// Makes this the reply to another request.
    pub(crate) fn open(&mut self, request: RequestFacts, server: &ServerFields) {
        self.phase = Phase::Expected;
        (self.request, self.server) = (request, *server);
        (self.framing, self.body_sent) = (Framing::NoBody, 0);
        (self.misdeclared, self.overrun, self.client_gone, self.has_file) = (false, false, false, false);
    }

    /// Why no function of the application's may come to this now, as the end of a sentence about it.
    #[inline]
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        match (self.phase, self.line) {
            (Phase::Over, _) | (_, Line::Down) => Some("was called after the request was over"),
            (_, Line::Up { thread, .. }) if thread == this_thread() => None,
            (_, Line::Up { .. } | Line::Waiting) => Some(FROM_ANOTHER_THREAD),
        }
    }

    /// Whether the client is gone, which it is when the exchange is over, or why the running thread may not ask, as the end of
    /// a sentence about that.
    pub(crate) fn is_disconnected(&self) -> Result<bool, &'static str> {
        match self.line {
            Line::Down => Ok(true),
            Line::Up { sink, thread } if thread == this_thread() => {
                // SAFETY: as in `send_now`.
                Ok(self.client_gone || unsafe { sink.as_ref() }.is_disconnected())
            }
            Line::Up { .. } | Line::Waiting => Err(FROM_ANOTHER_THREAD),
        }
    }

    /// Whether an interim reply would reach the client: HTTP/1.0 knows none (RFC 9110 section 15.2).
    pub(crate) fn takes_hints(&self) -> bool {
        self.request.version == Version::Http11 && !self.client_gone
    }

    /// An interim reply with these fields leaves now.
    pub(crate) fn send_hints(&mut self, fields: &[u8]) {
        reply::early_hints(self.out.end(), fields);
        self.send_now(&[]);
    }

    /// The hints have left as far as is known; the final reply has not begun.
    pub(crate) fn end_hints(&mut self) {
        if let Line::Up { mut sink, .. } = self.line
            && self.out.is_empty()
        {
            // SAFETY: as in `send_now`.
            unsafe { sink.as_mut() }.note_interim();
        }
    }

    /// Whether the body will not be sent whatever it is (HEAD, 204, 304), its head being declared.
    pub(crate) fn wants_no_body(&self) -> bool {
        match self.phase {
            Phase::Declared => self.request.is_head || matches!(self.declared.facts.status, 204 | 304),
            Phase::Sent => self.has_no_body(),
            Phase::Expected | Phase::Over => false,
        }
    }

    /// Whether the rest of the body may be a file: nothing can follow it, as the last chunk would have to.
    pub(crate) fn takes_file(&self) -> bool {
        match self.phase {
            Phase::Declared => true,
            Phase::Sent => self.framing != Framing::Chunked,
            Phase::Expected | Phase::Over => false,
        }
    }

    /// The rest of the body is this file, or as much of it as was declared.
    pub(crate) fn send_file(&mut self, part: Part) {
        if self.request.is_head && self.declared.facts.status != 304 {
            // What GET would be told (RFC 9110 section 9.3.2). In place of other bodies the application may give an empty one.
            self.declared.facts.content_length.get_or_insert(part.length);
        }
        self.send_head(Some(part.length));
        let length = match self.framing {
            Framing::Length(length) => part.length.min(length - self.body_sent.min(length)),
            Framing::UntilClose => part.length,
            // Not sent at all (HEAD, 204, 304), or refused by `takes_file`.
            Framing::NoBody | Framing::Chunked => 0,
        };
        if let Line::Up { mut sink, .. } = self.line
            && length > 0
            && !self.client_gone
        {
            self.has_file = true;
            self.body_sent += length;
            // SAFETY: as in `send_now`.
            unsafe { sink.as_mut() }.send_file(part.file, part.offset, length);
        }
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
        let declared = &self.declared;
        self.request.keep_alive &= !declared.closes;
        let (framing, keep_alive, content_length) = reply::framing(&self.request, &declared.facts, length);
        (self.framing, self.keep_alive) = (framing, keep_alive);
        let head = ReplyHead {
            version: self.request.version,
            status_line: &declared.status_line,
            app_fields: &declared.fields,
            facts: &declared.facts,
            framing,
            keep_alive,
            content_length,
            server: &self.server,
        };
        reply::write_head(self.out.end(), &head);
        self.phase = Phase::Sent;
        if framing == Framing::UntilClose
            && let Line::Up { mut sink, .. } = self.line
        {
            // SAFETY: as in `send_now`.
            unsafe { sink.as_mut() }.until_close();
        }
    }

    /// The next bytes of the body, behind a head that has left.
    pub(crate) fn send_body(&mut self, data: &[u8]) {
        if self.client_gone {
            return;
        }
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
        match self.line {
            Line::Up { mut sink, .. } if !self.client_gone => {
                // SAFETY: `running` makes the line from a live reference for the length of an exchange, and takes it down
                // before that reference ends. An exchange runs in one thread, which holds the interpreter's lock here, as all
                // do that come to a response; where it has given the lock away (`begin_waiting`), the line is not up. No call
                // of the sink runs Python code, so there is only one at a time.
                let sent = unsafe { sink.as_mut() }.send(&mut self.out, more);
                self.client_gone = sent.is_err();
            }
            _ => self.out.end().extend_from_slice(more),
        }
    }

    /// The application has done something wrong.
    #[cold]
    pub(crate) fn complain(&mut self, text: &str) {
        match self.line {
            // SAFETY: as in `send_now`.
            Line::Up { mut sink, .. } => unsafe { sink.as_mut() }.complain(text),
            Line::Down | Line::Waiting => log::error!("{text}"),
        }
    }

    /// The application has given something.
    #[inline]
    pub(crate) fn progress(&mut self) {
        if let Line::Up { mut sink, .. } = self.line {
            // SAFETY: as in `send_now`.
            let sink = unsafe { sink.as_mut() };
            sink.progress();
            if self.is_whole() {
                sink.whole();
            }
        }
    }

    /// Whether the client has, or is being sent, as much body as it was told of, whatever comes.
    pub(crate) fn is_whole(&self) -> bool {
        let is_all = match self.framing {
            Framing::Length(length) => self.body_sent >= length,
            Framing::NoBody => true,
            Framing::Chunked | Framing::UntilClose => false,
        };
        is_all && self.phase == Phase::Sent && !self.client_gone && !self.has_file
    }

    /// The exchange's thread has given all of the reply to the sink, but for a file.
    pub(crate) fn note_whole(&mut self) {
        if let Line::Up { mut sink, .. } = self.line
            && !self.has_file
        {
            // SAFETY: as in `send_now`.
            unsafe { sink.as_mut() }.whole();
        }
    }

    /// How a reply that is whole ends.
    pub(crate) fn ending(&self) -> Ending {
        if self.keep_alive { Ending::KeepAlive } else { Ending::Close }
    }

    /// Where more than so many bytes are left: takes out what it needs to see to these, and refuses everybody until
    /// [`Response::end_waiting`].
    #[inline]
    pub(crate) fn begin_waiting(&mut self, more_than: usize) -> Option<Held> {
        match self.line {
            Line::Up { sink, .. } if self.out.waiting().len() > more_than && !self.client_gone => Some(Held {
                sink,
                out: std::mem::take(&mut self.out),
                line: std::mem::replace(&mut self.line, Line::Waiting),
            }),
            _ => None,
        }
    }

    /// The wait is over, and the client gone or not.
    pub(crate) fn end_waiting(&mut self, held: Held, client_gone: bool) {
        (self.out, self.line) = (held.out, held.line);
        self.client_gone |= client_gone;
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
    pub(crate) fn fail(&mut self, status: u16, explain: &str) {
        let RequestFacts { is_head: head_only, prefers_json: json, .. } = self.request;
        reply::error_page(&ErrorPage { status, explain, head_only, json }, &self.server, self.out.end());
        self.phase = Phase::Sent;
    }
}
