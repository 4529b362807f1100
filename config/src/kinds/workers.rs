//! The kind that is a number of workers, or a range of it.
//!
//! In a file a range is a table, `{ min = 2, max = 8 }`; flags and variables, which give nothing but texts, say `2-8`, and so
//! may a file.

use super::numbers::Whole;
use super::{Complaint, Described, Kind};
use crate::node::{Node, Raw};
use crate::workers::Workers;

/// The number of workers, or the least and the most; `auto` becomes a number when it is read.
pub(crate) struct WorkerCount;

/// The most workers that can be asked for.
pub const MOST_WORKERS: u32 = 1024;
const WORKERS: Whole<u32> = Whole { min: 1, max: MOST_WORKERS };

impl Described for WorkerCount {
    fn expected(&self) -> String {
        format!("{}, \"auto\", or a range such as \"2-8\" or {{ min = 2, max = 8 }}", WORKERS.expected())
    }
}

impl Kind for WorkerCount {
    type Value = Workers;

    fn read(&self, node: &Node) -> Result<Workers, Vec<Complaint>> {
        let unexpected = || vec![Complaint::unexpected(self, node)];
        match &node.raw {
            Raw::Table(entries) => table(node, entries),
            Raw::Text(text) => match text.split_once('-') {
                Some((min, max)) => {
                    let part = |text: &str| Node { raw: Raw::Text(text.trim().to_owned()), span: node.span.clone() };
                    let min = WORKERS.read(&part(min)).map_err(|_| unexpected())?;
                    let max = most(&part(max), min).map_err(|_| unexpected())?;
                    in_order(node, min, max)
                }
                None => most(node, WORKERS.min).map(Workers::fixed).map_err(|_| unexpected()),
            },
            _ => WORKERS.read(node).map(Workers::fixed).map_err(|_| unexpected()),
        }
    }

    fn value(&self, value: &Workers) -> Option<toml::Value> {
        match value.is_range() {
            // As a table it would stand under a heading at the file's end, away from what belongs to it.
            true => Some(toml::Value::String(value.to_string())),
            false => WORKERS.value(&value.min),
        }
    }
}

/// A range as a file's table gives it: all that is wrong with it, each at its place.
fn table(node: &Node, entries: &[(Node, Node)]) -> Result<Workers, Vec<Complaint>> {
    let (mut min, mut max, mut complaints) = (None, None, Vec::new());
    for (key, value) in entries {
        match &key.raw {
            Raw::Text(name) if name == "min" => min = Some(value),
            Raw::Text(name) if name == "max" => max = Some(value),
            _ => complaints.push(Complaint::of(key, format!("must hold `min` and `max` alone, not {}", key.seen()))),
        }
    }
    let (Some(min), Some(max)) = (min, max) else {
        // Where a key is wrong, it is the one that is missing.
        let missing = || vec![Complaint::of(node, "must hold both `min` and `max`, or be a number")];
        return Err(if complaints.is_empty() { missing() } else { complaints });
    };
    let wrong = |key: &str, expected: String, node: &Node| {
        Complaint::of(node, format!("must have as its `{key}` {expected}, not {}", node.seen()))
    };
    let least = WORKERS.read(min).map_err(|_| complaints.push(wrong("min", WORKERS.expected(), min))).ok();
    let auto = || format!("{}, or \"auto\"", WORKERS.expected());
    let most = most(max, least.unwrap_or(WORKERS.min)).map_err(|_| complaints.push(wrong("max", auto(), max))).ok();
    match (least, most) {
        (Some(least), Some(most)) if complaints.is_empty() => in_order(max, least, most),
        _ => Err(complaints),
    }
}

/// The most workers: a number, or as many as there are CPUs, but not fewer than `least`, since a file may be used on many
/// machines.
fn most(node: &Node, least: u32) -> Result<u32, Vec<Complaint>> {
    match &node.raw {
        Raw::Text(text) if text.trim() == "auto" => Ok(crate::cpus::usable().clamp(least, WORKERS.max)),
        _ => WORKERS.read(node),
    }
}

fn in_order(place: &Node, min: u32, max: u32) -> Result<Workers, Vec<Complaint>> {
    match min <= max {
        true => Ok(Workers { min, max }),
        false => {
            Err(vec![Complaint::of(place, format!("must have a `max` that is at least its `min`, {min}, not {max}"))])
        }
    }
}
