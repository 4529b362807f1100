//! Version 2: a block of bytes (section 2.2). Called by [`proxy_protocol`](super), knows nothing of version 1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Addresses, MAX_HEADER_BYTES, Preface};
use crate::head::Progress;

/// Chosen so that no other protocol begins like this.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and protocol, and the length of what follows.
const FIXED_BYTES: usize = 16;

const VERSION: u8 = 2;

const LOCAL: u8 = 0;
const PROXY: u8 = 1;

const UNSPEC: u8 = 0;
const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;

const STREAM: u8 = 1;
const DGRAM: u8 = 2;

/// The header at the beginning of `buf`, which begins with the signature; `None` if it is malformed. Each byte is
/// judged as soon as it is there.
pub(super) fn parse(buf: &[u8]) -> Option<Progress<Preface>> {
    let more = Some(Progress::NeedMore);
    let Some(&version_and_command) = buf.get(SIGNATURE.len()) else { return more };
    // Other versions and commands must be refused.
    let command = version_and_command & 0xf;
    if version_and_command >> 4 != VERSION || command > PROXY {
        return None;
    }
    let Some(&family_and_protocol) = buf.get(SIGNATURE.len() + 1) else { return more };
    let (family, protocol) = (family_and_protocol >> 4, family_and_protocol & 0xf);
    // LOCAL: everything that follows is ignored, the family too. PROXY: what has no meaning is refused.
    let addresses_bytes = if command == LOCAL { 0 } else { addresses_bytes(family, protocol)? };
    let Some(&[high, low]) = buf.get(FIXED_BYTES - 2..FIXED_BYTES) else { return more };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let size = FIXED_BYTES + length;
    if size > MAX_HEADER_BYTES || length < addresses_bytes {
        return None;
    }
    // Addresses are not looked at before the header is whole.
    let Some(header) = buf.get(..size) else { return more };
    if command == LOCAL {
        // Made by the proxy itself, as for its health checks: the real connection's addresses are used.
        return Some(Progress::Ready(Preface { size, protocol: "LOCAL", addresses: None }));
    }
    // Where the addresses of an unspecified family end, and something else begins, nobody knows.
    if family != UNSPEC {
        check_vectors(header, FIXED_BYTES + addresses_bytes)?;
    }
    let (protocol, addresses) = match family {
        INET => ("TCP4", Some(addresses::<4, Ipv4Addr>(header)?)),
        INET6 => ("TCP6", Some(addresses::<16, Ipv6Addr>(header)?)),
        // The text wants families that are not used to be treated as UNSPEC: the real addresses are used.
        _ => ("UNSPEC", None),
    };
    Some(Progress::Ready(Preface { size, protocol, addresses }))
}

/// How many bytes of addresses follow at least; `None` for what is refused.
fn addresses_bytes(family: u8, protocol: u8) -> Option<usize> {
    match (family, protocol) {
        (UNSPEC, UNSPEC | STREAM | DGRAM) => Some(0),
        // Two addresses and two ports, two paths. A stream of bytes can't have come in datagrams, so that other
        // protocols are a mistake; the text leaves it to the receiver whether to accept what it does not use.
        (INET, STREAM) => Some(2 * 4 + 2 * 2),
        (INET6, STREAM) => Some(2 * 16 + 2 * 2),
        (UNIX, STREAM) => Some(2 * 108),
        _ => None,
    }
}

/// Source, destination, source's port, destination's port, in network byte order.
fn addresses<const BYTES: usize, T: From<[u8; BYTES]> + Into<IpAddr>>(header: &[u8]) -> Option<Addresses> {
    let (source, rest) = header.get(FIXED_BYTES..)?.split_first_chunk::<BYTES>()?;
    let (destination, rest) = rest.split_first_chunk::<BYTES>()?;
    let (source_port, rest) = rest.split_first_chunk()?;
    let destination_port = rest.first_chunk()?;
    let socket =
        |address: &[u8; BYTES], port: &[u8; 2]| SocketAddr::new(T::from(*address).into(), u16::from_be_bytes(*port));
    Some(Addresses { source: socket(source, source_port), destination: socket(destination, destination_port) })
}

/// The type of the vector that holds the header's checksum.
const CRC32C: u8 = 3;

/// Checks that what stands from `start` on are whole vectors of type, length and value, and the checksum if there is
/// one (section 2.2.3). It is verified since a proxy that sends it wants damage to be noticed, and a receiver that
/// knows checksums must; nothing else in the vectors is of use here.
fn check_vectors(header: &[u8], start: usize) -> Option<()> {
    let mut at = start;
    let mut has_checksum = false;
    while at < header.len() {
        let [kind, high, low] = *header.get(at..)?.first_chunk()?;
        let value = at + 3;
        at = value + usize::from(u16::from_be_bytes([high, low]));
        let content = header.get(value..at)?;
        if kind == CRC32C {
            // A second one would be a sum over the first, which no sender makes.
            if std::mem::replace(&mut has_checksum, true) {
                return None;
            }
            let expected = u32::from_be_bytes(content.try_into().ok()?);
            let parts = [&header[..value], &[0; 4], &header[at..]];
            if crc32c(parts.into_iter().flatten().copied()) != expected {
                return None;
            }
        }
    }
    Some(())
}

/// CRC-32C (RFC 9260 appendix A), bit by bit: a connection has at most one header, and few have a checksum.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 })
    })
}
