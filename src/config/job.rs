//! Reads `jobs` of a credential: which consumer runs when, and for how long at most.
//!
//! The schedule is kept as it is written; the engine reads it again when a rotation pins it.

use std::time::Duration;

use jiff::tz::TimeZoneDatabase;
use toml::Spanned;

use crate::config::check_name;
use crate::config::report::{Report, Span};
use crate::config::table::{Table, closest};
use crate::engine::job::{NotASchedule, Schedule};
use crate::engine::rotation::{Job, RosterEntry};
use crate::engine::usage::Consumer;

/// How long a run lasts at most when nothing is said.
const MAX_RUNTIME: Duration = Duration::from_hours(1);

/// Most jobs of one credential: each is looked at in every decision.
const MAX_JOBS: usize = 256;

const EXAMPLE: &str =
    "{ consumer = \"billing-batch\", schedule = \"0 3 1 * *\", max_runtime = \"2h\" }";

/// Reads the jobs of one credential, whose consumers need not be on its roster.
pub(super) fn read(
    credential: &mut Table<'_>,
    roster: &[RosterEntry],
    report: &mut Report,
) -> Vec<Job> {
    let mut jobs: Vec<(Job, Schedule)> = Vec::new();
    let expected = format!("a list of tables like {EXAMPLE}");
    let Some(values) = credential.array("jobs", &expected, report) else { return Vec::new() };
    if values.get_ref().len() > MAX_JOBS {
        let message = format!("`jobs` has more than {MAX_JOBS} entries");
        report.problem(
            &values.span(),
            message,
            "leave out those that others of its consumer cover",
        );
        return Vec::new();
    }
    for value in values.into_inner() {
        let span = value.span();
        let Some(entries) = value.get_ref().as_table() else {
            report.problem(&span, "a job is no table", format!("write {EXAMPLE}"));
            continue;
        };
        let table = Table::new(entries, span.clone(), "a job");
        let Some((job, schedule)) = read_job(table, roster, report) else { continue };
        if jobs.iter().any(|(other, when)| other.consumer == job.consumer && *when == schedule) {
            let message = format!("this job of `{}` is given twice", job.consumer);
            report.problem(&span, message, "remove one");
        }
        jobs.push((job, schedule));
    }
    jobs.into_iter().map(|(job, _)| job).collect()
}

fn read_job(
    mut table: Table<'_>,
    roster: &[RosterEntry],
    report: &mut Report,
) -> Option<(Job, Schedule)> {
    let consumer = read_consumer(&mut table, roster, report);
    let text = table.string("schedule", report);
    if !table.is_given("schedule") {
        table.missing("schedule", "add `schedule = \"0 3 1 * *\"`", report);
    }
    let zone = read_zone(&mut table, report);
    let mut max_runtime = MAX_RUNTIME;
    if let Some(span) = table.duration("max_runtime", &mut max_runtime, report)
        && max_runtime.is_zero()
    {
        let message = "`max_runtime` of zero says that the job never runs";
        report.problem(&span, message, "write how long a run lasts at most, as \"2h\"");
    }
    table.finish(report);
    let (text, zone) = (text?, zone?);
    match Schedule::parse(text.get_ref(), zone.as_deref()) {
        Ok(schedule) => {
            let zone = zone.map(Into::into);
            let schedule_text = text.into_inner().into();
            let job =
                Job { consumer: consumer?.into(), schedule: schedule_text, zone, max_runtime };
            Some((job, schedule))
        }
        Err(error) => {
            let message = format!("`schedule` = \"{}\" {error}", text.get_ref());
            report.problem(&place(&error, &text), message, error.fix());
            None
        }
    }
}

fn read_consumer(
    table: &mut Table<'_>,
    roster: &[RosterEntry],
    report: &mut Report,
) -> Option<String> {
    let consumer = table.string("consumer", report);
    if !table.is_given("consumer") {
        table.missing(
            "consumer",
            "add `consumer = \"billing-batch\"`, as the log shows it",
            report,
        );
    }
    let consumer = consumer?;
    check_name("consumer", &consumer, report);
    let name = consumer.get_ref().as_str();
    if name == Consumer::POOL {
        let message = format!("`{name}` is the name of all who have none: its runs cannot be told");
        report.problem(
            &consumer.span(),
            message,
            "log a name for the job, or map one to its address",
        );
    }
    if roster.iter().any(|entry| *entry.name == *name && entry.synthetic) {
        let message = format!("`{name}` is synthetic: what it does proves no run of a job");
        report.problem(
            &consumer.span(),
            message,
            "remove the job, or `synthetic` from the consumer",
        );
    }
    Some(consumer.into_inner())
}

/// Reads the name of the zone; `None` for one that is unknown.
#[expect(clippy::option_option, reason = "no zone means UTC, an odd one a problem")]
fn read_zone(table: &mut Table<'_>, report: &mut Report) -> Option<Option<String>> {
    let Some(name) = table.string("tz", report) else {
        return (!table.is_given("tz")).then_some(None);
    };
    let database = TimeZoneDatabase::bundled();
    let text = name.get_ref().as_str();
    if database.get(text).is_ok() {
        return Some(Some(name.into_inner()));
    }
    let known: Vec<String> = database.available().map(|zone| zone.to_string()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let fix = match closest(text, &known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => NotASchedule::UnknownZone(String::new()).fix(),
    };
    report.problem(&name.span(), format!("unknown time zone \"{text}\""), fix);
    None
}

/// Returns the place of the field that is wrong, where the text stands as it is.
fn place(error: &NotASchedule, text: &Spanned<String>) -> Span {
    let span = text.span();
    match error {
        // Two quotes and nothing escaped.
        NotASchedule::Field { text: field, at, .. } if span.len() == text.get_ref().len() + 2 => {
            let start = span.start + 1 + at;
            start..start + field.len()
        }
        _ => span,
    }
}
