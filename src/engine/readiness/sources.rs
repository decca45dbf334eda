//! The rules of the decision that speak of sources: what was not seen, and where.
//!
//! Every rule walks the pinned sources that the journal has not retired and that can prove absence:
//! of a best-effort source nothing is demanded, see `controls.rs`. A source that the
//! configuration no longer names, or that was not looked at since the start, stands as missing.

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;
use crate::engine::credential::{SourceName, StreamName};
use crate::engine::evidence::Source;
use crate::engine::standing;
use crate::engine::stream::Stream;
use crate::engine::wording::humane;

type Sources<'c> = Box<dyn Iterator<Item = (&'c SourceName, &'c Source)> + 'c>;

impl Case<'_> {
    /// Returns the sources of which something is known.
    fn known(&self) -> Sources<'_> {
        Box::new(self.sources.iter().filter_map(|(name, source)| Some((*name, (*source)?))))
    }

    /// Returns the streams of a source that count.
    fn streams<'s>(
        &'s self,
        name: &'s SourceName,
        source: &'s Source,
    ) -> impl Iterator<Item = (&'s StreamName, &'s Stream)> {
        let rotation = self.facts.rotation;
        source.streams.iter().filter(move |(stream, _)| rotation.counts_stream(name, stream))
    }
}

pub(super) fn source_behind(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let lag = case.facts.policy.max_evidence_lag;
    for (name, source) in &case.sources {
        let Some(source) = source else { continue };
        let counts = |stream: &StreamName| case.facts.rotation.counts_stream(name, stream);
        let watermark = standing::source_watermark(source, counts);
        if source.decl.is_none() {
            // Said by `source_absent`.
            continue;
        }
        let message = if source.status.is_none() {
            format!("source {name} was not looked at since the daemon started")
        } else if !standing::is_behind(watermark, lag, case.now) {
            continue;
        } else if let Some(watermark) = watermark {
            let backlog = source.backlog();
            let unread =
                if backlog > 0 { format!(", {backlog} bytes not read") } else { String::new() };
            format!(
                "source {name} is complete up to {} ago only, {} allowed{unread}",
                humane(case.now.since(watermark)),
                humane(lag)
            )
        } else {
            let streams = case.streams(name, source);
            let unread = streams.filter(|(_, found)| found.record.watermark.is_none());
            let mut unread: Vec<&str> = unread.map(|(stream, _)| stream.as_str()).collect();
            if unread.is_empty() {
                unread.push("any stream");
            }
            format!(
                "no line was read from {} of source {name} yet; any request that is logged there clears \
                 it, or record source_retired for what is no access log",
                unread.join(" and ")
            )
        };
        out.push(Blocker::new(Code::SourceBehind, name.as_str(), message).since(watermark));
    }
}

pub(super) fn source_absent(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if !case.facts.configured {
        let credential = case.facts.rotation.declaration.credential.as_str();
        let message = format!(
            "the configuration names credential {credential} no longer: its policy is unknown; restore \
             it, or record rolled_back"
        );
        out.push(Blocker::new(Code::SourceAbsent, credential, message));
    }
    for (name, source) in &case.sources {
        let gone = match source {
            Some(source) if source.decl.is_some() => {
                source.status.as_ref().map_or_else(String::new, |status| {
                    match status.absent.as_slice() {
                        [] => String::new(),
                        absent => format!("nothing matches {}", absent.join(", ")),
                    }
                })
            }
            _ => "the configuration names it no longer".to_owned(),
        };
        if !gone.is_empty() {
            let message = format!("source {name}: {gone}; restore it, or record source_retired");
            out.push(Blocker::new(Code::SourceAbsent, name.as_str(), message));
        }
        let Some(source) = source else { continue };
        for (stream, found) in case.streams(name, source) {
            if standing::is_gone(source, found) {
                let message = format!(
                    "the live file {stream} is gone; it clears when it is back, or record \
                     source_retired for the stream"
                );
                out.push(
                    Blocker::new(Code::SourceAbsent, stream.as_str(), message)
                        .since(found.record.last_line_at),
                );
            }
        }
    }
}

