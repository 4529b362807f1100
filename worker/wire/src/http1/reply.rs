//! Replies: how the body is framed, the head, the chunks, and pages for errors.
//!
//! Appends to the caller's vector and sends nothing. Whether a body keeps its promised length is the sender's to
//! watch. Called by `tapster-python`: `framing`, then `write_head`, then the body; and for pages by the worker too.

pub use super::reply_field::{FieldError, FieldKind, append_field};
use crate::head::Version;
pub use crate::status::{StatusError, check_status, reason_phrase};

/// The interim reply to a client that expects it (RFC 9110 section 10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The Server field's value: the name, and no version to look up weaknesses for.
pub const SERVER: &str = "tapster";

/// In how many seconds a client that was refused for want of a free thread may come again (RFC 9110 section 10.2.3). How long
/// others will take nobody knows; one that comes again at once would only be in their way.
pub const RETRY_AFTER: &str = "5";

/// What the framing depends on in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// The request's version.
    pub version: Version,
    /// Whether the method is HEAD.
    pub is_head: bool,
    /// Whether the client, and the server too, want the connection to stay.
    pub keep_alive: bool,
    /// Whether the client would rather have an error as JSON.
    pub prefers_json: bool,
}

/// What the framing depends on in the application's status and fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyFacts {
    /// The status code.
    pub status: u16,
    /// The Content-Length that the application declared.
    pub content_length: Option<u64>,
    /// Whether the application sends a Date field.
    pub has_date: bool,
    /// Whether the application sends a Server field.
    pub has_server: bool,
}

impl ReplyFacts {
    /// Takes a field that [`append_field`] recognised into account.
    ///
    /// # Errors
    ///
    /// [`FieldError::LengthTwice`] for a second Content-Length, equal or not (RFC 9110 section 8.6).
    pub fn note(&mut self, kind: FieldKind) -> Result<(), FieldError> {
        match kind {
            FieldKind::ContentLength(_) if self.content_length.is_some() => return Err(FieldError::LengthTwice),
            FieldKind::ContentLength(length) => self.content_length = Some(length),
            FieldKind::Date => self.has_date = true,
            FieldKind::Server => self.has_server = true,
            FieldKind::TransferEncoding | FieldKind::HopByHop | FieldKind::Other => {}
        }
        Ok(())
    }
}

/// How the reply's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Exactly so many bytes follow the head.
    Length(u64),
    /// Chunks follow, then the last chunk.
    Chunked,
    /// The body ends with the connection.
    UntilClose,
    /// HEAD, 1xx, 204, 304: nothing of the body is sent.
    NoBody,
}

/// Decides the framing (PEP 3333, "Handling the `Content-Length` Header"; RFC 9112 section 6), whether the connection
/// stays, and which Content-Length field is sent, if any: the application's own, or `known_length`, which is the size
/// of a body that is there as a whole, such as a list of one element.
#[must_use]
pub fn framing(request: &RequestFacts, reply: &ReplyFacts, known_length: Option<u64>) -> (Framing, bool, Option<u64>) {
    let stays = request.keep_alive;
    // RFC 9110 section 8.6: no Content-Length in 1xx and 204. RFC 9112 section 6.1: no Transfer-Encoding either.
    if reply.status == 204 {
        return (Framing::NoBody, stays, None);
    }
    // Section 15.2: a 1xx is not the final reply, so who gets no other would take the next request's for it: close.
    if reply.status < 200 {
        return (Framing::NoBody, false, None);
    }
    // RFC 9110 sections 9.3.2 and 15.4.5: these tell the length that GET would have, which only the application knows.
    if request.is_head || reply.status == 304 {
        return (Framing::NoBody, stays, reply.content_length);
    }
    if let Some(length) = reply.content_length.or(known_length) {
        return (Framing::Length(length), stays, Some(length));
    }
    match request.version {
        Version::Http11 => (Framing::Chunked, stays, None),
        // RFC 9112 section 6.1: no Transfer-Encoding to a client that may not know it.
        Version::Http10 => (Framing::UntilClose, false, None),
    }
}

/// All that a head is written from.
#[derive(Clone, Copy, Debug)]
pub struct ReplyHead<'a> {
    /// The request's version.
    pub version: Version,
    /// Such as `200 OK`; passed [`check_status`].
    pub status_line: &'a [u8],
    /// The application's fields, each written by [`append_field`].
    pub app_fields: &'a [u8],
    /// What was noted of them.
    pub facts: &'a ReplyFacts,
    /// How the body is delimited: the first result of [`framing`].
    pub framing: Framing,
    /// Whether the connection stays: its second.
    pub keep_alive: bool,
    /// The Content-Length field to send: its third.
    pub content_length: Option<u64>,
    /// What the server says of itself and of now.
    pub server: &'a ServerFields,
}

