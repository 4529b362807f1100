//! What proxies say of a request: `Trust::read`.

use tapster_wire::forwarded::{Client, TrustedHeaders};
use tapster_wire::{FieldNames, Head, Networks, Origin, Reason, Reject, Trust, decode_path};

use super::head::parse;
use super::settings::{self, GENEROUS, X_FORWARDED};

/// The first byte chooses who and what is trusted, the rest is a request's field lines.
pub fn check(input: &[u8]) -> Vec<Reason> {
    let mut lines = input;
    let choice = settings::choice(&mut lines);
    let trust = settings::trust(choice);
    read(&trust, lines, |verdict| match verdict {
        // The lines are no head.
        None => Vec::new(),
        Some(Ok(origin)) => {
            origin_is_sound(origin);
            means_the_same_when_written_again(origin);
            no_client_speaks_for_a_proxy(choice, &trust, lines, origin);
            Vec::new()
        }
        Some(Err(reject)) => {
            let known = [Reason::SchemeContradiction, Reason::ForwardedMalformed, Reason::ForwardedContradiction];
            assert!(known.contains(&reject.reason), "{reject}");
            assert_eq!(reject.status, reject.reason.status());
            vec![reject.reason]
        }
    })
}

/// What the lines say, in a request of their own.
fn read<T>(trust: &Trust, lines: &[u8], judge: impl FnOnce(Option<Result<&Origin<'_>, Reject>>) -> T) -> T {
    let request = [b"GET / HTTP/1.1\r\nHost: a\r\n", lines, b"\r\n\r\n"].concat();
    match parse(&request, &GENEROUS, &FieldNames::default(), &mut Head::default()) {
        // An empty line among them would end the head.
        Ok(Some(head)) if head.size == request.len() => match trust.read(&head, &request) {
            Ok(origin) => judge(Some(Ok(&origin))),
            Err(reject) => judge(Some(Err(reject))),
        },
        _ => judge(None),
    }
}

/// What an application may rely on.
fn origin_is_sound(origin: &Origin<'_>) {
    assert_ne!(origin.port, Some(0));
    if let Some(host) = origin.host {
        let request = [b"GET / HTTP/1.1\r\nHost: ", host, b"\r\n\r\n"].concat();
        let head = parse(&request, &GENEROUS, &FieldNames::default(), &mut Head::default());
        let accepted = head.ok().flatten().and_then(|head| head.host).map(|span| span.of(&request).to_vec());
        assert_eq!(accepted.as_deref(), Some(host), "a host that could stand in the request itself");
        assert!(!host.is_empty());
    }
    if let Some(prefix) = origin.prefix {
        let mut path = Vec::new();
        decode_path(prefix, &mut path);
        assert!(prefix.is_empty() || prefix.starts_with(b"/") && !prefix.ends_with(b"/"), "{prefix:?}");
        assert!(!path.starts_with(b"//") && !path.iter().any(u8::is_ascii_control), "{path:?}");
        assert!(!path.split(|&byte| byte == b'/').any(|segment| segment == b".."), "{path:?}");
    }
}

fn means_the_same_when_written_again(origin: &Origin<'_>) {
    let standard = TrustedHeaders { forwarded: true, ..TrustedHeaders::default() };
    let both = TrustedHeaders { forwarded: true, ..X_FORWARDED };
    // RFC 3986 allows commas in hosts, and X-Forwarded-Host can't carry those.
    let listed = Origin { host: origin.host.filter(|host| !host.contains(&b',')), ..*origin };
    for (headers, lines, expected) in [
        (X_FORWARDED, x_forwarded(&listed), listed),
        (standard, forwarded(origin), Origin { port: None, prefix: None, ..*origin }),
        (both, [x_forwarded(&listed), forwarded(origin)].concat(), *origin),
    ] {
        let trust = Trust::new(Vec::new(), headers, Networks::default());
        let lines = format!("X: y{lines}");
        read(&trust, lines.as_bytes(), |again| assert_eq!(again, Some(Ok(&expected)), "{lines}"));
    }
}

fn x_forwarded(origin: &Origin<'_>) -> String {
    let mut lines = String::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push_str(&format!("\r\nX-Forwarded-{name}: {value}"));
        }
    };
    add("For", origin.client.map(|client| written(&client)));
    add("Proto", origin.scheme.map(|scheme| scheme.as_str().to_owned()));
    add("Host", origin.host.map(text));
    add("Port", origin.port.map(|port| port.to_string()));
    add("Prefix", origin.prefix.map(|prefix| if prefix.is_empty() { "/".to_owned() } else { text(prefix) }));
    lines
}

fn forwarded(origin: &Origin<'_>) -> String {
    let pairs = [
        origin.client.map(|client| format!("for=\"{}\"", written(&client))),
        origin.scheme.map(|scheme| format!("proto={}", scheme.as_str())),
        origin.host.map(|host| format!("host=\"{}\"", text(host))),
    ];
    let pairs: Vec<String> = pairs.into_iter().flatten().collect();
    if pairs.is_empty() { String::new() } else { format!("\r\nForwarded: {}", pairs.join(";")) }
}

/// RFC 7239 section 6.
fn written(client: &Client) -> String {
    let address = if client.address.is_ipv6() { format!("[{}]", client.address) } else { client.address.to_string() };
    client.port.map_or(address.clone(), |port| format!("{address}:{port}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A client writes to the left of what its first proxy writes. So unless there is nothing but proxies on the way, an
/// address to the left changes nothing.
fn no_client_speaks_for_a_proxy(choice: u8, trust: &Trust, lines: &[u8], origin: &Origin<'_>) {
    let proxies = settings::proxies(choice);
    let ends_at_a_proxy = origin.client.is_some_and(|client| !proxies.is_all() && proxies.contains(client.address));
    let has = |name: &str| {
        let lower = lines.to_ascii_lowercase();
        lower.starts_with(name.as_bytes())
            || lower.windows(name.len() + 2).any(|part| part == format!("\r\n{name}").as_bytes())
    };
    let forged: &[u8] = match (choice >> 2) & 3 {
        0 | 3 if has("x-forwarded-for:") => b"X-Forwarded-For: unknown, 203.0.113.99:1\r\n",
        2 if has("forwarded:") && origin.client.is_some() => {
            b"Forwarded: for=\"[2001:db8::99]\";proto=gopher;host=evil\r\n"
        }
        _ => return,
    };
    if !ends_at_a_proxy {
        let lines = [forged, lines].concat();
        read(trust, &lines, |again| assert_eq!(again, Some(Ok(origin)), "with {:?}", text(forged)));
    }
}
