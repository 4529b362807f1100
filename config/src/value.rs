//! Durations and sizes as people write them: a number and a unit. Pure functions; read and written by `kinds/numbers.rs`.

use std::time::Duration;

/// Why a quantity cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misread {
    /// It is no number with a known unit.
    Unreadable,
    /// It is finer than the smallest unit.
    TooFine,
    /// It does not fit 64 bits.
    TooLarge,
}

const MILLISECONDS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("", 1000)];

// A lone letter is binary, as in nginx and uWSGI; with a B it means what the standards say.
const BYTES: &[(&str, u64)] = &[
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1000),
    ("g", 1 << 30),
    ("m", 1 << 20),
    ("k", 1 << 10),
    ("b", 1),
    ("", 1),
];

/// Reads `30` (seconds), `1.5`, `30s`, `500ms`, `2m` or `1h`, to the millisecond.
pub(crate) fn duration(text: &str) -> Result<Duration, Misread> {
    quantity(text, MILLISECONDS).map(Duration::from_millis)
}

/// Reads `1024`, `64k`, `10MiB` (binary) or `10MB` (decimal), upper and lower case alike, as bytes.
pub(crate) fn size(text: &str) -> Result<u64, Misread> {
    quantity(&text.to_ascii_lowercase(), BYTES)
}

/// A short text that [`duration`] reads as the same time.
pub(crate) fn duration_text(time: Duration) -> String {
    match (time.as_secs(), time.subsec_millis()) {
        (seconds, 0) if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}ms", time.as_millis()),
    }
}

/// A text that [`size`] reads as the same number of bytes, or nothing where the plain number says it best.
pub(crate) fn size_text(bytes: u64) -> Option<String> {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let (unit, worth) = units.into_iter().find(|(_, worth)| bytes > 0 && bytes.is_multiple_of(*worth))?;
    Some(format!("{}{unit}", bytes / worth))
}

/// A number, with or without a fraction, times what its unit is worth. Exact: no floating point.
fn quantity(text: &str, units: &[(&str, u64)]) -> Result<u64, Misread> {
    let number_end = text.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let worth = units.iter().find(|(name, _)| *name == unit.trim_start()).ok_or(Misread::Unreadable)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') || fraction.len() > 12 {
        return Err(Misread::Unreadable);
    }
    let whole: u128 = whole.parse().map_err(|_| Misread::TooLarge)?;
    let parts: u128 = fraction.parse().map_err(|_| Misread::Unreadable)?;
    let parts_in_one = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let parts = parts * u128::from(worth);
    if !parts.is_multiple_of(parts_in_one) {
        return Err(Misread::TooFine);
    }
    let total = whole.checked_mul(u128::from(worth)).and_then(|total| total.checked_add(parts / parts_in_one));
    total.and_then(|total| u64::try_from(total).ok()).ok_or(Misread::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_to_the_millisecond() {
        let table = [
            ("30", 30_000),
            ("30s", 30_000),
            ("0", 0),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0.5", 500),
            ("1.25s", 1250),
            ("1.5 h", 5_400_000),
        ];
        for (text, milliseconds) in table {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "s", "-1", "1.s", ".5", "1.2.3", "5 minutes", "1e3", "30S", "∞", "1_000", "NaN", "inf"] {
            assert_eq!(duration(text), Err(Misread::Unreadable), "{text}");
        }
        assert_eq!(duration("0.0005"), Err(Misread::TooFine));
        assert_eq!(duration("1.5ms"), Err(Misread::TooFine));
        assert_eq!(duration("99999999999999999999h"), Err(Misread::TooLarge));
        assert_eq!(duration(&"9".repeat(60)), Err(Misread::TooLarge));
    }

    #[test]
    fn sizes_are_binary_unless_they_end_in_a_decimal_unit() {
        let table = [
            ("0", 0),
            ("1024", 1024),
            ("64k", 65_536),
            ("64K", 65_536),
            ("10MiB", 10 << 20),
            ("10 MiB", 10 << 20),
            ("10MB", 10_000_000),
            ("1.5k", 1536),
            ("1GiB", 1 << 30),
            ("12b", 12),
        ];
        for (text, bytes) in table {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(size("1.5b"), Err(Misread::TooFine));
        assert_eq!(size("10 TB"), Err(Misread::Unreadable));
    }

    #[test]
    fn written_quantities_are_read_back_as_the_same() {
        for milliseconds in [0, 1, 500, 1000, 1500, 30_000, 3_600_000, 3_601_000, 86_400_000] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(duration(&duration_text(time)), Ok(time));
        }
        for bytes in [0, 1, 1023, 1024, 4094, 65_536, 1 << 30, 10_000_000, (1 << 30) + 1] {
            let text = size_text(bytes).unwrap_or_else(|| bytes.to_string());
            assert_eq!(size(&text), Ok(bytes));
        }
    }
}
