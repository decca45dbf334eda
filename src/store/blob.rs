//! Tables of the ledger as bytes, and back.
//!
//! Numbers are LEB128 (seven bits a byte, the lowest first); one with a sign is zigzagged before.
//! Everything ascends, so what is written is mostly the step from the number before:
//!
//! ```text
//! bursts   reach, hidden gap, n, then n × (first second − last of the one before, its length)
//! recent   for each of its three levels: n, then n × (number − the one before, four counts)
//! series   width in minutes, n, then n × (number − the one before, four counts)
//! ```
//!
//! The first of each list is the number itself, with its sign. Reading checks everything: what the
//! engine cannot have made is damage, never a guess.

use crate::engine::cadence::{Bursts, MAX_BURSTS};
use crate::engine::recent::Recent;
use crate::engine::series::{MAX_WINDOWS, Series};
use crate::store::error::Fault;

/// Levels of [`Recent`].
const LEVELS: usize = 3;

/// Returns bursts as bytes.
pub fn bursts(bursts: &Bursts) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, bursts.reach().cast_unsigned());
    put(&mut out, bursts.hidden_gap().cast_unsigned());
    put(&mut out, bursts.stored().len() as u64);
    let mut before = None;
    for (first, last) in bursts.stored() {
        put_step(&mut out, before, first);
        put(&mut out, last.wrapping_sub(first).cast_unsigned());
        before = Some(last);
    }
    out
}

/// Reads bursts from `column`.
pub fn get_bursts(bytes: &[u8], column: &str) -> Result<Bursts, Fault> {
    let mut rest = Rest(bytes);
    let read = |rest: &mut Rest<'_>| {
        let reach = rest.number()?.cast_signed();
        let hidden_gap = rest.number()?.cast_signed();
        let count = rest.number()?;
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for _ in 0..Some(count).filter(|count| *count <= MAX_BURSTS as u64)? {
            let first = rest.step(runs.last().map(|run| run.1))?;
            runs.push((first, first.checked_add_unsigned(rest.number()?)?));
        }
        Bursts::restore(reach, hidden_gap, runs)
    };
    whole(read(&mut rest), &rest, column)
}

/// Returns the windows of the last month as bytes.
pub fn recent(recent: &Recent) -> Vec<u8> {
    let mut out = Vec::new();
    for level in 0..LEVELS {
        let windows = recent.stored().filter(|(of, ..)| *of == level);
        put_windows(&mut out, windows.map(|(_, number, counts)| (number, counts)).collect());
    }
    out
}

/// Reads the windows of the last month from `column`.
pub fn get_recent(bytes: &[u8], column: &str) -> Result<Recent, Fault> {
    let mut rest = Rest(bytes);
    let read = |rest: &mut Rest<'_>| {
        let mut windows = Vec::new();
        for level in 0..LEVELS {
            let of_level = rest.windows()?.into_iter();
            windows.extend(of_level.map(|(number, counts)| (level, number, counts)));
        }
        Recent::restore(windows)
    };
    whole(read(&mut rest), &rest, column)
}

/// Returns a series as bytes.
pub fn series(series: &Series) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, series.width().as_secs() / 60);
    put_windows(&mut out, series.stored().collect());
    out
}

/// Reads a series from `column`.
pub fn get_series(bytes: &[u8], column: &str) -> Result<Series, Fault> {
    let mut rest = Rest(bytes);
    let read = |rest: &mut Rest<'_>| {
        let width = rest.number()?.cast_signed();
        Series::restore(width, rest.windows()?)
    };
    whole(read(&mut rest), &rest, column)
}

fn whole<T>(read: Option<T>, rest: &Rest<'_>, column: &str) -> Result<T, Fault> {
    let read = read.filter(|_| rest.0.is_empty());
    read.ok_or_else(|| Fault::nonsense(column, "a table that was never written"))
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Writes `number` as its distance from the one before, which is not larger.
fn put_step(out: &mut Vec<u8>, before: Option<i64>, number: i64) {
    match before {
        Some(before) => put(out, number.wrapping_sub(before).cast_unsigned()),
        None => put(out, (number << 1 ^ number >> 63).cast_unsigned()),
    }
}

fn put_windows(out: &mut Vec<u8>, windows: Vec<(i64, [u64; 4])>) {
    put(out, windows.len() as u64);
    let mut before = None;
    for (number, counts) in windows {
        put_step(out, before, number);
        for count in counts {
            put(out, count);
        }
        before = Some(number);
    }
}

/// Bytes that were not read yet. Each reading is `None` where they do not hold it.
struct Rest<'b>(&'b [u8]);

