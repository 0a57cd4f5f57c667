//! Durations as Temporal's files write them: `1m30s`, `1.5h`, `14d`, or a bare number of seconds.

use std::{fmt::Write, time::Duration};

/// Units and their length in nanoseconds. Longer names stand before the shorter ones they start with.
const UNITS: [(&str, u128); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// The longest duration that Temporal can hold (a signed 64-bit count of nanoseconds, about 292 years).
const NANOS_MAX: u128 = i64::MAX as u128;

/// Reads a duration: numbers with units one after the other (`1h30m`; units `ns us µs ms s m h d`, a day
/// being 24 hours), or one number without a unit, which counts seconds. Negative ones are refused: no
/// setting has a use for them.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "a duration such as 10s, 1m30s, 250ms or 14d, or a number of seconds";
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return parse_duration(&format!("{text}s"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(FORM);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, tail) = digits(rest);
        let (fraction, tail) = match tail.strip_prefix('.') {
            Some(tail) => digits(tail),
            None => ("", tail),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(FORM);
        }
        let (unit, tail) =
            UNITS.iter().find_map(|(name, nanos)| tail.strip_prefix(name).map(|tail| (*nanos, tail))).ok_or(FORM)?;
        total = total.saturating_add(scaled(whole, fraction, unit).ok_or("a duration of at most 292 years")?);
        rest = tail;
    }
    if total > NANOS_MAX {
        return Err("a duration of at most 292 years");
    }
    Ok(from_nanos(total))
}

/// Writes a duration so that [`parse_duration`] reads the same one back.
pub fn format_duration(duration: Duration) -> String {
    let mut text = String::new();
    let mut seconds = duration.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if seconds >= length {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{unit}", seconds / length);
            seconds %= length;
        }
    }
    let nanos = duration.subsec_nanos();
    if nanos != 0 && nanos.is_multiple_of(1_000_000) {
        let _ = write!(text, "{}ms", nanos / 1_000_000);
    } else if nanos != 0 {
        let _ = write!(text, "{nanos}ns");
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// `whole.fraction` times `unit`, cut to whole nanoseconds.
fn scaled(whole: &str, fraction: &str, unit: u128) -> Option<u128> {
    // Digits past the fifteenth are below a nanosecond for every unit.
    let fraction = &fraction[..fraction.len().min(15)];
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_mul(unit)?.checked_add(part * unit / scale)
}

fn from_nanos(nanos: u128) -> Duration {
    // Both fit: the caller has checked that nanos is within an i64.
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_temporal_reads() {
        for (text, millis) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("5.s", 5_000),
            ("250ms", 250),
            ("1h1ms", 3_600_001),
            ("7d", 7 * 86_400_000),
            ("1d12h", 36 * 3_600_000),
            ("0", 0),
            ("0s", 0),
            ("90", 90_000),
            ("0.25", 250),
            ("+3s", 3_000),
            ("2000us", 2),
            ("2000µs", 2),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", " ", "s", ".", ".s", "10 s", "10x", "-5s", "1h-5m", "ten", "1e3s", "999999999999h", "107000d", "+"]
        {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn writes_what_it_reads(seconds in 0u64..4_000_000_000, nanos in 0u32..1_000_000_000) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn never_panics(text in "[0-9.a-zµ+-]{0,24}") {
            let _ = parse_duration(&text);
        }
    }
}
