//! What the bytes of a refused request give away of how its client wants to be answered.
//!
//! The request may have broken off or been refused at any byte, so this reads what is there, and believes it for the page that
//! says so and for nothing else. Called by the worker's connection.

use crate::accept::prefers_json;
use crate::grammar::trim;

/// How an error page is best given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// The request seems to be a HEAD, whose reply has no body (RFC 9110 section 9.3.2).
    pub is_head_method: bool,
    /// The client would rather have JSON than text.
    pub prefers_json: bool,
}

/// Looks at what there is of a head.
#[must_use]
pub fn glimpse(buf: &[u8]) -> Glimpse {
    const ACCEPT: &[u8] = b"accept:";
    let start = buf.iter().take_while(|&&byte| matches!(byte, b'\r' | b'\n')).count();
    let mut lines = buf[start..].split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let is_head_method = lines.next().is_some_and(|line| line.starts_with(b"HEAD "));
    let prefers_json = lines.take_while(|line| !line.is_empty()).any(|line| {
        line.get(..ACCEPT.len()).is_some_and(|name| name.eq_ignore_ascii_case(ACCEPT))
            && prefers_json(trim(&line[ACCEPT.len()..]))
    });
    Glimpse { is_head_method, prefers_json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_head_is_searched_as_far_as_it_goes() {
        let json = |head: &[u8]| glimpse(head).prefers_json;
        assert!(json(b"GET / HTTP/1.1\r\nACCEPT: application/json\r\nbad header"));
        assert!(json(b"\r\nGET / HTTP/1.1\nAccept:application/json\nbad header"));
        assert!(!json(b"Accept: application/json\r\n"));
        assert!(!json(b"GET / HTTP/1.1\r\n\r\nAccept: application/json\r\n"));
        assert!(!json(b""));
    }

    #[test]
    fn a_head_is_known_by_its_first_word() {
        assert!(glimpse(b"\r\nHEAD / HTTP").is_head_method);
        for other in [&b"HEAD"[..], b"HEADS /", b"head / HTTP/1.1", b"GET / HTTP/1.1\r\nHEAD "] {
            assert!(!glimpse(other).is_head_method);
        }
    }
}
