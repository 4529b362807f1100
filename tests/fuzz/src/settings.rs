//! What the first bytes of an input decide: limits, and who is trusted with what.
//!
//! `0` (0x30) chooses the defaults everywhere, so that inputs can be written and read by people.

use tapster_wire::forwarded::TrustedHeaders;
use tapster_wire::{FieldNames, HeaderMap, Limits, Networks, ProxyMode, Trust};

/// No limit that an input could reach.
pub const GENEROUS: Limits =
    Limits { request_line: 1 << 30, fields: Limits::MAX_FIELDS, field_size: 1 << 30, head: 1 << 30, body: 0 };

/// Ordinary limits, and three kinds that inputs reach easily.
#[must_use]
pub fn limits(choice: u8) -> Limits {
    match choice & 3 {
        0 => Limits::default(),
        1 => Limits { request_line: 60, fields: 6, field_size: 40, head: 200, body: 1000 },
        2 => Limits { request_line: 20, fields: 2, field_size: 15, head: 60, body: 3 },
        _ => Limits { fields: 300, field_size: 5000, head: 6000, body: 100, ..Limits::default() },
    }
}

/// What a stranger may do with underscores under each `header_map`, and what a trusted proxy may.
#[must_use]
pub fn names(choice: u8) -> FieldNames {
    match (choice >> 2) & 3 {
        0 => FieldNames::new(HeaderMap::Drop),
        1 => FieldNames::new(HeaderMap::Refuse),
        2 => FieldNames::new(HeaderMap::Dangerous),
        _ => FieldNames::with_exempt(HeaderMap::Drop, ["SCRIPT_NAME", "PATH_INFO"]),
    }
}

/// How many bytes of a body are allowed; 0 is no limit.
#[must_use]
pub fn body_limit(choice: u8) -> u64 {
    [0, 1, 16, 1000][usize::from(choice & 3)]
}

/// Takes the input's first byte off, or the default's choice where there is none.
pub fn choice(input: &mut &[u8]) -> u8 {
    input.split_off_first().copied().unwrap_or(b'0')
}

/// Which versions of the PROXY protocol are accepted.
#[must_use]
pub fn proxy_mode(choice: u8) -> ProxyMode {
    [ProxyMode::Auto, ProxyMode::V1, ProxyMode::V2][usize::from(choice % 3)]
}

/// Which addresses are proxies: none but the peer, some, or all.
#[must_use]
pub fn proxies(choice: u8) -> Networks {
    match choice & 3 {
        0 => Networks::default(),
        1 => Networks::of(["10.0.0.0/8", "192.168.1.1/32", "fd00::/8"].map(|network| network.parse().expect("valid"))),
        2 => Networks::of(["0.0.0.0/0"].map(|network| network.parse().expect("valid"))),
        _ => Networks::all(),
    }
}

/// Which fields are believed: all, gunicorn's scheme headers, the standard's, or the others.
#[must_use]
pub fn trust(choice: u8) -> Trust {
    let secure = [("X-FORWARDED-PROTOCOL", "ssl"), ("X-FORWARDED-PROTO", "https"), ("X-FORWARDED-SSL", "on")];
    let secure = secure.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let forwarded = TrustedHeaders { forwarded: true, ..TrustedHeaders::default() };
    let (secure, headers) = match (choice >> 2) & 3 {
        0 => (secure, TrustedHeaders { forwarded: true, ..X_FORWARDED }),
        1 => (secure, TrustedHeaders::default()),
        2 => (Vec::new(), forwarded),
        _ => (Vec::new(), X_FORWARDED),
    };
    Trust::new(secure, headers, proxies(choice))
}

/// The fields that became usual before there was a standard.
pub const X_FORWARDED: TrustedHeaders = TrustedHeaders {
    x_forwarded_for: true,
    x_forwarded_proto: true,
    x_forwarded_host: true,
    x_forwarded_port: true,
    x_forwarded_prefix: true,
    forwarded: false,
};
