//! Request heads: `parse_head`, and `glimpse` at those that it refuses.

use tapster_wire::http1::{Glimpse, glimpse, parse_head};
use tapster_wire::{Body, FieldNames, Head, Limits, Progress, Reason, Reject, Span, Version, decode_path};

use super::arrival;
use super::settings::{self, GENEROUS};

/// What a parser said: `None` is "need more".
pub type Verdict = Result<Option<Head>, Reject>;

/// The first byte chooses limits and names, the rest is a head and what follows it.
pub fn check(input: &[u8]) -> Vec<Reason> {
    let mut bytes = input;
    let choice = settings::choice(&mut bytes);
    match check_with(bytes, &settings::limits(choice), &settings::names(choice)) {
        Ok(Some(head)) => names_are_allowed(bytes, choice, &head),
        Ok(None) => {}
        Err(reject) => return vec![reject.reason],
    }
    Vec::new()
}

/// Of names with an underscore an application sees those that the client may send, and no other.
fn names_are_allowed(bytes: &[u8], choice: u8, head: &Head) {
    let names = head.fields.iter().map(|field| field.name.of(bytes).to_ascii_uppercase());
    let mut doubtful = names.filter(|name| name.contains(&b'_'));
    match (choice >> 2) & 3 {
        0 => assert_eq!(doubtful.next(), None, "header_map = drop"),
        1 => assert!(doubtful.next().is_none() && head.dropped == 0, "header_map = refuse"),
        2 => assert_eq!(head.dropped, 0, "header_map = dangerous"),
        _ => assert!(doubtful.all(|name| matches!(name.as_slice(), b"SCRIPT_NAME" | b"PATH_INFO")), "a proxy's names"),
    }
}

/// The verdict on `bytes`, of which everything was checked that must hold.
pub fn check_with(bytes: &[u8], limits: &Limits, names: &FieldNames) -> Verdict {
    let mut head = Head::default();
    let verdict = parse(bytes, limits, names, &mut head);
    // Reused as a connection does it, so that nothing may be left of what was there before.
    arrival::verdict_comes_once(bytes.len(), &verdict, |end| parse(&bytes[..end], limits, names, &mut head));
    match &verdict {
        Ok(Some(head)) => {
            spans_are_sound(bytes, limits, head);
            lines_say_the_same(bytes, head);
            assert_eq!(
                glimpse(bytes),
                Glimpse { is_head_method: head.is_head_method, prefers_json: head.prefers_json }
            );
            alone_it_is_the_same(bytes, limits, names, head);
            means_the_same_when_written_again(bytes, names, head);
        }
        Ok(None) => assert!(bytes.len() <= limits.head, "more is wanted than is allowed"),
        Err(reject) => {
            refusal_names_its_rule(*reject);
            // Must stand any bytes.
            let _ = glimpse(bytes);
        }
    }
    verdict
}

/// The only call of the parser.
pub fn parse(bytes: &[u8], limits: &Limits, names: &FieldNames, head: &mut Head) -> Verdict {
    Ok(match parse_head(bytes, limits, names, head)? {
        Progress::Ready(()) => Some(head.clone()),
        Progress::NeedMore => None,
    })
}

/// A refusal names its rule, by the rule's own status.
pub fn refusal_names_its_rule(reject: Reject) {
    assert_ne!(reject.reason, Reason::Malformed, "a rule that has no name");
    assert_eq!(reject.status, reject.reason.status());
    assert!((400..=599).contains(&reject.status));
}

fn spans_are_sound(bytes: &[u8], limits: &Limits, head: &Head) {
    assert!(head.size > 0 && head.size <= bytes.len() && head.size <= limits.head, "a head of {} bytes", head.size);
    let fields = head.fields.iter().flat_map(|field| [field.name, field.value]);
    let others = [head.host, head.authority, head.script_name];
    for span in
        [head.method, head.target, head.path, head.query].into_iter().chain(fields).chain(others.into_iter().flatten())
    {
        assert!(span.start <= span.end && span.end as usize <= head.size, "{span:?} in a head of {} bytes", head.size);
    }
    for part in [head.path, head.query, head.authority.unwrap_or(head.target)] {
        assert!(
            part.is_empty()
                || (head.target.start..=head.target.end).contains(&part.start) && part.end <= head.target.end
        );
    }
    assert!(head.fields.len() + head.dropped as usize <= limits.fields);
    if let Body::Length(length) = head.body {
        assert!(limits.body == 0 || length <= limits.body, "a body of {length} bytes");
    }
    assert!(!head.expect_continue || !matches!(head.body, Body::None | Body::Length(0)));
    assert!(head.host.is_some() || head.version == Version::Http10, "1.1 has a host");
    let mut path = Vec::new();
    decode_path(head.path.of(bytes), &mut path);
    assert!(path.len() <= head.path.len());
}

