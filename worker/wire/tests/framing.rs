//! How a request's body is delimited: RFC 9112 section 6.

mod common;

use common::{accept, refuse, verdict_within, with_fields};
use tapster_wire::{Body, Limits, Reason, Reject};

#[test]
fn the_body_is_framed_by_content_length_or_chunked_or_absent() {
    for (lines, body) in [
        ("", Body::None),
        ("Content-Length: 0\r\n", Body::Length(0)),
        ("content-length:\t42 \r\n", Body::Length(42)),
        ("Content-Length: 007\r\n", Body::Length(7)),
        ("Content-Length: 18446744073709551615\r\n", Body::Length(u64::MAX)),
        ("Transfer-Encoding: chunked\r\n", Body::Chunked),
        ("transfer-encoding: \tCHUNKED \r\n", Body::Chunked),
    ] {
        assert_eq!(accept(&with_fields(lines)).body, body, "for {lines:?}");
    }
}

#[test]
fn content_length_is_digits_and_nothing_else() {
    for value in
        ["", "+1", "-1", "1 1", "1,1", "1, 1", "0x1", "1.0", "1e3", "a", "18446744073709551616", "\u{661}", "1_0"]
    {
        refuse(with_fields(&format!("Content-Length: {value}\r\n")).as_bytes(), Reason::ContentLengthInvalid);
    }
}

#[test]
fn content_length_is_given_once_even_if_equal() {
    refuse(with_fields("Content-Length: 1\r\nContent-Length: 1\r\n").as_bytes(), Reason::ContentLengthRepeated);
    refuse(with_fields("Content-Length: 1\r\nContent-Length: 2\r\n").as_bytes(), Reason::ContentLengthRepeated);
}

#[test]
fn content_length_and_transfer_encoding_exclude_each_other() {
    for lines in
        ["Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"]
    {
        refuse(with_fields(lines).as_bytes(), Reason::LengthAndCoding);
    }
}

#[test]
fn transfer_encoding_does_not_exist_in_1_0() {
    refuse(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Reason::CodingInHttp10);
}

#[test]
fn only_chunked_once_is_accepted_as_a_transfer_coding() {
    for (lines, reason) in [
        ("Transfer-Encoding: chunked, chunked\r\n", Reason::CodingChunkedTwice),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Reason::CodingChunkedTwice),
        ("Transfer-Encoding: chunked, gzip\r\n", Reason::CodingNotChunkedLast),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Reason::CodingNotChunkedLast),
        ("Transfer-Encoding: gzip\r\n", Reason::CodingNotChunkedLast),
        ("Transfer-Encoding: identity\r\n", Reason::CodingNotChunkedLast),
        ("Transfer-Encoding: gzip, chunked\r\n", Reason::CodingUnsupported),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Reason::CodingUnsupported),
        ("Transfer-Encoding: x-other\r\n", Reason::CodingUnsupported),
        ("Transfer-Encoding: xchunked\r\n", Reason::CodingUnsupported),
        ("Transfer-Encoding: chunked;q=1\r\n", Reason::CodingUnsupported),
        ("Transfer-Encoding: \"chunked\"\r\n", Reason::CodingUnsupported),
        ("Transfer-Encoding:\r\n", Reason::CodingMalformed),
        ("Transfer-Encoding: ,chunked\r\n", Reason::CodingMalformed),
        ("Transfer-Encoding: chunked,\r\n", Reason::CodingMalformed),
    ] {
        refuse(with_fields(lines).as_bytes(), reason);
    }
}

#[test]
fn a_body_over_the_limit_is_refused_with_the_head() {
    let limits = Limits { body: 10, ..Limits::default() };
    let request = |length: u64| with_fields(&format!("Content-Length: {length}\r\n"));
    assert!(matches!(verdict_within(&limits, request(10).as_bytes()), Ok(Some(_))));
    assert_eq!(verdict_within(&limits, request(11).as_bytes()), Err(Reject::from(Reason::BodySize)));
}
