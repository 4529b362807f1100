//! The kinds of settings: how a value is read, merged, made absolute, checked and written. One small type each.
//!
//! Kinds know nothing of where a value came from; their complaints are the rest of a sentence that begins with the
//! setting's name. Used by the items, through the code that `define_settings!` writes.

mod accounts;
mod choices;
mod headers;
mod lists;
mod networks;
mod numbers;
mod paths;
mod texts;
mod workers;

use std::ops::Range;
use std::path::Path;

use crate::node::Node;

pub(crate) use accounts::{Account, Mask, Names};
pub(crate) use choices::{Choice, Choices};
pub(crate) use headers::{HeaderNames, SchemeHeaders, default_scheme_headers};
pub(crate) use lists::{BindList, PathList, Variables, WarmupList};
pub(crate) use networks::Networks;
pub(crate) use numbers::{DAY, HOUR, MINUTE, MemoryLimit, Size, Time, Whole};
pub use paths::LogTarget;
pub(crate) use paths::{Chdir, Interpreter, LogTo, OptionalPath, SocketPath, absolute};
pub(crate) use texts::{Switch, Text};
pub use workers::MOST_WORKERS;
pub(crate) use workers::WorkerCount;

/// What a kind says of itself, whatever its type.
pub(crate) trait Described: Sync {
    /// What it takes, as in "must be …".
    fn expected(&self) -> String;

    /// How many values a source may give.
    fn shape(&self) -> Shape {
        Shape::One
    }
}

/// How many values a source may give, and how flags give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One; of several flags the last counts.
    One,
    /// On or off: a pair of flags without values.
    Switch,
    /// Several; a flag may hold some, separated by commas.
    List,
    /// Several names with values; a flag holds one.
    Pairs,
}

/// A kind of setting, with the type of its values.
pub(crate) trait Kind: Described {
    /// The type of the field.
    type Value;

    /// Reads it.
    fn read(&self, node: &Node) -> Result<Self::Value, Vec<Complaint>>;

    /// Writes it as it would stand in a file; nothing where it is not set.
    fn value(&self, value: &Self::Value) -> Option<toml::Value>;

    /// Puts the value of a stronger source over that of a weaker one.
    fn merge(&self, old: &mut Self::Value, new: Self::Value) {
        *old = new;
    }

    /// Lets relative paths start from `base`.
    fn anchor(&self, _value: &mut Self::Value, _base: &Path) {}

    /// Checks what depends on the machine, once paths are absolute.
    fn verify(&self, _value: &Self::Value) -> Result<(), String> {
        Ok(())
    }
}

/// What is wrong with a value, as the rest of a sentence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Complaint {
    /// "must be …, not …".
    pub(crate) says: String,
    /// What to do, where that is not plain.
    pub(crate) hint: Option<String>,
    /// The part of the file it is about.
    pub(crate) span: Range<usize>,
}

impl Complaint {
    /// The value is not what the kind takes.
    pub(crate) fn unexpected(kind: &dyn Described, node: &Node) -> Self {
        Self::of(node, format!("must be {}, not {}", kind.expected(), node.seen()))
    }

    /// Anything else that is wrong with the value.
    pub(crate) fn of(node: &Node, says: impl Into<String>) -> Self {
        Self { says: says.into(), hint: None, span: node.span.clone() }
    }

    /// The same with a hint.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
