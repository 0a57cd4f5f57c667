//! Literals.

use perdure_kernel::{go_duration, go_float};
use perdure_proto::api::enums::WorkflowExecutionStatus;

/// What stands on the right of an operator, before it is known of which type it has to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
}

impl Literal {
    /// A number as SQL writes it; `None` when it is none or too great.
    pub(crate) fn number(text: &str) -> Option<Self> {
        if let Ok(int) = text.parse() {
            return Some(Self::Int(int));
        }
        text.parse().ok().filter(|double: &f64| double.is_finite()).map(Self::Double)
    }

    /// Value and type as Temporal's errors show them.
    pub(crate) fn shown(&self) -> (String, &'static str) {
        match self {
            Self::Text(text) => (go_quoted(text), "string"),
            Self::Int(int) => (int.to_string(), "int64"),
            Self::Double(double) => (go_float::show(*double), "float64"),
            Self::Bool(bool) => (bool.to_string(), "bool"),
        }
    }
}

/// A text in double quotes as Go writes it.
pub(crate) fn go_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// The number of the status that a name or number names.
pub(crate) fn status(literal: &Literal) -> Option<i64> {
    let status = match literal {
        Literal::Int(number) => WorkflowExecutionStatus::try_from(i32::try_from(*number).ok()?).ok(),
        Literal::Text(name) => WorkflowExecutionStatus::from_str_name(name).or_else(|| named(name)),
        Literal::Double(_) | Literal::Bool(_) => None,
    };
    status.map(|status| i64::from(i32::from(status)))
}

const STATUSES: [(WorkflowExecutionStatus, &str); 9] = [
    (WorkflowExecutionStatus::Unspecified, "Unspecified"),
    (WorkflowExecutionStatus::Running, "Running"),
    (WorkflowExecutionStatus::Completed, "Completed"),
    (WorkflowExecutionStatus::Failed, "Failed"),
    (WorkflowExecutionStatus::Canceled, "Canceled"),
    (WorkflowExecutionStatus::Terminated, "Terminated"),
    (WorkflowExecutionStatus::ContinuedAsNew, "ContinuedAsNew"),
    (WorkflowExecutionStatus::TimedOut, "TimedOut"),
    (WorkflowExecutionStatus::Paused, "Paused"),
];

fn named(name: &str) -> Option<WorkflowExecutionStatus> {
    STATUSES.into_iter().find(|(_, known)| *known == name).map(|(status, _)| status)
}

/// The name of the status that has a number.
pub(crate) fn status_of(number: i64) -> Option<&'static str> {
    let status = WorkflowExecutionStatus::try_from(i32::try_from(number).ok()?).ok()?;
    Some(status_name(status))
}

/// A status as clients name it: `Running`.
pub fn status_name(status: WorkflowExecutionStatus) -> &'static str {
    STATUSES.into_iter().find(|(known, _)| *known == status).map_or("", |(_, name)| name)
}

/// Nanoseconds of a duration: a number, Go's notation with days, or `hh:mm:ss`.
pub(crate) fn duration(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| go_duration::parse_with_days(text)).or_else(|| clock(text))
}

/// Nanoseconds of `hh:mm:ss`. As for Temporal, each number may have blanks and a sign before it, what
/// follows is not looked at, and too many hours run over.
fn clock(text: &str) -> Option<i64> {
    let number = |text| -> Option<(i64, &str)> {
        let text = str::trim_start_matches(text, |letter: char| letter.is_whitespace() && letter != '\n');
        let signed = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = signed.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(signed.len());
        let (number, rest) = text.split_at(text.len() - signed.len() + end);
        Some((number.parse().ok()?, rest))
    };
    let (hours, rest) = number(text)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?)?;
    let (seconds, _) = number(rest.strip_prefix(':')?)?;
    (hours >= 0 && (0..60).contains(&minutes) && (0..60).contains(&seconds)).then_some(())?;
    Some(hours.wrapping_mul(3600).wrapping_add(minutes * 60 + seconds).wrapping_mul(1_000_000_000))
}

