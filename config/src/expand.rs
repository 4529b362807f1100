//! `${NAME}` in the texts of the settings file, replaced from the environment.
//!
//! `${NAME:-text}` gives the text where the variable is unset or empty; `$${` is a plain `${`. Nothing else is special,
//! nothing is replaced twice, and keys are left alone. Called by `file.rs`.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::errors::Fault;
use crate::file::Source;
use crate::node::{Node, Raw};

/// What is wrong with one `${…}`, and the text to look for in the file.
#[derive(Debug, PartialEq)]
struct Trouble {
    written: String,
    says: String,
    hint: &'static str,
}

const LITERAL: &str = "for the characters themselves write $${";

/// Replaces variables in the node and all below it; gives what could not be, with its place.
pub(crate) fn node(node: &mut Node, source: &Source, key: &str, env: &BTreeMap<String, String>) -> Vec<Fault> {
    match &mut node.raw {
        Raw::Text(value) => match text(value, env) {
            Ok(expanded) => {
                *value = expanded;
                Vec::new()
            }
            Err(troubles) => troubles.iter().map(|trouble| fault(trouble, &node.span, source, key)).collect(),
        },
        Raw::List(nodes) => nodes.iter_mut().flat_map(|part| self::node(part, source, key, env)).collect(),
        Raw::Table(pairs) => pairs.iter_mut().flat_map(|(_, part)| self::node(part, source, key, env)).collect(),
        Raw::Whole(_) | Raw::Decimal(_) | Raw::Truth(_) | Raw::Date(_) => Vec::new(),
    }
}

/// Writes the texts in a value so that [`node`] gives them back as they are.
pub(crate) fn escape(value: &mut toml::Value) {
    match value {
        toml::Value::String(text) => *text = text.replace("${", "$${"),
        toml::Value::Array(parts) => parts.iter_mut().for_each(escape),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, part)| escape(part)),
        _ => {}
    }
}

/// The trouble at its place in the file: escapes may hide it there, then the whole value is meant.
fn fault(trouble: &Trouble, value: &Range<usize>, source: &Source, key: &str) -> Fault {
    let found = source.text.get(value.clone()).and_then(|text| text.find(&trouble.written));
    let span = found.map_or(value.clone(), |at| value.start + at..value.start + at + trouble.written.len());
    Fault::new(format!("`{key}` {}", trouble.says)).at(source.position(&span)).hint(trouble.hint.to_owned())
}

fn text(text: &str, env: &BTreeMap<String, String>) -> Result<String, Vec<Trouble>> {
    let mut expanded = String::with_capacity(text.len());
    let mut troubles = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(plain) = before.strip_suffix('$') {
            expanded.push_str(plain);
            expanded.push_str("${");
            rest = &from[2..];
            continue;
        }
        expanded.push_str(before);
        let Some(end) = from.find('}') else {
            let says = "opens ${ and does not close it".to_owned();
            troubles.push(Trouble { written: "${".to_owned(), says, hint: LITERAL });
            return Err(troubles);
        };
        match variable(&from[..=end], env) {
            Ok(value) => expanded.push_str(&value),
            Err(trouble) => troubles.push(trouble),
        }
        rest = &from[end + 1..];
    }
    expanded.push_str(rest);
    if troubles.is_empty() { Ok(expanded) } else { Err(troubles) }
}

/// The value of one `${…}`, given with its braces.
fn variable(written: &str, env: &BTreeMap<String, String>) -> Result<String, Trouble> {
    let inner = &written[2..written.len() - 1];
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let trouble = |says, hint| Err(Trouble { written: written.to_owned(), says, hint });
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return trouble(format!("uses {written}, which names no variable"), LITERAL);
    }
    match (env.get(name), default) {
        (Some(value), _) if value.contains('\u{fffd}') => {
            trouble(format!("uses the variable {name}, whose value is not UTF-8"), "write the value into the file")
        }
        (Some(value), None) => Ok(value.clone()),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value.clone()),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => trouble(
            format!("uses the variable {name}, which is not set"),
            "set it, or write ${NAME:-text} for a text to use without it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(value: &str) -> Result<String, Vec<String>> {
        let env = [("HOME", "/root"), ("EMPTY", ""), ("SELF", "${HOME}"), ("BAD", "\u{fffd}")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        text(value, &env).map_err(|troubles| troubles.into_iter().map(|trouble| trouble.says).collect())
    }

    #[test]
    fn variables_are_replaced_once() {
        let table = [
            ("", ""),
            ("plain $HOME $ $$ {x}", "plain $HOME $ $$ {x}"),
            ("${HOME}/run", "/root/run"),
            ("${HOME}${HOME}", "/root/root"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${UNSET:-}", ""),
            ("${UNSET:-a:-b}", "a:-b"),
            ("${HOME:-x}", "/root"),
            ("$${HOME}", "${HOME}"),
            ("é$${${HOME}}é", "é${/root}é"),
            ("${SELF}", "${HOME}"),
        ];
        for (text, value) in table {
            assert_eq!(expanded(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn every_trouble_in_a_text_is_told() {
        assert_eq!(
            expanded("${A} ${B} ${1} ${BAD} ${"),
            Err(vec![
                "uses the variable A, which is not set".to_owned(),
                "uses the variable B, which is not set".to_owned(),
                "uses ${1}, which names no variable".to_owned(),
                "uses the variable BAD, whose value is not UTF-8".to_owned(),
                "opens ${ and does not close it".to_owned(),
            ])
        );
    }
}
