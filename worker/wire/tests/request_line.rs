//! The request line: RFC 9112 sections 2.2, 2.3 and 3.

mod common;

use common::{accept, refuse, refuse_all, verdict};
use tapster_wire::{Reason, Version};

fn line(request_line: &str) -> String {
    format!("{request_line}\r\nHost: a\r\n\r\n")
}

#[test]
fn an_ordinary_request_is_taken_apart() {
    let request = accept("GET /a%20b?x=1&y=%3F HTTP/1.1\r\nHost: example.org\r\nAccept:  */* \t\r\n\r\n");
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/a%20b?x=1&y=%3F");
    assert_eq!(request.path, "/a%20b");
    assert_eq!(request.query, "x=1&y=%3F");
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.host.as_deref(), Some("example.org"));
    assert_eq!(request.fields, [("Host".to_owned(), b"example.org".to_vec()), ("Accept".to_owned(), b"*/*".to_vec())]);
    assert!(!request.is_head_method);
}

#[test]
fn any_token_is_a_method_and_its_case_is_kept() {
    for method in ["GET", "HEAD", "POST", "M-SEARCH", "get", "X", "!#$%&'*+-.^_`|~09"] {
        let request = accept(&line(&format!("{method} / HTTP/1.1")));
        assert_eq!(request.method, method);
        assert_eq!(request.is_head_method, method == "HEAD");
    }
}

#[test]
fn a_method_that_is_no_token_is_refused() {
    for start in ["G@T", "GET:", "(", "G\u{e9}T", "\"GET\"", "\0", "\u{16}\u{3}\u{1}"] {
        refuse(line(&format!("{start} / HTTP/1.1")).as_bytes(), Reason::Method);
    }
}

#[test]
fn anything_but_three_words_with_one_space_between_is_refused() {
    for request_line in ["GET", "GET /", "GET  / HTTP/1.1", " GET / HTTP/1.1", "/", " "] {
        let expected = if request_line == "/" { Reason::Method } else { Reason::RequestLine };
        refuse(line(request_line).as_bytes(), expected);
    }
    for request_line in ["GET /  HTTP/1.1", "GET / HTTP/1.1 ", "GET / HTTP/1.1 x", "GET /a b HTTP/1.1"] {
        refuse(line(request_line).as_bytes(), Reason::VersionMalformed);
    }
    refuse(line("GET\t/ HTTP/1.1").as_bytes(), Reason::Method);
    refuse(line("GET /\tHTTP/1.1").as_bytes(), Reason::TargetCharacter);
}

#[test]
fn versions_other_than_1_0_and_1_1_are_not_supported() {
    for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"] {
        refuse(line(&format!("GET / {version}")).as_bytes(), Reason::VersionUnsupported);
    }
    refuse(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Reason::VersionUnsupported);
    assert_eq!(accept("GET / HTTP/1.0\r\n\r\n").version, Version::Http10);
}

#[test]
fn what_is_no_version_is_refused() {
    for version in ["HTTP/1", "HTTP/11", "HTTP/1.", "HTTP/1.10", "HTTP/1.1.", "http/1.1", "HTTPS/1.1", "HTTP/a.b", "x"]
    {
        refuse(line(&format!("GET / {version}")).as_bytes(), Reason::VersionMalformed);
    }
}

#[test]
fn a_target_holds_printable_ascii_only() {
    for target in ["/\u{e9}", "/\u{7f}", "/\0", "/a\u{1}", "/#fragment", "*#", "\u{ff}"] {
        refuse(line(&format!("GET {target} HTTP/1.1")).as_bytes(), Reason::TargetCharacter);
    }
    refuse(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Reason::TargetCharacter);
    let request = accept(&line("GET /a|b[]{}\\^`\"<>;@:&=+$,!*'()~?[]|{}\"<> HTTP/1.1"));
    assert_eq!(request.path, "/a|b[]{}\\^`\"<>;@:&=+$,!*'()~");
    assert_eq!(request.query, "[]|{}\"<>");
}

#[test]
fn lines_end_in_crlf_only() {
    refuse_all(&[
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Reason::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Reason::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Reason::BareLf),
        ("GET / HTTP/1.1\r\nHost:\n\r\n", Reason::BareLf),
        ("GET / HTTP/1.1\r\nHost: \n\r\n", Reason::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\n", Reason::BareLf),
        ("GET / HTTP/1.1\n\n", Reason::BareLf),
        ("GET / HTTP/1.0\r\n\n", Reason::BareLf),
        ("\nGET / HTTP/1.0\r\n\r\n", Reason::BareLf),
        ("\r\n\nGET / HTTP/1.0\r\n\r\n", Reason::BareLf),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", Reason::BareCr),
        ("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", Reason::BareCr),
        ("GET\r / HTTP/1.1\r\nHost: a\r\n\r\n", Reason::BareCr),
        ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", Reason::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", Reason::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Reason::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", Reason::BareCr),
        ("\rGET / HTTP/1.0\r\n\r\n", Reason::BareCr),
        ("\r\n\rGET / HTTP/1.0\r\n\r\n", Reason::BareCr),
    ]);
}

#[test]
fn a_few_empty_lines_before_the_request_line_are_skipped_and_counted_in_the_size() {
    let request = "GET /x HTTP/1.0\r\n\r\n";
    for lines in 0..=4 {
        let skipped = accept(&format!("{}{request}", "\r\n".repeat(lines)));
        assert_eq!((skipped.path.as_str(), skipped.size), ("/x", request.len() + 2 * lines));
    }
    refuse(format!("{}{request}", "\r\n".repeat(5)).as_bytes(), Reason::EmptyLines);
    assert_eq!(verdict(b"\r\n\r\n"), Ok(None));
}

#[test]
fn an_unfinished_head_needs_more() {
    for part in ["", "\r", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"] {
        assert_eq!(verdict(part.as_bytes()), Ok(None), "for {part:?}");
    }
}

#[test]
fn the_size_leaves_the_body_and_the_next_request_alone() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let request = accept(&format!("{head}bodyGET / HTTP/1.1\r\nHost: b\r\n\r\n"));
    assert_eq!(request.size, head.len());
    assert_eq!(request.fields.len(), 2);
}
