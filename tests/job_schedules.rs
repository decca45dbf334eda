//! When scheduled jobs run: against an oracle that looks at every minute, and where clocks change.

use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use keydrain::engine::job::{NotASchedule, Schedule};
use keydrain::engine::time::Timestamp;
use proptest::prelude::*;

const INSTANT: Duration = Duration::from_nanos(1);

fn at(text: &str) -> Timestamp {
    text.parse().expect("RFC 3339")
}

fn utc(expression: &str) -> Schedule {
    Schedule::parse(expression, None).expect("a schedule")
}

fn berlin(expression: &str) -> Schedule {
    Schedule::parse(expression, Some("Europe/Berlin")).expect("a schedule")
}

/// Returns the starts after one time, up to another.
fn starts(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = at(from);
    while let Some(next) = schedule.next_after(last).filter(|next| *next <= at(to)) {
        found.push(next.to_string());
        last = next;
    }
    found
}

fn days(n: u64) -> Duration {
    Duration::from_hours(24 * n)
}

#[test]
fn a_run_begins_after_the_instant_that_is_asked_for_and_never_at_it() {
    let monthly = utc("0 3 1 * *");
    let begins = at("2026-04-01T03:00:00Z");
    assert_eq!(monthly.next_after(begins.minus(INSTANT)), Some(begins));
    assert_eq!(monthly.next_after(begins), Some(at("2026-05-01T03:00:00Z")));
}

#[test]
fn schedules_are_the_same_if_they_are_written_alike_for_one_zone() {
    assert_eq!(utc("0 3 * * *"), utc("0  3 * * *"));
    assert_ne!(utc("0 3 * * *"), utc("0 4 * * *"));
    assert_ne!(utc("0 3 * * *"), berlin("0 3 * * *"));
}

#[test]
fn a_field_that_is_none_is_told_with_where_it_stands() {
    let refused = Schedule::parse("0  25 * * *", None).expect_err("no day has that hour");
    assert!(
        matches!(refused, NotASchedule::Field { at: 3, ref text, .. } if text == "25"),
        "{refused:?}"
    );
}

#[test]
fn both_day_fields_restricted_mean_either_and_a_star_means_both() {
    let either = starts(&utc("0 0 13 * fri"), "2026-03-05T12:00:00Z", "2026-03-20T12:00:00Z");
    assert_eq!(either, ["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z"]);
    // Vixie's rule looks at the first character alone.
    let both = starts(&utc("0 0 */2 * 6"), "2026-03-05T12:00:00Z", "2026-03-22T12:00:00Z");
    assert_eq!(both, ["2026-03-07T00:00:00Z", "2026-03-21T00:00:00Z"]);
}

#[test]
fn names_in_any_case_and_both_numbers_of_sunday_are_read() {
    for sunday in ["0 5 * * 0", "0 5 * * 7", "0 5 * * SUN", "0  5 * JAN-dec\tsun"] {
        assert_eq!(
            utc(sunday).next_after(at("2026-03-02T00:00:00Z")),
            Some(at("2026-03-08T05:00:00Z"))
        );
    }
}

#[test]
fn now_lies_in_a_run_from_its_start_to_its_end_which_is_excluded() {
    let nightly = utc("0 3 * * *");
    let (begins, ends) = (at("2026-03-02T03:00:00Z"), at("2026-03-02T05:00:00Z"));
    let running = |now| nightly.running(now, Duration::from_hours(2)).map(|r| (r.since, r.until));
    assert_eq!(running(begins.minus(INSTANT)), None);
    assert_eq!(running(begins), Some((begins, Some(ends))));
    assert_eq!(running(ends.minus(INSTANT)), Some((begins, Some(ends))));
    assert_eq!(running(ends), None);
}

#[test]
fn runs_that_last_longer_than_their_period_are_one_row() {
    let row =
        utc("0,30 3-4 * * *").running(at("2026-03-02T04:10:00Z"), Duration::from_mins(45)).unwrap();
    assert_eq!(
        (row.since, row.until),
        (at("2026-03-02T03:30:00Z"), Some(at("2026-03-02T05:15:00Z")))
    );
    // One that begins when the other ends is in the row, too.
    let touching =
        utc("0,30 3-4 * * *").running(at("2026-03-02T04:10:00Z"), Duration::from_mins(30)).unwrap();
    assert_eq!(touching.until, Some(at("2026-03-02T05:00:00Z")));
    let working_hours = utc("*/5 9-17 * * *");
    let row = working_hours.running(at("2026-03-02T09:01:00Z"), Duration::from_mins(21)).unwrap();
    assert_eq!(row.until, Some(at("2026-03-02T18:16:00Z")));
    let endless =
        utc("*/5 * * * *").running(at("2026-03-02T04:10:00Z"), Duration::from_mins(6)).unwrap();
    assert_eq!(endless.until, None);
}

