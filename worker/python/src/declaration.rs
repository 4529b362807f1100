//! What an application declares by `start_response`, and by `wsgi.early_hints`: status and headers, checked and in the form of
//! the wire.
//!
//! Reading them may run Python code: a string that UTF-8 can't hold makes an exception, and so maybe a garbage collection.
//! So they are read into a [`Declaration`] that no function of the application's can reach, and not into the reply.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use tapster_wire::http1::reply::{self, FieldKind, ReplyFacts};

use crate::raise::{Raise, assertion, not_text, shown, type_error, value_error};
use crate::text::{Latin1, encode_latin1, type_name};

/// What becomes of the hop-by-hop headers that an application sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopByHop {
    /// `start_response` raises, as PEP 3333 would have it ("Other HTTP Features").
    Refuse,
    /// They are left out, with one warning for each name.
    Drop,
}

/// A status and headers.
#[derive(Default)]
pub(crate) struct Declaration {
    pub(crate) status_line: Vec<u8>,
    pub(crate) fields: Vec<u8>,
    pub(crate) facts: ReplyFacts,
    /// The application would have the connection closed behind its reply.
    pub(crate) closes: bool,
}

impl Declaration {
    /// Replaces what is declared by `status` and `headers`, in the memory that is here. After an error it is nothing whole.
    pub(crate) fn read(
        &mut self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        hop_by_hop: HopByHop,
    ) -> Result<(), Raise> {
        // SAFETY: attached and alive, by the bound, which outlives the text.
        let line = unsafe { encode_latin1(status.as_ptr()) }.map_err(|why| not_text("the status", status, &why))?;
        let code = reply::check_status(line.bytes())
            .map_err(|error| value_error(format!("the status {}: {error}", shown(&line))))?;
        if code < 200 {
            let status = shown(&line);
            return Err(value_error(format!(
                "the status {status} is interim (RFC 9110 section 15.2): a final one must follow, and only this one can be given"
            )));
        }
        self.facts = ReplyFacts { status: code, ..ReplyFacts::default() };
        self.closes = false;
        self.status_line.clear();
        self.status_line.extend_from_slice(line.bytes());
        self.fields.clear();
        for_each_item(headers, |item| self.field(item, hop_by_hop))
    }

    fn field(&mut self, item: &Bound<'_, PyAny>, hop_by_hop: HopByHop) -> Result<(), Raise> {
        let header = Header::of(item)?;
        match header.append(&mut self.fields)? {
            FieldKind::HopByHop | FieldKind::TransferEncoding => {
                self.closes |= header.refuse_or_drop(hop_by_hop)?;
                Ok(())
            }
            kind => self.facts.note(kind).map_err(|error| header.wrong(error)),
        }
    }
}

/// The fields of an interim reply 103.
#[derive(Default)]
pub(crate) struct Hints(pub(crate) Vec<u8>);

impl Hints {
    /// Reads what `wsgi.early_hints` was given: a list of (name, value) tuples, or what makes one when it is iterated.
    pub(crate) fn read(headers: &Bound<'_, PyAny>, hop_by_hop: HopByHop) -> Result<Self, Raise> {
        // SAFETY: attached and alive, by the bound.
        let list = unsafe { Bound::from_owned_ptr_or_opt(headers.py(), ffi::PySequence_List(headers.as_ptr())) };
        let Some(list) = list else {
            // What iterating it has raised goes on to the application.
            return Err(Raise::already_set());
        };
        let mut hints = Self::default();
        for_each_item(&list, |item| hints.field(item, hop_by_hop))?;
        Ok(hints)
    }

    fn field(&mut self, item: &Bound<'_, PyAny>, hop_by_hop: HopByHop) -> Result<(), Raise> {
        let header = Header::of(item)?;
        match header.append(&mut self.0)? {
            FieldKind::ContentLength(_) | FieldKind::TransferEncoding => Err(value_error(format!(
                "the early hint {}: a hint has no body, so no header about one (RFC 9110 sections 8.6 and 15.2)",
                shown(&header.name)
            ))),
            FieldKind::HopByHop => header.refuse_or_drop(hop_by_hop).map(drop),
            FieldKind::Date | FieldKind::Server | FieldKind::Other => Ok(()),
        }
    }
}

/// A header as the application gives it.
struct Header<'a> {
    name: Latin1<'a>,
    value: Latin1<'a>,
}

