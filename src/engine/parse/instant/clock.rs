//! Times of one log, most of them of the same minute as the one before.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{LOCAL_LEN, TimeForm, local, read};
use crate::engine::time::Timestamp;

/// Reads one time after another, most of them of the same minute.
#[derive(Debug, Default)]
pub struct Clock {
    /// The last minute of a `$time_local`.
    last: Option<Minute>,
}

/// A minute as it is written, and when it begins.
#[derive(Debug)]
struct Minute {
    /// `17/May/2015:10:05:`
    text: [u8; 18],
    /// ` +0000`
    zone: [u8; 6],
    start: Timestamp,
}

impl Clock {
    /// Reads a time as [`read`] does.
    pub fn read(
        &mut self,
        form: TimeForm,
        text: &[u8],
        zone: Option<&TimeZone>,
    ) -> Option<Timestamp> {
        match form {
            TimeForm::Local => self.local(text),
            _ => read(form, text, zone),
        }
    }

    fn local(&mut self, text: &[u8]) -> Option<Timestamp> {
        let t: &[u8; LOCAL_LEN] = text.try_into().ok()?;
        let (text, rest) = t.split_first_chunk()?;
        let ([tens, ones], zone) = rest.split_first_chunk()?;
        let second = match (tens, ones) {
            (b'0'..=b'5', b'0'..=b'9') => u64::from(tens - b'0') * 10 + u64::from(ones - b'0'),
            // A leap second, or none.
            _ => return local(t),
        };
        let second = Duration::from_secs(second);
        if let Some(last) = &self.last
            && last.text == *text
            && last.zone == *zone
        {
            let at = last.start.plus(second);
            // The last minute of all times is not a whole one.
            return (at.minus(second) == last.start).then_some(at);
        }
        let at = local(t)?;
        let start = at.minus(second);
        // At the beginning of all times a minute may have none.
        self.last = (start.plus(second) == at).then_some(Minute {
            text: *text,
            zone: zone.try_into().ok()?,
            start,
        });
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A time of the form of `$time_local`, which may not exist.
    fn any_local() -> impl Strategy<Value = String> {
        let day = prop::sample::select(vec!["17/May/2015", "18/May/2015", "31/Jun/2015"]);
        let edge = prop::sample::select(vec!["11/Apr/2262:23:47", "21/Sep/1677:00:12"]);
        let clock = prop_oneof![
            6 => (day, 9..11, 58..60).prop_map(|(day, hour, minute)| format!("{day}:{hour:02}:{minute}")),
            1 => edge.prop_map(str::to_owned),
        ];
        let second = prop_oneof![6 => (0..62).prop_map(|second| format!("{second:02}")), 1 => "[0-9:\0 ]{2}"];
        let zone = prop::sample::select(vec![" +0000", " -0130", "  0000"]);
        (clock, second, zone).prop_map(|(clock, second, zone)| format!("{clock}:{second}{zone}"))
    }

    proptest! {
        #[test]
        fn a_time_does_not_depend_on_those_that_were_read_before(
            times in prop::collection::vec(prop_oneof![9 => any_local(), 1 => "\0{26}"], 1..40),
        ) {
            let mut clock = Clock::default();
            for text in times.iter().map(String::as_bytes) {
                let said = clock.read(TimeForm::Local, text, None);
                prop_assert_eq!(said, read(TimeForm::Local, text, None));
            }
        }
    }
}