pub(super) fn source_unreadable(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for (name, source) in case.known() {
        let Some(status) = &source.status else { continue };
        let streams = status
            .streams
            .iter()
            .filter(|found| case.facts.rotation.counts_stream(name, &found.stream));
        let streams =
            streams.filter_map(|found| Some((found.stream.as_str(), found.unreadable.as_ref()?)));
        // A file of a stream that does not count is not missed.
        let retired = case.facts.rotation.retired_streams.iter();
        let retired: Vec<&str> =
            retired.filter(|(of, _)| of == name).map(|(_, stream)| stream.as_str()).collect();
        let missed = |path: &str| !retired.iter().any(|stream| is_of_family(path, stream));
        let paths = status.unreadable.iter().filter(|(path, _)| missed(path));
        let paths = paths.map(|(path, why)| (path.as_str(), why));
        let mut found: Vec<(&str, &String)> = paths.chain(streams).collect();
        found.sort_unstable();
        found.dedup_by_key(|(path, _)| *path);
        for (path, why) in found {
            let message = format!("{path} cannot be read: {why}; let the daemon's user read it");
            out.push(Blocker::new(Code::SourceUnreadable, path, message));
        }
    }
}

/// Tells whether a path can be that of a generation of `stream`: of `a.log`, and not of `a.log.json`.
fn is_of_family(path: &str, stream: &str) -> bool {
    let rest = path.strip_prefix(stream).map(|rest| rest.strip_suffix(".gz").unwrap_or(rest));
    let rotated = |rest: &str| {
        rest.starts_with(['.', '-'])
            && rest.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte))
    };
    rest.is_some_and(|rest| rest.is_empty() || rotated(rest))
}

pub(super) fn source_silent(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for (name, source) in case.known() {
        let Some(decl) = &source.decl else { continue };
        for (stream, found) in case.streams(name, source) {
            if standing::is_silent(found, &decl.policy, case.now) {
                let last = found.record.last_line_at;
                let message = format!(
                    "{stream} has had no line for {}; silence is not idleness: any request that is \
                     logged clears it",
                    humane(last.map_or(decl.policy.idle_after, |last| case.now.since(last)))
                );
                out.push(Blocker::new(Code::SourceSilent, stream.as_str(), message).since(last));
            }
        }
    }
}

pub(super) fn source_blind(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let keys = [case.old_key(), case.new_key()];
    for (name, source) in case.known() {
        for (key, shown) in [(case.old_key(), case.old_name()), (case.new_key(), case.new_name())] {
            if source.decl.is_some() && !source.is_matched(&key) {
                let message = format!("source {name} is not matched against {shown} yet");
                out.push(Blocker::new(Code::SourceBlind, name.as_str(), message));
            }
        }
        for (stream, found) in case.streams(name, source) {
            if standing::is_blind(source, found, &keys) {
                let message = format!(
                    "{stream} never showed {} or {} since its observation began: its format may not \
                     log the key (keydrain explain tells); one request with either key or a probe's \
                     clears it, or record source_retired for the stream",
                    case.old_name(),
                    case.new_name()
                );
                out.push(Blocker::new(Code::SourceBlind, stream.as_str(), message));
                continue;
            }
            for place in standing::blind_places(source, found) {
                let message = format!(
                    "{stream} showed a key in {place} before its last gap or change of format, and \
                     none since; one request with a key there clears it, or take {place} off the \
                     source's credential if no client uses it any more"
                );
                let subject = format!("{stream} ({place})");
                out.push(Blocker::new(Code::SourceBlind, &subject, message));
            }
        }
    }
}

pub(super) fn coverage_gap(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let from = case.evidence_from();
    for (name, source) in case.known() {
        for (stream, _) in case.streams(name, source) {
            let meets =
                |gap: &&crate::engine::coverage::Gap| gap.stream == *stream && gap.span.to > from;
            let Some(gap) = source.gaps.iter().filter(meets).max_by_key(|gap| gap.span.to) else {
                continue;
            };
            let message = format!(
                "lines of {stream} between {} and {} are lost ({}); it clears when the window begins \
                 after them",
                gap.span.from,
                gap.span.to,
                gap.reason.as_str()
            );
            let clears = case.whole_since(gap.span.to);
            let standing = Blocker::new(Code::CoverageGap, stream.as_str(), message);
            out.push(standing.since(Some(gap.span.from)).clears(clears));
        }
    }
}

