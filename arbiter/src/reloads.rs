//! What the arbiter knows of reloads: those that are under way, those that wait, and what came of the last one.
//!
//! Only values; `decide/reloads.rs` changes them.

use std::collections::VecDeque;

/// Reloads, from the signal to the conclusion.
#[derive(Debug, Default)]
pub struct Reloads {
    /// How many have begun. Each has the number that this was then.
    pub begun: u64,
    /// Those that have begun and not been concluded, by their numbers, oldest first. More than one only where the next does not
    /// wait for the one before: see `decide/reloads.rs`.
    pub under_way: VecDeque<u64>,
    /// Whether the settings are being read, of which nobody knows yet whether they are good.
    pub is_loading: bool,
    /// How often another one has been asked for meanwhile. All of these together are taken up as one.
    pub waiting: u32,
    /// Why the last one failed, in one line; `None` where it did not, or the next has begun.
    pub failure: Option<String>,
    /// Whether that was given up which rolled: its generation serves, and may come to serve alone yet.
    pub has_faltered: bool,
}
