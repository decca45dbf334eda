//! One case before the decision: the facts, and what several rules need to know of them.
//!
//! Nothing is decided here. What cannot be known is `None`, and the rules take it for missing.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::engine::answer::{
    Blocker, Code, Epoch, KeyCounts, RequiredWindow, Silence, SourceSummary, Verdict,
};
use crate::engine::credential::{Fingerprint, SourceName, StreamName};
use crate::engine::evidence::Source;
use crate::engine::ledger::Issues;
use crate::engine::migration::{self, Migrant};
use crate::engine::readiness::Facts;
use crate::engine::rotation::{KeyRef, Rotation};
use crate::engine::runs::{self, JobStanding};
use crate::engine::time::{Span, Timestamp};
use crate::engine::tolerance::Tolerance;
use crate::engine::usage::Outcome;
use crate::engine::view::ConsumerState;
use crate::engine::wording::{hex, humane};
use crate::engine::{standing, watermark};

/// The facts with what several rules need of them.
pub struct Case<'a> {
    pub facts: &'a Facts<'a>,
    pub now: Timestamp,
    /// Pinned sources that are not retired and can prove absence: of them evidence is demanded.
    pub sources: Vec<(&'a SourceName, Option<&'a Source>)>,
    /// Pinned sources that are not retired and prove use alone. Nothing is demanded of them: a
    /// source that covers one sees every request that may stand unread in it.
    pub best_effort: Vec<(&'a SourceName, &'a Source)>,
    pub watermark: Option<Timestamp>,
    pub window: RequiredWindow,
    pub migrants: Vec<Migrant<'a>>,
    /// What A was seen to issue.
    pub issues: Option<Issues>,
    pub jobs: Vec<JobStanding<'a>>,
    /// Latest effective time of a presentation of A that counts.
    pub last_old: Option<Timestamp>,
    /// Since when all sources have been observed without a break.
    pub observing_since: Option<Timestamp>,
    /// Longest lateness allowed by a source or seen in a stream: from event time to processing time.
    pub lateness: Duration,
    /// What is known of the consumers that the threshold is about, where they are not tolerated.
    pub over_threshold: Option<Tolerance<'a>>,
    /// The cadence over which evidence shows that those who are tolerated stayed under it.
    pub tolerated: Option<Duration>,
}

impl<'a> Case<'a> {
    pub fn new(facts: &'a Facts<'a>, now: Timestamp) -> Self {
        Self::build(facts, now, false)
    }

    /// Makes the case; with `tolerant`, as if those whom the threshold is about stayed under it.
    pub fn build(facts: &'a Facts<'a>, now: Timestamp, tolerant: bool) -> Self {
        let rotation = facts.rotation;
        let mut sources = facts.sources.clone();
        sources.retain(|(name, _)| !rotation.retired_sources.contains(*name));
        let is_best_effort = |of: Option<&'a Source>| of.filter(|source| !source.is_complete());
        let best_effort: Vec<_> =
            sources.iter().filter_map(|(name, of)| Some((*name, is_best_effort(*of)?))).collect();
        sources.retain(|(_, of)| is_best_effort(*of).is_none());
        let watermark = watermark::least(sources.iter().map(|(name, source)| {
            let counts = |stream: &StreamName| rotation.counts_stream(name, stream);
            source.and_then(|source| standing::source_watermark(source, counts))
        }));
        let old_key = rotation.declaration.old_key.fingerprint;
        let issues = facts.ledger.key(old_key).and_then(|used| used.issues);
        let known = sources.iter().filter_map(|(name, source)| Some((*name, (*source)?)));
        let lateness = known
            .map(|(name, source)| source.lateness(|stream| rotation.counts_stream(name, stream)));
        let known = sources.iter().filter_map(|(name, source)| Some((*name, (*source)?)));
        let lost = migration::lost_spans(rotation, known);
        let free = facts.keys_free_since;
        let migrants =
            migration::migrants(rotation, facts.policy, facts.ledger, &lost, free, watermark, now);
        let mut case = Self {
            facts,
            now,
            watermark,
            window: RequiredWindow { span: None, terms: Vec::new(), required: Duration::ZERO },
            issues,
            last_old: None,
            observing_since: observing_since(rotation, &sources),
            lateness: lateness.max().unwrap_or_default(),
            jobs: runs::standings(facts, &migrants),
            migrants,
            over_threshold: None,
            tolerated: None,
            sources,
            best_effort,
        };
        case.tolerate(tolerant);
        let cadence = case.demanding().map(|(bound, _)| bound).max().unwrap_or_default();
        let (terms, required) = case.required_quiet(cadence);
        let span = watermark.map(|to| Span { from: to.minus(required), to });
        case.window = RequiredWindow { span, terms, required };
        let counted = case.migrants.iter().filter(|migrant| !migrant.is_excused(rotation, now));
        case.last_old = counted.filter_map(Migrant::last_old).max();
        case
    }

