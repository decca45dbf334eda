//! The usual line of `combined`, taken apart in one pass.
//!
//! ```text
//! 192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /?k=1 HTTP/1.1" 200 512 "-" "curl/8.5.0"
//! \_ word _/     \______ 26 bytes ________/  1 \____________/   2 \_digits_/ 3 4 5   …    6
//! ```
//!
//! It is the same reading as that of the template, or none: a line with a user, a backslash before
//! its last quote or anything else unusual is left to the template.

use memchr::memchr2_iter;

use super::template::FieldSpan;

/// Number of the variables of `combined`.
const VARIABLES: usize = 8;

/// What stands between the address and the time of somebody without a name.
const NOBODY: &[u8; 6] = b" - - [";

/// Length of `17/May/2015:10:05:03 +0000`.
const TIME_LEN: usize = 26;

/// Finds the variables of `combined` in a usual line, in their order; `None` for any other line.
pub fn combined(line: &[u8]) -> Option<[FieldSpan; VARIABLES]> {
    combined_at(line, quotes(line)?)
}

/// Does the same where the first six quotes are known, with no backslash before the last of them.
#[inline]
pub fn combined_at(line: &[u8], quotes: [usize; 6]) -> Option<[FieldSpan; VARIABLES]> {
    let [q1, q2, q3, q4, q5, q6] = quotes;
    // `] "`, and what comes before the time.
    let time_end = q1.checked_sub(2)?;
    let time = time_end.checked_sub(TIME_LEN)?;
    let address = time.checked_sub(NOBODY.len()).filter(|len| *len > 0)?;
    let is_head = line[time_end..q1] == *b"] "
        && line[address..].first_chunk() == Some(NOBODY)
        && !line[..address].contains(&b' ');
    let (status, bytes) = (q2 + 2, q3.checked_sub(1)?);
    let space = status + line.get(status..bytes)?.iter().position(|byte| *byte == b' ')?;
    let is_middle = line[q2 + 1] == b' '
        && line[bytes] == b' '
        && space + 1 < bytes
        && line[space + 1..bytes].iter().all(u8::is_ascii_digit);
    // `" "` between the last two.
    let is_tail =
        q5 == q4 + 2 && line[q4 + 1] == b' ' && line.get(q6 + 1).is_none_or(|b| *b == b' ');
    let user = (address + 3, address + 4);
    (is_head && is_middle && is_tail).then_some([
        (0, address),
        user,
        (time, time_end),
        (q1 + 1, q2),
        (status, space),
        (space + 1, bytes),
        (q3 + 1, q4),
        (q5 + 1, q6),
    ])
}

/// Returns the first six quotes, if there is no backslash before the last of them.
fn quotes(line: &[u8]) -> Option<[usize; 6]> {
    let mut marks = memchr2_iter(b'"', b'\\', line);
    let mut quotes = [0; 6];
    for quote in &mut quotes {
        *quote = marks.next().filter(|&at| line[at] == b'"')?;
    }
    Some(quotes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::parse::text;
    use proptest::prelude::*;

    const USUAL: &str = "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET /?k=1 HTTP/1.1\" 200 512 \
         \"https://a.example/\" \"curl/8.5.0\"";

    fn by_template(line: &[u8]) -> Option<Vec<FieldSpan>> {
        let template = text::preset(text::COMBINED).expect("it compiles");
        let mut spans = Vec::new();
        template.split(line, &mut spans)?;
        Some(spans)
    }

    #[test]
    fn the_usual_line_is_read() {
        for line in [USUAL.to_owned(), format!("{USUAL} 0.005"), USUAL.replace("curl/8.5.0", "")] {
            assert_eq!(combined(line.as_bytes()).map(Vec::from), by_template(line.as_bytes()));
            assert!(combined(line.as_bytes()).is_some(), "{line}");
        }
    }

    #[test]
    fn what_is_only_nearly_usual_is_left_to_the_template() {
        let without = |part: &str| USUAL.replacen(part, "", 1);
        for line in [
            without("192.0.2.1"),
            without("512"),
            without("200 512"),
            without("- - "),
            without("+0000"),
            USUAL.replace("512", "-"),
            USUAL.replace("- -", "- ann"),
            USUAL.replace("192.0.2.1", "192.0.2.1 x"),
            USUAL.replace("GET /", r"GET /\x22"),
            format!("{USUAL}x"),
        ] {
            assert_eq!(combined(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn no_cut_of_a_line_is_read_in_another_way() {
        for to in 0..USUAL.len() {
            for from in 0..to {
                let line = &USUAL.as_bytes()[from..to];
                let quick = combined(line).map(Vec::from);
                assert!(quick.is_none() || quick == by_template(line), "{from}..{to}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_line_is_read_as_the_template_reads_it_or_not_at_all(
            edits in prop::collection::vec(
                (any::<prop::sample::Index>(), 0_usize..6, "[ \"\\\\\\[\\]a1-]{0,5}"), 0..5,
            ),
        ) {
            let mut line = USUAL.as_bytes().to_vec();
            for (at, len, text) in edits {
                let from = at.index(line.len() + 1);
                line.splice(from..line.len().min(from + len), text.bytes());
            }
            if let Some(quick) = combined(&line) {
                prop_assert_eq!(Some(quick.to_vec()), by_template(&line));
            }
        }
    }
}
