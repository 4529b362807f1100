//! What the log says of the requests that a worker's end cuts off: how many, why, and which the first of them are.
//!
//! Filled by the reactor's `end`, which does the cutting.

/// So many are named.
const NAMED: usize = 5;

/// The requests that have been cut off so far.
#[derive(Debug, Default)]
pub(super) struct CutOff {
    count: usize,
    names: Vec<String>,
}

impl CutOff {
    /// One more, of which `name` says what it was.
    pub(super) fn note(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(name());
        }
    }

    /// Writes them down, if there are any.
    pub(super) fn tell(&self, why: &str) {
        if self.count == 0 {
            return;
        }
        let (count, names) = (self.count, self.names.join(", "));
        let more = match count - self.names.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        log::warn!("requests that were cut off by the worker's end: {count} ({why}): {names}{more}");
    }
}