#[test]
fn a_run_in_the_hour_that_is_skipped_counts_at_the_change_and_as_if_there_were_none() {
    // 02:00 CET is 03:00 CEST at 01:00Z.
    let found = starts(&berlin("30 2 * * *"), "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z");
    assert_eq!(
        found,
        [
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:30:00Z",
            "2026-03-30T00:30:00Z"
        ]
    );
}

#[test]
fn a_run_in_the_hour_that_comes_twice_counts_at_both() {
    let found = starts(&berlin("30 2 * * *"), "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]);
    let half_hourly =
        starts(&berlin("*/30 2 * * *"), "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(
        half_hourly,
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z"
        ]
    );
}

#[test]
fn west_of_utc_no_run_of_the_next_hours_is_passed_over() {
    let daily = Schedule::parse("0 3 * * *", Some("America/New_York")).expect("a schedule");
    let next = |after: &str| daily.next_after(at(after)).map(|at| at.to_string());
    assert_eq!(next("2026-01-10T07:59:59Z").as_deref(), Some("2026-01-10T08:00:00Z"));
    assert_eq!(next("2026-01-10T08:00:00Z").as_deref(), Some("2026-01-11T08:00:00Z"));
}

#[test]
fn zones_that_change_by_half_an_hour_or_skip_a_day_are_walked_through() {
    let howe = Schedule::parse("0 3 * * *", Some("Australia/Lord_Howe")).unwrap();
    assert_eq!(
        starts(&howe, "2026-04-04T13:30:00Z", "2026-04-05T20:00:00Z"),
        ["2026-04-04T16:30:00Z", "2026-04-05T16:30:00Z"]
    );
    // Samoa had no 30 December 2011: its clocks went from the 29th to the 31st.
    let apia = Schedule::parse("0 12 * * *", Some("Pacific/Apia")).unwrap();
    assert_eq!(
        starts(&apia, "2011-12-29T00:00:00Z", "2011-12-31T12:00:00Z"),
        ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]
    );
}

#[test]
fn the_longest_interval_is_that_of_the_longest_month_weekend_or_night() {
    let longest = |expression| utc(expression).longest_interval(at("2026-03-02T09:00:00Z"));
    assert_eq!(longest("0 3 1 * *"), days(31));
    assert_eq!(longest("0 3 31 * *"), days(61));
    assert_eq!(longest("0 3 * * *"), days(1));
    assert_eq!(longest("* * * * *"), Duration::from_mins(1));
    assert_eq!(longest("*/5 9-17 * * 1-5"), Duration::from_mins(5 + 63 * 60));
    assert_eq!(longest("0 0 1 1 *"), days(365));
    assert_eq!(longest("0 0 29 2 *"), days(4 * 365 + 1));
    assert_eq!(utc("0 0 29 2 *").longest_interval(at("2097-01-01T00:00:00Z")), days(8 * 366));
}

#[test]
fn the_longest_interval_holds_for_every_cron_daemon_where_clocks_change() {
    let longest = |expression| berlin(expression).longest_interval(at("2026-03-02T09:00:00Z"));
    // From 1 October to 1 November it is an hour longer.
    assert_eq!(longest("0 12 1 * *"), days(31) + Duration::from_hours(1));
    assert_eq!(longest("0 */12 * * *"), Duration::from_hours(13));
    assert_eq!(longest("30 2 * * *"), Duration::from_hours(25));
    assert_eq!(longest("0 12 * * *"), Duration::from_hours(25));
}

