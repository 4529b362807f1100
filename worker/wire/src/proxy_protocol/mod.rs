//! The PROXY protocol's header, versions 1 and 2 (HAProxy's proxy-protocol.txt): who really connected, said by the
//! proxy before the first byte of the client's.
//!
//! Reads the header and checks all of it; never decides who may send one, nor what becomes of the addresses. Called by
//! the worker's connection, once, before the first request.

mod v1;
mod v2;

use std::net::SocketAddr;

use crate::head::Progress;
use crate::reject::{Reason, Reject};

/// The largest header that is accepted, in bytes. The text allows 64 KiB; what proxies send, with the client's
/// certificate's name in it, is a few hundred.
pub const MAX_HEADER_BYTES: usize = 4096;

/// Which versions are accepted. There is no way to accept connections without a header: the text forbids to guess,
/// since a client could then write its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyMode {
    /// The line of text.
    V1,
    /// The binary block.
    V2,
    /// Either.
    Auto,
}

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preface {
    /// Its size in bytes; the client's first byte follows.
    pub size: usize,
    /// What it says of the client's connection, as gunicorn's `PROXY_PROTOCOL`: `TCP4`, `TCP6`, `UNKNOWN` (version 1),
    /// `UNSPEC` or `LOCAL` (version 2).
    pub protocol: &'static str,
    /// The client's connection to the proxy. Without, the connection's own addresses hold.
    pub addresses: Option<Addresses>,
}

/// Both ends of a connection, as they were sent: an IPv4-mapped IPv6 address stays one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// Where the client connected to.
    pub destination: SocketAddr,
}

/// Reads the header at the beginning of `buf`, from the connection's first byte.
///
/// # Errors
/// [`Reason::ProxyMissing`] at the first byte that no header of the mode has there, [`Reason::ProxyMalformed`] behind
/// a beginning that only a header has. Neither depends on how many more bytes are there.
pub fn parse_preface(buf: &[u8], mode: ProxyMode) -> Result<Progress<Preface>, Reject> {
    let is_text = match mode {
        ProxyMode::V1 => true,
        ProxyMode::V2 => false,
        // Section 2.2: which version it is follows from how it begins, and the first byte tells.
        ProxyMode::Auto => buf.first() == Some(&v1::SIGNATURE[0]),
    };
    let signature = if is_text { v1::SIGNATURE } else { v2::SIGNATURE };
    if !begins_alike(buf, signature) {
        return Err(Reason::ProxyMissing.into());
    }
    if buf.len() < signature.len() {
        return Ok(Progress::NeedMore);
    }
    let preface = if is_text { v1::parse(buf) } else { v2::parse(buf) };
    preface.ok_or(Reason::ProxyMalformed.into())
}

/// Whether one is the beginning of the other.
fn begins_alike(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}
