//! What holds for any bytes: the same verdict however they arrive, no panic, and nothing lost when written again.

#[path = "../../../tests/fuzz/src/lib.rs"]
mod checks;
mod common;

use checks::{forwarded, preface, settings, stream};
use common::{Meaning, trickled, whole};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tapster_wire::http1::{Chunked, Event, reply};
use tapster_wire::{Limits, Reason, Reject};

const LIMITS: Limits = Limits { request_line: 60, fields: 6, field_size: 40, head: 200, body: 1000 };

/// Pieces that, strung together, often come near a valid request.
fn request_pieces() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"GET",
        b"OPTIONS",
        b"CONNECT",
        b" ",
        b" / ",
        b"/a?b",
        b"*",
        b"http://h",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b"\0",
        b":",
        b": ",
        b"Host: a",
        b"Host: b:80",
        b"X_Y",
        b"A: b",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"\t",
        b"\xff",
        b"#",
        b",",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /p HTTP/1.0\r\n",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];
    vec(select(pieces), 0..14).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    fn valid_request()(
        method in "[A-Z]{1,8}",
        target in r"/[a-z%0-9/.~]{0,12}(\?[a-z=&%?/]{0,10})?|http://[a-z.]{1,8}(:[0-9]{0,4})?(/[a-z]{0,5})?",
        minor in 0..2u8,
        fields in vec(("[A-WYZa-z!#$%&'*+.^`|~-]{1,10}[-_]?[a-z]{0,3}", "[ \t]{0,2}([!-~][ -~\t]{0,12}[!-~])?[ \t]{0,2}"), 0..3),
        framing in select(vec!["", "", "Content-Length: 12\r\n", "Transfer-Encoding: chunked\r\n"]),
        connection in select(vec!["", "Connection: close\r\n", "Connection: a, Keep-Alive\r\n"]),
        empty_lines in 0..3usize,
    ) -> Vec<u8> {
        let framing = if minor == 0 && framing.starts_with('T') { "" } else { framing };
        let method = if method == "CONNECT" { "GET" } else { &method };
        let fields: String = fields.iter().map(|(name, value)| format!("X{name}:{value}\r\n")).collect();
        let empty_lines = "\r\n".repeat(empty_lines);
        format!("{empty_lines}{method} {target} HTTP/1.{minor}\r\nHost: h\r\n{fields}{framing}{connection}\r\n").into_bytes()
    }
}

prop_compose! {
    /// A valid request with the body that it announces.
    fn whole_request()(
        mut request in valid_request(), body in "[a-z\r\n0;]{12}", extension in select(vec!["", ";a", " ; a = \"\\\"b;\""]),
        trailer in select(vec!["", "X-Sum: a\r\n"]),
    ) -> Vec<u8> {
        if memchr::memmem::find(&request, b"\r\nContent-Length: 12").is_some() {
            request.extend_from_slice(body.as_bytes());
        } else if memchr::memmem::find(&request, b"\r\nTransfer-Encoding: ").is_some() {
            let (one, other) = body.split_at(5);
            let chunks = format!("5{extension}\r\n{one}\r\n07\r\n{other}\r\n0{extension}\r\n{trailer}\r\n");
            request.extend_from_slice(chunks.as_bytes());
        }
        request
    }
}

/// A valid request in which a few bytes were replaced, removed or put in.
fn damaged_request() -> impl Strategy<Value = Vec<u8>> {
    damaged(valid_request())
}

fn damaged(request: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), 0..3u8, select(b"\r\n \t\0:,;/?#*_aH1\x7f\xff".to_vec()));
    (request, vec(damage, 0..4)).prop_map(|(mut request, damages)| {
        for (place, how, byte) in damages {
            if request.is_empty() {
                break;
            }
            let at = place.index(request.len());
            match how {
                0 => request[at] = byte,
                1 => drop(request.remove(at)),
                _ => request.insert(at, byte),
            }
        }
        request
    })
}

