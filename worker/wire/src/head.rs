//! What a request's head says, whichever protocol brought it: ranges into the connection's buffer, and the conclusions
//! drawn from them.
//!
//! A [`Head`] owns no bytes and is refilled from request to request, so that it stops allocating once its list of
//! fields has grown. It judges nothing: the protocol modules fill it, everything behind them reads it.

use crate::reject::Reason;

/// A range of the connection's buffer, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte's offset.
    pub start: u32,
    /// The offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// A span of offsets that are known to lie within 4 GiB, as heads do (see [`Limits::head`]).
    #[inline]
    pub(crate) fn at(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The bytes in `buf`, which is the buffer that was parsed; nothing where `buf` is shorter than that.
    #[inline]
    #[must_use]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// How many bytes.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there are no bytes.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// The protocol's version, which decides persistence and framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0: closes unless asked to stay, and knows no chunks.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

impl Version {
    /// As in the request line, and as WSGI's `SERVER_PROTOCOL`.
    #[inline]
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// How the request's body is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Body {
    /// No body was announced.
    #[default]
    None,
    /// Exactly so many bytes follow the head.
    Length(u64),
    /// Chunks follow the head.
    Chunked,
}

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name, in the case it came in.
    pub name: Span,
    /// The value without the whitespace around it.
    pub value: Span,
}

/// A request's head. All spans are of the buffer that was given to the parser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The method: a token, case kept.
    pub method: Span,
    /// The request target as received: WSGI's `RAW_URI`.
    pub target: Span,
    /// The target's path, still percent-encoded: for absolute-form the path within, `*` for asterisk-form. A path that
    /// absolute-form leaves out is `/`.
    pub path: Span,
    /// The target's query without its `?`.
    pub query: Span,
    /// The request's version.
    pub version: Version,
    /// The fields in their order, without those counted in `dropped`. In absolute-form the Host field's value is the
    /// target's authority (RFC 9112 section 3.2.2).
    pub fields: Vec<Field>,
    /// How many fields were left out because their names hold an underscore: see [`FieldNames`](crate::FieldNames).
    pub dropped: u32,
    /// How the body is delimited.
    pub body: Body,
    /// Whether the client wants the connection to stay (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// Whether the client waits for "100 Continue" before it sends the body that it announced.
    pub expect_continue: bool,
    /// The head's size in bytes, from the buffer's first byte up to and with the empty line that ends it.
    pub size: usize,
    /// Host, possibly empty: the target's authority in absolute-form, else the field's value.
    pub host: Option<Span>,
    /// The authority that the target names: absolute-form only.
    pub authority: Option<Span>,
    /// Whether the method is HEAD, whose reply has no body.
    pub is_head_method: bool,
    /// The mount point that a trusted proxy's `SCRIPT_NAME` field names, without a slash at its end. `path` is what comes
    /// behind it.
    pub script_name: Option<Span>,
    /// Whether the client would rather have an error as JSON than as text (RFC 9110 section 12.5.1).
    pub prefers_json: bool,
}

impl Head {
    /// Forgets the request, and keeps the memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }

    /// Takes a mount point off the path, as gunicorn does, but only at a slash. `mount_point` is without a slash at its
    /// end, and `buf` what was parsed. The asterisk of `OPTIONS *` is no path.
    ///
    /// # Errors
    /// [`Reason::ScriptNameInvalid`] where the path does not begin with it.
    pub fn mount_at(&mut self, mount_point: &[u8], buf: &[u8]) -> Result<(), Reason> {
        let path = self.path.of(buf);
        if mount_point.is_empty() || path == b"*" {
            return Ok(());
        }
        match path.strip_prefix(mount_point) {
            Some([] | [b'/', ..]) if mount_point[0] == b'/' => {
                self.path.start += mount_point.len() as u32;
                Ok(())
            }
            _ => Err(Reason::ScriptNameInvalid),
        }
    }
}

/// What a parser says of bytes that are right so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// The thing is complete.
    Ready(T),
    /// Call again, from the thing's first byte, when more bytes are there.
    NeedMore,
}

/// How much a client may ask of us. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The request line, without its line end.
    pub request_line: usize,
    /// How many fields, dropped ones included; values above [`Limits::MAX_FIELDS`] count as that.
    pub fields: usize,
    /// One field line, without its line end.
    pub field_size: usize,
    /// The whole head; values of 4 GiB and more count as 4 GiB.
    pub head: usize,
    /// The body; 0 is no limit.
    pub body: u64,
}

impl Limits {
    /// The most fields that a head may be allowed.
    pub const MAX_FIELDS: usize = 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_line: 4094, fields: 100, field_size: 8190, head: 64 << 10, body: 0 }
    }
}
