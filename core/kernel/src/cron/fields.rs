//! The five fields as sets, and the calendar arithmetic over them.

use jiff::civil::{Date, DateTime};

/// The values that one field allows: bit n stands for the value n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) values: u64,
    /// Whether the text held a `*` or `?` without a step (or with a step of 1).
    pub(super) star: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        self.first_from(value) == Some(value)
    }

    /// The least allowed value that is not below `least`.
    fn first_from(self, least: i8) -> Option<i8> {
        let least = u32::try_from(least).ok()?;
        let rest = self.values.checked_shr(least)?;
        if rest == 0 {
            return None;
        }
        i8::try_from(least + rest.trailing_zeros()).ok()
    }
}

/// The five fields. Seconds are always 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) minutes: Field,
    pub(super) hours: Field,
    pub(super) days: Field,
    pub(super) months: Field,
    /// 0 is Sunday.
    pub(super) weekdays: Field,
}

impl Fields {
    /// The earliest matching local time from `from` (included) to the end of `last_year`.
    pub(super) fn first_match(&self, from: DateTime, last_year: i16) -> Option<DateTime> {
        let (first_hour, first_minute) = self.time_from(0, 0)?;
        // Times are on whole minutes: with seconds on the clock this minute has passed.
        let minute = from.minute() + i8::from(from.second() > 0);
        let mut date = from.date();
        if self.matches_date(date)
            && let Some((hour, minute)) = self.time_from(from.hour(), minute)
        {
            return Some(date.at(hour, minute, 0, 0));
        }
        loop {
            date = if self.months.has(date.month()) { date } else { date.last_of_month() }.tomorrow().ok()?;
            if date.year() > last_year {
                return None;
            }
            if self.matches_date(date) {
                return Some(date.at(first_hour, first_minute, 0, 0));
            }
        }
    }

    /// When both day fields are restricted one of them is enough, else both must match.
    fn matches_date(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let days_match = if self.days.star || self.weekdays.star { day && weekday } else { day || weekday };
        self.months.has(date.month()) && days_match
    }

    /// The earliest matching hour and minute of a day that is not before `hour:minute` (minute 60 is the
    /// next hour).
    fn time_from(&self, hour: i8, minute: i8) -> Option<(i8, i8)> {
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.first_from(minute)
        {
            return Some((hour, minute));
        }
        Some((self.hours.first_from(hour + 1)?, self.minutes.first_from(0)?))
    }
}
