//! What an application says for a reply's head: `check_status`, `append_field` and `write_head`.

use tapster_wire::http1::reply::{
    FieldError, FieldKind, Framing, ReplyFacts, ReplyHead, RequestFacts, ServerFields, append_field, check_status,
    framing, write_head,
};
use tapster_wire::{Reason, Version};

use super::settings;

/// The first byte chooses what the request was; then come the status, names and values, each behind a byte for its length.
pub fn check(input: &[u8]) -> Vec<Reason> {
    let mut bytes = input;
    let choice = settings::choice(&mut bytes);
    let status = next_text(&mut bytes);
    let mut facts = ReplyFacts::default();
    let mut fields = Vec::new();
    let mut kept = Vec::new();
    while !bytes.is_empty() {
        let (name, value) = (next_text(&mut bytes), next_text(&mut bytes));
        match append_checked(&mut fields, name, value).and_then(|kind| facts.note(kind).map(|()| kind)) {
            Ok(FieldKind::Other | FieldKind::Date | FieldKind::Server) => kept.push([name, b": ", value].concat()),
            Ok(FieldKind::ContentLength(_) | FieldKind::TransferEncoding | FieldKind::HopByHop) => {}
            // Such a reply becomes a 500, and nothing of it is sent.
            Err(_) => return Vec::new(),
        }
    }
    if let Ok(code) = check_status(status) {
        assert!((100..=999).contains(&code) && status.starts_with(code.to_string().as_bytes()));
        facts.status = code;
        head_holds_what_was_given(choice, status, &facts, &fields, &kept);
    }
    Vec::new()
}

fn next_text<'i>(bytes: &mut &'i [u8]) -> &'i [u8] {
    let size = bytes.split_off_first().copied().map_or(0, usize::from);
    bytes.split_off(..size.min(bytes.len())).unwrap_or_default()
}

/// What is appended is one line with this name and value, or nothing.
fn append_checked(fields: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<FieldKind, FieldError> {
    let before = fields.clone();
    let kind = append_field(fields, name, value);
    assert!(fields.starts_with(&before));
    let appended = &fields[before.len()..];
    match kind {
        Ok(FieldKind::Other | FieldKind::Date | FieldKind::Server) => {
            assert_eq!(appended, [name, b": ", value, b"\r\n"].concat());
            assert!(!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':'), "{name:?}");
            assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)), "{value:?}");
            let lower = name.to_ascii_lowercase();
            assert!(!NEVER_SENT.contains(&lower.as_slice()), "{name:?} is the server's to send");
        }
        _ => assert_eq!(appended, b"", "{kind:?}"),
    }
    kind
}

const NEVER_SENT: [&[u8]; 5] = [b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"upgrade"];

/// The head's lines are those that were given and the server's own, and a client can tell where the body ends.
fn head_holds_what_was_given(choice: u8, status: &[u8], facts: &ReplyFacts, fields: &[u8], kept: &[Vec<u8>]) {
    let version = if choice & 1 == 0 { Version::Http11 } else { Version::Http10 };
    let is_head = choice & 2 != 0;
    let request = RequestFacts { version, is_head, keep_alive: choice & 4 == 0, prefers_json: false };
    let known_length = (choice & 8 != 0).then_some(u64::from(choice));
    let (framing, keep_alive, content_length) = framing(&request, facts, known_length);
    let server = &ServerFields { named: choice & 64 == 0, date: *b"Sun, 06 Nov 1994 08:49:37 GMT" };
    let mut out = Vec::new();
    let reply = ReplyHead {
        version,
        status_line: status,
        app_fields: fields,
        facts,
        framing,
        keep_alive,
        content_length,
        server,
    };
    write_head(&mut out, &reply);

    let text = out.strip_suffix(b"\r\n\r\n").expect("an empty line ends a head");
    let lines: Vec<&[u8]> =
        text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    assert!(lines.iter().all(|line| !line.is_empty() && !line.contains(&b'\r')), "{:?}", String::from_utf8_lossy(&out));
    assert_eq!(lines[0], [b"HTTP/1.1 ", status].concat());
    let own = lines[1..].iter().filter(|line| !kept.iter().any(|kept| kept == *line)).count();
    assert!(lines.len() > kept.len() && own <= 4, "{:?}", String::from_utf8_lossy(&out));

    let count = |start: &str| lines.iter().filter(|line| starts_with_ignoring_case(line, start.as_bytes())).count();
    let (lengths, codings) = (count("content-length:"), count("transfer-encoding:"));
    assert!(lengths + codings <= 1, "one framing");
    assert_eq!(codings == 1, framing == Framing::Chunked);
    match framing {
        Framing::Length(_) => assert_eq!(lengths, 1),
        Framing::Chunked => assert_eq!(version, Version::Http11),
        Framing::UntilClose => assert!(!keep_alive && lengths == 0),
        Framing::NoBody => assert!(request.is_head || facts.status < 200 || matches!(facts.status, 204 | 304)),
    }
    assert!(request.keep_alive || !keep_alive, "who wants to leave may");
}

fn starts_with_ignoring_case(line: &[u8], start: &[u8]) -> bool {
    line.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}
