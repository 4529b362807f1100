//! What the fields of a request mean to the server itself: host, framing, persistence and expectations.
//!
//! One pass over the fields, then one verdict. Looks at names and values only; the shape of lines is `request`'s.

use crate::accept::prefers_json;
use crate::field_names::{FieldNames, SCRIPT_NAME};
use crate::grammar::{decimal, trim};
use crate::head::{Body, Head, Limits, Span, Version};
use crate::reject::Reason;
use crate::target::is_host;

/// What the fields said so far.
#[derive(Debug)]
pub(super) struct Meaning<'n> {
    names: &'n FieldNames,
    /// The index of the Host field.
    host: Option<usize>,
    content_length: Option<u64>,
    content_type: bool,
    coding: Option<Coding>,
    close: bool,
    keep_alive: bool,
    expectation: Option<Expectation>,
    prefers_json: bool,
    /// The index of the SCRIPT_NAME field, where it counts.
    script_name: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Coding {
    /// Whether the last coding so far is chunked.
    chunked: bool,
    /// Whether another coding lies under it.
    other: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expectation {
    Continue,
    Unknown,
}

impl<'n> Meaning<'n> {
    /// Of no field yet, from a client that may send these names.
    #[inline]
    pub(super) fn new(names: &'n FieldNames) -> Self {
        Self {
            names,
            host: None,
            content_length: None,
            content_type: false,
            coding: None,
            close: false,
            keep_alive: false,
            expectation: None,
            prefers_json: false,
            script_name: None,
        }
    }

    /// Takes the field at `index` of the head's list into account.
    #[inline]
    pub(super) fn note(&mut self, name: &[u8], value: &[u8], index: usize) -> Result<(), Reason> {
        // Most fields mean nothing here, and their length alone says so.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.note_host(value, index),
            6 if name.eq_ignore_ascii_case(b"accept") => {
                self.prefers_json |= prefers_json(value);
                Ok(())
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.note_expectation(value);
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.note_connection(value);
                Ok(())
            }
            11 if name.eq_ignore_ascii_case(SCRIPT_NAME) && self.names.trusts_script_name() => {
                self.note_script_name(index)
            }
            12 if name.eq_ignore_ascii_case(b"content-type") => self.note_content_type(),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.note_content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.note_coding(value),
            _ => Ok(()),
        }
    }

    /// RFC 9112 section 3.2: more than one Host, or an invalid one, is a 400. An empty one is valid.
    fn note_host(&mut self, value: &[u8], index: usize) -> Result<(), Reason> {
        if self.host.is_some() {
            return Err(Reason::HostRepeated);
        }
        if !is_host(value) {
            return Err(Reason::HostInvalid);
        }
        self.host = Some(index);
        Ok(())
    }

    /// RFC 9110 section 10.1.1: the value is case-insensitive, and "100-continue" is the only one.
    fn note_expectation(&mut self, value: &[u8]) {
        let known = value.eq_ignore_ascii_case(b"100-continue") && self.expectation != Some(Expectation::Unknown);
        self.expectation = Some(if known { Expectation::Continue } else { Expectation::Unknown });
    }

    /// RFC 9110 section 7.6.1: a list of case-insensitive options, possibly over several fields.
    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Two proxies that each name a mount point can't both be right.
    fn note_script_name(&mut self, index: usize) -> Result<(), Reason> {
        if self.script_name.replace(index).is_some() { Err(Reason::ScriptNameRepeated) } else { Ok(()) }
    }

    /// RFC 9110 section 5.3: a field that is no list can't be sent twice, and WSGI has one `CONTENT_TYPE`.
    fn note_content_type(&mut self) -> Result<(), Reason> {
        if std::mem::replace(&mut self.content_type, true) { Err(Reason::ContentTypeRepeated) } else { Ok(()) }
    }

    /// RFC 9110 section 8.6 and RFC 9112 section 6.3: digits that fit a number. Repeated fields are refused even when
    /// they agree, since a proxy in front may have read them in another way.
    fn note_content_length(&mut self, value: &[u8]) -> Result<(), Reason> {
        if self.content_length.is_some() {
            return Err(Reason::ContentLengthRepeated);
        }
        self.content_length = Some(decimal(value).ok_or(Reason::ContentLengthInvalid)?);
        Ok(())
    }

    /// RFC 9112 sections 6.1 and 7: a list, possibly over several fields, in which chunked comes once and last.
    fn note_coding(&mut self, value: &[u8]) -> Result<(), Reason> {
        let coding = self.coding.get_or_insert_default();
        for name in value.split(|&byte| byte == b',').map(trim) {
            if name.eq_ignore_ascii_case(b"chunked") {
                if std::mem::replace(&mut coding.chunked, true) {
                    return Err(Reason::CodingChunkedTwice);
                }
            } else if name.is_empty() {
                return Err(Reason::CodingMalformed);
            } else if coding.chunked {
                return Err(Reason::CodingNotChunkedLast);
            } else if KNOWN_CODINGS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                coding.other = true;
            } else {
                return Err(Reason::CodingUnsupported);
            }
        }
        Ok(())
    }

    /// Draws the conclusions into `head`, whose version, target and fields are there already.
    #[inline]
    pub(super) fn conclude(
        self,
        limits: &Limits,
        overrides_host: bool,
        window: &[u8],
        head: &mut Head,
    ) -> Result<(), Reason> {
        head.prefers_json = self.prefers_json;
        self.conclude_host(overrides_host, head)?;
        if let Some(index) = self.script_name {
            mount(head, index, window)?;
        }
        head.body = self.body(head.version)?;
        // RFC 9112 section 9.3: 1.1 stays unless told to close, 1.0 closes unless asked to stay.
        head.keep_alive = !self.close && (head.version == Version::Http11 || self.keep_alive);
        // RFC 9110 section 10.1.1: expectations other than 100-continue get a 417; in 1.0 that one is ignored.
        match self.expectation {
            Some(Expectation::Unknown) => return Err(Reason::Expectation),
            Some(Expectation::Continue) => {
                let announced = !matches!(head.body, Body::None | Body::Length(0));
                head.expect_continue = announced && head.version == Version::Http11;
            }
            None => {}
        }
        match head.body {
            Body::Length(length) if limits.body != 0 && length > limits.body => Err(Reason::BodySize),
            _ => Ok(()),
        }
    }

    /// RFC 9112 section 3.2: 1.1 needs a Host. Section 3.2.2: with absolute-form it is there, and ignored.
    #[inline]
    fn conclude_host(&self, overrides_host: bool, head: &mut Head) -> Result<(), Reason> {
        let field = self.host.and_then(|index| head.fields.get_mut(index));
        if field.is_none() && head.version == Version::Http11 {
            return Err(Reason::HostMissing);
        }
        head.host = match (field, head.authority) {
            (Some(field), Some(authority)) if overrides_host => {
                field.value = authority;
                Some(authority)
            }
            (None, authority) if overrides_host => authority,
            (field, _) => field.map(|field| field.value),
        };
        Ok(())
    }

    /// RFC 9112 section 6.3.
    #[inline]
    fn body(&self, version: Version) -> Result<Body, Reason> {
        let Some(coding) = self.coding else {
            return Ok(self.content_length.map_or(Body::None, Body::Length));
        };
        // Section 6.1: who sends Transfer-Encoding in 1.0, or with a Content-Length, may be smuggling.
        if version == Version::Http10 {
            return Err(Reason::CodingInHttp10);
        }
        if self.content_length.is_some() {
            return Err(Reason::LengthAndCoding);
        }
        match coding {
            // Section 6.3: the length of such a request can't be determined: 400.
            Coding { chunked: false, .. } => Err(Reason::CodingNotChunkedLast),
            // Section 6.1: a coding that isn't understood: 501.
            Coding { other: true, .. } => Err(Reason::CodingUnsupported),
            Coding { .. } => Ok(Body::Chunked),
        }
    }
}

/// The mount point that a proxy names, without a slash at its end.
#[cold]
fn mount(head: &mut Head, index: usize, window: &[u8]) -> Result<(), Reason> {
    let Some(Span { start, end }) = head.fields.get(index).map(|field| field.value) else { return Ok(()) };
    let slashes = Span { start, end }.of(window).iter().rev().take_while(|&&byte| byte == b'/').count();
    let name = Span { start, end: end - slashes as u32 };
    head.mount_at(name.of(window), window)?;
    head.script_name = Some(name);
    Ok(())
}

/// Registered codings (RFC 9112 section 7.2), and one that once was. Without chunked behind them the request has no
/// length, which weighs more than that they aren't supported.
const KNOWN_CODINGS: [&[u8]; 6] = [b"gzip", b"deflate", b"compress", b"x-gzip", b"x-compress", b"identity"];
