//! The fields that an application gives to its reply: checked, recognised, and serialised if they are its to give.
//!
//! Content-Length is not serialised here: whether and which one is sent is decided with the framing. Called by
//! `tapster-python` for each pair that `start_response` gets; the names are the application's to get wrong, so errors
//! are worded for its author.

use std::fmt;

use crate::grammar::{decimal, has_control, is_token, trim};

/// What a field is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Nothing special; appended.
    Other,
    /// The body's length; not appended, since the head's writer sends it where it may be sent.
    ContentLength(u64),
    /// Date; appended, so that the server sends none.
    Date,
    /// Server; appended, so that the server sends none.
    Server,
    /// Transfer-Encoding, which is the server's; not appended.
    TransferEncoding,
    /// Another field about the connection, which PEP 3333 forbids to applications; not appended.
    HopByHop,
}

/// Why a field can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// The name is empty or not a token.
    Name,
    /// The value holds a control character, such as a line end.
    Value,
    /// Content-Length is not a number.
    Length,
    /// Content-Length was given twice.
    LengthTwice,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a header's name must be letters, digits and hyphens, with no spaces or colons",
            Self::Value => "a header's value must not hold control characters, such as line ends",
            Self::Length => "Content-Length must be a decimal number of bytes",
            Self::LengthTwice => "Content-Length must be given once",
        })
    }
}

impl std::error::Error for FieldError {}

/// Checks a field of the application's and appends `Name: value\r\n`, unless it is one that the server sends itself:
/// see [`FieldKind`]. After an error `out` is as it was.
///
/// # Errors
///
/// See [`FieldError`]; RFC 9110 sections 5.1 and 5.5. `LengthTwice` comes from [`ReplyFacts::note`] only.
///
/// [`ReplyFacts::note`]: super::reply::ReplyFacts::note
pub fn append_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<FieldKind, FieldError> {
    if !is_token(name) {
        return Err(FieldError::Name);
    }
    if has_control(value) {
        return Err(FieldError::Value);
    }
    let kind = kind_of(name, value)?;
    if matches!(kind, FieldKind::Other | FieldKind::Date | FieldKind::Server) {
        out.reserve(name.len() + value.len() + 4);
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    Ok(kind)
}

/// Most names are told apart by their length alone.
fn kind_of(name: &[u8], value: &[u8]) -> Result<FieldKind, FieldError> {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    Ok(match name.len() {
        2 if is(b"te") => FieldKind::HopByHop,
        4 if is(b"date") => FieldKind::Date,
        6 if is(b"server") => FieldKind::Server,
        7 if is(b"upgrade") || is(b"trailer") => FieldKind::HopByHop,
        8 if is(b"trailers") => FieldKind::HopByHop,
        10 if is(b"connection") || is(b"keep-alive") => FieldKind::HopByHop,
        14 if is(b"content-length") => FieldKind::ContentLength(decimal(trim(value)).ok_or(FieldError::Length)?),
        16 if is(b"proxy-connection") => FieldKind::HopByHop,
        17 if is(b"transfer-encoding") => FieldKind::TransferEncoding,
        18 if is(b"proxy-authenticate") => FieldKind::HopByHop,
        19 if is(b"proxy-authorization") => FieldKind::HopByHop,
        _ => FieldKind::Other,
    })
}
