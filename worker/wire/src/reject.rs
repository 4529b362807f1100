//! Why a request is refused: one [`Reason`] a rule, with its status, its name for counters and one sentence for the
//! client.
//!
//! A status below 500 is the client's fault; above, what the server can't or won't do. After a reject the connection's bytes
//! can't be trusted any more: reply, and close. Given by every parser here; the worker's connection gives those that only a
//! clock or a disk can tell.

use std::fmt;

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reject {
    /// The reply's status code.
    pub status: u16,
    /// The rule that was broken, or what the server lacks.
    pub reason: Reason,
}

impl From<Reason> for Reject {
    fn from(reason: Reason) -> Self {
        Self { status: reason.status(), reason }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.reason.name(), self.reason.explain())
    }
}

impl std::error::Error for Reject {}

macro_rules! reasons {
    ($($variant:ident $status:literal $name:literal $explain:literal)*) => {
        /// The rule that a client broke.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $explain] $variant,)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its place in [`Reason::ALL`].
            #[must_use]
            pub fn place(self) -> usize {
                self as usize
            }

            /// The status code of the reply.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// The name in counters and logs, in `snake_case`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// One sentence that names what the client did wrong.
            #[must_use]
            pub fn explain(self) -> &'static str {
                match self { $(Self::$variant => $explain),* }
            }
        }
    };
}

reasons! {
    EmptyLines 400 "empty_lines" "Too many empty lines stand before the request line."
    RequestLine 400 "request_line" "The request line is not a method, a target and a version with one space between them."
    RequestLineSize 414 "request_line_size" "The request line is too long."
    Method 400 "method" "The method is not a token."
    TargetCharacter 400 "target_character" "The request target holds a character that must be percent-encoded."
    TargetForm 400 "target_form" "The request target is neither a path nor a form that goes with the method."
    TargetAuthority 400 "target_authority" "The request target's host and port are not valid."
    ConnectUnsupported 501 "connect_unsupported" "This server opens no tunnels, so it has no CONNECT."
    VersionMalformed 400 "version_malformed" "The request line does not end in an HTTP version."
    VersionUnsupported 505 "version_unsupported" "This server speaks HTTP/1.0 and HTTP/1.1 only."
    BareCr 400 "bare_cr" "A carriage return stands without a line feed."
    BareLf 400 "bare_lf" "A line ends in a line feed without a carriage return."
    FieldFolded 400 "field_folded" "A field line begins with whitespace; folded fields are not accepted."
    FieldNameEmpty 400 "field_name_empty" "A field line has no name before its colon."
    FieldNameSpace 400 "field_name_space" "Whitespace stands in a field name, or between it and the colon."
    FieldName 400 "field_name" "A field name is not a token."
    FieldWithoutColon 400 "field_without_colon" "A field line has no colon."
    FieldValue 400 "field_value" "A field value holds a control character."
    FieldNameUnderscore 400 "field_name_underscore" "A field name holds an underscore, which this server does not accept."
    FieldSize 431 "field_size" "A field line is too long."
    FieldCount 431 "field_count" "The request has too many fields."
    HeadSize 431 "head_size" "The request's head is too large."
    HostMissing 400 "host_missing" "An HTTP/1.1 request must have a Host field."
    HostRepeated 400 "host_repeated" "The request has more than one Host field."
    HostInvalid 400 "host_invalid" "The Host field is not a valid host and port."
    ScriptNameRepeated 400 "script_name_repeated" "The request has more than one SCRIPT_NAME field."
    ScriptNameInvalid 500 "script_name_invalid" "The proxy's SCRIPT_NAME is not where the request's path begins."
    ContentTypeRepeated 400 "content_type_repeated" "The request has more than one Content-Type field."
    ContentLengthInvalid 400 "content_length_invalid" "The Content-Length field is not a decimal number of bytes."
    ContentLengthRepeated 400 "content_length_repeated" "The request has more than one Content-Length field."
    LengthAndCoding 400 "length_and_coding" "The request has both Content-Length and Transfer-Encoding."
    CodingInHttp10 400 "coding_in_http10" "Transfer-Encoding does not exist in HTTP/1.0."
    CodingMalformed 400 "coding_malformed" "The Transfer-Encoding field is not a list of transfer codings."
    CodingNotChunkedLast 400 "coding_not_chunked_last" "The request's last transfer coding is not chunked, so its length is unknown."
    CodingChunkedTwice 400 "coding_chunked_twice" "The request's body is chunked more than once."
    CodingUnsupported 501 "coding_unsupported" "The only transfer coding that this server accepts is chunked."
    Expectation 417 "expectation" "The only expectation that this server knows is 100-continue."
    BodySize 413 "body_size" "The request's body is too large."
    HeadTimeout 408 "head_timeout" "The request's head did not arrive in time."
    BodyTimeout 408 "body_timeout" "The request's body did not arrive in time."
    BodyRate 408 "body_rate" "The request's body arrived too slowly."
    Busy 503 "busy" "The server was busy with other requests for too long."
    QueueFull 503 "queue_full" "Too many other requests are waiting already."
    Timeout 504 "timeout" "The application took too long to answer."
    Storage 507 "storage" "The server has no room for the request's body."
    ChunkSize 400 "chunk_size" "A chunk's size is not a hexadecimal number of at most 16 digits."
    ChunkExtension 400 "chunk_extension" "A chunk extension is malformed."
    ChunkExtensionSize 400 "chunk_extension_size" "The chunk extensions are too long."
    ChunkEnd 400 "chunk_end" "A chunk's data is not followed by a line end."
    TrailerField 400 "trailer_field" "A trailer field is malformed."
    TrailerForbidden 400 "trailer_forbidden" "A field that belongs in the head was sent as a trailer."
    TrailerSize 431 "trailer_size" "The trailer fields are too many or too long."
    Malformed 400 "malformed" "The request is not valid HTTP."
    ProxyMissing 400 "proxy_missing" "The connection does not begin with a PROXY protocol header."
    ProxyMalformed 400 "proxy_malformed" "The PROXY protocol header is malformed."
    ProxyForbidden 403 "proxy_forbidden" "The PROXY protocol is not accepted from this address."
    SchemeContradiction 400 "scheme_contradiction" "The fields that say whether the client used HTTPS disagree."
    ForwardedMalformed 400 "forwarded_malformed" "A field by which a proxy passes on what it knows of the client is malformed."
    ForwardedContradiction 400 "forwarded_contradiction" "The fields by which proxies pass on what they know of the client contradict one another."
}