/// The fields that are the server's own, in every reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFields {
    /// Whether there is a Server field.
    pub named: bool,
    /// The date of now: see [`DateCache`](crate::DateCache).
    pub date: [u8; 29],
}

impl Default for ServerFields {
    /// No name, and a date of spaces.
    fn default() -> Self {
        Self { named: false, date: [b' '; 29] }
    }
}

/// Appends the head, with the empty line that ends it.
///
/// The status line says HTTP/1.1 to every client (RFC 9110 section 6.2: it tells what the *server* understands), but
/// nothing that 1.0 does not know is sent to 1.0.
pub fn write_head(out: &mut Vec<u8>, reply: &ReplyHead<'_>) {
    out.reserve(reply.status_line.len() + reply.app_fields.len() + 192);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(reply.status_line);
    out.extend_from_slice(b"\r\n");
    if reply.server.named && !reply.facts.has_server {
        append_server(out);
    }
    if !reply.facts.has_date {
        append_date(out, &reply.server.date);
    }
    // RFC 9112 section 9.3: staying is the default in 1.1, and has to be said in 1.0.
    match (reply.keep_alive, reply.version) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
    out.extend_from_slice(reply.app_fields);
    if let Some(length) = reply.content_length {
        append_length(out, length);
    } else if reply.framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends an interim reply 103 (RFC 8297) with these fields, each written by [`append_field`]. Not for a client of HTTP/1.0.
pub fn early_hints(out: &mut Vec<u8>, app_fields: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
    out.extend_from_slice(app_fields);
    out.extend_from_slice(b"\r\n");
}

/// A small page that refuses a request or reports an error.
#[derive(Clone, Copy, Debug)]
pub struct ErrorPage<'a> {
    /// The status code.
    pub status: u16,
    /// One sentence for the client. It goes into JSON as it is, so it has neither quotes nor backslashes.
    pub explain: &'a str,
    /// Whether the page itself is left out: the request is a HEAD.
    pub head_only: bool,
    /// Whether the page is JSON (RFC 9457's members `title`, `status` and `detail`) rather than plain text.
    pub json: bool,
}

/// Appends a page as a whole reply, behind which the connection closes.
pub fn error_page(page: &ErrorPage<'_>, server: &ServerFields, out: &mut Vec<u8>) {
    let phrase = reason_phrase(page.status);
    let mut code = itoa::Buffer::new();
    let code = code.format(page.status);
    let plain = [code, " ", phrase, "\n\n", page.explain, "\n"];
    let json = ["{\"status\": ", code, ", \"title\": \"", phrase, "\", \"detail\": \"", page.explain, "\"}\n"];
    let (body, kind) =
        if page.json { (&json[..], "application/problem+json") } else { (&plain[..], "text/plain; charset=utf-8") };

    append_all(out, &["HTTP/1.1 ", code, " ", phrase, "\r\n"]);
    if server.named {
        append_server(out);
    }
    append_date(out, &server.date);
    append_all(out, &["Connection: close\r\nContent-Type: ", kind, "\r\n"]);
    if page.status == 503 {
        append_all(out, &["Retry-After: ", RETRY_AFTER, "\r\n"]);
    }
    append_length(out, body.iter().map(|part| part.len() as u64).sum());
    out.extend_from_slice(b"\r\n");
    if !page.head_only {
        append_all(out, body);
    }
}

/// Appends one chunk (RFC 9112 section 7.1). No data, no chunk: an empty one would end the body.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    out.reserve(data.len() + 20);
    chunk_size(out, data.len() as u64);
    out.extend_from_slice(data);
    out.extend_from_slice(CHUNK_END);
}

/// Appends the line that begins a chunk of `size` bytes, for data that is sent from elsewhere. `size` is not 0; the
/// data must be followed by [`CHUNK_END`].
pub fn chunk_size(out: &mut Vec<u8>, size: u64) {
    let first_digit = 15 - (size | 1).ilog2() / 4;
    for digit in first_digit..16 {
        let nibble = (size >> (4 * (15 - digit))) & 0xf;
        out.push(b"0123456789abcdef"[nibble as usize]);
    }
    out.extend_from_slice(b"\r\n");
}

/// What follows the data of each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends the chunk that ends the body, and an empty trailer section.
pub fn last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

fn append_server(out: &mut Vec<u8>) {
    append_all(out, &["Server: ", SERVER, "\r\n"]);
}

fn append_date(out: &mut Vec<u8>, date: &[u8; 29]) {
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n");
}

fn append_length(out: &mut Vec<u8>, length: u64) {
    append_all(out, &["Content-Length: ", itoa::Buffer::new().format(length), "\r\n"]);
}

fn append_all(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}
