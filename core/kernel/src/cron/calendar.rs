//! The next instant whose local time matches.

use jiff::tz::TimeZone;

use super::fields::Fields;
use super::{NANOS_PER_SECOND, whole_seconds};
use crate::Timestamp;

/// A schedule that does not fire in the present year or this many after it never does.
const YEARS_SEARCHED: i16 = 5;

/// See [`super::CronSchedule::next_after`].
///
/// Between two changes of clocks local time runs evenly, so each such stretch is plain calendar
/// arithmetic; a match beyond the end of its stretch does not exist and the next stretch is searched.
pub(super) fn next_after(fields: &Fields, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut from = jiff::Timestamp::from_second(whole_seconds(after) + 1).ok()?;
    let last_year = zone.to_datetime(from).year() + YEARS_SEARCHED;
    loop {
        let offset = zone.to_offset(from);
        let stretch_end = zone.following(from).next().map(|transition| transition.timestamp());
        if let Some(local) = fields.first_match(offset.to_datetime(from), last_year) {
            let instant = offset.to_timestamp(local).ok()?;
            if stretch_end.is_none_or(|end| instant < end) {
                return instant.as_second().checked_mul(NANOS_PER_SECOND).map(Timestamp::from_nanos);
            }
        }
        from = stretch_end.filter(|end| zone.to_datetime(*end).year() <= last_year)?;
    }
}
