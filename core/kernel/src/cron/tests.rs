#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use jiff::Zoned;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_nanos(i64::try_from(instant.as_nanosecond()).unwrap())
}

fn show(instant: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(instant.as_nanos())).unwrap().to_string()
}

fn parse(spec: &str) -> CronSchedule {
    CronSchedule::parse(spec).unwrap_or_else(|error| panic!("{spec}: {error:?}"))
}

#[test]
fn next_known_values() {
    let cases = [
        ("2012-07-09T14:45:00Z", "0/15 * * * *", "2012-07-09T15:00:00Z"),
        ("2012-07-09T14:59:59.5Z", "0/15 * * * *", "2012-07-09T15:00:00Z"),
        ("2012-07-09T14:59:59.999999999Z", "* * * * *", "2012-07-09T15:00:00Z"),
        ("2012-07-09T15:45:00Z", "20-35/15 * * * *", "2012-07-09T16:20:00Z"),
        ("2012-07-09T23:45:00Z", "20-35/15 * * * *", "2012-07-10T00:20:00Z"),
        ("2012-07-09T23:35:51Z", "20-35/15 1/2 */2 * *", "2012-07-11T01:20:00Z"),
        ("2012-07-09T23:35:00Z", "0 0 9 Apr-Oct ?", "2012-08-09T00:00:00Z"),
        // Two restricted day fields: one is enough. A step takes the star away.
        ("2012-07-09T23:35:00Z", "0 0 */5 Apr,Aug,Oct Mon", "2012-08-01T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "0 0 */5 Oct MON", "2012-10-01T00:00:00Z"),
        ("2012-07-10T00:00:00Z", "0 0 1,15 * Sun", "2012-07-15T00:00:00Z"),
        ("2012-07-15T00:00:00Z", "0 0 1,15 * sun", "2012-07-22T00:00:00Z"),
        // A star in either: both must match.
        ("2012-07-09T23:35:00Z", "0 0 * Feb Mon", "2013-02-04T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "0 0 */1 Feb Mon", "2013-02-04T00:00:00Z"),
        ("2012-12-31T23:59:45Z", "* * * * *", "2013-01-01T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "0 0 29 Feb ?", "2016-02-29T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "  5   4 * * *  ", "2012-07-10T04:05:00Z"),
        ("2012-07-09T23:35:00Z", "@hourly", "2012-07-10T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "@daily", "2012-07-10T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "@midnight", "2012-07-10T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "@weekly", "2012-07-15T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "@monthly", "2012-08-01T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "@yearly", "2013-01-01T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "@annually", "2013-01-01T00:00:00Z"),
        ("2012-07-09T23:35:00Z", "TZ=Asia/Tokyo  @daily", "2012-07-10T15:00:00Z"),
        ("2012-07-09T23:35:00Z", "TZ= @hourly", "2012-07-10T00:00:00Z"),
        ("2012-07-09T23:35:00.75Z", "@every 1h30m", "2012-07-10T01:05:00Z"),
        ("2012-07-09T23:35:00Z", "@every 1.9s", "2012-07-09T23:35:01Z"),
        ("2012-07-09T23:35:00Z", "@every -5m", "2012-07-09T23:35:01Z"),
        ("1969-12-31T23:59:58.5Z", "@every 1s", "1969-12-31T23:59:59Z"),
        ("1969-12-31T23:59:58.5Z", "* * * * *", "1970-01-01T00:00:00Z"),
    ];
    for (after, spec, wanted) in cases {
        let next = parse(spec).next_after(at(after)).map(show);
        assert_eq!(next.as_deref(), Some(wanted), "{spec} after {after}");
    }
}

#[test]
fn clock_changes() {
    const NEW_YORK: &str = "America/New_York";
    let cases = [
        // 2:30 does not exist on the day the clocks go forward.
        ("2012-03-11T00:00:00-05", NEW_YORK, "30 2 11 Mar ?", "2013-03-11T02:30:00-04"),
        ("2012-03-11T00:00:00-05", NEW_YORK, "0 2 * * ?", "2012-03-12T02:00:00-04"),
        ("2012-03-11T00:00:00-05", NEW_YORK, "0 1 * * ?", "2012-03-11T01:00:00-05"),
        ("2012-03-11T01:00:00-05", NEW_YORK, "0 * * * ?", "2012-03-11T03:00:00-04"),
        ("2012-03-11T03:00:00-04", NEW_YORK, "0 * * * ?", "2012-03-11T04:00:00-04"),
        // 1:00 to 2:00 comes twice on the day they go back.
        ("2012-11-04T00:00:00-04", NEW_YORK, "30 2 04 Nov ?", "2012-11-04T02:30:00-05"),
        ("2012-11-04T01:45:00-04", NEW_YORK, "30 1 04 Nov ?", "2012-11-04T01:30:00-05"),
        ("2012-11-04T00:00:00-04", NEW_YORK, "0 * * * ?", "2012-11-04T01:00:00-04"),
        ("2012-11-04T01:00:00-04", NEW_YORK, "0 1 * * ?", "2012-11-04T01:00:00-05"),
        ("2012-11-04T01:00:00-05", NEW_YORK, "0 1 * * ?", "2012-11-05T01:00:00-05"),
        ("2012-11-04T00:00:00-04", NEW_YORK, "0 3 3 * ?", "2012-12-03T03:00:00-05"),
        // Midnight does not exist, west and east of Greenwich.
        ("2018-10-17T05:00:00-04", "America/Sao_Paulo", "0 9 10 * ?", "2018-11-10T06:00:00-05"),
        ("2018-11-03T12:00:00-03", "America/Sao_Paulo", "0 9 * * *", "2018-11-04T09:00:00-02"),
        ("2018-11-03T12:00:00-03", "America/Sao_Paulo", "0 0 * * *", "2018-11-05T00:00:00-02"),
        ("2024-03-30T12:00:00+02", "Asia/Beirut", "0 9 * * *", "2024-03-31T09:00:00+03"),
        // Half-hour shift: 2:00 becomes 2:30.
        ("2024-10-06T01:45:00+10:30", "Australia/Lord_Howe", "*/15 * * * *", "2024-10-06T02:30:00+11"),
        // A day that an island skipped.
        ("2011-12-29T12:00:00-10", "Pacific/Apia", "0 9 30 12 *", "2012-12-30T09:00:00+14"),
    ];
    for (after, zone, spec, wanted) in cases {
        for prefix in ["TZ", "CRON_TZ"] {
            let spec = format!("{prefix}={zone} {spec}");
            let next = parse(&spec).next_after(at(after)).map(show);
            assert_eq!(next, Some(show(at(wanted))), "{spec} after {after}");
        }
    }
}

#[test]
fn what_is_no_schedule() {
    let malformed = [
        "invalid-cron-spec",
        "* * * *",
        "* * * * * *",
        "60 0 * * *",
        "0 24 * * *",
        "0 60 * * *",
        "0 0 0 * *",
        "0 0 32 * *",
        "0 0 * 13 *",
        "0 0 * * 7",
        "0 0 * * XYZ",
        "0 jan * * *",
        "5--5 * * * *",
        "5-3 * * * *",
        "*/0 * * * *",
        "*/-12 * * * *",
        "*//2 * * * *",
        "2-x * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "@every Xm",
        "@every",
        "@unrecognized",
        "@Daily",
        "@daily ",
        "TZ=UTC",
        "TZ=Mars/Base 0 * * * *",
        "TZ=UTC ",
        "TZ=america/new_york 0 * * * *",
        "TZ=Etc/Unknown 0 * * * *",
    ];
    let now = at("2024-01-01T00:00:00Z");
    for spec in malformed {
        let error = CronSchedule::for_workflow(spec, now).unwrap_err();
        assert_eq!(error.to_string(), "invalid CronSchedule.", "{spec}");
        assert!(matches!(error, CronError::Malformed { .. }));
    }
    assert!(matches!(CronSchedule::parse(""), Err(CronError::Malformed { .. })));
    for spec in ["0 0 30 2 *", "0 0 31 4 *", ", * * * *", "TZ=America/New_York 0 0 31 Feb *"] {
        let error = CronSchedule::for_workflow(spec, now).unwrap_err();
        assert_eq!(
            ServiceError::from(error).message,
            "invalid CronSchedule, no time can be found to satisfy the schedule"
        );
    }
    // 2100 is no leap year: from 2097 on, the next 29 February is too far.
    assert_eq!(parse("0 0 29 2 *").next_after(at("2097-01-01T00:00:00Z")), None);
    assert_eq!(CronSchedule::for_workflow("", now), Ok(None));
    assert_eq!(CronSchedule::for_workflow("@hourly", now), Ok(Some(parse("0 * * * *"))));
}

#[test]
fn odd_texts_that_temporal_takes() {
    for (spec, plain) in [
        ("*-9 * * * *", "* * * * *"),
        (",5,,6, * * * *", "5-6 * * * *"),
        ("+5 * * * *", "5 * * * *"),
        ("0 0 ? jAn-MAR Tue/2", "0 0 * 1-3 2/2"),
        ("50/99 * * * *", "50 * * * *"),
        ("TZ=Local @hourly", "0 * * * *"),
    ] {
        assert_eq!(parse(spec), parse(plain), "{spec}");
    }
}

#[test]
fn zones_go_by_every_name_of_the_tz_database() {
    for name in ["UTC", "Etc/UTC", "GMT", "US/Eastern", "EST5EDT", "Asia/Calcutta", "America/Argentina/Buenos_Aires"] {
        assert!(CronSchedule::parse(&format!("TZ={name} @daily")).is_ok(), "{name}");
    }
}

#[test]
fn backoff_known_values() {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    let cases = [
        ("0 10 * * *", "2018-12-17T08:00:00-08", "", 18 * HOUR),
        ("0 10 * * *", "2018-12-18T02:00:00-08", "", 24 * HOUR),
        ("0 * * * *", "2018-12-17T08:08:00Z", "", 52 * MINUTE),
        ("0 * * * *", "2018-12-17T09:00:00Z", "", HOUR),
        ("* * * * *", "2018-12-17T08:08:18Z", "", 42),
        ("0 10 * * *", "2018-12-17T08:00:00Z", "2018-12-20T00:00:00Z", 10 * HOUR),
        ("0 10 * * *", "2018-12-17T08:00:00Z", "2018-12-17T09:00:00Z", HOUR),
        ("*/10 * * * *", "2018-12-17T00:04:00Z", "2018-12-17T01:02:00Z", 8 * MINUTE),
        ("@every 5h", "2018-12-17T08:00:00Z", "2018-12-17T09:00:00Z", 4 * HOUR),
        ("@every 5h", "2018-12-17T08:00:00Z", "2018-12-18T00:00:00Z", 4 * HOUR),
        ("0 3 * * 0-6", "2018-12-17T08:00:00-08", "", 11 * HOUR),
        ("@every 30s", "2020-07-17T09:00:02-01", "", 30),
        ("@every 30s", "2020-07-17T09:00:02-01", "2020-09-17T03:00:53-01", 9),
        // Closed before it was due.
        ("@every 30m", "2020-07-17T09:00:00-01", "2020-07-17T08:45:00-01", 15 * MINUTE),
        ("0 * * * *", "2020-07-17T09:00:00Z", "2020-07-17T08:45:00Z", 15 * MINUTE),
        ("CRON_TZ=America/New_York 5 16 * * *", "2021-03-14T00:00:00-04", "2021-03-14T15:05:00-04", HOUR),
        ("CRON_TZ=America/New_York 5 4 * * *", "2021-11-25T00:00:00-05", "2021-11-25T03:05:00-05", HOUR),
        // Parts of a second are rounded up; a close on the tick runs at once.
        ("* * * * *", "2018-12-17T08:00:00Z", "2018-12-17T08:00:18.000000001Z", 42),
        ("@every 10s", "2018-12-17T08:00:00.4Z", "", 10),
        ("* * * * *", "2018-12-17T08:00:00Z", "2018-12-17T08:05:00Z", 0),
        ("@every 10s", "2018-12-17T08:00:00Z", "2018-12-17T08:00:20Z", 0),
    ];
    for (spec, start, close, wanted) in cases {
        let start = at(start);
        let close = if close.is_empty() { start } else { at(close) };
        let wait = cron_backoff(&parse(spec), start, close);
        assert_eq!(wait, Some(Duration::from_secs(wanted)), "{spec} {start} {close}");
    }
    let never = parse("0 0 30 2 *");
    let now = at("2024-01-01T00:00:00Z");
    assert_eq!((cron_backoff(&never, now, now), first_cron_backoff(&never, now)), (None, Duration::ZERO));
    assert_eq!(first_cron_backoff(&parse("@hourly"), at("2024-01-01T00:59:30.5Z")), Duration::from_secs(30));
}

#[test]
fn the_end_of_time_is_no_time() {
    for spec in ["* * * * *", "@every 1h", "TZ=Europe/Berlin @daily", "@every 2562047h"] {
        assert_eq!(parse(spec).next_after(Timestamp::MAX), None, "{spec}");
        assert_eq!(cron_backoff(&parse(spec), Timestamp::MAX, Timestamp::MAX), None, "{spec}");
        assert!(cron_backoff(&parse(spec), Timestamp::from_nanos(i64::MIN), Timestamp::MAX).is_none(), "{spec}");
    }
}

/// A field's text with the values that it stands for, and whether it counts as a star.
type Sample = (String, BTreeSet<i8>, bool);

fn field(min: i8, max: i8) -> impl Strategy<Value = Sample> {
    let span = move |low: i8, high: i8, step: usize| (low..=high).step_by(step).collect::<BTreeSet<i8>>();
    let entry = prop_oneof![
        3 => Just(("*".to_owned(), span(min, max, 1), true)),
        1 => Just(("?".to_owned(), span(min, max, 1), true)),
        3 => (min..=max).prop_map(move |n| (n.to_string(), span(n, n, 1), false)),
        2 => (2usize..20).prop_map(move |step| (format!("*/{step}"), span(min, max, step), false)),
        2 => (min..=max, 1usize..9).prop_map(move |(n, step)| (format!("{n}/{step}"), span(n, max, step), false)),
        2 => (min..=max, min..=max, 1usize..9).prop_map(move |(a, b, step)| {
            let (low, high) = (a.min(b), a.max(b));
            (format!("{low}-{high}/{step}"), span(low, high, step), false)
        }),
    ];
    proptest::collection::vec(entry, 1..3).prop_map(|entries| {
        let text = entries.iter().map(|entry| entry.0.as_str()).collect::<Vec<_>>().join(",");
        let star = entries.iter().any(|entry| entry.2);
        (text, entries.into_iter().flat_map(|entry| entry.1).collect(), star)
    })
}

fn five_fields() -> impl Strategy<Value = [Sample; 5]> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)).prop_map(|(a, b, c, d, e)| [a, b, c, d, e])
}

