//! Field lines (RFC 9112 section 5) and the fields about the connection.

mod common;

use common::{accept, refuse, refuse_all, whole_with, with_fields};
use tapster_wire::{Body, FieldNames, HeaderMap, Limits, Reason};

#[test]
fn values_are_trimmed_and_keep_their_other_bytes() {
    let request = accept(&with_fields("A:\r\nB: \t \r\nC:x\r\nD: \ty z\t \r\nE: \u{e9}\t\"\r\n"));
    let values: Vec<_> = request.fields[1..].iter().map(|(_, value)| value.as_slice()).collect();
    assert_eq!(values, [b"", b"", &b"x"[..], b"y z", "\u{e9}\t\"".as_bytes()]);
}

#[test]
fn malformed_field_lines_are_refused() {
    for (line, reason) in [
        (" folded\r\n", Reason::FieldFolded),
        ("\tfolded\r\n", Reason::FieldFolded),
        ("A: b\r\n c\r\n", Reason::FieldFolded),
        (" A: b\r\n", Reason::FieldFolded),
        (": b\r\n", Reason::FieldNameEmpty),
        ("A : b\r\n", Reason::FieldNameSpace),
        ("A\t: b\r\n", Reason::FieldNameSpace),
        ("A b: c\r\n", Reason::FieldNameSpace),
        ("A\r\n", Reason::FieldWithoutColon),
        ("A(: b\r\n", Reason::FieldName),
        ("A\0: b\r\n", Reason::FieldName),
        ("\u{e9}: b\r\n", Reason::FieldName),
        ("A: \0\r\n", Reason::FieldValue),
        ("A: b\u{1}c\r\n", Reason::FieldValue),
        ("A: b\u{7f}\r\n", Reason::FieldValue),
        ("A: b\u{b}\r\n", Reason::FieldValue),
        ("A\rB: c\r\n", Reason::BareCr),
        ("A: b\rC: d\r\n", Reason::BareCr),
        ("A:\r\rB: c\r\n", Reason::BareCr),
    ] {
        refuse(with_fields(line).as_bytes(), reason);
        refuse(format!("GET / HTTP/1.1\r\n{line}Host: a\r\n\r\n").as_bytes(), reason);
    }
}

#[test]
fn the_first_offence_is_the_one_that_is_named() {
    refuse_all(&[
        ("GET / HTTP/2.0\r\n folded\r\n\r\n", Reason::VersionUnsupported),
        ("GET / HTTP/1.1\nA : b\r\n\r\n", Reason::BareLf),
        ("GET /\u{e9} HTTP/1.1\r\nA : b\r\n\r\n", Reason::TargetCharacter),
        ("GET / HTTP/1.1\r\nA\0: b\nC\r\n\r\n", Reason::FieldName),
    ]);
}

#[test]
fn names_with_underscores_are_dropped_and_counted() {
    let request = accept(&with_fields("X_User: root\r\nX-User: me\r\nContent_Length: 5\r\nTransfer_Encoding: x\r\n"));
    assert_eq!(request.dropped, 3);
    assert_eq!(request.body, Body::None);
    assert_eq!(request.fields[1..], [("X-User".to_owned(), b"me".to_vec())]);
}

#[test]
fn content_type_is_given_once() {
    assert_eq!(accept(&with_fields("Content-Type: a/b\r\n")).fields.len(), 2);
    refuse(with_fields("Content-Type: a/b\r\ncontent-type: a/b\r\n").as_bytes(), Reason::ContentTypeRepeated);
}