#[test]
fn what_is_no_five_field_cron_says_what_it_is_and_what_to_write() {
    let refused = |text: &str| {
        let error = Schedule::parse(text, None).expect_err(text);
        format!("{error}; {}", error.fix())
    };
    for (text, says) in [
        ("", "has 0 fields where cron has five"),
        ("0 3 1 *", "has 4 fields where cron has five"),
        ("0 0 3 1 * *", "has 6 fields where cron has five"),
        ("CRON_TZ=UTC 0 3 1 * *", "a zone goes into `tz`"),
        ("@daily", "is a shorthand; write \"0 0 * * *\""),
        ("@reboot", "is a shorthand; write when it runs"),
        ("60 3 1 * *", "has `60` for the minute; write minutes from 0 to 59"),
        ("0 24 1 * *", "has `24` for the hour"),
        ("0 3 0 * *", "has `0` for the day of month"),
        ("0 3 1 13 *", "has `13` for the month"),
        ("0 3 1 * 8", "has `8` for the day of week"),
        ("0 3 * * fri-mon", "has `fri-mon` for the day of week; write days from 0 to 7"),
        ("*/0 * * * *", "has `*/0` for the minute"),
        ("5, * * * *", "has `5,` for the minute"),
        ("0 3 L * *", "has `L` for the day of month"),
        ("0 3 15W * *", "has `15W` for the day of month"),
        ("0 3 * * 5#3", "has `5#3` for the day of week"),
        ("H 3 * * *", "has `H` for the minute"),
        ("? 3 * * *", "has `?` for the minute"),
        ("0 3 30 2 *", "names days that never come; correct the day of month or the month"),
        ("0 3 31 4,6,9,11 *", "names days that never come"),
        ("ü 3 * * *", "has `ü` for the minute"),
    ] {
        let error = refused(text);
        assert!(error.contains(says), "{text}: {error}");
    }
    assert_eq!(Schedule::parse(&"0 ".repeat(200), None), Err(NotASchedule::TooLong));
    let unknown = Schedule::parse("0 3 * * *", Some("Europe/Berln")).unwrap_err();
    assert_eq!(unknown, NotASchedule::UnknownZone("Europe/Berln".to_owned()));
}

/// One field: its text, and the values it stands for.
type FieldOf = (String, Vec<i64>);

fn field(least: i64, most: i64) -> impl Strategy<Value = FieldOf> {
    let item =
        (least..=most, least..=most, 1..=5_i64, 0..5_u8).prop_map(move |(a, b, step, form)| {
            let (a, b) = (a.min(b), a.max(b));
            let stepped =
                |from: i64, to: i64| (from..=to).filter(|n| (n - from) % step == 0).collect();
            match form {
                0 => (a.to_string(), vec![a]),
                1 => (format!("{a}-{b}"), (a..=b).collect()),
                2 => (format!("{a}-{b}/{step}"), stepped(a, b)),
                3 => (format!("*/{step}"), stepped(least, most)),
                _ => ("*".to_owned(), (least..=most).collect::<Vec<i64>>()),
            }
        });
    prop::collection::vec(item, 1..3).prop_map(|items| {
        let text: Vec<&str> = items.iter().map(|(text, _)| &**text).collect();
        (text.join(","), items.iter().flat_map(|(_, values)| values.clone()).collect())
    })
}

/// Minute, hour, day of month, month, day of week.
fn fields() -> impl Strategy<Value = [FieldOf; 5]> {
    let fields = (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7));
    fields.prop_map(|(minute, hour, day, month, weekday)| [minute, hour, day, month, weekday])
}

fn text(fields: &[FieldOf; 5]) -> String {
    fields.iter().map(|(text, _)| &**text).collect::<Vec<_>>().join(" ")
}

fn has(field: &FieldOf, value: i8) -> bool {
    field.1.contains(&i64::from(value))
}

/// Tells whether a wall-clock time matches, as crontab(5) says it.
fn matches(fields: &[FieldOf; 5], wall: jiff::civil::DateTime) -> bool {
    let [minute, hour, ..] = fields;
    has(minute, wall.minute()) && has(hour, wall.hour()) && matches_day(fields, wall.date())
}

fn matches_day(fields: &[FieldOf; 5], wall: jiff::civil::Date) -> bool {
    let [_, _, day, month, weekday] = fields;
    let sunday = wall.weekday().to_sunday_zero_offset();
    let of_week = has(weekday, sunday) || (sunday == 0 && has(weekday, 7));
    let starred = day.0.starts_with('*') || weekday.0.starts_with('*');
    let of_month = has(day, wall.day());
    let days = if starred { of_month && of_week } else { of_month || of_week };
    has(month, wall.month()) && days
}

