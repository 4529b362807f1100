//! Kinds that are a number: counts, durations, sizes.
//!
//! A text that holds the number does as well, since variables and flags give nothing else.

use std::fmt::Display;
use std::time::Duration;

use super::{Complaint, Described, Kind};
use crate::node::{Node, Raw};
use crate::value::{self, Misread};

/// A minute, in milliseconds.
pub(crate) const MINUTE: u64 = 60 * 1000;
/// An hour, in milliseconds.
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// A day, in milliseconds.
pub(crate) const DAY: u64 = 24 * HOUR;

/// A whole number within bounds.
pub(crate) struct Whole<T> {
    pub(crate) min: T,
    pub(crate) max: T,
}

impl<T: Display + Sync> Described for Whole<T> {
    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }
}

impl<T: Copy + Display + PartialOrd + Sync + TryFrom<i64> + TryInto<i64>> Kind for Whole<T> {
    type Value = T;

    fn read(&self, node: &Node) -> Result<T, Vec<Complaint>> {
        let number = match &node.raw {
            Raw::Whole(number) => number.clone().ok(),
            Raw::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        number
            .filter(|number| (self.min..=self.max).contains(number))
            .ok_or_else(|| vec![Complaint::unexpected(self, node)])
    }

    fn value(&self, value: &T) -> Option<toml::Value> {
        (*value).try_into().ok().map(toml::Value::Integer)
    }
}

/// A duration, to the millisecond, as are its bounds.
pub(crate) struct Time {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Described for Time {
    fn expected(&self) -> String {
        let bound = |bound: u64| match bound {
            0 => "0".to_owned(),
            _ => value::duration_text(Duration::from_millis(bound)),
        };
        format!("a duration such as 30, \"30s\", \"500ms\" or \"2m\", from {} to {}", bound(self.min), bound(self.max))
    }
}

impl Kind for Time {
    type Value = Duration;

    fn read(&self, node: &Node) -> Result<Duration, Vec<Complaint>> {
        let bounds = Duration::from_millis(self.min)..=Duration::from_millis(self.max);
        match written(node).map(|text| value::duration(&text)) {
            Some(Ok(time)) if bounds.contains(&time) => Ok(time),
            Some(Err(Misread::TooFine)) => Err(vec![
                Complaint::unexpected(self, node).hint("the smallest unit is the millisecond: whole numbers of ms"),
            ]),
            _ => Err(vec![Complaint::unexpected(self, node)]),
        }
    }

    fn value(&self, value: &Duration) -> Option<toml::Value> {
        Some(toml::Value::String(value::duration_text(*value)))
    }
}

/// A size in bytes, within bounds.
pub(crate) struct Size<T> {
    pub(crate) min: T,
    pub(crate) max: T,
}

impl<T: Copy + Display + Sync + TryInto<u64>> Described for Size<T> {
    fn expected(&self) -> String {
        let bound = |bytes: T| bytes.try_into().ok().and_then(value::size_text).unwrap_or_else(|| bytes.to_string());
        let example = "a size in bytes such as 1024, \"64k\" or \"10MiB\"";
        // A bound that only keeps the number storable is none that anybody meets.
        match self.max.try_into() {
            Ok(max) if max == i64::MAX.unsigned_abs() => example.to_owned(),
            _ => format!("{example}, from {} to {}", bound(self.min), bound(self.max)),
        }
    }
}

impl<T: Copy + Display + PartialOrd + Sync + TryFrom<u64> + TryInto<u64>> Kind for Size<T> {
    type Value = T;

    fn read(&self, node: &Node) -> Result<T, Vec<Complaint>> {
        let bytes = written(node).and_then(|text| value::size(&text).ok());
        bytes
            .and_then(|bytes| T::try_from(bytes).ok())
            .filter(|bytes| (self.min..=self.max).contains(bytes))
            .ok_or_else(|| vec![Complaint::unexpected(self, node)])
    }

    fn value(&self, value: &T) -> Option<toml::Value> {
        let bytes: u64 = (*value).try_into().ok()?;
        let number = || i64::try_from(bytes).ok().map(toml::Value::Integer);
        value::size_text(bytes).map(toml::Value::String).or_else(number)
    }
}

/// How much memory a process may have, in bytes; 0 is no limit. One that no interpreter could keep to is taken for a slip.
pub(crate) struct MemoryLimit;

/// The least that can be asked for.
const LEAST_MEMORY: u64 = 16 << 20;
const MEMORY: Size<u64> = Size { min: 0, max: i64::MAX.unsigned_abs() };

impl Described for MemoryLimit {
    fn expected(&self) -> String {
        "a size such as \"512MiB\" or \"1.5GiB\" of at least 16 MiB, or 0".to_owned()
    }
}

impl Kind for MemoryLimit {
    type Value = u64;

    fn read(&self, node: &Node) -> Result<u64, Vec<Complaint>> {
        let complaint = || Complaint::unexpected(self, node);
        let bytes = MEMORY.read(node).map_err(|_| vec![complaint()])?;
        match bytes {
            0 | LEAST_MEMORY.. => Ok(bytes),
            _ => Err(vec![complaint().hint("a number without a unit is bytes: write \"512MiB\" for megabytes")]),
        }
    }

    fn value(&self, value: &u64) -> Option<toml::Value> {
        MEMORY.value(value)
    }
}

/// A number as text, whichever way it was given.
fn written(node: &Node) -> Option<String> {
    match &node.raw {
        Raw::Text(text) => Some(text.trim().to_owned()),
        Raw::Whole(Ok(number)) => Some(number.to_string()),
        Raw::Decimal(number) => Some(number.to_string()),
        _ => None,
    }
}
