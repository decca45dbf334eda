//! Reads `[state]`: where the state lies, and how long the history of usage is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Environment;
use crate::config::report::{Report, Span};
use crate::config::server::read_path;
use crate::config::table::Table;
use crate::engine::duration::show;
use crate::engine::state::Retention;

const STATE_DIR: &str = "/var/lib/keydrain";
const ENV_STATE_DIR: &str = "KEYDRAIN_STATE__DIR";

/// Reads `[state]`: the directory and the retention.
pub(super) fn read(
    table: Option<Table<'_>>,
    base: &Path,
    environment: Environment<'_>,
    report: &mut Report,
) -> (PathBuf, Retention) {
    let mut dir = None;
    let mut retention = Retention::default();
    if let Some(mut table) = table {
        dir = read_path(&mut table, "dir", base, report);
        if let Some(table) = table.table("retention", "[state.retention]", report) {
            read_retention(table, &mut retention, report);
        }
        table.finish(report);
    }
    let from_environment = environment(ENV_STATE_DIR).filter(|value| !value.is_empty());
    let dir = from_environment.map(PathBuf::from).or(dir);
    (dir.unwrap_or_else(|| STATE_DIR.into()), retention)
}

fn read_retention(mut table: Table<'_>, retention: &mut Retention, report: &mut Report) {
    let minutes = table.duration("minutes", &mut retention.minutes, report);
    let hours = table.duration("hours", &mut retention.hours, report);
    let days = table.duration("days", &mut retention.days, report);
    let whole = table.span().clone();
    table.finish(report);
    let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
    let long_enough = at_least("minutes", retention.minutes, hour, minutes.as_ref(), report)
        & at_least("hours", retention.hours, day, hours.as_ref(), report)
        & at_least("days", retention.days, day, days.as_ref(), report);
    if !long_enough {
        return;
    }
    // The default of one may be in the way of the other: the one that is written is at fault.
    let mut in_order = |(narrow, kept, narrow_at): Kept<'_>, (wide, longer, wide_at): Kept<'_>| {
        if kept > longer {
            let longer = show(longer);
            let message = format!("`{narrow}` are kept longer than `{wide}` ({longer})");
            let fix = format!("lower `{narrow}` or raise `{wide}`");
            report.problem(narrow_at.or(wide_at).unwrap_or(&whole), message, fix);
        }
    };
    let hours = ("hours", retention.hours, hours.as_ref());
    in_order(("minutes", retention.minutes, minutes.as_ref()), hours);
    in_order(hours, ("days", retention.days, days.as_ref()));
}

/// Name, duration and place of one of the three.
type Kept<'s> = (&'s str, Duration, Option<&'s Span>);

fn at_least(
    key: &str,
    kept: Duration,
    least: Duration,
    span: Option<&Span>,
    report: &mut Report,
) -> bool {
    let Some(span) = span.filter(|_| kept < least) else { return true };
    let message = format!("`{key}` are kept for less than {}", show(least));
    report.problem(span, message, format!("write {} or more", show(least)));
    false
}
