//! The Forwarded field (RFC 7239): elements separated by commas, one for each proxy, of pairs separated by semicolons.
//!
//! Checks the whole grammar in every element, also in those whose content does not matter: who can smuggle a quote
//! into the list decides where the elements of others begin. Called by [`forwarded`](super).

use std::borrow::Cow;

use super::Scheme;
use super::node::Node;
use super::place::host;
use crate::grammar::{has_control, is_space, is_token, is_token_byte, trim};
use crate::networks::Networks;
use crate::reject::Reason;

/// How many pairs an element may have. Four are registered.
const MAX_PAIRS: usize = 16;

/// What all fields so far say, read from the left.
#[derive(Debug, Default)]
pub(super) struct Said<'b> {
    client: Option<Node>,
    /// Whether any element names a client.
    names_clients: bool,
    last: Element<'b>,
}

#[derive(Debug, Default)]
struct Element<'b> {
    names: [&'b [u8]; MAX_PAIRS],
    pairs: usize,
    client: Option<Node>,
    proto: Option<Cow<'b, [u8]>>,
    host: Option<&'b [u8]>,
}

impl<'b> Said<'b> {
    /// Takes one field's value into account; `None` if it is malformed. A field is read by itself, as every proxy
    /// writes it: a quoted string does not reach from one into the next.
    ///
    /// Section 4: `1#( [ pair ] *( ";" [ pair ] ) )`. Empty elements are skipped (RFC 9110 section 5.6.1.2). Whitespace
    /// around semicolons is not in the grammar, but some proxies write it and it means nothing.
    pub(super) fn take(&mut self, value: &'b [u8], proxies: &Networks) -> Option<()> {
        let mut rest = trim(value);
        let mut elements = 0;
        loop {
            let mut element = Element::default();
            rest = element.read(rest)?;
            if element.pairs > 0 {
                elements += 1;
                self.push(element, proxies);
            }
            match rest {
                [b',', behind @ ..] => rest = behind,
                [] => return (elements > 0).then_some(()),
                _ => return None,
            }
        }
    }

    /// The same walk as through X-Forwarded-For, from the left: what is passed from the right does not replace what
    /// stands left of it. A proxy that names nobody ends a walk like one that says "unknown".
    fn push(&mut self, element: Element<'b>, proxies: &Networks) {
        let client = element.client.unwrap_or(Node::Hidden);
        self.names_clients |= element.client.is_some();
        if self.client.is_none() || !client.is_passed(proxies) {
            self.client = Some(client);
        }
        self.last = element;
    }

    /// The client; `None` where no element names one.
    pub(super) fn client(&self) -> Option<Node> {
        self.client.filter(|_| self.names_clients)
    }

    /// The scheme that the last element names.
    pub(super) fn scheme(&self) -> Result<Option<Scheme>, Reason> {
        let proto = self.last.proto.as_deref();
        proto.map(|proto| Scheme::parse(proto).ok_or(Reason::ForwardedMalformed)).transpose()
    }

    /// The host that the last element names.
    pub(super) fn host(&self) -> Option<&'b [u8]> {
        self.last.host
    }
}

impl<'b> Element<'b> {
    /// Reads pairs up to a comma or the end, and returns what is left.
    fn read(&mut self, value: &'b [u8]) -> Option<&'b [u8]> {
        let mut rest = value;
        loop {
            rest = without_space(rest);
            if !matches!(rest, [] | [b';' | b',', ..]) {
                rest = without_space(self.pair(rest)?);
            }
            match rest {
                [b';', behind @ ..] => rest = behind,
                _ => return Some(rest),
            }
        }
    }

    /// Section 4: `token "=" ( token / quoted-string )`, and no name twice in an element, in whatever case.
    fn pair(&mut self, text: &'b [u8]) -> Option<&'b [u8]> {
        let equals = memchr::memchr(b'=', text)?;
        let (name, value) = (&text[..equals], &text[equals + 1..]);
        let is_new = !self.names[..self.pairs].iter().any(|earlier| earlier.eq_ignore_ascii_case(name));
        if !is_token(name) || !is_new {
            return None;
        }
        *self.names.get_mut(self.pairs)? = name;
        self.pairs += 1;
        let (value, rest) = match value {
            [b'"', quoted @ ..] => unquoted(quoted)?,
            _ => {
                let end = value.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(value.len());
                if end == 0 {
                    return None;
                }
                (Cow::Borrowed(&value[..end]), &value[end..])
            }
        };
        self.mean(name, value).map(|()| rest)
    }

    /// Section 5: the four parameters that are registered, each with a grammar of its own.
    fn mean(&mut self, name: &[u8], value: Cow<'b, [u8]>) -> Option<()> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"for") {
            self.client = Some(Node::parse(&value)?);
        } else if is(b"by") {
            Node::parse(&value)?;
        } else if is(b"proto") {
            self.proto = Some(value);
        } else if is(b"host") {
            // No character of a host needs an escape, so who uses one has something to hide.
            let Cow::Borrowed(value) = value else { return None };
            self.host = Some(host(value)?);
        }
        Some(())
    }
}

fn without_space(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|&&byte| is_space(byte)).count();
    &text[spaces..]
}

/// RFC 9110 section 5.6.4: a quoted string's content, from behind its first quote, and what follows its last.
fn unquoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut end = 0;
    let mut has_escapes = false;
    loop {
        let rest = text.get(end..)?;
        end += memchr::memchr2(b'"', b'\\', rest)?;
        if text[end] == b'"' {
            break;
        }
        has_escapes = true;
        end += 2;
    }
    let content = &text[..end];
    if has_control(content) {
        return None;
    }
    let content = if has_escapes { Cow::Owned(unescaped(content)) } else { Cow::Borrowed(content) };
    Some((content, &text[end + 1..]))
}

fn unescaped(content: &[u8]) -> Vec<u8> {
    let mut bytes = content.iter().copied();
    let mut plain = Vec::with_capacity(content.len());
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
    }
    plain
}
