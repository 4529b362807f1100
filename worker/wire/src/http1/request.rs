//! The way of a request's head, when all is well: one pass of `httparse`, one over the fields.
//!
//! `httparse` is quick and lenient: it takes bare line feeds, any number of empty lines, and any UTF-8 in a target.
//! Here is checked, cheaply, *that* something is wrong; `examine` then finds *what* was wrong first. So a request
//! gets the same verdict however its bytes arrive. Nothing is copied, and nothing allocated once the head's list of
//! fields has grown.

use std::mem::MaybeUninit;

use httparse::{Request, Status};

use super::examine::{Look, examine, skip_empty_lines};
use super::fields::Meaning;
use crate::field_names::FieldNames;
use crate::grammar::has_foreign_target_byte;
use crate::head::{Field, Head, Limits, Progress, Span, Version};
use crate::reject::{Reason, Reject};
use crate::target;

/// Requests with at most so many fields allowed are parsed with the small table of fields on the stack (4 KiB).
const FEW_FIELDS: usize = 128;

/// From this many bytes on, a head is tokenized only when it is complete, so that one that trickles in is scanned
/// again and again only for its line ends.
const TRICKLE_BYTES: usize = 4096;

/// Parses the request head at the beginning of `buf` into `head`.
///
/// `buf` may hold more than the head; `head.size` says where the body begins. While the answer is
/// [`Progress::NeedMore`], call again with a longer `buf` that begins with the same bytes. Then, and after a reject,
/// `head` holds nothing to rely on. `names` says which underscores in names this client is allowed.
///
/// # Errors
///
/// The first rule of RFC 9110, RFC 9112 or `limits` that the request breaks; limits before the head is complete, too.
pub fn parse_head(buf: &[u8], limits: &Limits, names: &FieldNames, head: &mut Head) -> Result<Progress<()>, Reject> {
    head.clear();
    let window = &buf[..buf.len().min(limits.head).min(u32::MAX as usize)];
    let progress = parse_window(window, limits, names, head)?;
    if progress == Progress::NeedMore && window.len() < buf.len() {
        return Err(first_offence(window, limits, Reason::HeadSize).into());
    }
    Ok(progress)
}

fn parse_window(window: &[u8], limits: &Limits, names: &FieldNames, head: &mut Head) -> Result<Progress<()>, Reason> {
    let start = match window.first() {
        None => return Ok(Progress::NeedMore),
        // RFC 9112 section 2.2: empty lines before the request line are ignored.
        Some(b'\r' | b'\n') => match skip_empty_lines(window)? {
            Progress::Ready(start) => start,
            Progress::NeedMore => return Ok(Progress::NeedMore),
        },
        Some(_) => 0,
    };
    if window.len() >= TRICKLE_BYTES && lines_so_far(window, limits)? == Progress::NeedMore {
        return Ok(Progress::NeedMore);
    }
    if limits.fields <= FEW_FIELDS {
        tokenize::<FEW_FIELDS>(window, start, limits, names, head)
    } else {
        tokenize_many(window, start, limits, names, head)
    }
}

/// Apart, so that its 32 KiB are on the stack only where they are used.
#[inline(never)]
fn tokenize_many(
    window: &[u8],
    start: usize,
    limits: &Limits,
    names: &FieldNames,
    head: &mut Head,
) -> Result<Progress<()>, Reason> {
    tokenize::<{ Limits::MAX_FIELDS }>(window, start, limits, names, head)
}

#[inline]
fn tokenize<const FIELDS: usize>(
    window: &[u8],
    start: usize,
    limits: &Limits,
    names: &FieldNames,
    head: &mut Head,
) -> Result<Progress<()>, Reason> {
    let mut table = [const { MaybeUninit::uninit() }; FIELDS];
    let mut request = Request::new(&mut []);
    match request.parse_with_uninit_headers(&window[start..], &mut table[..limits.fields.min(FIELDS)]) {
        Ok(Status::Complete(size)) => {
            let lines = Lines { window, start, size: start + size };
            if let Some(tokens) = Tokens::of(&request)
                && lines.are_sound(&tokens, limits)
            {
                understand(&lines, &tokens, limits, names, head).map(Progress::Ready)
            } else {
                Err(first_offence(window, limits, Reason::Malformed))
            }
        }
        Ok(Status::Partial) => lines_so_far(window, limits),
        // `httparse` refuses some prefixes of "HTTP/2.0" earlier than the version can be told.
        Err(_) => match examine(window, limits, Look::Bytes)? {
            Progress::NeedMore => Ok(Progress::NeedMore),
            Progress::Ready(()) => Err(Reason::Malformed),
        },
    }
}

