//! What holds for any header: the same verdict however it arrives, and what is written is read.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn any_preface_near() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"PROXY",
        b" ",
        b"TCP4",
        b"TCP6",
        b"UNKNOWN",
        b"1.2.3.4",
        b"::1",
        b"80",
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b"0",
        b"PROXY TCP4 1.2.3.4 5.6.7.8",
        b"PROXY UNKNOWN",
        b" 1 2\r\n",
        SIGNATURE,
        b"\x21",
        b"\x20",
        b"\x11",
        b"\x21\x21",
        b"\0\x0c",
        b"\0\x10",
        b"\0\x24",
        b"\x21\x11\0\x0c",
        b"\x04\0\x01x",
        b"123456789012",
        b"\xff",
    ];
    vec(select(pieces), 0..10).prop_map(|pieces| pieces.concat())
}

fn damaged(mut bytes: Vec<u8>, damages: Vec<(Index, u8, u8)>) -> Vec<u8> {
    for (place, how, byte) in damages {
        let at = place.index(bytes.len().max(1));
        match how {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

fn same_at_every_split(bytes: &[u8]) -> Result<(), TestCaseError> {
    for mode in MODES {
        let whole = parse_preface(bytes, mode);
        prop_assert_eq!(whole, trickled(bytes, mode), "{:?}", mode);
        if let Ok(Progress::Ready(preface)) = whole {
            prop_assert!(preface.size <= bytes.len() && preface.size <= MAX_HEADER_BYTES);
        }
    }
    Ok(())
}

fn sockets() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let ports = any::<(u16, u16)>();
    let four = any::<([u8; 4], [u8; 4])>().prop_map(|(one, other)| (IpAddr::from(one), IpAddr::from(other)));
    let six = any::<([u8; 16], [u8; 16])>().prop_map(|(one, other)| (IpAddr::from(one), IpAddr::from(other)));
    (prop_oneof![four, six], ports).prop_map(|(ips, ports)| ((ips.0, ports.0).into(), (ips.1, ports.1).into()))
}

fn line_of(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.port(), destination.port());
    format!("PROXY {family} {} {} {from} {to}\r\n", source.ip(), destination.ip()).into_bytes()
}

fn block_of(source: SocketAddr, destination: SocketAddr, vectors: &[(u8, Vec<u8>)], checksum: bool) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let mut content = [octets(source.ip()), octets(destination.ip())].concat();
    content.extend(source.port().to_be_bytes());
    content.extend(destination.port().to_be_bytes());
    for (kind, value) in vectors {
        content.push(*kind);
        content.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        content.extend(value);
    }
    let at = 16 + content.len() + 3;
    if checksum {
        content.extend(b"\x03\0\x04????");
    }
    let header = block(0x21, if source.is_ipv4() { 0x11 } else { 0x21 }, &content);
    if checksum { with_checksum(header, at) } else { header }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_the_same_verdict_however_they_arrive(bytes in vec(any::<u8>(), 0..60), signed in 0..3u8) {
        same_at_every_split(&[[&b""[..], b"PROXY ", SIGNATURE][usize::from(signed)], &bytes].concat())?;
    }

    #[test]
    fn pieces_of_headers_get_the_same_verdict_however_they_arrive(bytes in any_preface_near()) {
        same_at_every_split(&bytes)?;
    }

    #[test]
    fn damaged_headers_get_the_same_verdict_however_they_arrive(
        (source, destination) in sockets(), is_text in any::<bool>(),
        vectors in vec((4..40u8, vec(any::<u8>(), 0..6)), 0..3),
        damages in vec((any::<Index>(), 0..3u8, select(b"\r\n \0\x01\x03\x0c\x11\x20\x21.:0P\xff".to_vec())), 0..4),
    ) {
        let header = if is_text { line_of(source, destination) } else { block_of(source, destination, &vectors, false) };
        same_at_every_split(&damaged(header, damages))?;
    }

    #[test]
    fn what_a_proxy_writes_is_read(
        (source, destination) in sockets(), vectors in vec((4..=255u8, vec(any::<u8>(), 0..40)), 0..4),
        checksum in any::<bool>(), behind in vec(any::<u8>(), 0..20),
    ) {
        let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let addresses = Some(Addresses { source, destination });
        let (line, block) = (line_of(source, destination), block_of(source, destination, &vectors, checksum));
        for (header, mode) in [(line, ProxyMode::V1), (block, ProxyMode::V2)] {
            let bytes = [&header[..], &behind].concat();
            let expected = Ok(Progress::Ready(Preface { size: header.len(), protocol, addresses }));
            prop_assert_eq!(parse_preface(&bytes, mode), expected);
            prop_assert_eq!(parse_preface(&bytes, ProxyMode::Auto), expected);
        }
    }
}