/// Headers of the PROXY protocol, and what comes near them, behind a byte that chooses the versions.
fn preface_pieces() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"PROXY",
        b" TCP4",
        b" TCP6",
        b" UNKNOWN",
        b" 192.0.2.1",
        b" ::1",
        b" 0",
        b" 65535",
        b" ",
        b"\r\n",
        b"\r",
        b"\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2",
        b"\r\n\r\n\0\r\nQUIT\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f",
        b"\x20\0\0\0",
        b"\x21\x21\0\x24",
        b"\0\0\0\0",
        b"twelve bytes",
        b"\x04\0\0",
    ];
    (0..3u8, vec(select(pieces), 0..8)).prop_map(|(mode, pieces)| [vec![mode], pieces.concat()].concat())
}

/// Fields of proxies, behind a byte that chooses which are believed.
fn forwarded_lines() -> impl Strategy<Value = Vec<u8>> {
    let names = vec![
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Ssl",
        "X-Forwarded-Prefix",
    ];
    let values = vec![
        "192.0.2.1",
        "10.0.0.1",
        "[::1]:80",
        "::1",
        "unknown",
        "for=192.0.2.1",
        "for=\"[fd00::1]:80\"",
        "For=_x",
        "proto=https",
        "https",
        "http",
        "on",
        "host=a",
        "a:80",
        "/app",
        "//",
        "/%2e%2e",
        ",",
        ", ",
        ";",
        " ",
        "\"",
        "\\",
        "=",
        "by=unknown",
        "x=\"a,b\"",
    ];
    let line =
        (select(names), vec(select(values), 0..6)).prop_map(|(name, values)| format!("{name}: {}", values.concat()));
    (0..16u8, vec(line, 0..4)).prop_map(|(choice, lines)| [vec![choice], lines.join("\r\n").into_bytes()].concat())
}

