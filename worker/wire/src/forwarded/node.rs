//! How lists of proxies write an address: RFC 7239 section 6, and what X-Forwarded-For makes of it.
//!
//! Parses one name, and judges only whether a proxy of that address is passed. Called by the rest of
//! [`forwarded`](super).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Client;
use crate::networks::Networks;

/// Whom a proxy names as the one that it had the request from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Address(Client),
    /// It does not know, or does not tell.
    Hidden,
}

impl Node {
    /// An element of X-Forwarded-For: there is no grammar, but an address with or without a port is usual, and
    /// IPv6 addresses come with or without brackets.
    pub(super) fn listed(text: &[u8]) -> Option<Self> {
        // A proxy that appends nothing does not know either; were it passed over, a client could put its own in that place.
        if text.is_empty() {
            return Some(Self::Hidden);
        }
        // Two colons, and no bracket: an address without a port, or one whose port can't be told from it.
        if let Some(address) = parse::<Ipv6Addr>(text) {
            return Some(Self::Address(Client { address: IpAddr::V6(address), port: None }));
        }
        Self::parse(text)
    }

    /// RFC 7239 section 6: `node = nodename [ ":" node-port ]`.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (name, port) = match memchr::memrchr2(b':', b']', text) {
            Some(at) if text[at] == b':' => (&text[..at], Some(port(&text[at + 1..])?)),
            _ => (text, None),
        };
        let port = port.flatten();
        let address = match name {
            [b'[', literal @ .., b']'] => IpAddr::V6(parse(literal)?),
            _ if name.eq_ignore_ascii_case(b"unknown") || is_obfuscated(name) => return Some(Self::Hidden),
            _ => IpAddr::V4(parse::<Ipv4Addr>(name)?),
        };
        Some(Self::Address(Client { address, port }))
    }

    /// Whether a walk from the right goes on behind this one: it is a trusted proxy, and those can be told from others.
    pub(super) fn is_passed(self, proxies: &Networks) -> bool {
        match self {
            Self::Address(client) => !proxies.is_all() && proxies.contains(client.address),
            Self::Hidden => false,
        }
    }

    /// Both as one, if they are the same as far as both tell: a port may be told once.
    pub(super) fn joined(self, other: Self) -> Option<Self> {
        let (Self::Address(one), Self::Address(other)) = (self, other) else {
            return (self == other).then_some(self);
        };
        let is_same = one.address.to_canonical() == other.address.to_canonical()
            && one.port.zip(other.port).is_none_or(|(one, other)| one == other);
        is_same.then_some(Self::Address(Client { address: one.address, port: one.port.or(other.port) }))
    }

    pub(super) fn client(self) -> Option<Client> {
        match self {
            Self::Address(client) => Some(client),
            Self::Hidden => None,
        }
    }
}

fn parse<T: FromStr>(text: &[u8]) -> Option<T> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// Section 6: `port / obfport`; the inner `None` is an obfuscated one.
fn port(text: &[u8]) -> Option<Option<u16>> {
    if is_obfuscated(text) {
        return Some(None);
    }
    let is_number = (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    if is_number { parse(text).map(Some) } else { None }
}

/// Section 6.3.
fn is_obfuscated(text: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    matches!(text, [b'_', rest @ ..] if !rest.is_empty() && rest.iter().all(is_allowed))
}
