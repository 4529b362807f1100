//! The way of a head that is incomplete or wrong: line by line, to the first offence.
//!
//! This is a second, slow and strict reading of the grammar of RFC 9112 sections 2.2, 3 and 5. It stores nothing: it
//! says that all is well so far, or what is wrong *first*. A verdict depends only on the bytes up to the offence, so
//! it doesn't matter in which pieces they came. Called by `request` alone, off the hot path.

use crate::grammar::{is_control, is_space, is_target_byte, is_token_byte};
use crate::head::{Limits, Progress};
use crate::reject::Reason;

/// How many empty lines may stand before a request line. RFC 9112 section 2.2 asks for at least one.
const MAX_EMPTY_LINES: usize = 4;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// At limits and line ends.
    Lines,
    /// At every byte.
    Bytes,
}

/// An offence, and the offset in its line where it is.
type Offence = Option<(usize, Reason)>;

/// Whether the head at the beginning of `buf` is complete. Limits are judged as soon as the bytes that exceed them
/// are there.
pub(super) fn examine(buf: &[u8], limits: &Limits, look: Look) -> Result<Progress<()>, Reason> {
    let Progress::Ready(start) = skip_empty_lines(buf)? else { return Ok(Progress::NeedMore) };
    let line = Line::first(&buf[start..]);
    let offence = if look == Look::Bytes { request_line(&line) } else { None };
    line.judge(offence, limits.request_line, Reason::RequestLineSize)?;

    let mut rest = &buf[start + line.size..];
    let mut fields = 0;
    let mut ended = line.ended;
    while ended {
        let line = Line::first(rest);
        if line.content.is_empty() {
            line.judge(None, 0, Reason::FieldSize)?;
            return Ok(if line.ended { Progress::Ready(()) } else { Progress::NeedMore });
        }
        fields += 1;
        if fields > limits.fields.min(Limits::MAX_FIELDS) {
            return Err(Reason::FieldCount);
        }
        let offence = if look == Look::Bytes { field_line(&line) } else { None };
        line.judge(offence, limits.field_size, Reason::FieldSize)?;
        rest = &rest[line.size..];
        ended = line.ended;
    }
    Ok(Progress::NeedMore)
}

/// Where the request line begins: behind a few empty lines (RFC 9112 section 2.2).
pub(super) fn skip_empty_lines(buf: &[u8]) -> Result<Progress<usize>, Reason> {
    let mut at = 0;
    loop {
        at += match buf[at..] {
            [] | [b'\r'] => return Ok(Progress::NeedMore),
            [b'\r', b'\n', ..] => 2,
            [b'\r', ..] => return Err(Reason::BareCr),
            [b'\n', ..] => return Err(Reason::BareLf),
            _ => return Ok(Progress::Ready(at)),
        };
        if at > 2 * MAX_EMPTY_LINES {
            return Err(Reason::EmptyLines);
        }
    }
}

/// A line, or what has come of it.
struct Line<'b> {
    /// Without the line end, and without a CR that may yet become one.
    content: &'b [u8],
    /// With the line end.
    size: usize,
    /// Whether the line feed is there.
    ended: bool,
    /// Whether a CR comes before it.
    with_cr: bool,
}

impl<'b> Line<'b> {
    fn first(buf: &'b [u8]) -> Self {
        let feed = memchr::memchr(b'\n', buf);
        let line = &buf[..feed.unwrap_or(buf.len())];
        let (content, with_cr) = line.strip_suffix(b"\r").map_or((line, false), |content| (content, true));
        Self { content, size: line.len() + usize::from(feed.is_some()), ended: feed.is_some(), with_cr }
    }

    /// What comes first: an offence in the content, the byte that is too much, or a bare line feed.
    fn judge(&self, offence: Offence, limit: usize, too_long: Reason) -> Result<(), Reason> {
        match offence {
            Some((at, reason)) if at < limit || self.content.len() <= limit => Err(reason),
            _ if self.content.len() > limit => Err(too_long),
            _ if self.ended && !self.with_cr => Err(Reason::BareLf),
            _ => Ok(()),
        }
    }
}

/// RFC 9112 section 3: `method SP request-target SP HTTP-version`.
fn request_line(line: &Line<'_>) -> Offence {
    let (method, rest) = match word(line, 0, is_token_byte, Reason::Method) {
        Ok(word) => word,
        Err(offence) => return offence,
    };
    if method == 0 {
        return Some((0, Reason::RequestLine));
    }
    let (target, rest) = match word(line, rest, is_target_byte, Reason::TargetCharacter) {
        Ok(word) => word,
        Err(offence) => return offence,
    };
    if target == 0 {
        return Some((rest - 1, Reason::RequestLine));
    }
    version(line, rest)
}

/// The length of the word at `start`, and where the next begins; or else the offence, if any, that keeps it from
/// being a word.
fn word(line: &Line<'_>, start: usize, allowed: fn(u8) -> bool, otherwise: Reason) -> Result<(usize, usize), Offence> {
    let rest = &line.content[start..];
    let length = rest.iter().take_while(|&&byte| allowed(byte)).count();
    let at = start + length;
    match rest.get(length) {
        Some(b' ') => Ok((length, at + 1)),
        Some(b'\r') => Err(Some((at, Reason::BareCr))),
        Some(_) => Err(Some((at, otherwise))),
        None if line.ended => Err(Some((at, Reason::RequestLine))),
        None => Err(None),
    }
}

/// RFC 9112 section 2.3: `"HTTP" "/" DIGIT "." DIGIT`, case-sensitive.
fn version(line: &Line<'_>, start: usize) -> Offence {
    const SHAPE: &[u8; 8] = b"HTTP/0.0";
    let version = &line.content[start..];
    let matching = version
        .iter()
        .zip(SHAPE)
        .take_while(|&(&byte, &shape)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
        .count();
    let at = start + matching;
    match version.get(matching) {
        Some(b'\r') => Some((at, Reason::BareCr)),
        Some(_) => Some((at, Reason::VersionMalformed)),
        None if !line.ended => None,
        None if matching < SHAPE.len() => Some((at, Reason::VersionMalformed)),
        None if matches!(version, b"HTTP/1.0" | b"HTTP/1.1") => None,
        None => Some((at, Reason::VersionUnsupported)),
    }
}

/// RFC 9112 section 5: `field-name ":" OWS field-value OWS`, without folding (section 5.2) and without whitespace
/// before the colon (section 5.1).
fn field_line(line: &Line<'_>) -> Offence {
    let content = line.content;
    let name = content.iter().take_while(|&&byte| is_token_byte(byte)).count();
    match content.get(name) {
        Some(b':') if name == 0 => Some((0, Reason::FieldNameEmpty)),
        Some(b':') => {
            let at = name + 1 + content[name + 1..].iter().position(|&byte| is_control(byte))?;
            Some((at, if content[at] == b'\r' { Reason::BareCr } else { Reason::FieldValue }))
        }
        Some(&byte) if is_space(byte) && name == 0 => Some((0, Reason::FieldFolded)),
        Some(&byte) if is_space(byte) => Some((name, Reason::FieldNameSpace)),
        Some(b'\r') => Some((name, Reason::BareCr)),
        Some(_) => Some((name, Reason::FieldName)),
        None => line.ended.then_some((name, Reason::FieldWithoutColon)),
    }
}
