//! Request targets (RFC 9112 section 3.2), Host (RFC 9110 section 7.2), and percent-decoding.

mod common;

use common::{accept, refuse, refuse_all, with_fields};
use tapster_wire::Reason;
use tapster_wire::target::decode_path;

fn request(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: field.example\r\n\r\n")
}

#[test]
fn origin_form_is_split_at_the_first_question_mark() {
    for (target, path, query) in
        [("/", "/", ""), ("/?", "/", ""), ("/a?b?c", "/a", "b?c"), ("//a/b", "//a/b", ""), ("/a/../b", "/a/../b", "")]
    {
        let request = accept(&request("GET", target));
        assert_eq!((request.path.as_str(), request.query.as_str()), (path, query), "for {target}");
        assert_eq!((request.host.as_deref(), request.authority), (Some("field.example"), None));
    }
}

#[test]
fn absolute_form_gives_its_path_and_its_authority_replaces_host() {
    for (target, authority, path, query) in [
        ("http://url.example/a?b", "url.example", "/a", "b"),
        ("HTTPS://url.example:8443/", "url.example:8443", "/", ""),
        ("http://url.example", "url.example", "/", ""),
        ("http://url.example?q=/", "url.example", "/", "q=/"),
        ("http://[::1]:80/x", "[::1]:80", "/x", ""),
    ] {
        let request = accept(&request("GET", target));
        assert_eq!((request.target.as_str(), request.path.as_str(), request.query.as_str()), (target, path, query));
        assert_eq!((request.host.as_deref(), request.authority.as_deref()), (Some(authority), Some(authority)));
        assert_eq!(request.fields, [("Host".to_owned(), authority.as_bytes().to_vec())]);
    }
}

#[test]
fn absolute_form_in_1_0_needs_no_host_field() {
    let request = accept("GET http://url.example/ HTTP/1.0\r\n\r\n");
    assert_eq!(request.host.as_deref(), Some("url.example"));
    assert!(request.fields.is_empty());
}

#[test]
fn absolute_form_in_1_1_still_needs_a_host_field() {
    refuse(b"GET http://url.example/ HTTP/1.1\r\n\r\n", Reason::HostMissing);
}

#[test]
fn asterisk_form_is_for_options_only() {
    assert_eq!(accept(&request("OPTIONS", "*")).path, "*");
    refuse(request("GET", "*").as_bytes(), Reason::TargetForm);
    refuse(request("OPTIONS", "**").as_bytes(), Reason::TargetForm);
}

#[test]
fn connect_is_refused_and_authority_form_is_for_nothing_else() {
    for target in ["url.example:443", "[::1]:443", "/", "*", "http://a:1/"] {
        refuse(request("CONNECT", target).as_bytes(), Reason::ConnectUnsupported);
    }
    refuse(request("GET", "url.example:443").as_bytes(), Reason::TargetForm);
}

#[test]
fn other_targets_are_refused() {
    for target in ["a", "a/b", "?a", "ftp://a/", "http:/a", "http:a", "https", "mailto:a@b", "://a/", "\\a"] {
        refuse(request("GET", target).as_bytes(), Reason::TargetForm);
    }
    for target in ["http://", "http:///a", "http://?a", "http://:80/", "http://u@a/", "http://a:b/", "http://[::1/"] {
        refuse(request("GET", target).as_bytes(), Reason::TargetAuthority);
    }
}

#[test]
fn a_valid_host_is_a_name_or_address_with_or_without_port() {
    for host in
        ["a", "", "a:", "a:80", "1.2.3.4:8000", "[::1]", "[2001:db8::1]:80", "a_b.c~d-e", "a%20b", "a,b", "A.EXAMPLE."]
    {
        let request = accept(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(request.host.as_deref(), Some(host));
    }
}

#[test]
fn an_invalid_host_is_refused_in_any_version() {
    for host in [
        ":80", ":", "a b", "a/b", "a@b", "a:b", "a:80:80", "[::1", "::1", "[::g]", "[a]", "[::1]x", "a?b", "a#b",
        "a\\b", "<a>", "\u{e9}", "a%", "a%2", "a%zz", "http://a", "a, b",
    ] {
        for version in ["1.0", "1.1"] {
            refuse(format!("GET / HTTP/{version}\r\nHost: {host}\r\n\r\n").as_bytes(), Reason::HostInvalid);
        }
    }
}

#[test]
fn http_1_1_has_exactly_one_host_and_http_1_0_at_most_one() {
    assert_eq!(accept("GET / HTTP/1.0\r\n\r\n").host, None);
    refuse_all(&[
        ("GET / HTTP/1.1\r\n\r\n", Reason::HostMissing),
        ("GET / HTTP/1.1\r\nAccept: a\r\n\r\n", Reason::HostMissing),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Reason::HostRepeated),
        ("GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", Reason::HostRepeated),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Reason::HostRepeated),
    ]);
    refuse(with_fields("Host:\r\n").as_bytes(), Reason::HostRepeated);
}

#[test]
fn paths_are_percent_decoded_and_bad_escapes_stay() {
    for (path, decoded) in [
        ("/plain", &b"/plain"[..]),
        ("", b""),
        ("/a%20b", b"/a b"),
        ("/%c3%A9", b"/\xc3\xa9"),
        ("/%2F%2f", b"///"),
        ("/%00", b"/\0"),
        ("/%", b"/%"),
        ("/%2", b"/%2"),
        ("/%zz%20", b"/%zz "),
        ("/%%41", b"/%A"),
        ("/%2%41", b"/%2A"),
        ("/%2541", b"/%41"),
        ("/a+b", b"/a+b"),
    ] {
        let mut out = b">".to_vec();
        decode_path(path.as_bytes(), &mut out);
        assert_eq!(out, [b">", decoded].concat(), "for {path}");
    }
}
