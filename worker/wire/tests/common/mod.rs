//! What the tests of heads share: parsing whole and piecemeal, and a readable form of the result.

// Each test file compiles this anew, and none uses all of it.
#![allow(dead_code)]
// Test support is no `#[test]` itself, so the exemption for tests does not reach it.
#![allow(clippy::expect_used)]

use tapster_wire::http1::parse_head;
use tapster_wire::{Body, FieldNames, Head, Limits, Progress, Reason, Reject, Span, Version};

/// What a request means, without offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) version: Version,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) dropped: u32,
    pub(crate) body: Body,
    pub(crate) keep_alive: bool,
    pub(crate) expect_continue: bool,
    pub(crate) host: Option<String>,
    pub(crate) authority: Option<String>,
    pub(crate) is_head_method: bool,
    pub(crate) size: usize,
    pub(crate) script_name: Option<String>,
    pub(crate) prefers_json: bool,
}

pub(crate) fn meaning(buf: &[u8], head: &Head) -> Meaning {
    let text = |span: Span| String::from_utf8_lossy(span.of(buf)).into_owned();
    Meaning {
        method: text(head.method),
        target: text(head.target),
        path: text(head.path),
        query: text(head.query),
        version: head.version,
        fields: head.fields.iter().map(|field| (text(field.name), field.value.of(buf).to_vec())).collect(),
        dropped: head.dropped,
        body: head.body,
        keep_alive: head.keep_alive,
        expect_continue: head.expect_continue,
        host: head.host.map(text),
        authority: head.authority.map(text),
        is_head_method: head.is_head_method,
        size: head.size,
        script_name: head.script_name.map(text),
        prefers_json: head.prefers_json,
    }
}

/// The verdict on all of `buf`: `None` is "need more".
pub(crate) fn whole(buf: &[u8], limits: &Limits) -> Result<Option<Meaning>, Reject> {
    whole_with(buf, limits, &FieldNames::default())
}

/// The same for a client that may send these names.
pub(crate) fn whole_with(buf: &[u8], limits: &Limits, names: &FieldNames) -> Result<Option<Meaning>, Reject> {
    let mut head = Head::default();
    Ok(match parse_head(buf, limits, names, &mut head)? {
        Progress::Ready(()) => Some(meaning(buf, &head)),
        Progress::NeedMore => None,
    })
}

/// The verdict when the bytes come one by one, asked for after each.
pub(crate) fn trickled(buf: &[u8], limits: &Limits) -> Result<Option<Meaning>, Reject> {
    let mut head = Head::default();
    for end in 0..=buf.len() {
        if let Progress::Ready(()) = parse_head(&buf[..end], limits, &FieldNames::default(), &mut head)? {
            return Ok(Some(meaning(buf, &head)));
        }
    }
    Ok(None)
}

/// The verdict, which must be the same either way.
#[track_caller]
pub(crate) fn verdict_within(limits: &Limits, buf: &[u8]) -> Result<Option<Meaning>, Reject> {
    let verdict = whole(buf, limits);
    assert_eq!(verdict, trickled(buf, limits), "whole against byte by byte: {:?}", String::from_utf8_lossy(buf));
    verdict
}

#[track_caller]
pub(crate) fn verdict(buf: &[u8]) -> Result<Option<Meaning>, Reject> {
    verdict_within(&Limits::default(), buf)
}

/// The meaning of a request that must be accepted.
#[track_caller]
pub(crate) fn accept(request: &str) -> Meaning {
    let verdict = verdict(request.as_bytes());
    assert!(matches!(verdict, Ok(Some(_))), "{request:?} should have been accepted: {verdict:?}");
    verdict.ok().flatten().expect("just seen")
}

/// Every row must be refused for its reason.
#[track_caller]
pub(crate) fn refuse_all(rows: &[(&str, Reason)]) {
    for (request, reason) in rows {
        refuse(request.as_bytes(), *reason);
    }
}

#[track_caller]
pub(crate) fn refuse(request: &[u8], reason: Reason) {
    let shown = String::from_utf8_lossy(request);
    assert_eq!(verdict(request), Err(Reject::from(reason)), "for {shown:?}");
}

/// A valid 1.1 request with `lines` behind its Host field, each with its line end.
pub(crate) fn with_fields(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}
