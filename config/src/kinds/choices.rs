//! Kinds that are one word of a few, or several of them. The words themselves are in `words.rs`.

use super::lists::{listed, parts};
use super::{Complaint, Described, Kind, Shape};
use crate::node::{Node, Raw};

/// One of a few words, upper and lower case alike.
pub(crate) struct Choice<T: 'static> {
    /// What there is to choose from.
    pub(crate) all: &'static [T],
    /// The word of each.
    pub(crate) name: fn(T) -> &'static str,
}

impl<T: Copy + Sync> Described for Choice<T> {
    fn expected(&self) -> String {
        let words: Vec<_> = self.all.iter().map(|one| (self.name)(*one)).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }
}

impl<T: Copy + Sync> Choice<T> {
    /// What the word means, or a complaint with the word that was meant.
    fn meaning(&self, text: &str, complaint: Complaint) -> Result<T, Complaint> {
        let text = text.trim().to_ascii_lowercase();
        self.all.iter().copied().find(|one| (self.name)(*one) == text).ok_or_else(|| {
            match crate::foreign::nearest(&text, self.all.iter().map(|one| (self.name)(*one))) {
                Some(near) => complaint.hint(format!("did you mean \"{near}\"?")),
                None => complaint,
            }
        })
    }
}

impl<T: Copy + Sync> Kind for Choice<T> {
    type Value = T;

    fn read(&self, node: &Node) -> Result<T, Vec<Complaint>> {
        let complaint = Complaint::unexpected(self, node);
        match &node.raw {
            Raw::Text(text) => self.meaning(text, complaint).map_err(|complaint| vec![complaint]),
            _ => Err(vec![complaint]),
        }
    }

    fn value(&self, value: &T) -> Option<toml::Value> {
        Some(toml::Value::String((self.name)(*value).to_owned()))
    }
}

/// Several of a few words, none twice; possibly none.
pub(crate) struct Choices<T: 'static> {
    /// What there is to choose from.
    pub(crate) all: &'static [T],
    /// The word of each.
    pub(crate) name: fn(T) -> &'static str,
}

impl<T: Copy + Sync> Choices<T> {
    fn one(&self) -> Choice<T> {
        Choice { all: self.all, name: self.name }
    }
}

impl<T: Copy + Sync> Described for Choices<T> {
    fn expected(&self) -> String {
        format!("a list of {}", self.one().expected())
    }

    fn shape(&self) -> Shape {
        Shape::List
    }
}

impl<T: Copy + PartialEq + Sync> Kind for Choices<T> {
    type Value = Vec<T>;

    fn read(&self, node: &Node) -> Result<Vec<T>, Vec<Complaint>> {
        let one = |(part, text): (Node, &str)| {
            let complaint = Complaint::of(&part, format!("must hold {}, not {text:?}", self.one().expected()));
            self.one().meaning(text, complaint).map(|one| (part, one))
        };
        listed(parts(self, node)?.into_iter().map(one), |one| (self.name)(*one).to_owned())
    }

    fn value(&self, value: &Vec<T>) -> Option<toml::Value> {
        let word = |one: &T| toml::Value::String((self.name)(*one).to_owned());
        Some(toml::Value::Array(value.iter().map(word).collect()))
    }
}
