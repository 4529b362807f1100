//! The PROXY protocol's header: `parse_preface`.

use std::net::{IpAddr, SocketAddr};

use tapster_wire::proxy_protocol::{Addresses, MAX_HEADER_BYTES, Preface};
use tapster_wire::{Progress, ProxyMode, Reason, Reject, parse_preface};

use super::arrival;
use super::settings;

/// What the parser said: `None` is "need more".
type Verdict = Result<Option<Preface>, Reject>;

/// The first byte chooses the versions, the rest is a header and what follows it.
pub fn check(input: &[u8]) -> Vec<Reason> {
    let mut bytes = input;
    let mode = settings::proxy_mode(settings::choice(&mut bytes));
    let verdict = parse(bytes, mode);
    arrival::verdict_comes_once(bytes.len(), &verdict, |end| parse(&bytes[..end], mode));
    if mode == ProxyMode::Auto {
        let alternatives = [ProxyMode::V1, ProxyMode::V2].map(|mode| parse(bytes, mode));
        assert!(alternatives.contains(&verdict), "either version, and nothing else");
    }
    match verdict {
        Ok(Some(preface)) => {
            assert!(preface.size > 0 && preface.size <= bytes.len().min(MAX_HEADER_BYTES), "{preface:?}");
            assert_eq!(parse(&bytes[..preface.size], mode), verdict, "without what follows it");
            names_go_with_addresses(&preface);
            words_say_the_same(&bytes[..preface.size], &preface);
            means_the_same_when_written_again(&preface);
            Vec::new()
        }
        Ok(None) => {
            assert!(bytes.len() < MAX_HEADER_BYTES, "more is wanted than is allowed");
            Vec::new()
        }
        Err(reject) => {
            assert!(matches!(reject.reason, Reason::ProxyMissing | Reason::ProxyMalformed), "{reject}");
            assert_eq!(reject.status, reject.reason.status());
            vec![reject.reason]
        }
    }
}

fn parse(bytes: &[u8], mode: ProxyMode) -> Verdict {
    Ok(match parse_preface(bytes, mode)? {
        Progress::Ready(preface) => Some(preface),
        Progress::NeedMore => None,
    })
}

fn names_go_with_addresses(preface: &Preface) {
    let ends = preface.addresses.map(|addresses| (addresses.source, addresses.destination));
    match preface.protocol {
        "TCP4" => assert!(ends.is_some_and(|(source, destination)| source.is_ipv4() && destination.is_ipv4())),
        "TCP6" => assert!(ends.is_some_and(|(source, destination)| source.is_ipv6() && destination.is_ipv6())),
        "UNKNOWN" | "UNSPEC" | "LOCAL" => assert_eq!(ends, None),
        other => panic!("{other}"),
    }
}

/// A second reading of version 1, by words alone.
fn words_say_the_same(header: &[u8], preface: &Preface) {
    let Some(line) = header.strip_prefix(b"PROXY ") else { return };
    let line = line.strip_suffix(b"\r\n").expect("a line end");
    assert!(!line.iter().any(|byte| b"\r\n".contains(byte)));
    if let Some(Addresses { source, destination }) = preface.addresses {
        let text = str::from_utf8(line).expect("addresses are text");
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let socket = |address: &str, port: &str| -> Option<SocketAddr> {
            Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok()?))
        };
        assert_eq!(words[0], preface.protocol);
        assert_eq!((socket(words[1], words[3]), socket(words[2], words[4])), (Some(source), Some(destination)));
        assert_eq!(words.len(), 5);
    }
}

/// In both versions, with a request behind it.
fn means_the_same_when_written_again(preface: &Preface) {
    for (header, mode) in [(first_version(preface), ProxyMode::V1), (second_version(preface), ProxyMode::V2)] {
        let size = header.len();
        let bytes = [&header, &b"GET / HTTP/1.1\r\n"[..]].concat();
        let again = parse(&bytes, mode);
        let meaning = again.map(|again| again.map(|again| (again.size, again.addresses)));
        assert_eq!(meaning, Ok(Some((size, preface.addresses))), "{mode:?}");
    }
}

fn first_version(preface: &Preface) -> Vec<u8> {
    let Some(Addresses { source, destination }) = preface.addresses else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {} {from} {to} {} {}\r\n", preface.protocol, source.port(), destination.port()).into_bytes()
}

fn second_version(preface: &Preface) -> Vec<u8> {
    let mut out = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let Some(Addresses { source, destination }) = preface.addresses else {
        out.extend_from_slice(&[0x20, 0, 0, 0]);
        return out;
    };
    let ends = [source, destination];
    let addresses = ends.map(|end| match end.ip() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    });
    let ports = ends.map(|end| end.port().to_be_bytes());
    let content = [addresses.concat(), ports.concat()].concat();
    out.extend_from_slice(&[0x21, if source.is_ipv4() { 0x11 } else { 0x21 }, 0, content.len() as u8]);
    out.extend_from_slice(&content);
    out
}
