//! When a scheduled job runs: a five-field cron expression, in UTC or in a named zone.
//!
//! The crate reads the fields and finds wall-clock times that match, as if they were UTC. Which
//! instants such a time is, is said here, because clocks change:
//!
//! ```text
//! wall clock   01:30      02:30 does not exist      02:30 comes twice
//! instants     one        the change, or as if      the first, or the second
//!                         there had been none
//! ```
//!
//! Where there are two, cron daemons differ and a run counts at both. Zones are those that are
//! compiled in: nothing is read, and the same expression means the same on every host.

mod field;

pub use field::Field;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cronexpr::Crontab;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::engine::declaration::Job;
use crate::engine::time::Timestamp;

/// Longest expression that is read, in bytes.
const MAX_EXPRESSION_LEN: usize = 256;

/// How far to both sides of a moment intervals between runs are looked at.
const HORIZON: Duration = Duration::from_hours(400 * 24);

/// Upper bound of every interval: 29 February 2096 is followed by that of 2104.
const LONGEST: Duration = Duration::from_hours(8 * 366 * 24);

/// Steps, each of nearly a run's length, in which the end of a row of runs is looked for.
const MAX_STEPS: usize = 64;

const DAY: Duration = Duration::from_hours(24);
const INSTANT: Duration = Duration::from_nanos(1);

/// A schedule: when a job's runs begin.
///
/// ```
/// use keydrain::engine::job::Schedule;
/// let monthly = Schedule::parse("0 3 1 * *", Some("Europe/Berlin")).unwrap();
/// let next = monthly.next_after("2026-03-15T00:00:00Z".parse().unwrap());
/// assert_eq!(next, Some("2026-04-01T01:00:00Z".parse().unwrap()));
/// ```
#[derive(Clone)]
pub struct Schedule {
    expression: Arc<str>,
    /// Matches the wall clock, taken for UTC.
    wall: Crontab,
    zone: TimeZone,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}

impl Eq for Schedule {}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.zone.iana_name().unwrap_or_default())
    }
}

/// Why a text is no schedule, as the end of a sentence; [`fix`](Self::fix) says how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotASchedule {
    /// Not five fields.
    #[error("has {0} fields where cron has five")]
    FieldCount(usize),
    /// `@daily` and its like; the five fields that mean the same, if there are any.
    #[error("is a shorthand")]
    Shorthand(Option<&'static str>),
    /// A field cannot be understood.
    #[error("has `{text}` for {}", field.name())]
    Field {
        /// Which one.
        field: Field,
        /// What stands there.
        text: String,
        /// Where it begins, in bytes.
        at: usize,
    },
    /// No day matches.
    #[error("names days that never come")]
    NeverRuns,
    /// Longer than any schedule is.
    #[error("is longer than {MAX_EXPRESSION_LEN} bytes")]
    TooLong,
    /// There is no such zone.
    #[error("is for the unknown time zone `{0}`")]
    UnknownZone(String),
}

impl NotASchedule {
    /// Says what to write instead.
    pub fn fix(&self) -> String {
        match self {
            Self::FieldCount(_) | Self::TooLong => {
                "write minute, hour, day of month, month and day of week, as \"0 3 1 * *\"; a zone \
                 goes into `tz`"
                    .to_owned()
            }
            Self::Shorthand(Some(same)) => format!("write \"{same}\""),
            Self::Shorthand(None) => {
                "write when it runs, in five fields, as \"0 3 * * *\"".to_owned()
            }
            Self::Field { field, .. } => format!("write {}", field.expected()),
            Self::NeverRuns => "correct the day of month or the month".to_owned(),
            Self::UnknownZone(_) => {
                "write a name of the IANA database, as \"Europe/Berlin\", or leave it out for UTC"
                    .to_owned()
            }
        }
    }
}

/// A time in which runs follow one another without a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// When the first run that is not over began.
    pub since: Timestamp,
    /// When the last run ends; `None` if so many follow that the end was not found.
    pub until: Option<Timestamp>,
}

