//! The trailer section behind the last chunk (RFC 9112 section 7.1.2): checked and discarded.
//!
//! WSGI has no place for trailers. Those that belong in the head are refused nevertheless, since who sends a
//! Content-Length there hopes that somebody merges it. Called by `chunked`.

use crate::grammar::{is_control, is_token_byte};
use crate::reject::Reason;

/// How many trailer fields.
const MAX_FIELDS: u16 = 32;

/// How large the whole section may be.
const MAX_BYTES: u16 = 8192;

/// The longest of the names that are looked for.
const MAX_NAME_BYTES: usize = 19;

/// The section so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Trailers {
    at: At,
    fields: u16,
    bytes: u16,
    /// The current name in lower case, as far as it fits.
    name: [u8; MAX_NAME_BYTES],
    /// Its length, which may exceed what fits.
    name_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    #[default]
    LineStart,
    Name,
    Value,
    ValueFeed,
    LastFeed,
}

impl Trailers {
    /// Whether this byte ends the section, and the body with it.
    pub(super) fn step(&mut self, byte: u8) -> Result<bool, Reason> {
        self.bytes += 1;
        if self.bytes > MAX_BYTES {
            return Err(Reason::TrailerSize);
        }
        self.at = match (self.at, byte) {
            (At::LineStart, b'\r') => At::LastFeed,
            (At::LastFeed, b'\n') => return Ok(true),
            (At::ValueFeed, b'\n') => At::LineStart,
            (At::LastFeed | At::ValueFeed, _) => return Err(Reason::BareCr),
            (At::Value, b'\r') => At::ValueFeed,
            (_, b'\n') => return Err(Reason::BareLf),
            (At::Value, _) if !is_control(byte) => At::Value,
            (At::Name, b':') if self.is_forbidden() => return Err(Reason::TrailerForbidden),
            (At::Name, b':') => At::Value,
            (At::LineStart, _) if is_token_byte(byte) => {
                self.fields += 1;
                if self.fields > MAX_FIELDS {
                    return Err(Reason::TrailerSize);
                }
                self.name_bytes = 0;
                self.push(byte)
            }
            (At::Name, _) if is_token_byte(byte) => self.push(byte),
            _ => return Err(Reason::TrailerField),
        };
        Ok(false)
    }

    fn push(&mut self, byte: u8) -> At {
        if let Some(place) = self.name.get_mut(self.name_bytes) {
            *place = byte.to_ascii_lowercase();
        }
        self.name_bytes += 1;
        At::Name
    }

    /// RFC 9110 section 6.5.1: no fields for framing, routing, request modifiers, authentication, content format.
    fn is_forbidden(&self) -> bool {
        let Some(name) = self.name.get(..self.name_bytes) else { return false };
        matches!(
            name,
            b"transfer-encoding"
                | b"content-length"
                | b"host"
                | b"connection"
                | b"keep-alive"
                | b"upgrade"
                | b"trailer"
                | b"te"
                | b"expect"
                | b"cache-control"
                | b"max-forwards"
                | b"pragma"
                | b"range"
                | b"if-match"
                | b"if-none-match"
                | b"if-modified-since"
                | b"if-unmodified-since"
                | b"if-range"
                | b"authorization"
                | b"proxy-authorization"
                | b"cookie"
                | b"content-encoding"
                | b"content-type"
                | b"content-range"
        )
    }
}