/// The limits and line ends of an incomplete head.
fn lines_so_far(window: &[u8], limits: &Limits) -> Result<Progress<()>, Reason> {
    examine(window, limits, Look::Lines).map_err(|reason| first_offence(window, limits, reason))
}

#[cold]
fn first_offence(window: &[u8], limits: &Limits, otherwise: Reason) -> Reason {
    examine(window, limits, Look::Bytes).err().unwrap_or(otherwise)
}

/// What `httparse` found in a complete head.
struct Tokens<'t, 'b> {
    method: &'b [u8],
    target: &'b [u8],
    version: Version,
    fields: &'t [httparse::Header<'b>],
}

impl<'t, 'b> Tokens<'t, 'b> {
    #[inline]
    fn of(request: &'t Request<'_, 'b>) -> Option<Self> {
        Some(Self {
            method: request.method?.as_bytes(),
            target: request.path?.as_bytes(),
            version: if request.version? == 0 { Version::Http10 } else { Version::Http11 },
            fields: request.headers,
        })
    }
}

/// Where the lines of a complete head are.
struct Lines<'b> {
    window: &'b [u8],
    /// Where the request line begins.
    start: usize,
    /// Where the body begins.
    size: usize,
}

impl Lines<'_> {
    /// What `httparse` lets pass, and the limits. A line ends where the next begins, since lines begin with their
    /// first token: so one look per line finds a bare line feed, and its length is known.
    #[inline]
    fn are_sound(&self, tokens: &Tokens<'_, '_>, limits: &Limits) -> bool {
        let Some(empty_line) = self.size.checked_sub(2) else { return false };
        let mut sound = self.window[empty_line] == b'\r' && !has_foreign_target_byte(tokens.target);
        let mut line = self.start;
        let mut allowed = limits.request_line;
        for next in tokens.fields.iter().map(|field| self.offset(field.name.as_bytes())).chain([empty_line]) {
            // At least one name and colon, or the request line, lie between `line` and `next`.
            let end = next.saturating_sub(2);
            sound &= self.window[end] == b'\r' && end.saturating_sub(line) <= allowed;
            line = next;
            allowed = limits.field_size;
        }
        sound
    }

    #[inline]
    fn offset(&self, part: &[u8]) -> usize {
        part.as_ptr().addr().wrapping_sub(self.window.as_ptr().addr())
    }

    #[inline]
    fn span(&self, part: &[u8]) -> Span {
        let start = self.offset(part);
        Span::at(start, start + part.len())
    }
}

fn understand(
    lines: &Lines<'_>,
    tokens: &Tokens<'_, '_>,
    limits: &Limits,
    names: &FieldNames,
    head: &mut Head,
) -> Result<(), Reason> {
    let method = tokens.method;
    head.size = lines.size;
    head.version = tokens.version;
    head.method = lines.span(method);
    head.target = lines.span(tokens.target);
    head.is_head_method = method == b"HEAD";

    let parts = target::split(lines.window, head.target, method)?;
    head.path = parts.path;
    head.query = parts.query;
    head.authority = parts.authority;

    let mut meaning = Meaning::new(names);
    for field in tokens.fields {
        let name = field.name.as_bytes();
        if memchr::memchr(b'_', name).is_some() && !names.admit(name)? {
            head.dropped += 1;
            continue;
        }
        let spans = Field { name: lines.span(name), value: lines.span(field.value) };
        meaning.note(name, field.value, head.fields.len())?;
        head.fields.push(spans);
    }
    meaning.conclude(limits, parts.overrides_host, lines.window, head)
}
