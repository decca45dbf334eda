//! What a row says about an answer.

use std::collections::BTreeSet;
use std::time::Duration;

use keydrain::engine::answer::{Answer, Blocker, Verdict};

use crate::story::{INSTANT, Story, at};

/// Returns the codes and subjects that stand.
pub fn standing(answer: &Answer) -> BTreeSet<(&str, &str)> {
    answer.blockers.iter().map(|b| (b.code.as_str(), b.subject.as_str())).collect()
}

/// Asserts the verdict and everything that stands.
#[track_caller]
pub fn check<'s>(
    answer: &Answer,
    verdict: Verdict,
    expected: impl IntoIterator<Item = (&'s str, &'s str)>,
) {
    let expected: BTreeSet<(&str, &str)> = expected.into_iter().collect();
    assert_eq!(
        (answer.verdict, standing(answer)),
        (verdict, expected),
        "at {} with watermark {:?}: {:#?}",
        answer.evaluated_at,
        answer.watermark,
        answer.blockers
    );
}

/// Returns the blocker with this code and subject.
#[track_caller]
pub fn blocker<'a>(answer: &'a Answer, code: &str, subject: &str) -> &'a Blocker {
    let found = answer.blockers.iter().find(|b| b.code.as_str() == code && b.subject == subject);
    found.unwrap_or_else(|| panic!("{code} of {subject} does not stand: {:?}", standing(answer)))
}

/// Asserts that the message of a blocker says these things.
#[track_caller]
pub fn says(answer: &Answer, code: &str, subject: &str, fragments: &[&str]) {
    let message = &blocker(answer, code, subject).message;
    for fragment in fragments {
        assert!(message.contains(fragment), "{code} does not say {fragment:?}: {message}");
    }
}

/// Asserts that a blocker stands in a busy log up to `ends` and not at it, and says so itself.
#[track_caller]
pub fn stands_until(story: &Story, code: &str, subject: &str, ends: &str) {
    let ends = at(ends);
    for before in [Duration::from_secs(1), INSTANT] {
        let answer = story.busy_at(ends.minus(before));
        let standing = blocker(&answer, code, subject);
        assert_eq!(standing.clears_at, Some(ends), "clears_at {before:?} before it clears");
    }
    let after = story.busy_at(ends);
    assert!(
        !standing(&after).contains(&(code, subject)),
        "{code} of {subject} still stands: {:?}",
        after.blockers
    );
}