impl Rest<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn step(&mut self, before: Option<i64>) -> Option<i64> {
        let number = self.number()?;
        match before {
            Some(before) => before.checked_add_unsigned(number),
            None => Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed()),
        }
    }

    fn windows(&mut self) -> Option<Vec<(i64, [u64; 4])>> {
        let count = self.number()?;
        let mut windows: Vec<(i64, [u64; 4])> = Vec::new();
        for _ in 0..Some(count).filter(|count| *count <= MAX_WINDOWS as u64)? {
            let before = windows.last().map(|window| window.0);
            let number = self.step(before)?;
            let is_next = before.is_none_or(|before| before < number);
            let mut counts = [0; 4];
            for count in &mut counts {
                *count = self.number()?;
            }
            windows.push(is_next.then_some((number, counts))?);
        }
        Some(windows)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::time::Minute;
    use crate::engine::usage::Seconds;

    fn minutes() -> impl Strategy<Value = Vec<(i64, u64, u64)>> {
        let number = prop_oneof![-70_000_i64..70_000, -9_i64..9];
        let count = prop_oneof![0..9_u64, any::<u64>()];
        prop::collection::vec((number, any::<u64>(), count), 0..900)
    }

    fn tables(minutes: &[(i64, u64, u64)]) -> (Bursts, Recent, Series) {
        let mut tables = (Bursts::default(), Recent::default(), Series::default());
        for &(number, bits, count) in minutes {
            let minute = Minute::from_number(number);
            // Few seconds of each minute, so that gaps are of all lengths.
            let bits = bits & bits >> 13 & bits >> 29 | 1 << (bits % 60);
            tables.0.insert(minute, Seconds::from_bits(bits));
            tables.1.add(minute, [count, 0, 1, count / 2]);
            tables.2.add(minute, [count, 0, 1, count / 2]);
        }
        tables
    }

    #[test]
    fn numbers_of_all_sizes_come_back() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(Rest(&out).number(), Some(number));
        }
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_step(&mut out, None, number);
            put_step(&mut out, Some(number), i64::MAX);
            let mut rest = Rest(&out);
            assert_eq!((rest.step(None), rest.step(Some(number))), (Some(number), Some(i64::MAX)));
        }
        // 70 bits, and a number that never ends.
        assert_eq!(
            Rest(&[0xff; 9].iter().chain(&[0x02]).copied().collect::<Vec<_>>()).number(),
            None
        );
        assert_eq!(Rest(&[0xff; 11]).number(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn tables_come_back_as_they_were(minutes in minutes()) {
            let (uses, month, life) = tables(&minutes);
            prop_assert_eq!(get_bursts(&bursts(&uses), "").ok(), Some(uses));
            prop_assert_eq!(get_recent(&recent(&month), "").ok(), Some(month));
            prop_assert_eq!(get_series(&series(&life), "").ok(), Some(life));
        }

        #[test]
        fn what_is_cut_or_longer_is_damage(minutes in minutes(), cut in any::<prop::sample::Index>()) {
            let (uses, month, life) = tables(&minutes);
            let longer = |mut bytes: Vec<u8>| { bytes.push(0); bytes };
            let cut = |bytes: Vec<u8>| bytes[..cut.index(bytes.len())].to_vec();
            for change in [&longer as &dyn Fn(Vec<u8>) -> Vec<u8>, &cut] {
                prop_assert!(get_bursts(&change(bursts(&uses)), "").is_err());
                prop_assert!(get_recent(&change(recent(&month)), "").is_err());
                prop_assert!(get_series(&change(series(&life)), "").is_err());
            }
        }

        #[test]
        fn nonsense_is_refused_or_a_table(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            // What is taken has the form that it would be written in, or a longer one of a number.
            if let Ok(found) = get_bursts(&bytes, "") {
                prop_assert!(bursts(&found).len() <= bytes.len());
            }
            if let Ok(found) = get_recent(&bytes, "") {
                prop_assert!(recent(&found).len() <= bytes.len());
            }
            if let Ok(found) = get_series(&bytes, "") {
                prop_assert!(series(&found).len() <= bytes.len());
            }
        }
    }
}
