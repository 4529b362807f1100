//! Replies: status strings, fields, framing, heads, chunks and error pages.

// `head` below is no `#[test]` itself, so the exemption for tests does not reach it.
#![allow(clippy::unwrap_used)]

use tapster_wire::Reason;
use tapster_wire::Version::{self, Http10, Http11};
use tapster_wire::http1::reply::{
    CHUNK_END, CONTINUE, ErrorPage, FieldError, FieldKind, Framing, ReplyFacts, ReplyHead, RequestFacts, ServerFields,
    StatusError, append_field, check_status, chunk, chunk_size, early_hints, error_page, framing, last_chunk,
    reason_phrase, write_head,
};
use tapster_wire::http1::{Chunked, Event};

const SERVER: ServerFields = ServerFields { named: true, date: *b"Sun, 06 Nov 1994 08:49:37 GMT" };

fn asked(version: Version, is_head: bool, keep_alive: bool) -> RequestFacts {
    RequestFacts { version, is_head, keep_alive, prefers_json: false }
}

fn answered(status: u16, content_length: Option<u64>) -> ReplyFacts {
    ReplyFacts { status, content_length, ..ReplyFacts::default() }
}

/// The head as a client of `version` gets it.
fn head(version: Version, keep_alive: bool, status_line: &str, fields: &[(&str, &str)], known: Option<u64>) -> String {
    let mut app_fields = Vec::new();
    let mut facts = ReplyFacts { status: check_status(status_line.as_bytes()).unwrap(), ..ReplyFacts::default() };
    for (name, value) in fields {
        facts.note(append_field(&mut app_fields, name.as_bytes(), value.as_bytes()).unwrap()).unwrap();
    }
    let (framing, keep_alive, content_length) = framing(&asked(version, false, keep_alive), &facts, known);
    let status_line = status_line.as_bytes();
    let (facts, app_fields) = (&facts, app_fields.as_slice());
    let reply =
        ReplyHead { version, status_line, app_fields, facts, framing, keep_alive, content_length, server: &SERVER };
    let mut out = Vec::new();
    write_head(&mut out, &reply);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_status_is_three_digits_a_space_and_a_reason() {
    for (status, code) in
        [("200 OK", 200), ("404 Not Found", 404), ("100 x", 100), ("999 ", 999), ("200 \u{e9}\t", 200)]
    {
        assert_eq!(check_status(status.as_bytes()), Ok(code), "for {status:?}");
    }
    for status in ["", "200", "20 OK", "2000 OK", "200OK", " 200 OK", "OK", "2x0 OK", "-20 OK", "200\tOK"] {
        assert_eq!(check_status(status.as_bytes()), Err(StatusError::Shape), "for {status:?}");
    }
    assert_eq!(check_status(b"099 x"), Err(StatusError::Code));
    for status in ["200 OK\r\nX: y", "200 \0", "200 a\nb", "200 \u{7f}"] {
        assert_eq!(check_status(status.as_bytes()), Err(StatusError::Control), "for {status:?}");
    }
}

#[test]
fn fields_are_recognised_and_only_the_apps_own_are_appended() {
    for (name, value, kind, appended) in [
        ("X-A", "b", FieldKind::Other, "X-A: b\r\n"),
        ("Set-Cookie", "\u{e9}\t;", FieldKind::Other, "Set-Cookie: \u{e9}\t;\r\n"),
        ("X", "", FieldKind::Other, "X: \r\n"),
        ("DATE", "now", FieldKind::Date, "DATE: now\r\n"),
        ("server", "me", FieldKind::Server, "server: me\r\n"),
        ("Content-Length", "12", FieldKind::ContentLength(12), ""),
        ("content-length", " 0 ", FieldKind::ContentLength(0), ""),
        ("Transfer-Encoding", "chunked", FieldKind::TransferEncoding, ""),
        ("Connection", "close", FieldKind::HopByHop, ""),
        ("Keep-Alive", "1", FieldKind::HopByHop, ""),
        ("TE", "x", FieldKind::HopByHop, ""),
        ("Trailer", "x", FieldKind::HopByHop, ""),
        ("Trailers", "x", FieldKind::HopByHop, ""),
        ("Upgrade", "x", FieldKind::HopByHop, ""),
        ("Proxy-Connection", "x", FieldKind::HopByHop, ""),
        ("Proxy-Authenticate", "x", FieldKind::HopByHop, ""),
        ("Proxy-Authorization", "x", FieldKind::HopByHop, ""),
    ] {
        let mut out = Vec::new();
        assert_eq!(append_field(&mut out, name.as_bytes(), value.as_bytes()), Ok(kind), "for {name}");
        assert_eq!(out, appended.as_bytes(), "for {name}");
    }
}

#[test]
fn fields_that_would_break_the_head_are_refused() {
    for (name, value, error) in [
        ("", "x", FieldError::Name),
        ("A:", "x", FieldError::Name),
        ("A B", "x", FieldError::Name),
        ("A\r\n", "x", FieldError::Name),
        ("\u{e9}", "x", FieldError::Name),
        ("A", "x\r\nB: y", FieldError::Value),
        ("A", "x\ny", FieldError::Value),
        ("A", "x\r", FieldError::Value),
        ("A", "\0", FieldError::Value),
        ("A", "\u{7f}", FieldError::Value),
        ("Content-Length", "", FieldError::Length),
        ("Content-Length", "x", FieldError::Length),
        ("Content-Length", "-1", FieldError::Length),
        ("Content-Length", "1, 1", FieldError::Length),
        ("Content-Length", "18446744073709551616", FieldError::Length),
    ] {
        let mut out = b"kept".to_vec();
        assert_eq!(append_field(&mut out, name.as_bytes(), value.as_bytes()), Err(error), "for {name:?}: {value:?}");
        assert_eq!(out, b"kept");
    }
}

#[test]
fn a_second_content_length_is_refused() {
    let mut facts = ReplyFacts::default();
    assert_eq!(facts.note(FieldKind::ContentLength(1)), Ok(()));
    assert_eq!(facts.note(FieldKind::ContentLength(1)), Err(FieldError::LengthTwice));
}

#[test]
fn the_framing_follows_from_request_status_and_length() {
    let (get11, get10, head11) = (asked(Http11, false, true), asked(Http10, false, true), asked(Http11, true, true));
    for (request, status, declared, known, expected) in [
        (get11, 200, Some(5), None, (Framing::Length(5), true, Some(5))),
        (get11, 200, Some(5), Some(9), (Framing::Length(5), true, Some(5))),
        (get11, 200, None, Some(9), (Framing::Length(9), true, Some(9))),
        (get11, 200, None, Some(0), (Framing::Length(0), true, Some(0))),
        (get11, 200, None, None, (Framing::Chunked, true, None)),
        (get10, 200, Some(5), None, (Framing::Length(5), true, Some(5))),
        (get10, 200, None, Some(9), (Framing::Length(9), true, Some(9))),
        (get10, 200, None, None, (Framing::UntilClose, false, None)),
        (asked(Http11, false, false), 200, None, None, (Framing::Chunked, false, None)),
        (head11, 200, Some(5), None, (Framing::NoBody, true, Some(5))),
        (head11, 200, None, Some(0), (Framing::NoBody, true, None)),
        (head11, 200, None, None, (Framing::NoBody, true, None)),
        (asked(Http10, true, true), 200, None, None, (Framing::NoBody, true, None)),
        (get11, 204, Some(5), Some(5), (Framing::NoBody, true, None)),
        (head11, 204, Some(5), None, (Framing::NoBody, true, None)),
        (get10, 204, None, None, (Framing::NoBody, true, None)),
        (get11, 101, Some(5), None, (Framing::NoBody, false, None)),
        (get11, 304, Some(5), None, (Framing::NoBody, true, Some(5))),
        (get11, 304, None, Some(0), (Framing::NoBody, true, None)),
        (get11, 500, None, None, (Framing::Chunked, true, None)),
    ] {
        let reply = answered(status, declared);
        assert_eq!(framing(&request, &reply, known), expected, "for {request:?}, {reply:?}, {known:?}");
    }
}

#[test]
fn a_head_has_the_apps_fields_as_given_and_the_servers_own() {
    assert_eq!(
        head(Http11, true, "200 Fine", &[("x-A", "1"), ("Content-Length", "5"), ("x-a", "2")], None),
        "HTTP/1.1 200 Fine\r\nServer: tapster\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-A: 1\r\nx-a: 2\r\n\
         Content-Length: 5\r\n\r\n"
    );
    assert_eq!(
        head(Http11, true, "200 OK", &[("Date", "d"), ("Server", "s"), ("Connection", "x")], None),
        "HTTP/1.1 200 OK\r\nDate: d\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn connection_is_said_only_where_the_version_does_not_imply_it() {
    let connection = |version, keep_alive, known| {
        let head = head(version, keep_alive, "200 OK", &[], known);
        let line = head.lines().find(|line| line.starts_with("Connection")).map(str::to_owned);
        (line, head.contains("chunked"))
    };
    assert_eq!(connection(Http11, true, Some(1)), (None, false));
    assert_eq!(connection(Http11, false, Some(1)), (Some("Connection: close".into()), false));
    assert_eq!(connection(Http10, true, Some(1)), (Some("Connection: keep-alive".into()), false));
    assert_eq!(connection(Http10, false, Some(1)), (Some("Connection: close".into()), false));
    assert_eq!(connection(Http10, true, None), (Some("Connection: close".into()), false));
    assert_eq!(connection(Http11, true, None), (None, true));
}

#[test]
fn no_content_has_neither_length_nor_coding() {
    for status in ["204 No Content", "101 Switching Protocols"] {
        let head = head(Http11, true, status, &[("Content-Length", "5")], Some(5));
        assert!(!head.contains("Content-Length") && !head.contains("Transfer-Encoding"), "{head}");
    }
    assert!(head(Http11, true, "304 Not Modified", &[("Content-Length", "5")], None).contains("Content-Length: 5"));
}

#[test]
fn chunks_are_read_back_as_they_were_written() {
    let mut out = Vec::new();
    chunk(&mut out, b"");
    assert!(out.is_empty());
    let data = vec![b'x'; 0x1234];
    for size in [1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, data.len()] {
        out.clear();
        chunk(&mut out, &data[..size]);
        last_chunk(&mut out);
        assert!(out.starts_with(format!("{size:x}\r\n").as_bytes()));
        let mut decoder = Chunked::new(0);
        let first = decoder.decode(&out).unwrap();
        assert_eq!(first.event, Event::Data(&data[..size]));
        let last = decoder.decode(&out[first.consumed..]).unwrap();
        assert_eq!((last.event, first.consumed + last.consumed), (Event::End, out.len()));
    }
}

#[test]
fn chunk_sizes_have_no_leading_zeros() {
    for size in [1, 0xf, 0x10, 0xff, 0x100, 0xabc_def0, u64::MAX] {
        let mut out = Vec::new();
        chunk_size(&mut out, size);
        out.extend_from_slice(CHUNK_END);
        assert_eq!(out, format!("{size:x}\r\n\r\n").as_bytes());
    }
}

fn page(reason: Reason, head_only: bool, json: bool, server: &ServerFields) -> (String, String) {
    let page = ErrorPage { status: reason.status(), explain: reason.explain(), head_only, json };
    let mut out = Vec::new();
    error_page(&page, server, &mut out);
    let text = String::from_utf8(out).unwrap();
    let (head, page) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), page.to_owned())
}

