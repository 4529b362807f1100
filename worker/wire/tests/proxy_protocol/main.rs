//! The PROXY protocol's header, versions 1 and 2.

// Test support is no `#[test]` itself, so the exemption for tests does not reach it.
#![allow(clippy::unwrap_used)]

mod properties;
mod v1;
mod v2;

use tapster_wire::proxy_protocol::{Addresses, MAX_HEADER_BYTES, Preface};
use tapster_wire::{Progress, ProxyMode, Reason, Reject, parse_preface};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const MODES: [ProxyMode; 3] = [ProxyMode::V1, ProxyMode::V2, ProxyMode::Auto];

type Verdict = Result<Progress<Preface>, Reject>;

fn trickled(bytes: &[u8], mode: ProxyMode) -> Verdict {
    let verdicts = (0..=bytes.len()).map(|end| parse_preface(&bytes[..end], mode));
    let mut decided = verdicts.skip_while(|verdict| *verdict == Ok(Progress::NeedMore));
    decided.next().unwrap_or(Ok(Progress::NeedMore))
}

/// The verdict, which must be the same whole and byte by byte.
#[track_caller]
fn verdict(bytes: &[u8], mode: ProxyMode) -> Verdict {
    let whole = parse_preface(bytes, mode);
    assert_eq!(whole, trickled(bytes, mode), "whole against byte by byte, {mode:?}: {}", bytes.escape_ascii());
    whole
}

#[track_caller]
fn refused(bytes: &[u8], mode: ProxyMode, reason: Reason) {
    assert_eq!(verdict(bytes, mode), Err(reason.into()), "{mode:?}: {}", bytes.escape_ascii());
}

/// Accepted by its version's mode and by auto, with a request behind it; missing in the other mode.
#[track_caller]
fn accepted(header: &[u8], protocol: &'static str, addresses: Option<(&str, &str)>) {
    let addresses = addresses.map(|(source, destination)| Addresses {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    });
    let (own, other) = match header[0] {
        b'P' => (ProxyMode::V1, ProxyMode::V2),
        _ => (ProxyMode::V2, ProxyMode::V1),
    };
    let expected = Ok(Progress::Ready(Preface { size: header.len(), protocol, addresses }));
    for bytes in [header, &[header, b"GET / HTTP/1.1\r\n"].concat(), &[header, header].concat()] {
        assert_eq!(verdict(bytes, own), expected, "{}", bytes.escape_ascii());
        assert_eq!(verdict(bytes, ProxyMode::Auto), expected, "{}", bytes.escape_ascii());
        refused(bytes, other, Reason::ProxyMissing);
    }
    for end in 0..header.len() {
        assert_eq!(parse_preface(&header[..end], own), Ok(Progress::NeedMore), "{}", header[..end].escape_ascii());
    }
}

/// A header of version 2.
fn block(version_and_command: u8, family_and_protocol: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version_and_command, family_and_protocol], &length, content].concat()
}

fn inet(vectors: &[u8]) -> Vec<u8> {
    block(0x21, 0x11, &[&[192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 0x01, 0xbb], vectors].concat())
}

const INET: Option<(&str, &str)> = Some(("192.0.2.1:4660", "198.51.100.2:443"));

/// CRC-32C from its definition: the remainder of a division of bits, each byte's lowest first.
fn crc32c(bytes: &[u8]) -> u32 {
    let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| u32::from(byte >> bit & 1)));
    let remainder = bits.fold(u32::MAX, |remainder, bit| {
        let carry = (remainder >> 31) ^ bit;
        (remainder << 1) ^ (carry * 0x1edc_6f41)
    });
    !remainder.reverse_bits()
}

/// `header` with its checksum in place of the four bytes at `at`.
fn with_checksum(mut header: Vec<u8>, at: usize) -> Vec<u8> {
    header[at..at + 4].fill(0);
    let sum = crc32c(&header).to_be_bytes();
    header[at..at + 4].copy_from_slice(&sum);
    header
}

#[test]
fn a_connection_without_a_header_is_refused_at_its_first_foreign_byte() {
    for mode in MODES {
        assert_eq!(verdict(b"", mode), Ok(Progress::NeedMore));
        for bytes in [&b"G"[..], b"\n", b"\0", b"\x16", b"PO", b"PRI ", b"\r\nG", b"p", b" PROXY"] {
            refused(bytes, mode, Reason::ProxyMissing);
        }
    }
    refused(b"P", ProxyMode::V2, Reason::ProxyMissing);
    refused(b"\r", ProxyMode::V1, Reason::ProxyMissing);
    for end in 0..5 {
        assert_eq!(verdict(&b"PROXY"[..end], ProxyMode::Auto), Ok(Progress::NeedMore));
        refused(&[&b"PROXY"[..end], b"?"].concat(), ProxyMode::Auto, Reason::ProxyMissing);
    }
    for end in 0..12 {
        assert_eq!(verdict(&SIGNATURE[..end], ProxyMode::Auto), Ok(Progress::NeedMore));
        refused(&[&SIGNATURE[..end], b"?"].concat(), ProxyMode::Auto, Reason::ProxyMissing);
    }
}
