//! The wire protocols as pure functions: bytes in; one of *event*, *reject* or *need more* out.
//!
//! Nothing here does I/O, reads a clock, logs, or knows of sockets, Python or settings files. What every protocol has
//! in common is [`Head`], [`Limits`], [`Reject`] and [`Progress`]; a protocol is a module that fills a [`Head`] and
//! writes replies. Beside them stand what comes before a request ([`proxy_protocol`]) and what proxies say within one
//! ([`forwarded`]). The worker's connection calls it for requests, and `tapster-python` for replies.
//!
//! The rule of the RFC that a check enforces stands beside the check.

#![forbid(unsafe_code)]

mod accept;
pub mod date;
mod field_names;
pub mod forwarded;
mod grammar;
pub mod head;
pub mod http1;
pub mod networks;
pub mod outbox;
pub mod proxy_protocol;
pub mod reject;
pub mod status;
pub mod target;

pub use date::DateCache;
pub use field_names::{FieldNames, HeaderMap};
pub use forwarded::{Origin, Trust};
pub use head::{Body, Field, Head, Limits, Progress, Span, Version};
pub use networks::Networks;
pub use outbox::Outbox;
pub use proxy_protocol::{ProxyMode, parse_preface};
pub use reject::{Reason, Reject};
pub use target::decode_path;
