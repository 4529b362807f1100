//! The limits of heads: exact, and in force before the head is complete.

mod common;

use common::verdict_within;
use tapster_wire::http1::parse_head;
use tapster_wire::{FieldNames, Head, Limits, Progress, Reason, Reject};

const LIMITS: Limits = Limits { request_line: 40, fields: 3, field_size: 30, head: 110, body: 0 };

#[track_caller]
fn accepted(request: &str) {
    let verdict = verdict_within(&LIMITS, request.as_bytes());
    assert!(matches!(verdict, Ok(Some(_))), "{request:?}: {verdict:?}");
}

#[track_caller]
fn refused(request: &str, reason: Reason) {
    assert_eq!(verdict_within(&LIMITS, request.as_bytes()), Err(Reject::from(reason)), "{request:?}");
}

fn request_line(size: usize) -> String {
    format!("GET /{} HTTP/1.1", "a".repeat(size - "GET / HTTP/1.1".len()))
}

fn field(size: usize) -> String {
    format!("A: {}", "b".repeat(size - "A: ".len()))
}

#[test]
fn the_request_line_may_be_as_long_as_its_limit() {
    accepted(&format!("{}\r\nHost: a\r\n\r\n", request_line(40)));
    refused(&format!("{}\r\nHost: a\r\n\r\n", request_line(41)), Reason::RequestLineSize);
}

#[test]
fn a_request_line_without_end_is_refused_at_its_limit() {
    refused(&format!("GET /{}", "a".repeat(36)), Reason::RequestLineSize);
    assert_eq!(verdict_within(&LIMITS, format!("GET /{}", "a".repeat(35)).as_bytes()), Ok(None));
}

#[test]
fn a_field_may_be_as_long_as_its_limit() {
    accepted(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", field(30)));
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", field(31)), Reason::FieldSize);
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}", field(31)), Reason::FieldSize);
}

#[test]
fn there_may_be_as_many_fields_as_the_limit_says() {
    accepted("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\n\r\n");
    refused("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", Reason::FieldCount);
    refused("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA", Reason::FieldCount);
    refused("GET / HTTP/1.1\r\nHost: a\r\nA_B: c\r\nA_B: c\r\nA_B: c\r\n\r\n", Reason::FieldCount);
}

#[test]
fn the_head_may_be_as_large_as_its_limit() {
    let head =
        |size: usize| format!("{}\r\nHost: a\r\n{}\r\n{}\r\n\r\n", request_line(40), field(20), field(size - 77));
    assert_eq!(head(105).len(), 105);
    accepted(&head(105));
    let fill = |extra: usize| {
        format!(
            "{}\r\nHost: aaaaaa{}\r\n{}\r\n{}\r\n\r\n",
            request_line(40),
            "a".repeat(extra),
            field(20),
            field(22 + 3)
        )
    };
    let exact = (0..20).find(|&extra| fill(extra).len() == LIMITS.head).expect("a request of that size");
    accepted(&fill(exact));
    refused(&fill(exact + 1), Reason::HeadSize);
}

#[test]
fn an_offence_before_the_limit_is_named_and_one_behind_it_is_not() {
    refused(&format!("GET /\u{1}{}", "a".repeat(50)), Reason::TargetCharacter);
    refused(&format!("GET /{}\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(50)), Reason::RequestLineSize);
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\u{1}\r\n\r\n", field(30)), Reason::FieldSize);
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\r\r\n", field(30)), Reason::FieldSize);
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\n\r\n", field(30)), Reason::BareLf);
}

#[test]
fn more_fields_than_the_small_table_holds_are_parsed_when_allowed() {
    for allowed in [127, 128, 129, 1024, usize::MAX] {
        let limits = Limits { fields: allowed, head: 1 << 20, ..Limits::default() };
        let most = allowed.min(Limits::MAX_FIELDS);
        let request = |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(fields - 1));
        let mut head = Head::default();
        assert_eq!(
            parse_head(request(most).as_bytes(), &limits, &FieldNames::default(), &mut head),
            Ok(Progress::Ready(()))
        );
        assert_eq!(head.fields.len(), most);
        let verdict = parse_head(request(most + 1).as_bytes(), &limits, &FieldNames::default(), &mut head);
        assert_eq!(verdict, Err(Reject::from(Reason::FieldCount)));
    }
}

#[test]
fn a_large_head_that_trickles_in_gets_the_verdict_of_a_whole_one() {
    let limits = Limits { field_size: 3000, head: 10_000, ..Limits::default() };
    let large = |last: &str| {
        let line = format!("A: {}\r\n", "b".repeat(2000));
        format!("GET / HTTP/1.1\r\nHost: a\r\n{line}{line}{line}{last}\r\n\r\n")
    };
    assert!(matches!(verdict_within(&limits, large("C: d").as_bytes()), Ok(Some(_))));
    for (last, reason) in [
        ("C : d", Reason::FieldNameSpace),
        ("C: d\nE: f", Reason::BareLf),
        ("Host: b", Reason::HostRepeated),
        (&*"c".repeat(3001), Reason::FieldSize),
        (&*format!("C: d\r\nE: {0}\r\nF: {0}", "x".repeat(2990)), Reason::HeadSize),
    ] {
        assert_eq!(verdict_within(&limits, large(last).as_bytes()), Err(Reject::from(reason)), "for {last:?}");
    }
}

#[test]
fn a_head_that_is_reused_forgets_the_request_before() {
    let mut head = Head::default();
    let limits = Limits::default();
    let first = b"POST http://a/b?c HTTP/1.1\r\nHost: a\r\nX_Y: z\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(parse_head(first, &limits, &FieldNames::default(), &mut head), Ok(Progress::Ready(())));
    let second = b"HEAD / HTTP/1.0\r\n\r\n";
    assert_eq!(parse_head(second, &limits, &FieldNames::default(), &mut head), Ok(Progress::Ready(())));
    let mut fresh = Head::default();
    assert_eq!(parse_head(second, &limits, &FieldNames::default(), &mut fresh), Ok(Progress::Ready(())));
    assert_eq!(head, fresh);
}
