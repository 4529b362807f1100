//! Forwarded (RFC 7239), alone and beside the X-Forwarded fields.

use super::*;

#[test]
fn forwarded_says_client_scheme_and_host() {
    let trust = trusted(TrustedHeaders { forwarded: true, ..NONE }, proxies());
    let all = |address, port| Origin {
        scheme: Some(HTTPS),
        client: client(address, port),
        host: Some(b"example.com:8080"),
        ..Origin::default()
    };
    for (value, expected) in [
        ("for=192.0.2.1", is_client(client("192.0.2.1", None))),
        ("FOR=192.0.2.1", is_client(client("192.0.2.1", None))),
        ("for=\"192.0.2.1:80\"", is_client(client("192.0.2.1", Some(80)))),
        ("for=\"[2001:db8::1]\"", is_client(client("2001:db8::1", None))),
        ("for=\"[2001:db8::1]:80\"", is_client(client("2001:db8::1", Some(80)))),
        ("for=\"192.0.2.1:_port\"", is_client(client("192.0.2.1", None))),
        ("for=\"\\[2001:db8::\\1]\"", is_client(client("2001:db8::1", None))),
        ("proto=https", scheme(HTTPS)),
        ("Proto=\"H\\ttp\"", scheme(HTTP)),
        ("proto=http, proto=wss", scheme(HTTPS)),
        ("proto=gopher, proto=http", scheme(HTTP)),
        ("proto=https, for=unknown", Origin::default()),
        ("host=a, host=b", Origin { host: Some(b"b"), ..Origin::default() }),
        ("for=192.0.2.1;proto=https;by=_me;host=\"example.com:8080\"", all("192.0.2.1", None)),
        ("host=\"example.com:8080\" ; proto=https;\tfor=192.0.2.1;secret=\"a,;\\\"b\"", all("192.0.2.1", None)),
        (";;for=192.0.2.1;;", is_client(client("192.0.2.1", None))),
        (" , for=192.0.2.1 ,, ", is_client(client("192.0.2.1", None))),
        ("secret=x;other=\"\"", Origin::default()),
        // The walk.
        ("for=192.0.2.9, for=192.0.2.1, for=10.0.0.1", is_client(client("192.0.2.1", None))),
        ("for=_x, for=\"192.0.2.1:1\", for=\"[fd00::1]\"", is_client(client("192.0.2.1", Some(1)))),
        ("for=10.0.0.1,for=10.0.0.2", is_client(client("10.0.0.1", None))),
        ("for=192.0.2.1, for=unknown", Origin::default()),
        ("for=192.0.2.1, for=Unknown, for=10.0.0.1", Origin::default()),
        ("for=192.0.2.1, for=\"unknown:80\", for=10.0.0.1", Origin::default()),
        ("for=192.0.2.1, for=_hidden", Origin::default()),
        ("for=192.0.2.1, by=_a", Origin::default()),
    ] {
        says(&trust, &[("Forwarded", value)], expected);
    }
    let lines = [("Forwarded", "for=192.0.2.1;host=a"), ("forwarded", "for=10.0.0.1;proto=http")];
    says(&trust, &lines, Origin { scheme: Some(HTTP), client: client("192.0.2.1", None), ..Origin::default() });
}

