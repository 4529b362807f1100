//! What trusted proxies say of a request: the X-Forwarded fields, Forwarded (RFC 7239) and the scheme headers.

// Test support is no `#[test]` itself, so the exemption for tests does not reach it.
#![allow(clippy::unwrap_used)]

mod client;
mod elements;
mod place;
mod properties;
mod scheme;

use tapster_wire::forwarded::{Client, Scheme, TrustedHeaders};
use tapster_wire::{Field, Head, Networks, Origin, Reason, Reject, Span, Trust};

const NONE: TrustedHeaders = TrustedHeaders {
    x_forwarded_for: false,
    x_forwarded_proto: false,
    x_forwarded_host: false,
    x_forwarded_port: false,
    x_forwarded_prefix: false,
    forwarded: false,
};
const ALL: TrustedHeaders = TrustedHeaders {
    x_forwarded_for: true,
    x_forwarded_proto: true,
    x_forwarded_host: true,
    x_forwarded_port: true,
    x_forwarded_prefix: true,
    forwarded: true,
};

/// gunicorn's and our defaults.
const SCHEME_HEADERS: [(&str, &str); 3] =
    [("X-FORWARDED-PROTOCOL", "ssl"), ("X-FORWARDED-PROTO", "https"), ("X-FORWARDED-SSL", "on")];

fn trusted(headers: TrustedHeaders, proxies: Networks) -> Trust {
    let schemes = SCHEME_HEADERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Trust::new(schemes.to_vec(), headers, proxies)
}

/// The proxies of the tests: 10.0.0.0/8 and fd00::/8.
fn proxies() -> Networks {
    Networks::of(["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()))
}

fn head_of<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> (Head, Vec<u8>) {
    let (mut head, mut buf) = (Head::default(), b"GET / HTTP/1.1\r\n".to_vec());
    let mut push = |bytes: &[u8]| {
        let start = u32::try_from(buf.len()).unwrap();
        buf.extend_from_slice(bytes);
        Span { start, end: u32::try_from(buf.len()).unwrap() }
    };
    for (name, value) in fields {
        head.fields.push(Field { name: push(name.as_ref()), value: push(value.as_ref()) });
        push(b"\r\n");
    }
    (head, buf)
}

/// What `trust` reads, handed to `check` since it borrows the buffer.
fn read<N: AsRef<[u8]>, V: AsRef<[u8]>, T>(
    trust: &Trust,
    fields: &[(N, V)],
    check: impl FnOnce(Result<Origin<'_>, Reject>) -> T,
) -> T {
    let (head, buf) = head_of(fields);
    check(trust.read(&head, &buf))
}

type Lines<'a> = &'a [(&'a str, &'a str)];

#[track_caller]
fn says(trust: &Trust, fields: Lines<'_>, expected: Origin<'_>) {
    read(trust, fields, |read| assert_eq!(read, Ok(expected), "for {fields:?}"));
}

#[track_caller]
fn refuses(trust: &Trust, fields: Lines<'_>, reason: Reason) {
    read(trust, fields, |read| assert_eq!(read, Err(reason.into()), "for {fields:?}"));
}

fn client(address: &str, port: Option<u16>) -> Option<Client> {
    Some(Client { address: address.parse().unwrap(), port })
}

fn scheme(scheme: Scheme) -> Origin<'static> {
    Origin { scheme: Some(scheme), ..Origin::default() }
}

fn is_client(client: Option<Client>) -> Origin<'static> {
    Origin { client, ..Origin::default() }
}

const HTTP: Scheme = Scheme::Http;
const HTTPS: Scheme = Scheme::Https;

#[test]
fn a_request_without_such_fields_says_nothing() {
    for trust in [Trust::default(), trusted(NONE, proxies()), trusted(ALL, Networks::all())] {
        says(&trust, &[], Origin::default());
        // Names of the lengths that are looked at, and near ones.
        let others = ["accept-encoding", "x-forwarded-fox", "x_forwarded_for", "forwardee", "x-forwarded", ""];
        let others = others.map(|name| (name, "1.2.3.4"));
        says(&trust, &others, Origin::default());
        says(&trust, &[("A".repeat(63).as_str(), "1"), ("A".repeat(200).as_str(), "1")], Origin::default());
    }
}

#[test]
fn fields_that_are_not_trusted_are_not_read() {
    let lines = [
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Forwarded-Host", "?"),
        ("X-Forwarded-Port", "x"),
        ("X-Forwarded-Prefix", ".."),
        ("Forwarded", "\""),
    ];
    says(&trusted(NONE, proxies()), &lines, Origin::default());
}
