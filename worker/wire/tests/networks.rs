//! Lists of networks: who is in one.

// Test support is no `#[test]` itself, so the exemption for tests does not reach it.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use tapster_wire::Networks;

#[track_caller]
fn networks(list: &[&str]) -> Networks {
    Networks::of(list.iter().map(|network| network.parse().unwrap()))
}

#[test]
fn an_address_is_in_a_network_that_holds_it() {
    let loopback = ["127.0.0.1/32", "::1/128"];
    let rows: [(&[&str], &str, bool); 18] = [
        (&loopback, "127.0.0.1", true),
        (&loopback, "127.0.0.2", false),
        (&loopback, "::1", true),
        (&loopback, "::2", false),
        // A socket of both families shows IPv4 peers like this.
        (&loopback, "::ffff:127.0.0.1", true),
        (&loopback, "::ffff:127.0.0.2", false),
        // An IPv4-compatible address is none.
        (&loopback, "::127.0.0.1", false),
        (&["10.0.0.0/8"], "10.255.0.1", true),
        (&["10.0.0.0/8"], "11.0.0.0", false),
        (&["10.0.0.0/8"], "::ffff:10.9.8.7", true),
        (&["::ffff:10.0.0.0/104"], "10.9.8.7", true),
        (&["::ffff:10.0.0.0/104"], "::ffff:10.9.8.7", true),
        (&["::ffff:10.0.0.0/104"], "11.0.0.0", false),
        (&["::/0"], "2001:db8::1", true),
        (&["::/0"], "::ffff:10.9.8.7", false),
        (&["0.0.0.0/0"], "::ffff:10.9.8.7", true),
        (&["192.168.1.7/24"], "192.168.1.200", true),
        (&[], "127.0.0.1", false),
    ];
    for (list, address, expected) in rows {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(networks(list).contains(address), expected, "{address} in {list:?}");
    }
}

#[test]
fn all_is_everybody_and_the_default_is_nobody() {
    let somebody = IpAddr::from([192, 0, 2, 1]);
    assert!(Networks::all().contains(somebody) && Networks::all().is_all());
    assert!(!Networks::default().contains(somebody) && !Networks::default().is_all());
    assert!(!networks(&["0.0.0.0/0", "::/0"]).is_all());
}
