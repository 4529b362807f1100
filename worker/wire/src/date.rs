//! The Date field's value (RFC 9110 section 5.6.7, IMF-fixdate), made once a second.
//!
//! Reads no clock: the caller, who knows the time anyway, says which second it is.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The end of the year 9999, behind which the format has no dates.
const LAST_SECOND: u64 = 253_402_300_799;

/// The text of one second, kept until another second is asked for.
#[derive(Clone, Debug)]
pub struct DateCache {
    second: u64,
    text: [u8; 29],
}

impl DateCache {
    /// A cache that holds the first second of 1970.
    #[must_use]
    pub fn new() -> Self {
        Self { second: 0, text: *b"Thu, 01 Jan 1970 00:00:00 GMT" }
    }

    /// The date of this second since 1970 in UTC. Years above 9999 read as the last second of 9999.
    #[inline]
    pub fn at(&mut self, unix_second: u64) -> &[u8; 29] {
        if unix_second != self.second {
            self.set(unix_second);
        }
        &self.text
    }

    #[cold]
    fn set(&mut self, unix_second: u64) {
        let time = UNIX_EPOCH + Duration::from_secs(unix_second.min(LAST_SECOND));
        // Such a date has 29 bytes, so that writing it into 29 can't fail; if it could, the old date would stay.
        let mut text = self.text;
        if write!(&mut text[..], "{}", httpdate::HttpDate::from(time)).is_ok() {
            self.text = text;
        }
        self.second = unix_second;
    }
}

impl Default for DateCache {
    fn default() -> Self {
        Self::new()
    }
}
