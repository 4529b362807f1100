//! The local time as log lines carry it, and the clock that all processes share.
//!
//! Called by every process of ours, for lines in the log and for deadlines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Now, in local time with its offset from UTC: `2026-11-20 18:35:00 +0000`. Empty where the C library can't tell.
#[must_use]
pub fn local() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = libc::time_t::try_from(seconds).unwrap_or(0);
    // SAFETY: `tm` is plain data, for which all zeroes is a value.
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the types that localtime_r takes.
    if unsafe { libc::localtime_r(&raw const seconds, &raw mut broken_down) }.is_null() {
        return String::new();
    }
    let mut text = [0_u8; 40];
    // SAFETY: the buffer's true length is given, the format is NUL-terminated, and `broken_down` was filled above.
    let length = unsafe {
        libc::strftime(text.as_mut_ptr().cast(), text.len(), c"%Y-%m-%d %H:%M:%S %z".as_ptr(), &raw const broken_down)
    };
    String::from_utf8_lossy(&text[..length.min(text.len())]).into_owned()
}

/// Time since boot on the clock that every process of the machine reads alike (`CLOCK_MONOTONIC`).
#[must_use]
pub fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}
