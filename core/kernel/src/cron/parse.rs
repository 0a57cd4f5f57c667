//! From text to schedule. Errors are reasons in words.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::NANOS_PER_SECOND;
use super::Recurrence;
use super::fields::{Field, Fields};
use crate::go_duration;

/// Schedules that have a name.
const NAMED: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// What a field may hold. `names` stand for `min`, `min + 1`, ...
struct Bounds {
    min: u64,
    max: u64,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOURS: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAYS: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// See [`super::CronSchedule::parse`].
pub(super) fn parse(spec: &str) -> Result<Recurrence, String> {
    let (zone, spec) = match spec.strip_prefix("CRON_TZ=").or_else(|| spec.strip_prefix("TZ=")) {
        Some(rest) => {
            let (name, spec) = rest.split_once(' ').ok_or("nothing follows the time zone")?;
            (time_zone(name)?, spec.trim())
        }
        None => (TimeZone::UTC, spec),
    };
    if let Some(duration) = spec.strip_prefix("@every ") {
        let nanos = go_duration::parse(duration).ok_or_else(|| format!("{duration:?} is not a duration"))?;
        return Ok(Recurrence::Every { seconds: (nanos / NANOS_PER_SECOND).max(1) });
    }
    let spec = match spec.strip_prefix('@') {
        Some(_) => {
            let named = NAMED.iter().find(|(name, _)| *name == spec);
            named.ok_or_else(|| format!("{spec:?} is not a named schedule"))?.1
        }
        None => spec,
    };
    let mut texts = spec.split_whitespace();
    let mut field = |bounds: &Bounds| field(texts.next().ok_or("fewer than five fields")?, bounds);
    let fields = Fields {
        minutes: field(&MINUTES)?,
        hours: field(&HOURS)?,
        days: field(&DAYS)?,
        months: field(&MONTHS)?,
        weekdays: field(&WEEKDAYS)?,
    };
    if texts.next().is_some() {
        return Err("more than five fields".into());
    }
    Ok(Recurrence::Calendar { fields, zone })
}

/// Zones come from the data in the program, so that every node reads a schedule alike. Their names are
/// spelt as the tz database spells them, capitals included.
fn time_zone(name: &str) -> Result<TimeZone, String> {
    if matches!(name, "" | "Local") {
        return Ok(TimeZone::UTC);
    }
    match TimeZoneDatabase::bundled().get(name) {
        Ok(zone) if zone.iana_name() == Some(name) && !zone.is_unknown() => Ok(zone),
        Ok(_) | Err(_) => Err(format!("{name:?} is not a time zone")),
    }
}

/// A list of ranges. Empty entries are skipped, as in robfig/cron: `,` is the field that never matches.
fn field(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let mut field = Field { values: 0, star: false };
    for entry in text.split(',').filter(|entry| !entry.is_empty()) {
        let part = range(entry, bounds).map_err(|reason| format!("{entry:?}: {reason}"))?;
        field.values |= part.values;
        field.star |= part.star;
    }
    Ok(field)
}

/// `*`, `a` or `a-b`, and `/step` behind any of them; `a/step` runs from `a` to the field's end.
fn range(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let (ends, step) = match text.split_once('/') {
        Some((ends, step)) => (ends, Some(number(step)?)),
        None => (text, None),
    };
    let (low, high) = match ends.split_once('-') {
        Some((low, high)) => (low, Some(high)),
        None => (ends, None),
    };
    let star = matches!(low, "*" | "?");
    let (first, last) = if star {
        (bounds.min, bounds.max)
    } else {
        let first = value(low, bounds)?;
        let last = match (high, step) {
            (Some(high), _) => value(high, bounds)?,
            (None, Some(_)) => bounds.max,
            (None, None) => first,
        };
        (first, last)
    };
    if first < bounds.min || last > bounds.max {
        return Err(format!("outside {}-{}", bounds.min, bounds.max));
    }
    if first > last {
        return Err("the range ends before it begins".into());
    }
    let step = step.unwrap_or(1);
    let stride = usize::try_from(step).unwrap_or(usize::MAX);
    if stride == 0 {
        return Err("a step is at least 1".into());
    }
    let values = (first..=last).step_by(stride).fold(0, |values, value| values | 1 << value);
    Ok(Field { values, star: star && step == 1 })
}

fn value(text: &str, bounds: &Bounds) -> Result<u64, String> {
    match (bounds.min..).zip(bounds.names).find(|(_, name)| name.eq_ignore_ascii_case(text)) {
        Some((value, _)) => Ok(value),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}
