//! Request targets (RFC 9112 section 3.2), hosts (RFC 3986 section 3.2) and percent-decoding.
//!
//! Splits and checks; never decodes what it splits, and never allocates but in the caller's vector. Called by the
//! parsers, and [`decode_path`] by whoever builds `PATH_INFO`.

use std::net::Ipv6Addr;

use crate::grammar::{hex_digit, is_reg_name_byte};
use crate::head::Span;
use crate::reject::Reason;

/// Appends the percent-decoded `path` to `out`. Escapes that are none stay as they are, as in Python's `unquote`.
pub fn decode_path(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = rest.get(at + 1..at + 3).and_then(|digits| Some((hex_digit(digits[0])?, hex_digit(digits[1])?)));
        if let Some((high, low)) = escape {
            out.push(high << 4 | low);
            rest = &rest[at + 3..];
        } else {
            out.push(b'%');
            rest = &rest[at + 1..];
        }
    }
    out.extend_from_slice(rest);
}

/// The parts of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) path: Span,
    pub(crate) query: Span,
    pub(crate) authority: Option<Span>,
    /// Whether the authority replaces the Host field: in absolute-form.
    pub(crate) overrides_host: bool,
}

/// Splits `target`, a span of `buf` that holds only what `grammar::is_target_byte` allows.
pub(crate) fn split(buf: &[u8], target: Span, method: &[u8]) -> Result<Parts, Reason> {
    let bytes = target.of(buf);
    // RFC 9110 section 9.3.6: behind a 2xx to it the connection is a tunnel, which a WSGI application can't serve, and what
    // the client sends through it must never be read as requests. Authority-form (RFC 9112 section 3.2.3) is for it alone.
    if method == b"CONNECT" {
        return Err(Reason::ConnectUnsupported);
    }
    match bytes {
        // Section 3.2.1: origin-form.
        [b'/', ..] => Ok(path_and_query(bytes, target)),
        // Section 3.2.4: asterisk-form is for OPTIONS.
        b"*" if method == b"OPTIONS" => Ok(Parts { path: target, ..Parts::default() }),
        _ => absolute_form(bytes, target),
    }
}

fn path_and_query(bytes: &[u8], span: Span) -> Parts {
    let Some(mark) = memchr::memchr(b'?', bytes) else {
        return Parts { path: span, query: Span { start: span.end, end: span.end }, ..Parts::default() };
    };
    let mark = span.start + mark as u32;
    Parts {
        path: Span { start: span.start, end: mark },
        query: Span { start: mark + 1, end: span.end },
        ..Parts::default()
    }
}

/// Section 3.2.2. Only the schemes that HTTP servers are asked for; userinfo is refused (RFC 9110 section 4.2.4).
fn absolute_form(bytes: &[u8], span: Span) -> Result<Parts, Reason> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| bytes.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .ok_or(Reason::TargetForm)?
        .len();
    let rest = &bytes[scheme..];
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    // RFC 9110 section 4.2.1: an empty host is invalid in these schemes.
    if rest[..end].is_empty() || !is_host(&rest[..end]) {
        return Err(Reason::TargetAuthority);
    }
    let start = span.start + scheme as u32;
    let behind = Span { start: start + end as u32, end: span.end };
    let mut parts = path_and_query(&rest[end..], behind);
    if parts.path.is_empty() {
        // Section 3.2.1: an empty path is "/", and the slash before the authority is one to point at.
        parts.path = Span { start: start - 1, end: start };
    }
    Ok(Parts { authority: Some(Span { start, end: behind.start }), overrides_host: true, ..parts })
}

/// RFC 9110 section 7.2: `uri-host [ ":" port ]`, where the host may be empty and the port is `*DIGIT`.
pub(crate) fn is_host(bytes: &[u8]) -> bool {
    // RFC 9110 section 4.2.1: in http there is no empty host, though an empty field says that there is none to tell.
    if bytes.first() == Some(&b':') {
        return false;
    }
    let port = if let [b'[', literal @ ..] = bytes {
        let Some(end) = memchr::memchr(b']', literal) else { return false };
        let address = str::from_utf8(&literal[..end]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        if address.is_none() {
            return false;
        }
        &literal[end + 1..]
    } else {
        let name = bytes.iter().take_while(|&&byte| is_reg_name_byte(byte) || byte == b'%').count();
        if bytes[..name].contains(&b'%') && !escapes_are_whole(&bytes[..name]) {
            return false;
        }
        &bytes[name..]
    };
    match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn escapes_are_whole(name: &[u8]) -> bool {
    memchr::memchr_iter(b'%', name)
        .all(|at| name.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}