    /// Returns the required quiet and its terms, in the order they are compared or added.
    ///
    /// `cadence` is the longest that a consumer may stay away which has not moved.
    pub fn required_quiet(&self, cadence: Duration) -> (Vec<(&'static str, Duration)>, Duration) {
        let policy = self.facts.policy;
        let awaited = self.jobs.iter().filter(|job| job.is_awaited()).map(|job| job.scheduled);
        let jobs = awaited.map(|it| it.longest_interval.saturating_add(it.job.max_runtime)).max();
        let jobs = jobs.unwrap_or_default();
        let longest = policy.quiet_period.max(policy.monitoring_cycle).max(cadence).max(jobs);
        // While a session lives A looks quiet, and whoever holds one comes back to A when it ends.
        let sessions = self.issues.map_or(Duration::ZERO, |issues| issues.lifetime);
        let sessions = policy.max_session_lifetime.max(sessions);
        let required = longest.saturating_add(sessions).saturating_add(policy.clock_skew);
        let terms = vec![
            ("quiet_period", policy.quiet_period),
            ("monitoring_cycle", policy.monitoring_cycle),
            ("cadence", cadence),
            ("jobs", jobs),
            ("max_session_lifetime", sessions),
            ("clock_skew", policy.clock_skew),
        ];
        (terms, required)
    }

    /// Returns the cadence bounds that enter the required quiet, each with when its consumer has
    /// moved by silence alone, if it does.
    pub fn demanding(&self) -> impl Iterator<Item = (Duration, Option<Timestamp>)> {
        let Facts { rotation, policy, .. } = *self.facts;
        let unmoved = self.migrants.iter().filter(move |migrant| {
            let counts = !migrant.is_synthetic() && !migrant.is_excused(rotation, self.now);
            migrant.is_unmoved() && counts
        });
        unmoved.filter_map(move |migrant| {
            let moved = migrant.moves_by_silence_after(policy);
            // Moved is who was silent for longer than that.
            let moved = moved.map(|after| after.plus(Duration::from_nanos(1)));
            Some((migrant.cadence.bound(policy)?, moved))
        })
    }

    pub fn old_key(&self) -> Fingerprint {
        self.facts.rotation.declaration.old_key.fingerprint
    }

    pub fn new_key(&self) -> Fingerprint {
        self.facts.rotation.declaration.new_key.fingerprint
    }

    pub fn old_name(&self) -> &'a str {
        &self.facts.rotation.declaration.old_key.name
    }

