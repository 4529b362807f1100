//! Chunked bodies: RFC 9112 section 7.1.

use tapster_wire::http1::{Chunked, Event};
use tapster_wire::{Reason, Reject};

/// The data, and what is left behind the body; `None` if it has not ended.
type Outcome = Result<(Vec<u8>, Option<Vec<u8>>), Reject>;

fn decode(pieces: &[&[u8]], limit: u64) -> Outcome {
    let mut decoder = Chunked::new(limit);
    let mut data = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let mut rest = *piece;
        loop {
            let decoded = decoder.decode(rest)?;
            rest = &rest[decoded.consumed..];
            match decoded.event {
                Event::Data(run) => {
                    assert!(!run.is_empty());
                    data.extend_from_slice(run);
                }
                Event::End => {
                    assert!(decoder.has_ended());
                    let behind = std::iter::once(rest).chain(pieces[index + 1..].iter().copied());
                    return Ok((data, Some(behind.collect::<Vec<_>>().concat())));
                }
                Event::NeedMore => {
                    assert!(rest.is_empty());
                    break;
                }
            }
        }
    }
    Ok((data, None))
}

/// The outcome, which must be the same whole, byte by byte, and split in two anywhere.
#[track_caller]
fn outcome_within(limit: u64, body: &[u8]) -> Outcome {
    let whole = decode(&[body], limit);
    assert_eq!(whole, decode(&body.chunks(1).collect::<Vec<_>>(), limit), "byte by byte: {body:?}");
    for at in 0..=body.len() {
        assert_eq!(whole, decode(&[&body[..at], &body[at..]], limit), "split at {at}: {body:?}");
    }
    whole
}

#[track_caller]
fn accepted(body: &[u8], data: &[u8]) {
    let shown = String::from_utf8_lossy(body);
    assert_eq!(outcome_within(0, body), Ok((data.to_vec(), Some(Vec::new()))), "for {shown:?}");
}

#[track_caller]
fn refused(body: &[u8], reason: Reason) {
    assert_eq!(outcome_within(0, body), Err(Reject::from(reason)), "for {:?}", String::from_utf8_lossy(body));
}

#[test]
fn chunks_are_joined_and_what_follows_the_body_is_left() {
    accepted(b"0\r\n\r\n", b"");
    accepted(b"5\r\nhello\r\n0\r\n\r\n", b"hello");
    accepted(b"5\r\nhello\r\nb\r\n, the world\r\n000\r\n\r\n", b"hello, the world");
    accepted(b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789");
    accepted(b"0000000000000002\r\n\r\n\r\n0\r\n\r\n", b"\r\n");
    assert_eq!(outcome_within(0, b"1\r\na\r\n0\r\n\r\nGET /"), Ok((b"a".to_vec(), Some(b"GET /".to_vec()))));
}

#[test]
fn an_unfinished_body_needs_more() {
    for body in [&b""[..], b"5", b"5\r\nhel", b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\n\r", b"0\r\nA: b\r\n"] {
        assert!(matches!(outcome_within(0, body), Ok((_, None))), "for {body:?}");
    }
}

#[test]
fn sizes_are_hexadecimal_digits_and_nothing_else() {
    for body in [
        &b"\r\n"[..],
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b" 1\r\n",
        b"0x1\r\na",
        b"1_0\r\n",
        b";a\r\n",
        b"\n",
        b"1\n",
        b"1\0\r\n",
        b"1.\r\n",
        b"00000000000000001\r\na\r\n0\r\n\r\n",
        b"10000000000000000\r\n",
    ] {
        refused(body, Reason::ChunkSize);
    }
    refused(b"1\ra\r\n", Reason::BareCr);
    refused(b"1 \r\na\r\n", Reason::ChunkExtension);
}

#[test]
fn sizes_that_overflow_in_sum_are_refused() {
    let mut decoder = Chunked::new(0);
    assert!(decoder.decode(b"ffffffffffffffff\r\n").is_ok());
    refused(b"1\r\na\r\nffffffffffffffff\r\n", Reason::ChunkSize);
}

#[test]
fn data_ends_in_crlf() {
    for body in [&b"1\r\nab\r\n"[..], b"1\r\na\n", b"1\r\na\rb", b"1\r\na0\r\n\r\n"] {
        refused(body, Reason::ChunkEnd);
    }
}

#[test]
fn extensions_are_ignored_if_well_formed() {
    for extension in [
        &b";a"[..],
        b";a=b",
        b" ; a = b",
        b"\t;\ta\t;\tb",
        b";a=\"b\"",
        b";a=\"b;\\\" \xff\t\"",
        b";a;b=c;d=\"\"",
        b";a=\"\" ;b",
        b";a ;b",
    ] {
        accepted(&[b"1", extension, b"\r\nx\r\n0", extension, b"\r\n\r\n"].concat(), b"x");
    }
}

#[test]
fn malformed_extensions_are_refused() {
    for extension in [
        &b";"[..],
        b"; ",
        b";;a",
        b";=b",
        b";a=",
        b";a= ",
        b";a=\"b",
        b";a b",
        b";a=b c",
        b";a=\"b\"c",
        b";a\n",
        b";a\0",
        b";a=\"\n\"",
        b";a=\"\\\n\"",
        b";a ",
        b";a=b ",
        b";a=\"b\" ",
        b" a",
        b";a=\x80",
        b";a=\"\r\"",
    ] {
        refused(&[b"1", extension, b"\r\nx\r\n0\r\n\r\n"].concat(), Reason::ChunkExtension);
    }
    refused(b"1;a\rx", Reason::BareCr);
}

#[test]
fn extensions_are_limited_in_a_line_and_in_all() {
    let long = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(bytes - 1));
    accepted(long(256).as_bytes(), b"x");
    refused(long(257).as_bytes(), Reason::ChunkExtensionSize);

    let many = |chunks: usize| format!("1;{}\r\nx\r\n", "a".repeat(199)).repeat(chunks) + "0\r\n\r\n";
    assert!(decode(&[many(80).as_bytes()], 0).is_ok());
    assert_eq!(decode(&[many(90).as_bytes()], 0), Err(Reject::from(Reason::ChunkExtensionSize)));

    let signed = format!("1000;signature={}\r\n{}\r\n", "f".repeat(64), "x".repeat(4096)).repeat(500) + "0\r\n\r\n";
    assert!(matches!(decode(&[signed.as_bytes()], 0), Ok((_, Some(_)))));
}