#[test]
fn every_refusal_has_a_page_that_names_the_rule_and_closes() {
    for &reason in Reason::ALL {
        let (head, plain) = page(reason, false, false, &SERVER);
        let phrase = reason_phrase(reason.status());
        assert_ne!(phrase, "Unknown");
        assert!(head.starts_with(&format!("HTTP/1.1 {} {phrase}\r\n", reason.status())), "{head}");
        assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
        assert!(head.ends_with(&format!("\r\nContent-Length: {}", plain.len())), "{head}");
        assert!(plain.contains(reason.explain()), "{plain}");
        assert_eq!(head.contains("\r\nRetry-After: 5\r\n"), reason.status() == 503, "{head}");
        assert_eq!(page(reason, true, false, &SERVER), (head, String::new()));
    }
}

#[test]
fn a_page_is_json_for_who_prefers_it() {
    for &reason in Reason::ALL {
        let (head, json) = page(reason, false, true, &SERVER);
        let (status, phrase) = (reason.status(), reason_phrase(reason.status()));
        assert!(head.contains("\r\nContent-Type: application/problem+json\r\n"), "{head}");
        assert!(head.ends_with(&format!("\r\nContent-Length: {}", json.len())), "{head}");
        let expected = format!(r#"{{"status": {status}, "title": "{phrase}", "detail": "{}"}}"#, reason.explain());
        assert_eq!(json, expected + "\n");
        assert!(!reason.explain().contains(['"', '\\']), "{reason:?} needs no escapes in JSON");
    }
}

#[test]
fn a_server_that_is_not_to_be_named_is_not() {
    let nameless = ServerFields { named: false, ..SERVER };
    assert!(page(Reason::HostMissing, false, false, &SERVER).0.contains("\r\nServer: tapster\r\n"));
    assert!(!page(Reason::HostMissing, false, false, &nameless).0.contains("Server"));
}

#[test]
fn every_reason_has_its_own_snake_case_name_and_one_sentence() {
    let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    for reason in Reason::ALL {
        assert!(reason.name().bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{reason:?}");
        assert!(reason.explain().ends_with('.') && reason.explain().is_ascii(), "{reason:?}");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
}

#[test]
fn early_hints_are_an_interim_reply_with_the_apps_fields_alone() {
    let mut out = Vec::new();
    append_field(&mut out, b"Link", b"</a.css>; rel=preload").unwrap();
    let fields = std::mem::take(&mut out);
    early_hints(&mut out, &fields);
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
}

#[test]
fn the_interim_reply_is_a_whole_head() {
    assert_eq!(CONTINUE, b"HTTP/1.1 100 Continue\r\n\r\n");
}
