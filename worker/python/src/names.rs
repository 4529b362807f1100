//! `HTTP_*` keys for header names, made once and kept.
//!
//! Clients send the same few dozen names all day. Each spelling that comes gets one interned key, up to a bound, so that a
//! stranger who invents names can't fill the memory; beyond it keys are made for the request and forgotten. The names in
//! common use are kept from the start, so that inventing names does not make the others' requests slower either.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use crate::text::{encode_latin1, interned, latin1};

/// How many spellings are kept.
const MOST_NAMES: usize = 512;
/// The longest name worth keeping, in bytes.
const LONGEST: usize = 64;

/// The longest value worth keeping, in bytes.
const LONGEST_VALUE: usize = 256;

/// Keys whose values are not kept beyond their requests.
const SECRET: [&str; 3] = ["HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_PROXY_AUTHORIZATION"];

/// Names that are kept from the start, in this spelling and in lower case, so that no stranger's can take their place.
const COMMON: [&str; 52] = [
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "CF-Connecting-IP",
    "CF-IPCountry",
    "CF-Ray",
    "CF-Visitor",
    "Connection",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "Date",
    "DNT",
    "Expect",
    "Forwarded",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Origin",
    "Pragma",
    "Priority",
    "Proxy-Connection",
    "Range",
    "Referer",
    "Sec-CH-UA",
    "Sec-CH-UA-Mobile",
    "Sec-CH-UA-Platform",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "TE",
    "Traceparent",
    "Tracestate",
    "Upgrade",
    "Upgrade-Insecure-Requests",
    "User-Agent",
    "Via",
    "X-CSRFToken",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Request-ID",
];

/// The keys that have been met so far.
pub(crate) struct Names {
    /// Spellings to places in `kept`: an index can be taken from the map and the map then be added to, where a reference
    /// would hold it, so that a name is hashed once.
    places: HashMap<Box<[u8]>, usize, BuildHasherDefault<Fold>>,
    kept: Vec<Known>,
    /// Keys to numbers, so that spellings of one name share a number.
    numbers: Vec<String>,
}

/// A kept key.
pub(crate) struct Known {
    /// The `environ` key.
    pub(crate) key: Py<PyAny>,
    /// Its place in a [`Seen`].
    pub(crate) number: usize,
    value: LastValue,
}

/// The value that a name had last. Most names come with the same one again and again: those that a proxy sends, and those
/// that a client repeats on its connection.
enum LastValue {
    /// None has come that is worth keeping.
    None,
    /// All ASCII, and no longer than [`LONGEST_VALUE`].
    Kept(Py<PyAny>),
    /// It is not to outlive its request.
    Secret,
}

impl Known {
    /// A value of this name as a string; `None` where memory ran out.
    #[inline]
    pub(crate) fn value<'py>(&mut self, py: Python<'py>, bytes: &[u8]) -> Option<Bound<'py, PyAny>> {
        if let LastValue::Kept(last) = &self.value {
            // SAFETY: attached by `py`, and kept by this value while it is compared.
            let same = unsafe { encode_latin1(last.as_ptr()) }.is_ok_and(|last| last.bytes() == bytes);
            if same {
                return Some(last.bind(py).clone());
            }
        }
        let value = latin1(py, bytes)?;
        if !matches!(self.value, LastValue::Secret) && bytes.len() <= LONGEST_VALUE && bytes.is_ascii() {
            self.value = LastValue::Kept(value.clone().unbind());
        }
        Some(value)
    }
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

/// Made for the first who asks for one.
static PROVIDED: Mutex<Option<Names>> = Mutex::new(None);

/// Makes the names of the first thread, in the template already.
pub(crate) fn provide(py: Python<'_>) {
    let names = Names::made(py);
    *PROVIDED.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
}

impl Names {
    pub(crate) fn new(py: Python<'_>) -> Self {
        let provided = PROVIDED.lock().unwrap_or_else(PoisonError::into_inner).take();
        provided.unwrap_or_else(|| Self::made(py))
    }

    fn made(py: Python<'_>) -> Self {
        let mut names = Self { places: HashMap::default(), kept: Vec::new(), numbers: Vec::new() };
        for name in COMMON {
            names.keep(py, name.as_bytes());
            names.keep(py, name.to_ascii_lowercase().as_bytes());
        }
        names
    }

    /// The kept key for `name`, kept from now on if there is room; `None` where the caller must make one by [`key_of`].
    #[inline]
    pub(crate) fn find(&mut self, py: Python<'_>, name: &[u8]) -> Option<&mut Known> {
        let place = match self.places.get(name) {
            Some(&place) => place,
            None => self.keep(py, name)?,
        };
        self.kept.get_mut(place)
    }

    #[cold]
    fn keep(&mut self, py: Python<'_>, name: &[u8]) -> Option<usize> {
        if self.kept.len() >= MOST_NAMES || name.len() > LONGEST {
            return None;
        }
        let key = key_of(name);
        let number = self.numbers.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.numbers.push(key.clone());
            self.numbers.len() - 1
        });
        let value = if SECRET.contains(&key.as_str()) { LastValue::Secret } else { LastValue::None };
        let key = interned(py, &std::ffi::CString::new(key).ok()?);
        let place = self.kept.len();
        self.kept.push(Known { key, number, value });
        self.places.insert(name.into(), place);
        Some(place)
    }
}

/// Whether the name, however it is spelled, is one of those that the server answers for itself: no such field ever reaches
/// `environ`, where `CONTENT_LENGTH` is the length of the body that is here. An underscore is a hyphen there.
#[inline]
pub(crate) fn is_framing(name: &[u8]) -> bool {
    let is = |known: &[u8], hyphen: usize| {
        let (before, behind) = name.split_at(hyphen);
        before.eq_ignore_ascii_case(&known[..hyphen])
            && matches!(behind[0], b'-' | b'_')
            && behind[1..].eq_ignore_ascii_case(&known[hyphen + 1..])
    };
    match name.len() {
        14 => is(b"content-length", 7),
        17 => is(b"transfer-encoding", 8),
        _ => false,
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