#[test]
fn trailers_are_checked_and_discarded() {
    accepted(b"0\r\nA: b\r\nX-Checksum:\r\nC:d \t\xff\r\n\r\n", b"");
    for (trailer, reason) in [
        (&b" a: b\r\n"[..], Reason::TrailerField),
        (b": b\r\n", Reason::TrailerField),
        (b"a : b\r\n", Reason::TrailerField),
        (b"a\r\n", Reason::TrailerField),
        (b"a: b\r\n c\r\n", Reason::TrailerField),
        (b"a: \0\r\n", Reason::TrailerField),
        (b"a: b\n", Reason::BareLf),
        (b"\n", Reason::BareLf),
        (b"a: b\rc", Reason::BareCr),
        (b"\ra", Reason::BareCr),
    ] {
        refused(&[b"0\r\n", trailer, b"\r\n"].concat(), reason);
    }
}

#[test]
fn trailers_that_belong_in_the_head_are_refused() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "TE",
        "Authorization",
        "proxy-AUTHORIZATION",
        "Content-Type",
        "Cookie",
        "Expect",
    ] {
        refused(format!("0\r\nA: b\r\n{name}: 1\r\n\r\n").as_bytes(), Reason::TrailerForbidden);
        accepted(format!("0\r\nX-{name}: 1\r\n{name}-X: 1\r\n\r\n").as_bytes(), b"");
    }
}

#[test]
fn trailers_are_limited_in_number_and_size() {
    let many = |fields: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(fields));
    accepted(many(32).as_bytes(), b"");
    refused(many(33).as_bytes(), Reason::TrailerSize);
    let long = |bytes: usize| format!("0\r\nA:{}\r\n\r\n", "b".repeat(bytes - 6));
    assert!(matches!(decode(&[long(8192).as_bytes()], 0), Ok((_, Some(_)))));
    assert_eq!(decode(&[long(8193).as_bytes()], 0), Err(Reject::from(Reason::TrailerSize)));
}

#[test]
fn a_body_may_be_as_large_as_its_limit() {
    assert!(matches!(outcome_within(6, b"3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n"), Ok((_, Some(_)))));
    assert_eq!(outcome_within(5, b"3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n"), Err(Reject::from(Reason::BodySize)));
    assert_eq!(outcome_within(5, b"6\r\n"), Err(Reject::from(Reason::BodySize)));
    assert_eq!(outcome_within(5, b"ffffffffffffffff\r\n"), Err(Reject::from(Reason::BodySize)));
}