pub(super) fn rejects(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let from = case.evidence_from();
    for (name, source) in case.known() {
        let counts = |stream: &StreamName| case.facts.rotation.counts_stream(name, stream);
        let (lines, rejects) = source.lines_since(from, counts);
        // Counts are exact up to 2^53 lines of one window.
        #[expect(clippy::cast_precision_loss)]
        let allowed = lines as f64 * case.facts.policy.max_reject_ratio;
        #[expect(clippy::cast_precision_loss)]
        let too_many = rejects as f64 > allowed;
        if too_many {
            let message = format!(
                "{rejects} of {lines} lines of source {name} were not understood; see keydrain explain; of a \
                 stream that is no access log record source_retired"
            );
            out.push(Blocker::new(Code::Rejects, name.as_str(), message));
        }
    }
    // Such a line may be a use, and to see one a best-effort source is as good as any.
    let best_effort = case.best_effort.iter().map(|(name, source)| (*name, *source));
    for (name, source) in case.known().chain(best_effort) {
        let rejected_keys = case.streams(name, source).flat_map(|(_, found)| found.rejected_keys());
        let with_old = rejected_keys.filter(|rejected| rejected.key == case.old_key());
        if let Some(rejected) = with_old.filter(|r| r.at > from).max_by_key(|r| r.at) {
            let message = format!(
                "a line of source {name} holds {} and was not understood; see keydrain explain",
                case.old_name()
            );
            let clears = case.whole_since(rejected.at);
            let standing = Blocker::new(Code::Rejects, case.old_name(), message);
            out.push(standing.since(Some(rejected.at)).clears(clears));
        }
    }
}

pub(super) fn observation_too_short(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let tolerated = case.tolerated.map(|_| case.evidence_window()).unwrap_or_default();
    let required = case.facts.policy.min_history.max(tolerated);
    let short = |message: String| Blocker::new(Code::ObservationTooShort, "*", message);
    match (case.observing_since, case.watermark) {
        (Some(since), Some(watermark)) if watermark.since(since) < required => {
            let message = format!(
                "{} of log observed without a break, {} required",
                humane(watermark.since(since)),
                humane(required)
            );
            let history = case.reached_at(since.plus(case.facts.policy.min_history));
            let clears = case.tolerated.map_or(history, |_| history.max(case.whole_since(since)));
            out.push(short(message).since(Some(since)).clears(clears));
        }
        (Some(_), Some(_)) => {}
        _ => out.push(short("observation has not begun in every stream".to_owned())),
    }
}

pub(super) fn clock_suspect(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let from = case.evidence_from();
    let suspects = case.facts.clock_suspects.iter().filter(|span| span.to > from);
    if let Some(span) = suspects.max_by_key(|span| span.to) {
        let message = "the clock stepped, or lines came from the future, within the window; check \
                       time synchronisation of this host and of the log's writer"
            .to_owned();
        let clears = case.whole_since(span.to);
        out.push(
            Blocker::new(Code::ClockSuspect, "*", message).since(Some(span.from)).clears(clears),
        );
    }
}

pub(super) fn source_masked(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let from = case.evidence_from();
    for (name, source) in case.known() {
        if let Some(how) = source.status.as_ref().and_then(|status| status.masked.as_ref()) {
            let message = format!(
                "keys are hidden in source {name}: {how}; let the service show them to keydrain, or \
                 record source_retired"
            );
            out.push(Blocker::new(Code::SourceMasked, name.as_str(), message));
        }
        for (stream, found) in case.streams(name, source) {
            let Some(at) = found.record.masked_at.filter(|at| *at > from) else { continue };
            let message = format!(
                "a line of {stream} shows a mask, as ***, where a key was to be: whose key it was \
                 nobody can tell; have the server log the key or its name there, or take the place \
                 off the source's credential"
            );
            let clears = case.whole_since(at);
            let standing = Blocker::new(Code::SourceMasked, stream.as_str(), message);
            out.push(standing.since(Some(at)).clears(clears));
        }
    }
}