#[test]
fn malformed_forwarded_fields_are_refused() {
    let trust = trusted(TrustedHeaders { forwarded: true, ..NONE }, proxies());
    let many = |pairs: usize| (0..pairs).map(|pair| format!("a{pair}=b")).collect::<Vec<_>>().join(";");
    says(&trust, &[("Forwarded", &many(16))], Origin::default());
    refuses(&trust, &[("Forwarded", &many(17))], Reason::ForwardedMalformed);
    for value in [
        "",
        ",",
        ";",
        "for",
        "for=",
        "=192.0.2.1",
        "for = 192.0.2.1",
        "for= 192.0.2.1",
        "for =192.0.2.1",
        "for=192.0.2.1 proto=http",
        "for=192.0.2.1=",
        "for=192.0.2.1 x",
        "192.0.2.1",
        "for=192.0.2.1;192.0.2.2",
        "f or=192.0.2.1",
        "f\"or=192.0.2.1",
        // Strings.
        "for=\"192.0.2.1",
        "for=\"192.0.2.1\\",
        "for=\"192.0.2.1\\\"",
        "for=192.0.2.1\"",
        "for=\"192.0.2.1\"x",
        "for=\"\"",
        "a=\"\u{7f}\"",
        "a=\"\\\u{1}\"",
        // Twice in an element, whatever the name.
        "for=192.0.2.1;for=192.0.2.1",
        "for=192.0.2.1;FOR=192.0.2.1",
        "secret=a;Secret=b",
        // Nodes.
        "for=192.0.2.1:80",
        "for=[2001:db8::1]",
        "for=\"2001:db8::1\"",
        "for=\"192.0.2.1:\"",
        "for=\"192.0.2.1:99999\"",
        "for=\"192.0.2.1:_\"",
        "for=\"[192.0.2.1]\"",
        "for=example.com",
        "for=_",
        "for=_a!",
        "for=unknowns",
        "by=example.com",
        // Also where another element is the answer.
        "for=example.com, for=192.0.2.1",
        "for=\"192.0.2.9, for=192.0.2.1",
        // Schemes and hosts.
        "proto=ftp",
        "proto=\"\"",
        "proto=\"https \"",
        "host=\"\"",
        "host=\"a b\"",
        "host=\"a/b\"",
        "host=\"e\\xample.com\"",
        "host=\"user@a\"",
        "host=\"a/b\", host=a",
    ] {
        refuses(&trust, &[("Forwarded", value)], Reason::ForwardedMalformed);
    }
    // A string does not go on in the next field.
    refuses(&trust, &[("Forwarded", "a=\"b"), ("Forwarded", "c\";for=192.0.2.1")], Reason::ForwardedMalformed);
    refuses(&trust, &[("Forwarded", "for=192.0.2.1"), ("Forwarded", "")], Reason::ForwardedMalformed);
}

#[test]
fn forwarded_and_the_x_forwarded_fields_must_agree() {
    let trust = trusted(ALL, proxies());
    let lines = |forwarded, other| [("Forwarded", forwarded), other];
    for (forwarded, other, expected) in [
        ("for=192.0.2.1", ("X-Forwarded-For", "192.0.2.1"), is_client(client("192.0.2.1", None))),
        ("for=192.0.2.1", ("X-Forwarded-For", "::ffff:192.0.2.1"), is_client(client("::ffff:192.0.2.1", None))),
        // One of them may know more.
        ("for=\"192.0.2.1:80\"", ("X-Forwarded-For", "192.0.2.1"), is_client(client("192.0.2.1", Some(80)))),
        ("for=192.0.2.1", ("X-Forwarded-For", "192.0.2.1:80"), is_client(client("192.0.2.1", Some(80)))),
        ("for=unknown", ("X-Forwarded-For", "unknown"), Origin::default()),
        ("by=_a", ("X-Forwarded-For", "192.0.2.1"), is_client(client("192.0.2.1", None))),
        ("proto=https", ("X-Forwarded-Proto", "HTTPS"), scheme(HTTPS)),
        (
            "host=Example.com",
            ("X-Forwarded-Host", "example.COM"),
            Origin { host: Some(b"example.COM"), ..Origin::default() },
        ),
    ] {
        says(&trust, &lines(forwarded, other), expected);
    }
    for (forwarded, other) in [
        ("for=192.0.2.1", ("X-Forwarded-For", "192.0.2.2")),
        ("for=\"192.0.2.1:80\"", ("X-Forwarded-For", "192.0.2.1:81")),
        ("for=unknown", ("X-Forwarded-For", "192.0.2.2")),
        ("for=192.0.2.1", ("X-Forwarded-For", "unknown")),
        ("proto=https", ("X-Forwarded-Proto", "http")),
        ("host=a", ("X-Forwarded-Host", "b")),
        ("host=a", ("X-Forwarded-Host", "a:80")),
    ] {
        refuses(&trust, &lines(forwarded, other), Reason::ForwardedContradiction);
    }
    refuses(&trust, &lines("proto=https", ("X-Forwarded-Ssl", "off")), Reason::SchemeContradiction);
    // Where only one of them is trusted, the other has no say.
    let trust = trusted(TrustedHeaders { forwarded: true, ..NONE }, proxies());
    says(&trust, &lines("for=192.0.2.1", ("X-Forwarded-For", "192.0.2.2")), is_client(client("192.0.2.1", None)));
}