fn rewritten(meaning: &Meaning) -> Vec<u8> {
    let mut out = format!("{} {} {}\r\n", meaning.method, meaning.target, meaning.version.as_str()).into_bytes();
    for (name, value) in &meaning.fields {
        out.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn same_at_every_split(request: &[u8], limits: &Limits) -> Result<(), TestCaseError> {
    let verdict = whole(request, limits);
    prop_assert_eq!(&verdict, &trickled(request, limits));
    prop_assert_ne!(verdict, Err(Reject::from(Reason::Malformed)), "a refusal names its rule");
    Ok(())
}

/// The data, whether the body ended, and how many bytes it took; pieces end where `splits` say.
fn decode(body: &[u8], splits: &[usize], limit: u64) -> Result<(Vec<u8>, bool, usize), Reject> {
    let mut decoder = Chunked::new(limit);
    let (mut data, mut at) = (Vec::new(), 0);
    for end in splits.iter().copied().chain([body.len()]) {
        while at < end {
            let decoded = decoder.decode(&body[at..end])?;
            assert!(decoded.consumed > 0 || decoded.event == Event::End);
            at += decoded.consumed;
            match decoded.event {
                Event::Data(run) => data.extend_from_slice(run),
                Event::End => return Ok((data, true, at)),
                Event::NeedMore => assert_eq!(at, end),
            }
        }
    }
    Ok((data, false, at))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_the_same_verdict_however_they_arrive(bytes in vec(any::<u8>(), 0..100)) {
        same_at_every_split(&bytes, &LIMITS)?;
    }

    #[test]
    fn pieces_of_requests_get_the_same_verdict_however_they_arrive(request in request_pieces()) {
        same_at_every_split(&request, &LIMITS)?;
        same_at_every_split(&request, &Limits::default())?;
    }

    #[test]
    fn damaged_requests_get_the_same_verdict_however_they_arrive(request in damaged_request()) {
        same_at_every_split(&request, &LIMITS)?;
        same_at_every_split(&request, &Limits::default())?;
    }

    #[test]
    fn tight_limits_get_the_same_verdict_however_the_bytes_arrive(
        request in damaged_request(), line in 0..40usize, fields in 0..4usize, field_size in 0..30usize, head in 0..100usize,
    ) {
        same_at_every_split(&request, &Limits { request_line: line, fields, field_size, head, body: 3 })?;
    }

    #[test]
    fn valid_requests_are_accepted_and_mean_the_same_when_written_again(request in valid_request()) {
        let verdict = whole(&request, &Limits::default());
        prop_assert!(matches!(verdict, Ok(Some(_))), "{:?}", verdict);
        let meaning = verdict.ok().flatten().unwrap();
        prop_assert_eq!(meaning.size, request.len());
        let again = rewritten(&meaning);
        let expected = Meaning { dropped: 0, size: again.len(), ..meaning };
        prop_assert_eq!(whole(&again, &Limits::default()), Ok(Some(expected)));
    }

    #[test]
    fn whatever_is_accepted_means_the_same_when_written_again(request in damaged_request()) {
        if let Ok(Some(meaning)) = whole(&request, &Limits::default()) {
            let again = rewritten(&meaning);
            // A Host that only the target gives, in 1.0, is no field.
            let expected = Meaning { dropped: 0, size: again.len(), ..meaning };
            prop_assert_eq!(whole(&again, &Limits::default()), Ok(Some(expected)));
        }
    }

    #[test]
    fn any_bytes_decode_the_same_however_they_arrive(
        body in vec(select(b"0123aF;=\"\\ \t\r\n\r\nx:\0\xff".to_vec()), 0..60), at in any::<prop::sample::Index>(),
    ) {
        let whole = decode(&body, &[], 40);
        prop_assert_eq!(&whole, &decode(&body, &[at.index(body.len() + 1)], 40));
        prop_assert_eq!(&whole, &decode(&body, &(0..body.len()).collect::<Vec<_>>(), 40));
    }

    #[test]
    fn chunks_written_are_read_back_however_they_arrive(
        chunks in vec(vec(any::<u8>(), 0..40), 0..6), splits in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut body = Vec::new();
        for chunk in &chunks {
            reply::chunk(&mut body, chunk);
        }
        reply::last_chunk(&mut body);
        let size = body.len();
        body.extend_from_slice(b"GET / HTTP/1.1\r\n");
        let mut splits: Vec<_> = splits.iter().map(|split| split.index(body.len())).collect();
        splits.sort_unstable();
        prop_assert_eq!(decode(&body, &splits, 0), Ok((chunks.concat(), true, size)));
    }

    #[test]
    fn reply_fields_that_are_accepted_stay_one_field(name in vec(any::<u8>(), 0..6), value in vec(any::<u8>(), 0..12)) {
        let mut out = b"HTTP/1.1 200 OK\r\n".to_vec();
        if reply::append_field(&mut out, &name, &value) == Ok(reply::FieldKind::Other) {
            out.extend_from_slice(b"\r\n");
            let mut fields = [httparse::EMPTY_HEADER; 2];
            let mut parsed = httparse::Response::new(&mut fields);
            prop_assert_eq!(parsed.parse(&out), Ok(httparse::Status::Complete(out.len())));
            prop_assert_eq!(parsed.headers.len(), 1);
            prop_assert_eq!(parsed.headers[0].name.as_bytes(), &name);
        }
    }
    #[test]
    fn a_connection_s_requests_are_all_found_however_their_bytes_arrive(
        requests in vec(whole_request(), 1..5), seed in any::<u8>(),
    ) {
        let exchange = stream::check_with(&requests.concat(), &Limits::default(), &settings::names(b'0'), seed);
        prop_assert_eq!(exchange.refusal, None);
        let ends: Vec<usize> = exchange.requests.iter().filter_map(|request| request.place.1).collect();
        let sent = requests.iter().scan(0, |end, request| { *end += request.len(); Some(*end) });
        prop_assert!(!ends.is_empty());
        prop_assert_eq!(&ends, &sent.take(ends.len()).collect::<Vec<_>>());
    }

    #[test]
    fn damaged_connections_come_to_the_same_however_their_bytes_arrive(
        requests in vec(damaged(whole_request()), 1..4), choice in 0..16u8, seed in any::<u8>(),
    ) {
        stream::check(&[&[choice, seed], requests.concat().as_slice()].concat());
    }

    #[test]
    fn the_proxy_protocol_s_headers_mean_the_same_however_they_arrive_and_when_written_again(header in preface_pieces()) {
        preface::check(&header);
    }

    #[test]
    fn what_proxies_say_means_the_same_when_written_again_and_no_client_speaks_for_them(lines in forwarded_lines()) {
        forwarded::check(&lines);
    }
}