/// Nanoseconds since 1970 of an instant in RFC 3339; what lies beyond what fits counts as the end of it.
pub(crate) fn instant(text: &str) -> Option<i64> {
    // An hour may have one digit.
    let padded = match text.as_bytes().get(12) {
        Some(b':') => format!("{}0{}", text.get(..11)?, text.get(11..)?),
        Some(_) | None => text.to_owned(),
    };
    let bytes = padded.as_bytes();
    let digits = |from: usize, count: usize| -> Option<i64> {
        let part = bytes.get(from..from + count)?;
        part.iter()
            .all(u8::is_ascii_digit)
            .then(|| part.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    };
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    if ![(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')].into_iter().all(|(at, byte)| is(at, byte)) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0;
    if is(at, b'.') || is(at, b',') {
        at += 1;
        let fraction = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (fraction > 0).then_some(())?;
        let kept = fraction.min(9);
        nanos = digits(at, kept)? * 10_i64.pow(u32::try_from(9 - kept).unwrap_or(0));
        at += fraction;
    }
    let offset = match bytes.get(at..)? {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 && rest[2] == b':' => {
            let (hours, minutes) = (digits(at + 1, 2)?, digits(at + 4, 2)?);
            // Some write a day as 24 hours, and Go lets them.
            (hours <= 24 && minutes <= 60).then_some(())?;
            let seconds = hours * 3600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = days_from_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Some(i64::try_from(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX))).unwrap_or(0))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar; years count from March, so that the leap day is last.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2024-01-02T03:04:05.123456Z", Some(1_704_164_645_123_456_000)),
            ("2024-01-02T04:04:05.123456+01:00", Some(1_704_164_645_123_456_000)),
            ("2024-01-02T03:04:05,1Z", Some(1_704_164_645_100_000_000)),
            ("2024-02-29T00:00:00.1234567899-00:30", Some(1_709_166_600_123_456_789)),
            ("1969-12-31T23:59:59Z", Some(-1_000_000_000)),
            ("9999-12-31T23:59:59Z", Some(i64::MAX)),
            ("0000-01-01T00:00:00Z", Some(i64::MIN)),
            ("2024-01-02T3:04:05.123456Z", Some(1_704_164_645_123_456_000)),
            ("2024-01-02T03:04:05.123456+24:00", Some(1_704_078_245_123_456_000)),
            ("2024-01-02T:04:05Z", None),
            ("2024-01-02T03:4:05Z", None),
            ("2024-01-02T03:04:05+25:00", None),
            ("2023-02-29T00:00:00Z", None),
            ("2024-01-02", None),
            ("2024-01-02 03:04:05Z", None),
            ("2024-01-02t03:04:05Z", None),
            ("2024-01-02T03:04:05z", None),
            ("2024-01-02T03:04:05", None),
            ("2024-01-02T03:04:05.Z", None),
            ("2024-01-02T24:00:00Z", None),
            ("2024-01-02T03:04:05+1:00", None),
            ("1704164645", None),
            ("", None),
            ("日本日本日本日本日本", None),
        ] {
            assert_eq!(instant(text), nanos, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, nanos) in [
            ("5", Some(5)),
            ("-5", Some(-5)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1d", Some(86_400_000_000_000)),
            ("1d1h", Some(90_000_000_000_000)),
            ("01:00:01", Some(3_601_000_000_000)),
            ("100:00:00", Some(360_000_000_000_000)),
            ("01:60:00", None),
            ("1:0:0", Some(3_600_000_000_000)),
            ("1.5d", Some(129_600_000_000_000)),
            ("1:00:00:00", Some(3_600_000_000_000)),
            ("01:00:00x", Some(3_600_000_000_000)),
            ("1:2:3.5", Some(3_723_000_000_000)),
            (" 1:2:3", Some(3_723_000_000_000)),
            ("+1:2:3", Some(3_723_000_000_000)),
            ("1:+2: 3", Some(3_723_000_000_000)),
            ("99999999:00:00", Some((99_999_999_i64 * 3600).wrapping_mul(1_000_000_000))),
            ("-1:00:00", None),
            ("1:-2:00", None),
            ("1:2", None),
            ("1 :2:3", None),
            ("1::3", None),
            ("x", None),
            ("", None),
            ("999999999d", None),
        ] {
            assert_eq!(duration(text), nanos, "{text}");
        }
    }

    #[test]
    fn numbers_and_statuses() {
        assert_eq!(Literal::number("5"), Some(Literal::Int(5)));
        assert_eq!(Literal::number("5.0"), Some(Literal::Double(5.0)));
        assert_eq!(Literal::number("99999999999999999999"), Some(Literal::Double(1e20)));
        assert_eq!(Literal::number("1e999"), None);
        assert_eq!(Literal::number("0x5"), None);
        let text = |text: &str| Literal::Text(text.to_owned());
        assert_eq!(status(&text("TimedOut")), Some(7));
        assert_eq!(status(&text("WORKFLOW_EXECUTION_STATUS_RUNNING")), Some(1));
        assert_eq!(status(&text("running")), None);
        assert_eq!(status(&Literal::Int(8)), Some(8));
        assert_eq!(status(&Literal::Int(99)), None);
        assert_eq!(status_name(WorkflowExecutionStatus::ContinuedAsNew), "ContinuedAsNew");
    }
}
