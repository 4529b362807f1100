//! X-Forwarded-For: which of its addresses is the client.

use super::*;

#[test]
fn x_forwarded_for_is_walked_from_the_right() {
    let trust = trusted(TrustedHeaders { x_forwarded_for: true, ..NONE }, proxies());
    for (value, expected) in [
        ("192.0.2.1", client("192.0.2.1", None)),
        ("192.0.2.1, 10.0.0.1", client("192.0.2.1", None)),
        ("192.0.2.1,10.0.0.1\t,\t10.0.0.2", client("192.0.2.1", None)),
        ("192.0.2.9, 192.0.2.1, 10.0.0.1", client("192.0.2.1", None)),
        ("10.0.0.3, 192.0.2.1, 10.0.0.1", client("192.0.2.1", None)),
        ("192.0.2.1, ::ffff:10.0.0.1", client("192.0.2.1", None)),
        ("192.0.2.1, fd00::1, [fd00::2]:80", client("192.0.2.1", None)),
        // All trusted: the leftmost.
        ("10.0.0.1", client("10.0.0.1", None)),
        ("10.0.0.3, 10.0.0.2:9, fd00::1", client("10.0.0.3", None)),
        // Left of the answer nothing matters.
        ("unknown, , <script>, 192.0.2.1, 10.0.0.1", client("192.0.2.1", None)),
        // What is met and no address ends the walk.
        ("unknown", None),
        ("", None),
        (",", None),
        ("192.0.2.1, unknown", None),
        ("192.0.2.1, unknown, 10.0.0.1", None),
        ("192.0.2.1, _hidden", None),
        ("192.0.2.1,", None),
        ("192.0.2.1, , 10.0.0.1", None),
    ] {
        says(&trust, &[("X-Forwarded-For", value)], is_client(expected));
    }
    for value in ["192.0.2.1, example.com, 10.0.0.1", "192.0.2.1, <x>"] {
        refuses(&trust, &[("X-Forwarded-For", value)], Reason::ForwardedMalformed);
    }
}

#[test]
fn addresses_come_in_many_forms() {
    let trust = trusted(TrustedHeaders { x_forwarded_for: true, ..NONE }, proxies());
    for (value, address, port) in [
        ("192.0.2.1:80", "192.0.2.1", Some(80)),
        ("192.0.2.1:0", "192.0.2.1", Some(0)),
        ("192.0.2.1:65535", "192.0.2.1", Some(65535)),
        ("2001:db8::1", "2001:db8::1", None),
        ("2001:DB8::1:80", "2001:db8::1:80", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:80", "2001:db8::1", Some(80)),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", None),
        ("::", "::", None),
    ] {
        says(&trust, &[("X-Forwarded-For", value)], is_client(client(address, port)));
    }
    for value in [
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:000080",
        "192.0.2.1:+8",
        "192.0.2.1:80:80",
        "192.0.2",
        "192.0.2.01",
        "192.0.2.256",
        "0xc0.0.2.1",
        "3221225985",
        "[192.0.2.1]",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]80",
        "[2001:db8::1]:",
        "[]",
        "[fe80::1%eth0]",
        "fe80::1%1",
        "\"192.0.2.1\"",
        "192.0.2.1 192.0.2.2",
        "192.0.2.1/32",
        ":80",
        ":",
        "\u{661}.2.3.4",
    ] {
        refuses(&trust, &[("X-Forwarded-For", value)], Reason::ForwardedMalformed);
    }
}

#[test]
fn x_forwarded_for_fields_are_joined_in_their_order() {
    let trust = trusted(TrustedHeaders { x_forwarded_for: true, ..NONE }, proxies());
    let lines = [("X-Forwarded-For", "192.0.2.9, 192.0.2.1"), ("A", "b"), ("x-forwarded-for", "10.0.0.1,10.0.0.2")];
    says(&trust, &lines, is_client(client("192.0.2.1", None)));
    says(&trust, &[lines[2], lines[0]], is_client(client("192.0.2.1", None)));
    says(&trust, &[lines[0], ("X-Forwarded-For", ""), lines[2]], Origin::default());
    says(&trust, &[lines[2], lines[2]], is_client(client("10.0.0.1", None)));
}

#[test]
fn where_everybody_is_trusted_only_the_rightmost_address_is() {
    let trust = trusted(TrustedHeaders { x_forwarded_for: true, forwarded: true, ..NONE }, Networks::all());
    says(&trust, &[("X-Forwarded-For", "192.0.2.1, 192.0.2.2")], is_client(client("192.0.2.2", None)));
    says(&trust, &[("X-Forwarded-For", "192.0.2.1, unknown")], Origin::default());
    says(&trust, &[("Forwarded", "for=192.0.2.1, for=192.0.2.2")], is_client(client("192.0.2.2", None)));
    says(&trust, &[("Forwarded", "for=192.0.2.1, for=unknown")], Origin::default());
    let nobody = trusted(TrustedHeaders { x_forwarded_for: true, ..NONE }, Networks::default());
    says(&nobody, &[("X-Forwarded-For", "192.0.2.1, 192.0.2.2")], is_client(client("192.0.2.2", None)));
}
