//! A value as a source gave it, before a kind reads it: a tree with the place of each part in the file.
//!
//! Knows TOML's values and nothing of settings. Made by `file.rs`, `environment.rs` and `cli.rs`; read by `kinds/`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands in the file, in bytes; elsewhere the place is empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// The value.
    pub(crate) raw: Raw,
    /// Its place in the file.
    pub(crate) span: Range<usize>,
}

/// A value without its meaning. Variables and flags give texts, whatever they are to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// A text.
    Text(String),
    /// A whole number, or the digits of one that is too large to be any setting.
    Whole(Result<i64, String>),
    /// A number with a fraction.
    Decimal(f64),
    /// `true` or `false`.
    Truth(bool),
    /// A date or time, as written: no setting is one.
    Date(String),
    /// A list.
    List(Vec<Node>),
    /// A table, in the order of the file.
    Table(Vec<(Node, Node)>),
}

impl Node {
    /// A text from a variable or a flag.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { raw: Raw::Text(text.into()), span: 0..0 }
    }

    /// A list from repeated flags.
    pub(crate) fn list(texts: impl IntoIterator<Item = String>) -> Self {
        Self { raw: Raw::List(texts.into_iter().map(Self::text).collect()), span: 0..0 }
    }

    /// What it is, for a message: the value where it is short, else its type.
    pub(crate) fn seen(&self) -> String {
        match &self.raw {
            Raw::Text(text) => format!("{text:?}"),
            Raw::Whole(Ok(number)) => number.to_string(),
            Raw::Whole(Err(digits)) | Raw::Date(digits) => digits.clone(),
            Raw::Decimal(number) => number.to_string(),
            Raw::Truth(truth) => truth.to_string(),
            Raw::List(_) => "a list".to_owned(),
            Raw::Table(_) => "a table".to_owned(),
        }
    }

    /// The parser's value as a node.
    pub(crate) fn of_toml(value: &Spanned<DeValue<'_>>) -> Self {
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(digits) => {
                Raw::Whole(i64::from_str_radix(digits.as_str(), digits.radix()).map_err(|_| digits.as_str().to_owned()))
            }
            DeValue::Float(digits) => Raw::Decimal(digits.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(truth) => Raw::Truth(*truth),
            DeValue::Datetime(date) => Raw::Date(date.to_string()),
            DeValue::Array(values) => Raw::List(values.iter().map(Self::of_toml).collect()),
            DeValue::Table(table) => Raw::Table(entries(table)),
        };
        Self { raw, span: value.span() }
    }
}

/// A table's keys and values, in the order of the file.
pub(crate) fn entries(table: &DeTable<'_>) -> Vec<(Node, Node)> {
    let key = |key: &Spanned<_>| Node { raw: Raw::Text(ToString::to_string(key.get_ref())), span: key.span() };
    let mut entries: Vec<_> = table.iter().map(|(name, value)| (key(name), Node::of_toml(value))).collect();
    entries.sort_by_key(|(name, _)| name.span.start);
    entries
}
