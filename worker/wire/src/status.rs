//! Status codes: their usual phrases, and the check of the status strings that applications give.

use std::fmt;

use crate::grammar::has_control;

/// Why a status string can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusError {
    /// It is not three digits, a space and a reason.
    Shape,
    /// Its code is below 100.
    Code,
    /// It holds a control character.
    Control,
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "the status must be three digits, a space and a reason, as in '200 OK'",
            Self::Code => "the status code must be from 100 to 999",
            Self::Control => "the status must not hold control characters, such as line ends",
        })
    }
}

impl std::error::Error for StatusError {}

/// The code of a status string such as `200 OK` (PEP 3333, "The `start_response()` Callable"; RFC 9112 section 4).
///
/// # Errors
///
/// See [`StatusError`].
pub fn check_status(status: &[u8]) -> Result<u16, StatusError> {
    let [hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', ..] = status else {
        return Err(StatusError::Shape);
    };
    if has_control(status) {
        return Err(StatusError::Control);
    }
    let code = [hundreds, tens, ones].into_iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    if code < 100 { Err(StatusError::Code) } else { Ok(code) }
}

/// The usual phrase for a code (RFC 9110 section 15 and IANA's registry); "Unknown" where there is none.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400..=499 => client_error_phrase(status),
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => "Unknown",
    }
}

fn client_error_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        _ => "Unknown",
    }
}