#[test]
fn persistence_follows_from_version_and_connection_options() {
    for (version, lines, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "connection: CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: te ,\tclose , x\r\n", false),
        ("1.1", "Connection: te\r\nConnection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Connection:\r\n", true),
        ("1.1", "Connection: ,,\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: x, keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
    ] {
        let request = accept(&format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
        assert_eq!(request.keep_alive, stays, "for HTTP/{version} with {lines:?}");
    }
}

#[test]
fn a_client_that_expects_100_continue_waits_only_when_it_has_a_body() {
    for (version, lines, waits) in [
        ("1.1", "Expect: 100-continue\r\nContent-Length: 5\r\n", true),
        ("1.1", "Content-Length: 5\r\nexpect: 100-Continue\r\n", true),
        ("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("1.1", "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", true),
        ("1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", false),
        ("1.1", "Expect: 100-continue\r\n", false),
        ("1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n", false),
        ("1.1", "Content-Length: 5\r\n", false),
    ] {
        let request = accept(&format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
        assert_eq!(request.expect_continue, waits, "for HTTP/{version} with {lines:?}");
    }
}

#[test]
fn other_expectations_fail() {
    for lines in [
        "Expect: x\r\n",
        "Expect:\r\n",
        "Expect: 100-continue, x\r\n",
        "Expect: x\r\nExpect: 100-continue\r\n",
        "Expect: 100-continue\r\nExpect: x\r\n",
    ] {
        refuse(with_fields(lines).as_bytes(), Reason::Expectation);
    }
}

fn admitted(names: &FieldNames, lines: &str) -> Result<Option<common::Meaning>, Reason> {
    whole_with(with_fields(lines).as_bytes(), &Limits::default(), names).map_err(|reject| reject.reason)
}

#[test]
fn names_with_underscores_are_dropped_refused_or_taken_as_the_setting_says() {
    let line = "X_User: eve\r\n";
    let names = |header_map| FieldNames::new(header_map);
    assert_eq!(admitted(&names(HeaderMap::Drop), line).unwrap().unwrap().dropped, 1);
    assert_eq!(admitted(&names(HeaderMap::Refuse), line), Err(Reason::FieldNameUnderscore));
    let taken = admitted(&names(HeaderMap::Dangerous), line).unwrap().unwrap();
    assert_eq!((taken.dropped, taken.fields[1].0.as_str()), (0, "X_User"));
}

#[test]
fn exempt_names_are_kept_in_any_case_whatever_becomes_of_the_others() {
    for header_map in [HeaderMap::Drop, HeaderMap::Refuse, HeaderMap::Dangerous] {
        let names = FieldNames::with_exempt(header_map, ["REMOTE_USER"]);
        let kept = admitted(&names, "Remote_User: eve\r\n").unwrap().unwrap();
        assert_eq!((kept.dropped, kept.fields[1].0.as_str()), (0, "Remote_User"));
    }
    let all = FieldNames::with_exempt(HeaderMap::Refuse, ["*"]);
    assert_eq!(admitted(&all, "Any_Thing: x\r\n").unwrap().unwrap().dropped, 0);
    let others = FieldNames::with_exempt(HeaderMap::Refuse, ["REMOTE_USER"]);
    assert_eq!(admitted(&others, "Remote_Users: x\r\n"), Err(Reason::FieldNameUnderscore));
}

#[test]
fn script_name_is_taken_off_the_path_at_a_slash() {
    let names = FieldNames::with_exempt(HeaderMap::Drop, ["SCRIPT_NAME"]);
    let mounted = |target: &str, value: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nSCRIPT_NAME: {value}\r\n\r\n");
        whole_with(request.as_bytes(), &Limits::default(), &names)
            .map(|meaning| meaning.map(|meaning| (meaning.script_name.unwrap(), meaning.path)))
            .map_err(|reject| reject.reason)
    };
    let is = |name: &str, path: &str| Ok(Some((name.to_owned(), path.to_owned())));
    assert_eq!(mounted("/app/x?y", "/app"), is("/app", "/x"));
    assert_eq!(mounted("/app/x", "/app/"), is("/app", "/x"));
    assert_eq!(mounted("/app", "/app"), is("/app", ""));
    assert_eq!(mounted("http://h/app/x", "/app"), is("/app", "/x"));
    assert_eq!(mounted("/x", ""), is("", "/x"));
    assert_eq!(mounted("/x", "/"), is("", "/x"));
    for (target, value) in [("/apple", "/app"), ("/x", "/app"), ("/app", "app"), ("/App", "/app"), ("/", "//x")] {
        assert_eq!(mounted(target, value), Err(Reason::ScriptNameInvalid), "{value} of {target}");
    }
    let asterisk = "OPTIONS * HTTP/1.1\r\nHost: a\r\nSCRIPT_NAME: /app\r\n\r\n";
    let asterisk = whole_with(asterisk.as_bytes(), &Limits::default(), &names).unwrap().unwrap();
    assert_eq!((asterisk.script_name.as_deref(), asterisk.path.as_str()), (Some("/app"), "*"));
    let twice = "SCRIPT_NAME: /\r\nScript_Name: /\r\n";
    assert_eq!(admitted(&names, twice), Err(Reason::ScriptNameRepeated));
}

#[test]
fn script_name_of_who_may_not_send_it_means_nothing() {
    let dangerous = FieldNames::new(HeaderMap::Dangerous);
    assert_eq!(admitted(&dangerous, "SCRIPT_NAME: /x\r\n").unwrap().unwrap().script_name, None);
    assert_eq!(admitted(&FieldNames::default(), "SCRIPT_NAME: /x\r\n").unwrap().unwrap().dropped, 1);
}

#[test]
fn one_accept_field_that_prefers_json_is_enough() {
    let prefers = |lines: &str| accept(&with_fields(lines)).prefers_json;
    assert!(prefers("Accept: application/json\r\nAccept: text/html\r\n"));
    assert!(prefers("Accept: text/html\r\nAccept: application/json\r\n"));
    assert!(!prefers("Accept: text/html\r\nAccept: */*\r\n"));
}
