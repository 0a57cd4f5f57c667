//! Durations in Go's notation: `1h30m`, `-1.5s`, `300ms`.

/// Fraction digits that are looked at: more than a nanosecond of the longest unit (an hour) needs.
const FRACTION_DIGITS: usize = 18;

const HOUR: i128 = 3600 * 1_000_000_000;

/// Nanoseconds; `None` when the text is no duration or does not fit.
pub fn parse(text: &str) -> Option<i64> {
    parse_in(text, scale)
}

/// As [`parse`], with days (`d`, 24 hours) as one more unit.
pub fn parse_with_days(text: &str) -> Option<i64> {
    parse_in(text, |unit| if unit == "d" { Some(24 * HOUR) } else { scale(unit) })
}

fn parse_in(text: &str, scale: fn(&str) -> Option<i128>) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, tail) = tail.split_at(tail.find(is_number).unwrap_or(tail.len()));
        total += amount(number, scale(unit)?)?;
        if total > i128::from(i64::MAX) + 1 {
            return None;
        }
        rest = tail;
    }
    i64::try_from(sign * total).ok()
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

fn amount(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { i128::from(whole.parse::<u64>().ok()?) };
    let (mut parts, mut denominator) = (0, 1);
    for digit in fraction.bytes().take(FRACTION_DIGITS) {
        parts = parts * 10 + i128::from(digit - b'0');
        denominator *= 10;
    }
    Some(whole * scale + parts * scale / denominator)
}

fn scale(unit: &str) -> Option<i128> {
    match unit {
        "ns" => Some(1),
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60 * 1_000_000_000),
        "h" => Some(HOUR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let cases = [
            ("0", Some(0)),
            ("5s", Some(5_000_000_000)),
            ("+5s", Some(5_000_000_000)),
            ("-1.5h", Some(-5_400_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("1ms2us3ns", Some(1_002_003)),
            ("2\u{b5}s", Some(2_000)),
            ("0.3333333333333333333h", Some(1_199_999_999_999)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("9223372036854775808ns", None),
            ("99999999999999999999h", None),
            ("", None),
            ("-", None),
            ("3", None),
            (".s", None),
            ("1.2.3s", None),
            ("s", None),
            ("5x", None),
            (" 5s", None),
            ("5 s", None),
            ("1d", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse(text), wanted, "{text:?}");
        }
        let hour = 3_600_000_000_000;
        for (text, wanted) in
            [("1.5d", 36 * hour), ("1d1d", 48 * hour), ("1h1d", 25 * hour), ("-1d1h", -25 * hour), ("2h", 2 * hour)]
        {
            assert_eq!(parse_with_days(text), Some(wanted), "{text:?}");
        }
    }
}