impl<'a> Header<'a> {
    fn of(item: &'a Bound<'_, PyAny>) -> Result<Self, Raise> {
        // SAFETY: attached, by the bound, which keeps the tuple alive as long as its items are used, and the tuple them.
        let (name, value) = unsafe {
            let tuple = item.as_ptr();
            if ffi::PyTuple_Check(tuple) == 0 || ffi::PyTuple_Size(tuple) != 2 {
                return Err(Self::not_pair(item));
            }
            (ffi::PyTuple_GetItem(tuple, 0), ffi::PyTuple_GetItem(tuple, 1))
        };
        // SAFETY: as above.
        let object = |pointer| unsafe { Bound::from_borrowed_ptr(item.py(), pointer) };
        // SAFETY: as above.
        let name =
            unsafe { encode_latin1(name) }.map_err(|why| not_text("a response header's name", &object(name), &why))?;
        // SAFETY: as above.
        let value = unsafe { encode_latin1(value) }
            .map_err(|why| not_text(&format!("the response header {}", shown(&name)), &object(value), &why))?;
        Ok(Self { name, value })
    }

    #[cold]
    fn not_pair(item: &Bound<'_, PyAny>) -> Raise {
        // SAFETY: attached and alive, by the bound; the size is asked of a tuple only.
        let size = unsafe { (ffi::PyTuple_Check(item.as_ptr()) != 0).then(|| ffi::PyTuple_Size(item.as_ptr())) };
        let what = size.map_or_else(|| type_name(item), |size| format!("a tuple of {size}"));
        type_error(format!("each response header must be a (name, value) tuple, not {what}"))
    }

    /// Appends it to what will be sent, if it is the application's to give.
    #[inline]
    fn append(&self, fields: &mut Vec<u8>) -> Result<FieldKind, Raise> {
        reply::append_field(fields, self.name.bytes(), self.value.bytes()).map_err(|error| self.wrong(error))
    }

    fn wrong(&self, error: reply::FieldError) -> Raise {
        value_error(format!("the response header {}: {error}", shown(&self.name)))
    }

    /// What becomes of it where it is hop-by-hop. Tells whether it asks for the connection to be closed.
    #[cold]
    fn refuse_or_drop(&self, hop_by_hop: HopByHop) -> Result<bool, Raise> {
        match hop_by_hop {
            HopByHop::Refuse => Err(assertion(&format!(
                "the response header {} is hop-by-hop, so only the server may send it (PEP 3333, \"Other HTTP Features\"); \
                 the setting hop_by_hop_headers = \"drop\" has such headers left out instead",
                shown(&self.name)
            ))),
            HopByHop::Drop => Ok(drop_hop_by_hop(self.name.bytes(), self.value.bytes())),
        }
    }
}

/// Gives `each` the items of a list, which Python code that runs meanwhile may change.
fn for_each_item(
    headers: &Bound<'_, PyAny>,
    mut each: impl FnMut(&Bound<'_, PyAny>) -> Result<(), Raise>,
) -> Result<(), Raise> {
    let py = headers.py();
    // SAFETY: attached and alive, by the bound.
    if unsafe { ffi::PyList_Check(headers.as_ptr()) } == 0 {
        return Err(type_error(format!(
            "start_response(): the response headers must be a list of (name, value) tuples, not {}",
            type_name(headers)
        )));
    }
    let mut place = 0;
    // SAFETY: attached and a list; each place is below the size that it has at that moment, and each item is held while it
    // is used.
    unsafe {
        while place < ffi::PyList_Size(headers.as_ptr()) {
            each(&Bound::from_borrowed_ptr(py, ffi::PyList_GetItem(headers.as_ptr(), place)))?;
            place += 1;
        }
    }
    Ok(())
}

/// The names of headers about the connection, as [`FieldKind`] knows them.
const HOP_BY_HOP: [&str; 10] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Trailers",
    "Transfer-Encoding",
    "Upgrade",
];

/// Leaves out a header that PEP 3333 forbids to applications, saying so once a process for each name. Tells whether it asks
/// for the connection to be closed, which an application may.
#[cold]
fn drop_hop_by_hop(name: &[u8], value: &[u8]) -> bool {
    /// A bit for each name that a line in the log has been about.
    static TOLD: AtomicU32 = AtomicU32::new(0);

    let place = HOP_BY_HOP.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes())).unwrap_or(31);
    let mut options = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let is_close = |option: &[u8]| option.eq_ignore_ascii_case(b"close");
    let closes = place == 0 && options.clone().any(is_close);
    if closes && options.all(is_close) {
        return true;
    }
    if TOLD.fetch_or(1 << place, Ordering::Relaxed) & 1 << place == 0 {
        log::warn!(
            "the application sets the response header {}, which is left out: it is hop-by-hop, so only the server may send \
             it (PEP 3333, \"Other HTTP Features\"); this is said once for each such header",
            name.escape_ascii()
        );
    }
    closes
}
