//! Whether a client would rather read an error as JSON (RFC 9110 section 12.5.1).
//!
//! Called for the Accept field of a head. Judges no request: what is no Accept list prefers nothing.

use crate::grammar::trim;

/// Whether the Accept list `value` ranks JSON above text.
#[inline]
pub(crate) fn prefers_json(value: &[u8]) -> bool {
    // Most clients name no type with a "j" in it.
    memchr::memchr2(b'j', b'J', value).is_some() && ranks_json_first(value)
}

fn ranks_json_first(value: &[u8]) -> bool {
    let (mut json, mut text, mut text_came_first) = (0, 0, false);
    for element in value.split(|&byte| byte == b',') {
        let mut parts = element.split(|&byte| byte == b';').map(trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(weight).unwrap_or(MOST);
        if is_json(kind) {
            json = json.max(weight);
        } else if kind.len() > 5 && kind[..5].eq_ignore_ascii_case(b"text/") {
            text_came_first |= json == 0;
            text = text.max(weight);
        }
    }
    json > text || (json == text && json > 0 && !text_came_first)
}

fn is_json(kind: &[u8]) -> bool {
    kind.eq_ignore_ascii_case(b"application/json")
        || kind.len() > 5 && kind[kind.len() - 5..].eq_ignore_ascii_case(b"+json")
}

const MOST: u16 = 1000;

/// Section 12.4.2: `q=` and a number from 0 to 1 with at most three digits behind the point, here in thousandths. One that
/// is malformed counts as 0.
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', number @ ..] = parameter else { return None };
    let (whole, fraction) = match number {
        [whole @ (b'0' | b'1')] => (whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return Some(0),
    };
    let mut thousandths = u16::from(whole - b'0') * MOST;
    for (digit, worth) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return Some(0);
        }
        thousandths += u16::from(digit - b'0') * worth;
    }
    Some(thousandths.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_preferred_where_the_list_ranks_it_first() {
        let rows = [
            ("*/*", false),
            ("", false),
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/json, text/plain, */*", true),
            ("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", false),
            ("application/xml, text/plain, application/json", false),
            ("application/xml, text/html;q=0.5, application/json;q=0.6", true),
            ("application/json;q=0", false),
            ("application/json;q=0.001", true),
            ("application/json;q=2", false),
            ("application/json;q=0.1234", false),
            ("json", false),
            ("text/plain;q=0.4, application/json; q=0.5", true),
            ("text/html, image/jpeg, */*;q=0.8", false),
            (",,;;q=,", false),
        ];
        for (value, expected) in rows {
            assert_eq!(prefers_json(value.as_bytes()), expected, "{value}");
        }
    }
}
