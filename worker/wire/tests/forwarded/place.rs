//! X-Forwarded-Host, -Port and -Prefix.

use super::*;

#[test]
fn x_forwarded_host_is_a_host() {
    let trust = trusted(TrustedHeaders { x_forwarded_host: true, ..NONE }, proxies());
    for (value, host) in [
        ("example.com", "example.com"),
        ("Example.com:8080", "Example.com:8080"),
        ("[::1]:80", "[::1]:80"),
        ("?, example.com", "example.com"),
    ] {
        says(&trust, &[("X-Forwarded-Host", value)], Origin { host: Some(host.as_bytes()), ..Origin::default() });
    }
    for value in ["", "a,", "a b", "a/b", "user@a", "a:b", "[::1", "a, b?c", "\"a\""] {
        refuses(&trust, &[("X-Forwarded-Host", value)], Reason::ForwardedMalformed);
    }
    let repeated = [("X-Forwarded-Host", "?"), ("X-Forwarded-Host", "a, b")];
    says(&trust, &repeated, Origin { host: Some(b"b"), ..Origin::default() });
}

#[test]
fn x_forwarded_port_is_a_port() {
    let trust = trusted(TrustedHeaders { x_forwarded_port: true, ..NONE }, proxies());
    for (value, port) in [("1", 1), ("443", 443), ("65535", 65535), ("x, 80", 80), ("80 , 443", 443)] {
        says(&trust, &[("X-Forwarded-Port", value)], Origin { port: Some(port), ..Origin::default() });
    }
    for value in ["", "0", "65536", "-1", "+1", "80,", "8 0", "0x50", "99999999999999999999999"] {
        refuses(&trust, &[("X-Forwarded-Port", value)], Reason::ForwardedMalformed);
    }
}

#[test]
fn x_forwarded_prefix_is_a_path_that_stays_on_its_host() {
    let trust = trusted(TrustedHeaders { x_forwarded_prefix: true, ..NONE }, proxies());
    for (value, prefix) in [
        ("/app", "/app"),
        ("/app/", "/app"),
        ("/app//", "/app"),
        ("/", ""),
        ("/a/b.c/..d/e..", "/a/b.c/..d/e.."),
        ("/a%20b:@!$&'()*+;=~-_", "/a%20b:@!$&'()*+;=~-_"),
        ("/a, /b", "/b"),
    ] {
        says(&trust, &[("X-Forwarded-Prefix", value)], Origin { prefix: Some(prefix.as_bytes()), ..Origin::default() });
    }
    for value in [
        "",
        "app",
        "//",
        "//evil.example",
        "/%2fevil.example",
        "%2fapp",
        "/..",
        "/a/../b",
        "/a/..",
        "/a/%2e%2E/b",
        "/a%2f..",
        "/.%2e",
        "/a?b",
        "/a#b",
        "/a b",
        "/a\\b",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%00",
        "/%09/evil.example",
        "/%5cevil.example",
        "/a%7f",
        "/a%0d%0a",
        "/\u{e4}",
        "/a,",
        "/a\"",
        "/<",
    ] {
        refuses(&trust, &[("X-Forwarded-Prefix", value)], Reason::ForwardedMalformed);
    }
}

#[test]
fn a_host_that_names_another_port_than_x_forwarded_port_is_a_contradiction() {
    let headers = TrustedHeaders { x_forwarded_host: true, x_forwarded_port: true, ..NONE };
    let trust = trusted(headers, proxies());
    let with = |host: &'static str, port: &'static str| [("X-Forwarded-Host", host), ("X-Forwarded-Port", port)];
    refuses(&trust, &with("a:81", "82"), Reason::ForwardedContradiction);
    refuses(&trust, &with("[::1]:81", "82"), Reason::ForwardedContradiction);
    for host in ["a:81", "a", "[::1]:81", "[::1]", "a:"] {
        let origin = Origin { host: Some(host.as_bytes()), port: Some(81), ..Origin::default() };
        says(&trust, &with(host, "81"), origin);
    }
}