impl Schedule {
    /// Reads a five-field cron expression; `zone` is an IANA name, UTC if there is none.
    ///
    /// Names of months and weekdays, lists, ranges and steps are read as Vixie's cron does, its rule
    /// for days included: if both day fields are restricted, either may match. Nothing else is.
    pub fn parse(expression: &str, zone: Option<&str>) -> Result<Self, NotASchedule> {
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZoneDatabase::bundled()
                .get(name)
                .map_err(|_| NotASchedule::UnknownZone(name.to_owned()))?,
        };
        let expression = field::checked(expression, MAX_EXPRESSION_LEN)?;
        let wall = cronexpr::parse_crontab(&format!("{expression} UTC"));
        // Each field was read alone, so all of them are.
        let wall = wall.map_err(|_| NotASchedule::FieldCount(5))?;
        let schedule = Self { expression: expression.into(), wall, zone };
        // Four years from 1970 have a 29 February.
        match schedule.next_wall(Timestamp::from_seconds(0)) {
            Some(_) => Ok(schedule),
            None => Err(NotASchedule::NeverRuns),
        }
    }

    /// Returns the first instant after `after` at which a run may begin.
    ///
    /// `None` where there is none in the four years that follow.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut wall = shifted(after, self.least_offset(after));
        let mut next: Option<Timestamp> = None;
        loop {
            wall = self.next_wall(wall)?;
            let (first, second) = self.instants(wall);
            // First instants never go back from one wall-clock time to the next.
            if let Some(next) = next.filter(|next| first >= *next) {
                return Some(next);
            }
            if first > after {
                return Some(first);
            }
            if second > after {
                next = Some(next.map_or(second, |next| next.min(second)));
            }
        }
    }

    /// Tells whether `now` lies in a run: one that began at most `max_runtime` before.
    pub fn running(&self, now: Timestamp, max_runtime: Duration) -> Option<Running> {
        let since = self.next_after(now.minus(max_runtime)).filter(|since| *since <= now)?;
        let mut last = since;
        for _ in 0..MAX_STEPS {
            let ends = last.plus(max_runtime);
            match self.late_in(last, ends) {
                Some(next) => last = next,
                None => return Some(Running { since, until: Some(ends) }),
            }
        }
        Some(Running { since, until: None })
    }

    /// Returns a start in `(after, until]`, if there is one: as late as a few looks can find.
    fn late_in(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut back = Duration::from_mins(1);
        loop {
            let from = until.minus(back).max(after);
            let found = self.next_after(from).filter(|next| *next <= until);
            if found.is_some() || from == after {
                return found;
            }
            back = back.saturating_mul(4);
        }
    }

    /// Returns the longest time from one run to the next in the 400 days to both sides of `around`.
    ///
    /// At least one interval is looked at, however long. Never too short for cron daemons that
    /// differ in what they do when clocks change. O(days) calendar steps: call it once.
    pub fn longest_interval(&self, around: Timestamp) -> Duration {
        let Some((mut day, times)) = self.first_day(around.minus(HORIZON)) else { return LONGEST };
        let (opens, closes) = (times[0], times[times.len() - 1]);
        let pause = times.windows(2).map(|two| two[1].saturating_sub(two[0])).max();
        let mut longest = Duration::ZERO;
        loop {
            let at = |time: &Duration| self.instants(day.plus(*time));
            // Every day has the same times; only a change of the clock moves them apart.
            let kept = at(&closes).1.since(at(&opens).0) == closes.saturating_sub(opens);
            let pauses = times.windows(2).map(|two| at(&two[1]).1.since(at(&two[0]).0));
            longest = longest.max(if kept { pause } else { pauses.max() }.unwrap_or_default());
            let Some(next) = self.next_wall(day.plus(DAY).minus(INSTANT)) else { return LONGEST };
            longest = longest.max(self.instants(next).1.since(at(&closes).0));
            if next > around.plus(HORIZON) {
                return longest;
            }
            day = day_of(next);
        }
    }

    /// Returns the first day with runs after a wall-clock time, and their times of day: never none.
    fn first_day(&self, wall: Timestamp) -> Option<(Timestamp, Vec<Duration>)> {
        let day = day_of(self.next_wall(wall)?);
        let mut times = Vec::new();
        let mut last = day.minus(INSTANT);
        while let Some(next) = self.next_wall(last).filter(|next| day_of(*next) == day) {
            times.push(next.since(day));
            last = next;
        }
        (!times.is_empty()).then_some((day, times))
    }

    /// Returns the first wall-clock time after `wall` that matches; both as if in UTC.
    fn next_wall(&self, wall: Timestamp) -> Option<Timestamp> {
        let found = self.wall.find_next(instant(wall)?).ok()?;
        i64::try_from(found.timestamp().as_nanosecond()).ok().map(Timestamp::from_nanos)
    }

    /// Returns the two instants at which a run of a wall-clock time may begin, in order.
    fn instants(&self, wall: Timestamp) -> (Timestamp, Timestamp) {
        let Some(civil) = instant(wall).map(|at| TimeZone::UTC.to_datetime(at)) else {
            return (wall, wall);
        };
        match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                let at = shifted(wall, -offset.seconds());
                (at, at)
            }
            AmbiguousOffset::Fold { before, after } => {
                (shifted(wall, -before.seconds()), shifted(wall, -after.seconds()))
            }
            AmbiguousOffset::Gap { before, after } => {
                let second = shifted(wall, -before.seconds());
                // With the later offset it would lie before the change.
                let change = instant(shifted(wall, -after.seconds()))
                    .and_then(|at| self.zone.following(at).next());
                let change = change.map(|at| Timestamp::from_seconds(at.timestamp().as_second()));
                (change.map_or(second, |change| change.min(second)), second)
            }
        }
    }

    /// Returns the least offset from UTC, in seconds, within a day of an instant.
    fn least_offset(&self, at: Timestamp) -> i32 {
        if self.zone == TimeZone::UTC {
            return 0;
        }
        let around = [at.minus(DAY), at, at.plus(DAY)];
        let offsets =
            around.map(|at| instant(at).map_or(0, |at| self.zone.to_offset(at).seconds()));
        offsets.into_iter().min().unwrap_or(0)
    }
}

fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).ok()
}

fn shifted(at: Timestamp, seconds: i32) -> Timestamp {
    let by = Duration::from_secs(u64::from(seconds.unsigned_abs()));
    if seconds < 0 { at.minus(by) } else { at.plus(by) }
}

fn day_of(wall: Timestamp) -> Timestamp {
    Timestamp::from_seconds(wall.as_seconds().div_euclid(86_400) * 86_400)
}

/// A job of a rotation, with its schedule read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledJob {
    /// The job as it was declared.
    pub job: Job,
    /// Its schedule; a stored one may not be understood any more.
    pub schedule: Result<Schedule, NotASchedule>,
    /// Longest time from one run to the next.
    pub longest_interval: Duration,
}

impl ScheduledJob {
    /// Reads the schedule of a job; intervals are those around `around`.
    pub fn new(job: &Job, around: Timestamp) -> Self {
        let schedule = Schedule::parse(&job.schedule, job.zone.as_deref());
        let longest_interval = schedule.as_ref().map(|found| found.longest_interval(around));
        Self { job: job.clone(), longest_interval: longest_interval.unwrap_or(LONGEST), schedule }
    }
}