/// Returns every minute that matches in so many days before and after a minute, in UTC.
fn matching(fields: &[FieldOf; 5], around: i64, days: i64) -> Vec<i64> {
    let around = around.div_euclid(1_440);
    let all = around - days..around + days;
    let all = all
        .map(|day| 1_440 * day)
        .filter(|day| matches_day(fields, wall_at(*day, &TimeZone::UTC).date()));
    let minutes = all.flat_map(|day| day..day + 1_440);
    minutes.filter(|minute| matches(fields, wall_at(*minute, &TimeZone::UTC))).collect()
}

fn widest(minutes: &[i64]) -> Duration {
    let widest = minutes.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(0);
    Duration::from_secs(60 * u64::try_from(widest).expect("they ascend"))
}

fn wall_at(minute: i64, zone: &TimeZone) -> jiff::civil::DateTime {
    zone.to_datetime(jiff::Timestamp::from_second(60 * minute).expect("of our time"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn in_utc_the_runs_are_the_minutes_that_match(fields in fields(), from in 29_000_000_i64..30_000_000) {
        let schedule = match Schedule::parse(&text(&fields), None) {
            Ok(schedule) => schedule,
            Err(error) => {
                prop_assert_eq!(error, NotASchedule::NeverRuns);
                return Ok(());
            }
        };
        let mut after = Timestamp::from_seconds(60 * from - 1);
        let expected = matching(&fields, from, 45).into_iter().filter(|minute| *minute >= from);
        for minute in expected.take(300) {
            let expected = Timestamp::from_seconds(60 * minute);
            prop_assert_eq!(schedule.next_after(after), Some(expected));
            after = expected;
        }
    }

    #[test]
    fn a_row_of_runs_ends_where_the_next_run_is_later_than_the_last_end(
        fields in fields(), from in 29_000_000_i64..30_000_000, minutes in 1_i64..300,
    ) {
        let Ok(schedule) = Schedule::parse(&text(&fields), None) else { return Ok(()) };
        let all = matching(&fields, from, 20);
        let now = Timestamp::from_seconds(60 * from);
        let running = schedule.running(now, Duration::from_secs(60 * minutes.unsigned_abs()));
        let since = all.iter().position(|minute| (from - minutes + 1..=from).contains(minute));
        prop_assert_eq!(running.map(|r| r.since.as_seconds() / 60), since.map(|at| all[at]));
        if let Some(until) = running.and_then(|r| r.until) {
            let row = &all[since.expect("it runs")..];
            let last = row.windows(2).find(|two| two[1] > two[0] + minutes);
            let last = last.map_or(row[row.len() - 1], |two| two[0]);
            prop_assert_eq!(until.as_seconds() / 60, last + minutes);
        }
    }

    #[test]
    fn the_longest_interval_is_the_widest_pause_of_800_days(fields in fields(), from in 29_000_000_i64..30_000_000) {
        let Ok(schedule) = Schedule::parse(&text(&fields), None) else { return Ok(()) };
        let longest = schedule.longest_interval(Timestamp::from_seconds(60 * from));
        prop_assert!(longest >= widest(&matching(&fields, from, 399)));
        // A pause may begin inside of the 800 days and end outside.
        if longest < days(100) {
            prop_assert!(longest <= widest(&matching(&fields, from, 501)));
        }
    }

    #[test]
    fn in_any_zone_every_minute_whose_wall_clock_matches_begins_a_run(
        fields in fields(),
        zone in prop::sample::select(vec![
            "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca",
            "Asia/Kathmandu", "Pacific/Chatham", "Europe/Dublin",
        ]),
        change in 0_usize..8,
    ) {
        let Ok(schedule) = Schedule::parse(&text(&fields), Some(zone)) else { return Ok(()) };
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let near = jiff::Timestamp::from_second(1_767_225_600).unwrap();
        let near = zone.following(near).nth(change).map_or(near, |change| change.timestamp());
        let (from, to) = (near.as_second() / 60 - 2_000, near.as_second() / 60 + 2_000);
        let mut begun = std::collections::BTreeSet::new();
        let mut last = Timestamp::from_seconds(60 * from - 1);
        while let Some(next) = schedule.next_after(last).filter(|next| next.as_seconds() < 60 * to) {
            prop_assert!(next > last);
            begun.insert(next.as_seconds() / 60);
            last = next;
        }
        for minute in from..to {
            let matched = matches(&fields, wall_at(minute, &zone));
            // What does not match is a run that the change skipped: within three hours of it.
            let skipped = (near.as_second() / 60..near.as_second() / 60 + 180).contains(&minute);
            prop_assert!(begun.contains(&minute) == matched || (skipped && !matched), "{minute}");
        }
    }
}
