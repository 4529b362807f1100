//! What holds for any values: no panic, and what proxies write is read.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// A node as a proxy writes it in Forwarded, with the address and port that are meant.
fn written_node(address: IpAddr, port: Option<u16>, escape: bool) -> String {
    let address = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let node = port.map_or(address.clone(), |port| format!("{address}:{port}"));
    let node = if escape { node.chars().flat_map(|letter| ['\\', letter]).collect() } else { node };
    format!("\"{node}\"")
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        any::<[u8; 3]>().prop_map(|[b, c, d]| IpAddr::from([10, b, c, d])),
    ]
}

fn pieces_of_values() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"for=",
        b"192.0.2.1",
        b"10.0.0.1",
        b"::1",
        b"[fd00::1]",
        b"\"[::1]:80\"",
        b",",
        b", ",
        b";",
        b"\"",
        b"\\",
        b"=",
        b"proto=https",
        b"host=a",
        b"by=_a",
        b"unknown",
        b"_x",
        b"/a",
        b"/..",
        b"%2e",
        b"https",
        b":80",
        b"65535",
        b" ",
        b"\xff",
        b"\0",
        b"for=192.0.2.1;proto=http",
    ];
    vec(select(pieces), 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_values_are_read_or_refused(
        fields in vec((
            select(vec!["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix",
                "X-Forwarded-Proto", "X-Forwarded-Ssl"]),
            prop_oneof![vec(any::<u8>(), 0..30), pieces_of_values()],
        ), 0..5),
        everybody in any::<bool>(),
    ) {
        let trust = trusted(ALL, if everybody { Networks::all() } else { proxies() });
        read(&trust, &fields, |read| {
            if let Ok(origin) = read {
                prop_assert!(origin.host.is_none_or(|host| !host.is_empty()));
                prop_assert!(origin.port != Some(0));
                prop_assert!(origin.prefix.is_none_or(|prefix| !prefix.starts_with(b"//") && !prefix.ends_with(b"/")));
            }
            Ok(())
        })?;
    }

    #[test]
    fn spans_that_lie_outside_the_buffer_are_empty(end in any::<Index>(), value in pieces_of_values()) {
        let (head, buf) = head_of(&[("Forwarded", &value), ("X-Forwarded-For", &value)]);
        let _ = trusted(ALL, proxies()).read(&head, &buf[..end.index(buf.len())]);
    }

    #[test]
    fn what_proxies_write_is_read(
        hops in vec((any_address(), any::<Option<u16>>(), any::<bool>()), 1..5), is_https in any::<bool>(),
        host in r"[a-z]{1,9}(\.[a-z]{1,3})?(:[0-9]{1,4})?", spaces in select(vec!["", " ", " \t"]),
        secret in r"[ -~]{0,8}", in_fields in any::<bool>(),
    ) {
        let secret = secret.replace('\\', "\\\\").replace('"', "\\\"");
        let elements: Vec<_> = hops.iter().map(|&(address, port, escape)| {
            let node = written_node(address, port, escape);
            let proto = if is_https { "https" } else { "http" };
            format!("secret=\"{secret}\"{spaces};For={node};by=_me;{spaces}proto={proto};host=\"{host}\"")
        }).collect();
        let lists: Vec<_> = hops.iter().map(|&(address, port, _)| match port {
            Some(port) => SocketAddr::new(address, port).to_string(),
            None => address.to_string(),
        }).collect();
        let joined = |list: Vec<String>| if in_fields { list } else { vec![list.join(&format!("{spaces},{spaces}"))] };

        let networks = proxies();
        let client = hops.iter().rev().find(|(address, ..)| !networks.contains(*address)).unwrap_or(&hops[0]);
        let client = Some(Client { address: client.0, port: client.1 });
        let expected = Origin {
            scheme: Some(if is_https { HTTPS } else { HTTP }), client, host: Some(host.as_bytes()), ..Origin::default()
        };
        let trust = trusted(ALL, proxies());
        let mut fields: Vec<_> = joined(elements).into_iter().map(|value| ("Forwarded", value)).collect();
        read(&trust, &fields, |read| { prop_assert_eq!(read, Ok(expected)); Ok(()) })?;
        // Both kinds together, which agree.
        fields.extend(joined(lists).into_iter().map(|value| ("X-Forwarded-For", value)));
        read(&trust, &fields, |read| { prop_assert_eq!(read, Ok(expected)); Ok(()) })?;
    }
}
