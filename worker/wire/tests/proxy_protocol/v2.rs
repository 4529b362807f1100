//! Version 2: a block.

use std::net::IpAddr;

use super::*;

#[test]
fn blocks_give_the_addresses() {
    accepted(&inet(b""), "TCP4", INET);
    let mut six = Vec::new();
    for address in ["2001:db8::1", "::1"] {
        let Ok(IpAddr::V6(address)) = address.parse() else { panic!("{address} is IPv6") };
        six.extend(address.octets());
    }
    six.extend([0, 1, 0xff, 0xff]);
    accepted(&block(0x21, 0x21, &six), "TCP6", Some(("[2001:db8::1]:1", "[::1]:65535")));
}

#[test]
fn blocks_without_addresses_of_use_leave_the_connections_own() {
    accepted(&block(0x20, 0x00, b""), "LOCAL", None);
    // In LOCAL everything behind the command is ignored.
    for ignored in [0x11, 0x12, 0x44, 0xff] {
        accepted(&block(0x20, ignored, b""), "LOCAL", None);
        accepted(&block(0x20, ignored, b"\x03\0\x09anything"), "LOCAL", None);
    }
    for unspecified in [0x00, 0x01, 0x02] {
        accepted(&block(0x21, unspecified, b""), "UNSPEC", None);
        accepted(&block(0x21, unspecified, b"\x03\0\x09anything"), "UNSPEC", None);
    }
    accepted(&block(0x21, 0x31, &[0; 216]), "UNSPEC", None);
    accepted(&block(0x21, 0x31, &[&[0; 216][..], b"\x04\0\x01x"].concat()), "UNSPEC", None);
}

#[test]
fn malformed_blocks_are_refused() {
    for block in [
        // Versions and commands.
        block(0x11, 0x11, &[0; 12]),
        block(0x01, 0x11, &[0; 12]),
        block(0x31, 0x11, &[0; 12]),
        block(0x22, 0x11, &[0; 12]),
        block(0x2f, 0x00, b""),
        // Families and protocols.
        block(0x21, 0x10, &[0; 12]),
        block(0x21, 0x12, &[0; 12]),
        block(0x21, 0x13, &[0; 12]),
        block(0x21, 0x20, &[0; 36]),
        block(0x21, 0x22, &[0; 36]),
        block(0x21, 0x2f, &[0; 36]),
        block(0x21, 0x30, &[0; 216]),
        block(0x21, 0x32, &[0; 216]),
        block(0x21, 0x41, &[0; 216]),
        block(0x21, 0xf1, &[0; 216]),
        block(0x21, 0x03, b""),
        // Too short for the addresses.
        block(0x21, 0x11, b""),
        block(0x21, 0x11, &[0; 11]),
        block(0x21, 0x21, &[0; 35]),
        block(0x21, 0x21, &[0; 12]),
        block(0x21, 0x31, &[0; 215]),
        // Vectors that are not whole.
        inet(b"\x04"),
        inet(b"\x04\0"),
        inet(b"\x04\0\x01"),
        inet(b"\x04\0\x02x"),
        inet(b"\x04\xff\xffx"),
        inet(b"\x04\0\x01xy"),
        block(0x21, 0x31, &[&[0; 216][..], b"\x04\0\x02x"].concat()),
        // Checksums of the wrong size.
        inet(b"\x03\0\0"),
        inet(b"\x03\0\x03abc"),
        inet(b"\x03\0\x05abcde"),
    ] {
        refused(&block, ProxyMode::V2, Reason::ProxyMalformed);
        refused(&block, ProxyMode::Auto, Reason::ProxyMalformed);
    }
}

#[test]
fn vectors_are_skipped() {
    for vectors in [
        &b"\x01\0\x02h2"[..],
        b"\x04\0\0",
        b"\x04\0\0\x04\0\0\xee\0\x01x",
        b"\x02\0\x0bexample.com\x20\0\x05\x01\0\0\0\0\x30\0\x01n",
    ] {
        accepted(&inet(vectors), "TCP4", INET);
    }
}

#[test]
fn a_checksum_is_verified() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the catalogue's check value");
    let summed = with_checksum(inet(b"\x03\0\x04????"), 31);
    accepted(&summed, "TCP4", INET);
    accepted(&with_checksum(inet(b"\x04\0\x01x\x03\0\x04????\x01\0\x02h2"), 35), "TCP4", INET);
    // Any damage behind the length, and that of the sum itself. Another type at 28 would make it another vector.
    for at in (16..summed.len()).filter(|&at| at != 28) {
        let mut damaged = summed.clone();
        damaged[at] ^= 0x10;
        refused(&damaged, ProxyMode::V2, Reason::ProxyMalformed);
    }
    let twice = with_checksum(with_checksum(inet(b"\x03\0\x04????\x03\0\x04????"), 38), 31);
    refused(&twice, ProxyMode::V2, Reason::ProxyMalformed);
}

#[test]
fn a_block_is_limited_in_size() {
    for command in [0x20, 0x21] {
        let largest = block(command, 0, &vec![0; MAX_HEADER_BYTES - 16]);
        assert!(matches!(verdict(&largest, ProxyMode::V2), Ok(Progress::Ready(_))));
        let larger = block(command, 0, &vec![0; MAX_HEADER_BYTES - 15]);
        refused(&larger[..16], ProxyMode::V2, Reason::ProxyMalformed);
        refused(&larger, ProxyMode::V2, Reason::ProxyMalformed);
    }
}
