//! Version 1: one line of text (section 2.1). Called by [`proxy_protocol`](super), knows nothing of version 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Addresses, Preface, begins_alike};
use crate::head::Progress;

/// "Seeing this string indicates version 1."
pub(super) const SIGNATURE: &[u8] = b"PROXY";

/// Everything a line can begin with, up to where it holds what differs from connection to connection.
const BEGINNINGS: [&[u8]; 4] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN ", b"PROXY UNKNOWN\r"];

/// The longest line, with its line end.
const MAX_LINE_BYTES: usize = 107;

/// The line at the beginning of `buf`, which begins with the signature; `None` if it is malformed.
pub(super) fn parse(buf: &[u8]) -> Option<Progress<Preface>> {
    // A wrong line is refused as soon as it is known to be wrong, as the text recommends.
    if !BEGINNINGS.iter().any(|beginning| begins_alike(buf, beginning)) {
        return None;
    }
    // Addresses are not looked at before the line is whole.
    let most = &buf[..buf.len().min(MAX_LINE_BYTES)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', most) else {
        return (most.len() < MAX_LINE_BYTES).then_some(Progress::NeedMore);
    };
    // Neither of the two ends a line, or stands in one, without the other.
    match &most[end..] {
        [b'\r', b'\n', ..] => line(&most[..end], end + 2).map(Progress::Ready),
        [b'\r'] if end + 1 < MAX_LINE_BYTES => Some(Progress::NeedMore),
        _ => None,
    }
}

fn line(line: &[u8], size: usize) -> Option<Preface> {
    let line = line.get(SIGNATURE.len() + 1..)?;
    // UNKNOWN: what follows is ignored, and the real connection's addresses are used.
    if line.starts_with(b"UNKNOWN") {
        return Some(Preface { size, protocol: "UNKNOWN", addresses: None });
    }
    // Exactly one space between two words: more would make an empty word, which is neither an address nor a port.
    let mut words = str::from_utf8(line).ok()?.split(' ');
    let mut word = || words.next();
    let (protocol, source, destination) = match word()? {
        "TCP4" => ("TCP4", address::<Ipv4Addr>(word()?)?, address::<Ipv4Addr>(word()?)?),
        "TCP6" => ("TCP6", address::<Ipv6Addr>(word()?)?, address::<Ipv6Addr>(word()?)?),
        _ => return None,
    };
    let addresses = Addresses {
        source: SocketAddr::new(source, port(word()?)?),
        destination: SocketAddr::new(destination, port(word()?)?),
    };
    word().is_none().then_some(Preface { size, protocol, addresses: Some(addresses) })
}

/// An address of the family that the line names. IPv4 without leading zeros, which could be octal: the standard library
/// refuses those.
fn address<T: FromStr + Into<IpAddr>>(text: &str) -> Option<IpAddr> {
    text.parse::<T>().ok().map(Into::into)
}

/// 0 to 65535 in decimal, without leading zeros or a sign.
fn port(text: &str) -> Option<u16> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_canonical { text.parse().ok() } else { None }
}
