//! HTTP/1.0 and HTTP/1.1: heads and chunked bodies of requests coming in, replies going out.
//!
//! [`parse_head`] tokenizes with `httparse`, closes its leniencies, and draws the conclusions; [`Chunked`] takes a
//! body apart; [`reply`] frames and writes. None of them keeps bytes. The worker's connection calls them.

mod request;

mod examine;
mod fields;

mod glimpse;

mod chunked;
mod extension;
mod trailer;

pub mod reply;
mod reply_field;

pub use chunked::{Chunked, Decoded, Event};
pub use glimpse::{Glimpse, glimpse};
pub use request::parse_head;
