//! Rules about what makes a source able to prove absence: probes, and sources that lose lines.
//!
//! A best-effort source proves every use that it shows and no quiet. Its silence, lag, gaps and
//! rejects mean nothing and its watermark is none of the rotation's: what it has not shown, the
//! complete source that covers it has. Without such a source its quiet is nobody's to prove.

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;
use crate::engine::credential::SourceName;
use crate::engine::evidence::Source;
use crate::engine::policy::Completeness;
use crate::engine::probe::{Probe, Sightings};
use crate::engine::wording::humane;

pub(super) fn probe_missing(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for (name, source) in case.sources.iter().filter_map(|(name, of)| Some((*name, (*of)?))) {
        for (probe, seen) in source.probes() {
            out.extend(missing(case, name, probe, seen));
        }
    }
}

/// A probe must have been seen at the window's end, or its bound before it, and at its beginning,
/// or its bound before it: what was seen only after the beginning does not show that the source
/// was read then. What was seen after the end shows more than is asked.
fn missing(
    case: &Case<'_>,
    source: &SourceName,
    probe: &Probe,
    seen: Option<&Sightings>,
) -> Option<Blocker> {
    let last = seen.and_then(Sightings::last);
    let remedy = format!(
        "it must show up every {}; look at what sends it, and at the log's way from the server here",
        humane(probe.bound())
    );
    let subject = format!("{}@{source}", probe.name);
    let standing = |what: String| {
        let message = format!("probe {} {what} in source {source}; {remedy}", probe.name);
        Blocker::new(Code::ProbeMissing, &subject, message).since(last)
    };
    let (Some(seen), Some(last)) = (seen, last) else {
        return Some(standing("was never seen".to_owned()));
    };
    let Some(to) = case.watermark else {
        return Some(standing("cannot be judged without a watermark".to_owned()));
    };
    let from = case.evidence_from();
    if to > last.plus(probe.bound()) {
        return Some(standing(format!("was not seen after {last}")));
    }
    if seen.seen_before(from) {
        return None;
    }
    let found = standing(format!("was not seen within that time before {from}"));
    Some(match seen.next_seen(from) {
        Some(next) => found.clears(case.whole_since(next)),
        None => found,
    })
}

pub(super) fn positive_only(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for (name, source) in &case.best_effort {
        let remedy = "name a complete source that sees the same requests as its covered_by, or record \
                      source_retired";
        let message = match cover(source) {
            Some(cover) if covers(case, cover) => continue,
            Some(cover) => format!(
                "source {name} may lose lines, and {cover} that should cover it is no complete source \
                 of this rotation; {remedy}"
            ),
            None => format!("source {name} may lose lines: it proves use, never absence; {remedy}"),
        };
        out.push(Blocker::new(Code::PositiveOnly, name.as_str(), message));
    }
}

fn cover(source: &Source) -> Option<&SourceName> {
    match &source.decl.as_ref()?.policy.completeness {
        Completeness::PositiveOnly { covered_by } => covered_by.as_ref(),
        Completeness::Complete => None,
    }
}

/// Tells whether evidence is demanded of `cover` itself, and it is still read.
fn covers(case: &Case<'_>, cover: &SourceName) -> bool {
    let mut complete = case.sources.iter();
    complete.any(|(name, of)| *name == cover && of.is_some_and(|source| source.decl.is_some()))
}
