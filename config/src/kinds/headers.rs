//! Kinds that hold header names: those a proxy may set, and those by which it says "HTTPS".

use super::lists::{listed, not_a_pair, not_a_text, parts};
use super::{Complaint, Described, Kind, Shape};
use crate::node::{Node, Raw};

/// Names of headers in upper case, none twice; possibly none. `*` (which is a name as well) stands for all of them.
pub(crate) struct HeaderNames;

impl Described for HeaderNames {
    fn expected(&self) -> String {
        "the name of a header or a list of them, or \"*\"".to_owned()
    }

    fn shape(&self) -> Shape {
        Shape::List
    }
}

impl Kind for HeaderNames {
    type Value = Vec<String>;

    fn read(&self, node: &Node) -> Result<Vec<String>, Vec<Complaint>> {
        let one = |(part, text): (Node, &str)| {
            let name = header_name(text.trim(), &part)?.to_ascii_uppercase();
            Ok((part, name))
        };
        listed(parts(self, node)?.into_iter().map(one), Clone::clone)
    }

    fn value(&self, value: &Vec<String>) -> Option<toml::Value> {
        Some(toml::Value::Array(value.iter().cloned().map(toml::Value::String).collect()))
    }
}

/// Headers with the value that says "HTTPS", sorted by name; possibly none.
pub(crate) struct SchemeHeaders;

/// Those of gunicorn.
pub(crate) fn default_scheme_headers() -> Vec<(String, String)> {
    let headers = [("X-FORWARDED-PROTO", "https"), ("X-FORWARDED-PROTOCOL", "ssl"), ("X-FORWARDED-SSL", "on")];
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

impl Described for SchemeHeaders {
    fn expected(&self) -> String {
        "a table of header names and values, or NAME=VALUE".to_owned()
    }

    fn shape(&self) -> Shape {
        Shape::Pairs
    }
}

impl Kind for SchemeHeaders {
    type Value = Vec<(String, String)>;

    fn read(&self, node: &Node) -> Result<Self::Value, Vec<Complaint>> {
        let (mut pairs, mut complaints) = (Vec::new(), Vec::new());
        for pair in self.pairs(node)? {
            match pair.and_then(|(name, value, place)| self.pair(name, value, &place, &pairs)) {
                Ok(pair) => pairs.push(pair),
                Err(complaint) => complaints.push(complaint),
            }
        }
        // Sorted as TOML's tables are written, so that equal tables are equal values.
        pairs.sort();
        if complaints.is_empty() { Ok(pairs) } else { Err(complaints) }
    }

    // An empty table is written as well: it is not the default.
    fn value(&self, value: &Self::Value) -> Option<toml::Value> {
        let text = |(name, value): &(String, String)| (name.clone(), toml::Value::String(value.clone()));
        Some(toml::Value::Table(value.iter().map(text).collect()))
    }
}

/// A name, a value and the node to complain about.
type Pair<'a> = (&'a str, &'a str, Node);

impl SchemeHeaders {
    /// The names and values as they are given.
    fn pairs<'a>(&self, node: &'a Node) -> Result<Vec<Result<Pair<'a>, Complaint>>, Vec<Complaint>> {
        if let Raw::Table(entries) = &node.raw {
            let entry = |(key, value): &'a (Node, Node)| match (&key.raw, &value.raw) {
                (Raw::Text(name), Raw::Text(text)) => Ok((name.as_str(), text.as_str(), key.clone())),
                _ => Err(not_a_text(key, value)),
            };
            return Ok(entries.iter().map(entry).collect());
        }
        let part = |(part, text): (Node, &'a str)| match text.split_once('=') {
            Some((name, value)) => Ok((name.trim(), value.trim(), part)),
            None => Err(not_a_pair(node, &part, text)),
        };
        Ok(parts(self, node)?.into_iter().map(part).collect())
    }

    /// The name and the value, if they can stand in a request and the name is a new one.
    fn pair(
        &self,
        name: &str,
        value: &str,
        place: &Node,
        known: &[(String, String)],
    ) -> Result<(String, String), Complaint> {
        let name = header_name(name, place)?;
        not_of_wsgi(name, place)?;
        if let Some((other, _)) = known.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            let names = if other == name {
                format!("{name} twice")
            } else {
                format!("{other} and {name}, which are the same header")
            };
            return Err(Complaint::of(place, format!("names {names}")));
        }
        if value.is_empty() {
            return Err(Complaint::of(place, format!("holds no value for {name}: give the one that says \"HTTPS\"")));
        }
        if value.trim() != value || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let says = format!("holds {value:?} for {name}; a value is plain ASCII, with no space around it");
            return Err(Complaint::of(place, says));
        }
        Ok((name.to_owned(), value.to_owned()))
    }
}

/// The text, if a header can be called so: a token (RFC 9110 section 5.6.2).
fn header_name<'a>(text: &'a str, node: &Node) -> Result<&'a str, Complaint> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err(Complaint::of(node, format!("holds {text:?}, which cannot be a header's name")));
    }
    Ok(text)
}

/// A name as WSGI's environment has it, and Django's settings, is none that a proxy sends.
fn not_of_wsgi(name: &str, node: &Node) -> Result<(), Complaint> {
    match name.split_at_checked(5) {
        Some((start, rest)) if start.eq_ignore_ascii_case("HTTP_") => {
            let complaint = Complaint::of(node, format!("holds {name:?}, which is no header's name but WSGI's for it"));
            Err(complaint.hint(format!("write the name that is sent, as in {}", rest.replace('_', "-"))))
        }
        _ => Ok(()),
    }
}
