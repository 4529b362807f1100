//! JSON as it is written for `status` (RFC 8259): flat objects, put together as text. Reads none.

use std::fmt::{Display, Write};
use std::time::Duration;

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    /// One without members.
    #[must_use]
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        let value = quoted(value);
        self.raw(name, &value);
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str, value: impl Display) {
        self.raw(name, &value.to_string());
    }

    /// A number, or null.
    pub(super) fn optional(&mut self, name: &str, value: Option<impl Display>) {
        let value = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
        self.raw(name, &value);
    }

    /// A time in seconds, to the millisecond, or null.
    pub(super) fn seconds(&mut self, name: &str, value: Option<Duration>) {
        self.optional(name, value.map(|time| format!("{}.{:03}", time.as_secs(), time.subsec_millis())));
    }

    /// Values that are JSON already.
    pub(super) fn list(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let values = values.collect::<Vec<_>>().join(",");
        self.raw(name, &format!("[{values}]"));
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, name: &str, value: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}{}:{value}", quoted(name));
    }

    /// The whole object.
    #[must_use]
    pub(super) fn close(self) -> String {
        self.0 + "}"
    }
}

/// A text in quotation marks, with what may not stand there as it is (RFC 8259, section 7) written otherwise. No control
/// character is left, not even those that the RFC lets pass: the text may be for a terminal.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Of the control characters, all are below U+00A0. U+2028 and U+2029 end lines for some readers.
            _ if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let table = [
            ("", r#""""#),
            (r#"say "a\b""#, r#""say \"a\\b\"""#),
            ("a\r\n\tb", r#""a\r\n\tb""#),
            ("\0\u{1b}[2J\u{7f}\u{85}", r#""\u0000\u001b[2J\u007f\u0085""#),
            ("é😀\u{2028}", "\"é😀\\u2028\""),
        ];
        for (text, json) in table {
            assert_eq!(quoted(text), json, "{text:?}");
        }
    }

    #[test]
    fn members_are_separated_and_times_are_seconds() {
        assert_eq!(Object::new().close(), "{}");
        let mut object = Object::new();
        object.number("a", 1);
        object.optional("b", None::<u32>);
        object.seconds("c", Some(Duration::from_millis(1002)));
        object.list("d", ["1".to_owned(), "{}".to_owned()].into_iter());
        assert_eq!(object.close(), r#"{"a":1,"b":null,"c":1.002,"d":[1,{}]}"#);
    }
}
