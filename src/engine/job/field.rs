//! The fields of a cron expression, one by one: which of them cannot be understood.
//!
//! The crate reads more than cron does (`L`, `W`, `#`, `H`); what is no cron is refused here.

use crate::engine::job::NotASchedule;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What other crons read for five fields.
const SHORTHANDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A field of a cron expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The first.
    Minute,
    /// The second.
    Hour,
    /// The third.
    DayOfMonth,
    /// The fourth.
    Month,
    /// The fifth.
    DayOfWeek,
}

impl Field {
    const ALL: [Self; 5] =
        [Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    /// Returns what it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "the minute",
            Self::Hour => "the hour",
            Self::DayOfMonth => "the day of month",
            Self::Month => "the month",
            Self::DayOfWeek => "the day of week",
        }
    }

    /// Returns what it looks like, for messages.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Minute => "minutes from 0 to 59, as \"5\", \"*/15\" or \"0,30\"",
            Self::Hour => "hours from 0 to 23, as \"3\", \"*/6\" or \"8-17\"",
            Self::DayOfMonth => "days from 1 to 31, as \"1\", \"*/2\" or \"1,15\"",
            Self::Month => "months from 1 to 12 or jan to dec, as \"3\", \"*/3\" or \"jan-jun\"",
            Self::DayOfWeek => {
                "days from 0 to 7 (0 and 7 are Sunday) or sun to sat, upwards, as \"1-5\" or \"sat,sun\""
            }
        }
    }

    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }

    fn reads(self, text: &str) -> bool {
        let plain = |part: &str| {
            let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            number || part == "*" || self.names().iter().any(|name| name.eq_ignore_ascii_case(part))
        };
        let mut fields = ["*"; 5];
        fields[self as usize] = text;
        text.split([',', '-', '/']).all(plain)
            && cronexpr::parse_crontab(&format!("{} UTC", fields.join(" "))).is_ok()
    }
}

/// Returns the expression with single spaces, each of its five fields understood.
pub(super) fn checked(expression: &str, max_len: usize) -> Result<String, NotASchedule> {
    if expression.len() > max_len {
        return Err(NotASchedule::TooLong);
    }
    let trimmed = expression.trim();
    if trimmed.starts_with('@') {
        let same = SHORTHANDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(trimmed));
        return Err(NotASchedule::Shorthand(same.map(|(_, fields)| *fields)));
    }
    let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
    if fields.len() != Field::ALL.len() {
        return Err(NotASchedule::FieldCount(fields.len()));
    }
    for (field, text) in Field::ALL.into_iter().zip(&fields) {
        if !field.reads(text) {
            let at = text.as_ptr().addr() - expression.as_ptr().addr();
            return Err(NotASchedule::Field { field, text: (*text).to_owned(), at });
        }
    }
    Ok(fields.join(" "))
}
