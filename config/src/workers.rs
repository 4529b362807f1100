//! How many workers there are to be: a number, or a range within which the number follows the load.
//!
//! Only the value; `kinds/workers.rs` reads and writes it, and how it follows the load is the arbiter's to decide.

use std::fmt;

/// The least and the most workers; the same where the number is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// So many there are always.
    pub min: u32,
    /// There are never more.
    pub max: u32,
}

impl Workers {
    /// So many, whatever the load.
    #[must_use]
    pub const fn fixed(number: u32) -> Self {
        Self { min: number, max: number }
    }

    /// Whether the number follows the load.
    #[must_use]
    pub const fn is_range(self) -> bool {
        self.min < self.max
    }
}

/// `4`, or `2-8`.
impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_range() {
            true => write!(f, "{}-{}", self.min, self.max),
            false => write!(f, "{}", self.min),
        }
    }
}