/// The rule, straight from its words.
fn matches(fields: &[Sample; 5], local: &Zoned) -> bool {
    let [minutes, hours, days, months, weekdays] = fields;
    let day = days.1.contains(&local.day());
    let weekday = weekdays.1.contains(&local.weekday().to_sunday_zero_offset());
    let date = if days.2 || weekdays.2 { day && weekday } else { day || weekday };
    local.second() == 0
        && minutes.1.contains(&local.minute())
        && hours.1.contains(&local.hour())
        && months.1.contains(&local.month())
        && date
}

const ZONES: [&str; 8] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Beirut",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
];

/// Instants of 2020 to 2040; every other one near a change of clocks.
fn instant(zone: &'static str) -> impl Strategy<Value = Timestamp> {
    let (first, last) = (at("2020-01-01T00:00:00Z").as_nanos(), at("2040-01-01T00:00:00Z").as_nanos());
    (first..last, 0i64..NANOS_PER_SECOND * 86_400, any::<bool>()).prop_map(move |(nanos, before, near)| {
        let zone = TimeZone::get(zone).unwrap();
        let base = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
        match zone.following(base).next() {
            Some(change) if near => Timestamp::from_nanos(change.timestamp().as_second() * NANOS_PER_SECOND - before),
            Some(_) | None => Timestamp::from_nanos(nanos),
        }
    })
}

