//! `HTTP_*` keys for header names, made once and kept.
//!
//! Clients send the same few dozen names all day. Each spelling that comes gets one interned key, up to a bound, so that a
//! stranger who invents names can't fill the memory; beyond it keys are made for the request and forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use pyo3::prelude::*;

use crate::text;

/// How many spellings are kept.
const MOST_NAMES: usize = 256;
/// The longest name worth keeping, in bytes.
const LONGEST: usize = 64;

/// The keys that have been met so far.
pub(crate) struct Names {
    known: HashMap<Box<[u8]>, Known, BuildHasherDefault<Fold>>,
    /// Keys to numbers, so that spellings of one name share a number.
    numbers: Vec<String>,
}

/// A kept key.
pub(crate) struct Known {
    /// The `environ` key.
    pub(crate) key: Py<PyAny>,
    /// Its place in a [`Seen`].
    pub(crate) number: usize,
    /// `Content-Length` and `Transfer-Encoding`, which the server answers for itself.
    pub(crate) is_framing: bool,
}

/// Which kept keys a request has had already.
#[derive(Default)]
pub(crate) struct Seen([u64; MOST_NAMES / 64]);

impl Seen {
    /// Marks the key with that number and tells whether it was marked before.
    #[inline]
    pub(crate) fn mark(&mut self, number: usize) -> bool {
        let (word, bit) = (&mut self.0[number / 64 % (MOST_NAMES / 64)], 1 << (number % 64));
        let before = *word & bit != 0;
        *word |= bit;
        before
    }
}

impl Names {
    pub(crate) fn new() -> Self {
        Self { known: HashMap::default(), numbers: Vec::new() }
    }

    /// The kept key for `name`, kept from now on if there is room; `None` where the caller must make one by [`key_of`].
    #[inline]
    pub(crate) fn find(&mut self, py: Python<'_>, name: &[u8]) -> Option<&Known> {
        // Two look-ups for a new name only; a single `entry` would allocate the name each time.
        if !self.known.contains_key(name) {
            self.keep(py, name)?;
        }
        self.known.get(name)
    }

    #[cold]
    fn keep(&mut self, py: Python<'_>, name: &[u8]) -> Option<()> {
        if self.known.len() >= MOST_NAMES || name.len() > LONGEST {
            return None;
        }
        let key = key_of(name);
        let number = self.numbers.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.numbers.push(key.clone());
            self.numbers.len() - 1
        });
        let is_framing = matches!(key.as_str(), "CONTENT_LENGTH" | "HTTP_TRANSFER_ENCODING");
        let key = text::interned(py, &std::ffi::CString::new(key).ok()?);
        self.known.insert(name.into(), Known { key, number, is_framing });
        Some(())
    }
}

/// The `environ` key of a header name (RFC 3875 section 4.1.18; PEP 3333, "environ Variables").
pub(crate) fn key_of(name: &[u8]) -> String {
    let upper: String =
        name.iter().map(|&byte| if byte == b'-' { '_' } else { byte.to_ascii_uppercase() as char }).collect();
    match upper.as_str() {
        "CONTENT_TYPE" | "CONTENT_LENGTH" => upper,
        _ => format!("HTTP_{upper}"),
    }
}

/// A multiply-and-rotate hash, a few instructions for names of this length. Its table is bounded and its entries never
/// change, so nothing is lost where a stranger finds collisions: at worst [`MOST_NAMES`] comparisons.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.write_u64(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let rest = words.remainder().iter().fold(0, |rest, &byte| rest << 8 | u64::from(byte));
        self.write_u64(rest);
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    #[inline]
    fn write_usize(&mut self, length: usize) {
        self.write_u64(length as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