/// A second reading, by lines alone, as some proxy in front may do it: it must find the same lines, and the same words.
fn lines_say_the_same(bytes: &[u8], head: &Head) {
    let mut rest = &bytes[..head.size];
    while let Some(behind) = rest.strip_prefix(b"\r\n") {
        rest = behind;
    }
    let lines = lines(rest.strip_suffix(b"\r\n\r\n").expect("an empty line ends a head"));
    assert!(lines.iter().all(|line| !line.iter().any(|byte| b"\r\n\0".contains(byte))), "line ends within lines");

    let words: Vec<&[u8]> = lines[0].split(|&byte| byte == b' ').collect();
    assert_eq!(words, [head.method.of(bytes), head.target.of(bytes), head.version.as_str().as_bytes()]);
    assert_eq!(lines.len(), 1 + head.fields.len() + head.dropped as usize);
    let mut kept = head.fields.iter();
    for line in &lines[1..] {
        let colon = line.iter().position(|&byte| byte == b':').expect("a field has a colon");
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        assert!(!name.is_empty() && !name.iter().any(u8::is_ascii_whitespace), "{name:?}");
        let was_kept = kept.clone().next().is_some_and(|field| field.name.of(bytes) == name);
        assert!(was_kept || name.contains(&b'_'), "{name:?} is missing");
        if was_kept && let Some(field) = kept.next() {
            // In absolute-form the target's authority is the host.
            let is_overridden = name.eq_ignore_ascii_case(b"host") && head.authority == Some(field.value);
            assert!(is_overridden || field.value.of(bytes) == value, "{name:?} has another value");
        }
    }
    assert!(kept.next().is_none());
    framing_is_unambiguous(bytes, head);
}

/// No two readers could take a body for another length (RFC 9112 section 6.3), or a close for none (section 9.3).
fn framing_is_unambiguous(bytes: &[u8], head: &Head) {
    let values = |name: &str| -> Vec<&[u8]> {
        let named = head.fields.iter().filter(|field| field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()));
        named.map(|field| field.value.of(bytes)).collect()
    };
    assert!(values("Host").len() <= 1);
    let options = values("Connection").join(&b","[..]).to_ascii_lowercase();
    let asks = |option: &[u8]| options.split(|&byte| byte == b',').any(|each| each.trim_ascii() == option);
    let stays = head.version == Version::Http11 || asks(b"keep-alive");
    assert_eq!(head.keep_alive, stays && !asks(b"close"), "who asks to leave is let go");
    match (values("Content-Length").as_slice(), values("Transfer-Encoding").as_slice(), head.body) {
        ([], [], Body::None) => {}
        ([digits], [], Body::Length(length)) => {
            assert!(digits.iter().all(u8::is_ascii_digit));
            assert_eq!(String::from_utf8_lossy(digits).parse(), Ok(length));
        }
        ([], [coding], Body::Chunked) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"));
            assert_eq!(head.version, Version::Http11);
        }
        framing => panic!("{framing:?}"),
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    lines
}

/// Nothing in a head's meaning comes from behind it.
fn alone_it_is_the_same(bytes: &[u8], limits: &Limits, names: &FieldNames, head: &Head) {
    let alone = parse(&bytes[..head.size], limits, names, &mut Head::default());
    assert_eq!(alone.as_ref(), Ok(&Some(head.clone())));
}

fn means_the_same_when_written_again(bytes: &[u8], names: &FieldNames, head: &Head) {
    let again = written_again(bytes, head);
    match parse(&again, &GENEROUS, names, &mut Head::default()) {
        Ok(Some(second)) => {
            assert_eq!(second.size, again.len());
            assert_eq!(Meaning::of(&again, &second), Meaning::of(bytes, head));
        }
        other => panic!("{other:?} for {:?}", String::from_utf8_lossy(&again)),
    }
}

/// The head as it was understood, written plainly.
#[must_use]
pub fn written_again(bytes: &[u8], head: &Head) -> Vec<u8> {
    let words = [head.method.of(bytes), b" ", head.target.of(bytes), b" ", head.version.as_str().as_bytes(), b"\r\n"];
    let mut out = words.concat();
    for field in &head.fields {
        out.extend_from_slice(&[field.name.of(bytes), b": ", field.value.of(bytes), b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// What a head says, wherever it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    words: [Vec<u8>; 4],
    maybe: [Option<Vec<u8>>; 3],
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    version: Version,
    body: Body,
    /// Keeps alive, expects "100 Continue", is HEAD, prefers JSON.
    facts: [bool; 4],
}

impl Meaning {
    /// That of `head`, which was parsed from `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8], head: &Head) -> Self {
        let owned = |span: Span| span.of(bytes).to_vec();
        Self {
            words: [head.method, head.target, head.path, head.query].map(owned),
            maybe: [head.host, head.authority, head.script_name].map(|span| span.map(owned)),
            fields: head.fields.iter().map(|field| (owned(field.name), owned(field.value))).collect(),
            version: head.version,
            body: head.body,
            facts: [head.keep_alive, head.expect_continue, head.is_head_method, head.prefers_json],
        }
    }
}