fn zone_and_instant() -> impl Strategy<Value = (&'static str, Timestamp)> {
    proptest::sample::select(ZONES.to_vec()).prop_flat_map(|zone| (Just(zone), instant(zone)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn next_is_the_first_later_match(fields in five_fields(), (zone, after) in zone_and_instant()) {
        const MINUTES_WALKED: i64 = 2 * 24 * 60;
        let texts: Vec<&str> = fields.iter().map(|field| field.0.as_str()).collect();
        let spec = format!("TZ={zone} {}", texts.join(" "));
        let zone = TimeZone::get(zone).unwrap();
        let local = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap().to_zoned(zone.clone());

        let next = parse(&spec).next_after(after);
        if let Some(next) = next {
            prop_assert!(next > after, "{}", spec);
            prop_assert_eq!(next.as_nanos() % NANOS_PER_SECOND, 0);
            prop_assert!(matches(&fields, &local(whole_seconds(next))), "{} gave {}", spec, show(next));
        }
        let first_minute = whole_seconds(after).div_euclid(60) + 1;
        let mut walked = (first_minute..first_minute + MINUTES_WALKED).map(|minute| minute * 60);
        let found = walked.find(|seconds| matches(&fields, &local(*seconds)));
        let next = next.map(whole_seconds).filter(|next| *next < (first_minute + MINUTES_WALKED) * 60);
        prop_assert_eq!(next, found, "{}", spec);
    }

    #[test]
    fn backoff_reaches_the_first_tick_not_before_close(
        fields in five_fields(),
        (zone, start) in zone_and_instant(),
        ran in 0u64..5_000_000_000_000,
    ) {
        let texts: Vec<&str> = fields.iter().map(|field| field.0.as_str()).collect();
        let schedule = parse(&format!("TZ={zone} {}", texts.join(" ")));
        let close = start + Duration::from_nanos(ran);
        let mut tick = schedule.next_after(start);
        while let Some(passed) = tick.filter(|tick| *tick < close) {
            tick = schedule.next_after(passed);
        }
        let wanted = tick.map(|tick| u64::try_from(tick.since(close).as_nanos().div_ceil(1_000_000_000)).unwrap());
        prop_assert_eq!(cron_backoff(&schedule, start, close), wanted.map(Duration::from_secs));
    }

    #[test]
    fn every_keeps_its_beat(seconds in 1u64..100_000, start in 0i64..i64::MAX / 4, ran in 0i64..1_000_000_000_000_000) {
        let schedule = parse(&format!("@every {seconds}s"));
        let (start, close) = (Timestamp::from_nanos(start), Timestamp::from_nanos(start + ran));
        let wait = cron_backoff(&schedule, start, close).unwrap();
        prop_assert!(wait <= Duration::from_secs(seconds));
        // Rounding up overshoots the tick by less than a second.
        let tick = whole_seconds(close + wait);
        prop_assert_eq!((tick - whole_seconds(start)) % i64::try_from(seconds).unwrap(), 0);
    }

    #[test]
    fn no_text_panics(spec in "(TZ=[A-Za-z/]{0,8} )?[-0-9*?/,@a-z ]{0,24}", after: i64) {
        if let Ok(schedule) = CronSchedule::parse(&spec) {
            let after = Timestamp::from_nanos(after);
            prop_assert!(schedule.next_after(after).is_none_or(|next| next > after));
        }
    }
}