    pub fn new_name(&self) -> &'a str {
        &self.facts.rotation.declaration.new_key.name
    }

    /// Returns when both keys became valid: told, else inferred from the first accepted B.
    pub fn overlap_began(&self) -> Option<Timestamp> {
        // What an earlier rotation of these keys saw began another overlap.
        let first = |migrant: &Migrant<'_>| migrant.first_new_after(None);
        let inferred = || self.migrants.iter().filter_map(first).min();
        self.facts.rotation.dual_accept_at.or_else(inferred)
    }

    /// Says that what an earlier rotation of the new key saw does not count, if there was one.
    pub fn in_this_rotation(&self) -> String {
        let ended = |at| format!(" since an earlier rotation of {} ended at {at}", self.new_name());
        self.facts.keys_free_since.map_or_else(String::new, ended)
    }

    /// Returns the edge of the quiet period: a presentation of A after it is recent.
    pub fn recent_edge(&self) -> Timestamp {
        // A watermark from a clock that was ahead must not hide a use.
        let until = self.watermark.map_or(self.now, |watermark| watermark.min(self.now));
        until.minus(self.facts.policy.quiet_period)
    }

    /// Returns the event time from which the quiet counts; `None` while observation has not begun.
    pub fn quiet_from(&self) -> Option<Timestamp> {
        let sources = self.sources.iter().filter_map(|(name, source)| Some((name, (*source)?)));
        let resets = sources.flat_map(|(name, source)| {
            let gaps = source.gaps.iter();
            let gaps = gaps.filter(|gap| self.facts.rotation.counts_stream(name, &gap.stream));
            let tracked = source.tracked.get(&self.old_key()).copied().flatten();
            gaps.map(|gap| gap.span.to).chain(tracked)
        });
        let reset = resets.chain(self.facts.policy_since).max();
        self.observing_since
            .map(|since| since.max(reset.unwrap_or(since)))
            .map(|from| self.last_old.map_or(from, |last| from.max(last)))
    }

    /// Returns for how long evidence must be whole: the required quiet, or longer if somebody is
    /// tolerated for what was seen of them.
    pub fn evidence_window(&self) -> Duration {
        let tolerated = self.tolerated.map(|cadence| self.required_quiet(cadence).1);
        self.window.required.max(tolerated.unwrap_or_default())
    }

    /// Returns since when evidence must be whole.
    pub fn evidence_from(&self) -> Timestamp {
        self.watermark.unwrap_or(self.now).minus(self.evidence_window())
    }

    /// Returns the latest move of a consumer that is waited for, as the log shows it.
    pub fn last_move(&self) -> Option<Timestamp> {
        let moving = self.migrants.iter().filter(|migrant| {
            let expected = migrant.old.is_some() || migrant.roster.is_some();
            !migrant.is_out_of_account() && expected
        });
        moving.filter_map(Migrant::moved_at).max()
    }

    /// Returns what the silence so far proves alone.
    pub fn silence(&self) -> Option<Silence> {
        let quiet = self.watermark?.min(self.now).since(self.quiet_from()?);
        (!quiet.is_zero()).then_some(Silence { quiet })
    }

    pub fn expected_to_move<'s>(
        &'s self,
        states: &'s [ConsumerState],
    ) -> impl Iterator<Item = &'s Migrant<'a>> {
        let all = self.migrants.iter().filter(|m| !m.is_synthetic() && !m.tolerated);
        all.filter(move |migrant| states.contains(&migrant.state))
    }

    pub fn recent_use(&self, code: Code, outcomes: &[Outcome], how: &str, out: &mut Vec<Blocker>) {
        let quiet = humane(self.facts.policy.quiet_period);
        let mut recent: Vec<(Timestamp, &Migrant<'_>)> = self
            .migrants
            .iter()
            .filter(|migrant| !migrant.is_excused(self.facts.rotation, self.now))
            .filter_map(|migrant| Some((migrant.old?.latest(outcomes)?, migrant)))
            .filter(|(last, _)| *last > self.recent_edge())
            .collect();
        recent.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.name.cmp(b.1.name)));
        for (last, migrant) in recent {
            let ago = humane(self.now.since(last));
            let message = format!(
                "{} {how} {ago} ago by {}; quiet period {quiet} not begun",
                self.old_name(),
                migrant.shown()
            );
            let standing = Blocker::new(code, migrant.name, message).since(Some(last));
            out.push(standing.clears(self.reached_at(last.plus(self.facts.policy.quiet_period))));
        }
    }

    pub fn message(&self, first: Option<&Blocker>) -> String {
        first.map_or_else(
            || {
                let quiet = self.watermark.zip(self.quiet_from());
                let quiet = quiet.map_or(Duration::ZERO, |(mark, from)| mark.since(from));
                let but = self.tolerated.map_or("", |_| " but for tolerated uses");
                format!(
                    "{} quiet{but} for {}, {} required; every source observed",
                    self.old_name(),
                    humane(quiet),
                    humane(self.window.required)
                )
            },
            |first| first.message.clone(),
        )
    }

    pub fn key_counts(&self, key: &KeyRef) -> KeyCounts {
        let mut counts = KeyCounts { name: key.name.to_string(), ..KeyCounts::default() };
        for uses in
            self.facts.ledger.of_key(key.fingerprint).into_iter().flat_map(|all| all.values())
        {
            counts.first_seen =
                counts.first_seen.map_or(uses.first_seen, |first| Some(first).min(uses.first_seen));
            counts.last_seen = counts.last_seen.max(uses.last_seen);
            counts.accepted += uses.counts[Outcome::Accepted as usize];
            counts.denied += uses.denied();
            counts.failed += uses.counts[Outcome::Failed as usize];
        }
        counts
    }

    pub fn summaries(&self) -> Vec<SourceSummary> {
        let keys = [self.old_key(), self.new_key()];
        let lag = self.facts.policy.max_evidence_lag;
        let known = self.sources.iter().filter_map(|(name, source)| Some((name, (*source)?)));
        let best_effort = self.best_effort.iter().map(|(name, source)| (name, *source));
        known
            .chain(best_effort)
            .map(|(name, source)| {
                let counts = |stream: &StreamName| self.facts.rotation.counts_stream(name, stream);
                let to = self.watermark.unwrap_or(self.now);
                let window = Span { from: self.evidence_from(), to };
                standing::summarise(source, &counts, &keys, lag, Some(window), self.now)
            })
            .collect()
    }

    /// Digest of everything but the passage of time, the watermark and B's counts.
    pub fn epoch(&self, verdict: Verdict, blockers: &[Blocker]) -> Epoch {
        use std::fmt::Write as _;
        let mut text = format!("decider 1 {} {}", self.facts.policy_digest, verdict.as_str());
        for blocker in blockers {
            write!(text, "\n{} {}", blocker.code.as_str(), blocker.subject).expect("to a String");
        }
        let old = self.key_counts(&self.facts.rotation.declaration.old_key);
        let gaps: usize =
            self.sources.iter().filter_map(|(_, s)| Some(s.as_ref()?.gaps.len())).sum();
        write!(
            text,
            "\n{old:?} {:?} {gaps} {} {}",
            self.last_old, self.facts.violations, self.facts.journal_sequence
        )
        .expect("to a String");
        // How a line is read is config, too: what was shown under another layout is out of date.
        for (_, source) in &self.sources {
            let layout = source.map_or("", |source| &source.record.layout);
            write!(text, " {layout}").expect("to a String");
        }
        Epoch::new(hex(&Sha256::digest(text.as_bytes())[..8]))
    }
}

/// Returns since when every stream of every source has been observed; `None` if one has not.
fn observing_since(
    rotation: &Rotation,
    sources: &[(&SourceName, Option<&Source>)],
) -> Option<Timestamp> {
    let mut latest = None;
    for (name, source) in sources {
        let streams = (*source)?.streams.iter();
        for (_, stream) in streams.filter(|(stream, _)| rotation.counts_stream(name, stream)) {
            latest = latest.max(Some(stream.record.observing_since?));
        }
    }
    latest
}
