//! Holds a story against what the daemon said: its own expectations, and laws of every story.
//!
//! Oracle: whoever plays the story knows every line that was written, whether it was read or not.

use std::fmt::Write as _;

use keydrain::engine::answer::{Answer, Blocker, Verdict};
use keydrain::engine::policy::{AnonymousConsumers, Policy, ThresholdOf};
use keydrain::engine::time::Timestamp;

use crate::play::{Look, Play};
use crate::servers::Written;
use crate::story::{Expect, OneOrMany, Story, Told};

/// Restarts of the daemon in the second run of a story.
const RESTARTS: u32 = 12;

/// Most failures that are told of one run.
const TOLD: usize = 6;

/// Plays a story twice, the second time with restarts, and returns what was not as it should be.
pub fn failures(story: &Story) -> Vec<String> {
    let mut all = run(story, &[]);
    let length = story.ends().since(story.begins());
    let restarts: Vec<Timestamp> =
        (1..RESTARTS).map(|n| story.begins().plus(length * n / RESTARTS)).collect();
    let with_restarts = run(story, &restarts).into_iter();
    all.extend(with_restarts.map(|failure| format!("with restarts: {failure}")));
    all
}

fn run(story: &Story, restarts: &[Timestamp]) -> Vec<String> {
    let mut play = Play::new(story, restarts);
    let (mut failures, mut first_ready, mut last) = (Vec::new(), None, None);
    for now in looks(story) {
        let look = play.look(now);
        for (number, expect) in story.expect.iter().enumerate() {
            if !is_due(story, expect, now) {
                continue;
            }
            let found = look.as_ref().map_or_else(
                || vec!["the daemon is asked, and is down or has no rotation".to_owned()],
                |look| mismatches(story, expect, look, !restarts.is_empty()),
            );
            let found = found.iter().map(|what| format!("expectation {}: {what}", number + 1));
            let answer = look.as_ref().map(|look| &look.answer);
            failures.extend(found.map(|what| tell(now, &what, answer)));
        }
        let Some(look) = look else { continue };
        if look.answer.verdict == Verdict::Ready {
            first_ready.get_or_insert(now);
            if let Some(used) = contrary(&play, &look) {
                let used = format!("ready although the log holds {used:?} in the window");
                failures.push(tell(now, &used, Some(&look.answer)));
            }
        }
        last = Some(look);
    }
    failures.extend(judge_end(story, first_ready, last.as_ref()));
    let more = failures.len().saturating_sub(TOLD);
    failures.truncate(TOLD);
    if more > 0 {
        failures.push(format!("… and {more} more"));
    }
    failures
}

/// Returns when the reader looks: regularly, and when a story asks.
fn looks(story: &Story) -> Vec<Timestamp> {
    let (every, ends) = (story.look(), story.ends());
    let next = |at: &Timestamp| Some(at.plus(every));
    let mut looks: Vec<Timestamp> =
        std::iter::successors(Some(story.begins()), next).take_while(|at| *at <= ends).collect();
    let asked = story.expect.iter().filter_map(|expect| expect.at.as_ref());
    let asked = asked.flat_map(OneOrMany::all).map(|at| story.at(at));
    looks.extend(asked.inspect(|at| assert!(*at <= ends, "{at} comes after the end")));
    looks.sort_unstable();
    looks.dedup();
    looks
}

fn is_due(story: &Story, expect: &Expect, now: Timestamp) -> bool {
    match (&expect.at, &expect.from, &expect.to) {
        (Some(at), None, None) => at.all().iter().any(|at| story.at(at) == now),
        (None, Some(from), Some(to)) => story.at(from) <= now && now <= story.at(to),
        _ => panic!("an expectation has either `at` or both `from` and `to`: {expect:?}"),
    }
}

fn judge_end(story: &Story, first_ready: Option<Timestamp>, last: Option<&Look>) -> Vec<String> {
    let mut failures = Vec::new();
    let window = &story.ready;
    let told = first_ready.map_or("never".to_owned(), |at| format!("at {at}"));
    let too_early =
        |not_before: &String| first_ready.is_some_and(|first| first < story.at(not_before));
    let too_late = |by: &String| first_ready.is_none_or(|first| first > story.at(by));
    if window.never && first_ready.is_some() {
        failures.push(format!("ready for the first time {told}, expected never"));
    }
    if let Some(not_before) = window.not_before.as_ref().filter(|at| too_early(at)) {
        failures.push(format!("ready for the first time {told}, expected not before {not_before}"));
    }
    if let Some(by) = window.by.as_ref().filter(|at| too_late(at)) {
        failures.push(format!("ready for the first time {told}, expected by {by}"));
    }
    let last = last.expect("a story has a look");
    if story.ends_well && last.answer.verdict != Verdict::Ready {
        failures.push(tell(last.now, "it is to end ready", Some(&last.answer)));
    }
    failures
}

/// Says what is wrong, with everything that stands.
fn tell(now: Timestamp, what: &str, answer: Option<&Answer>) -> String {
    let mut text = format!("{now}: {what}");
    let Some(answer) = answer else { return text };
    let mut line = |shown: String| write!(text, "\n    {shown}").expect("to a String");
    line(format!("verdict: {}", answer.verdict.as_str()));
    for blocker in &answer.blockers {
        line(format!("blocker: {} ({})", shown(blocker), blocker.message));
    }
    for warning in &answer.warnings {
        line(format!("warning: {} {}", warning.code.as_str(), warning.subject));
    }
    text
}

fn shown(blocker: &Blocker) -> String {
    format!("{} {}", blocker.code.as_str(), blocker.subject)
}

/// Tells whether a remark of a story, `code` or `code subject`, means `code subject`.
fn means(told: &str, shown: &str) -> bool {
    told == shown || shown.split_once(' ').is_some_and(|(code, _)| told == code)
}

fn mismatches(story: &Story, expect: &Expect, look: &Look, restarted: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let answer = &look.answer;
    if let Some(verdict) = expect.verdict.as_ref().filter(|v| *v != answer.verdict.as_str()) {
        wrong.push(format!("expected the verdict {verdict}"));
    }
    let standing: Vec<String> = answer.blockers.iter().map(shown).collect();
    let stands = |told: &String| standing.iter().any(|shown| means(told, shown));
    let told = expect.blockers.iter().flatten().chain(&expect.has);
    wrong.extend(told.filter(|told| !stands(told)).map(|told| format!("expected {told} to stand")));
    if let Some(all) = &expect.blockers {
        let foreign = standing.iter().filter(|shown| !all.iter().any(|told| means(told, shown)));
        wrong.extend(foreign.map(|shown| format!("expected no {shown}")));
    }
    let forbidden = expect.lacks.iter().filter(|told| stands(told));
    wrong.extend(forbidden.map(|told| format!("expected no {told}")));
    let warned = |told: &&String| {
        let mut all = answer.warnings.iter().map(|w| format!("{} {}", w.code.as_str(), w.subject));
        !all.any(|shown| means(told, &shown))
    };
    let silent = expect.warnings.iter().filter(warned);
    wrong.extend(silent.map(|told| format!("expected the warning {told}")));
    for (consumer, state) in &expect.states {
        let found = look.consumers.iter().find(|view| view.consumer == *consumer);
        let found = found.map_or("unknown", |view| view.state.as_str());
        if found != state {
            wrong.push(format!("expected {consumer} to be {state}, it is {found}"));
        }
    }
    if let Some(says) = expect.says.as_ref().filter(|says| !answer.message.contains(*says)) {
        wrong.push(format!("expected `{says}` in `{}`", answer.message));
    }
    let earliest = expect.earliest_ready_at.as_ref().map(|at| story.at(at));
    if earliest.is_some() && earliest != answer.earliest_ready_at {
        wrong.push(format!("expected another earliest_ready_at: {:?}", answer.earliest_ready_at));
    }
    let violations = look.view.violations.len();
    // A restart may tell twice of one late file.
    if let Some(expected) = expect.violations.filter(|n| *n != violations && !restarted) {
        wrong.push(format!("expected {expected} violations, {violations} are on record"));
    }
    let verified = look.view.revocation_verified_at.is_some();
    if expect.revocation_verified.is_some_and(|expected| expected != verified) {
        wrong.push(format!("expected revocation_verified to be {}", !verified));
    }
    wrong.extend(milestones(expect, look));
    wrong
}

/// Compares checkpoints and incidents.
fn milestones(expect: &Expect, look: &Look) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, status) in &expect.checkpoints {
        let found = look.view.checkpoints.iter().find(|it| it.checkpoint.as_str() == name);
        let found = found.map_or("unknown to the daemon", |it| it.status.as_str());
        if found != status {
            wrong.push(format!("expected checkpoint {name} to be {status}, it is {found}"));
        }
    }
    let incidents = look.view.incidents.iter();
    let shown: Vec<String> =
        incidents.map(|it| format!("{} {}", it.kind.as_str(), it.subject)).collect();
    if expect.incidents.as_ref().is_some_and(|told| *told != shown) {
        wrong.push(format!("expected other incidents than {shown:?}"));
    }
    wrong
}

/// Returns a use of the old key that was written by the time of a `ready` and stands against it.
fn contrary<'p>(play: &'p Play<'_>, look: &Look) -> Option<&'p Written> {
    let window = look.answer.window.span.expect("ready speaks about a window");
    let declaration = &look.view.rotation.declaration;
    let old_key = declaration.old_key.id.as_deref().expect("keys of stories are ids");
    let decl = play.wiring.declared.credentials.iter().find(|c| c.name == declaration.credential);
    let policy = &decl.expect("ready needs a policy").policy;
    let uses = play.lines.iter().filter(|line| {
        line.at <= look.now
            && line.key == old_key
            && window.from < line.event_at
            && line.event_at < window.to
            && !is_excused(play.story, line, policy, look.now)
    });
    let uses: Vec<&Written> = uses.collect();
    let tolerable = |line: &&&Written| {
        policy.threshold > 0 && (policy.threshold_of == ThresholdOf::All || line.consumer == "-")
    };
    let (tolerable, others): (Vec<&Written>, Vec<&Written>) =
        uses.iter().partition(|line| tolerable(line));
    let mut times: Vec<Timestamp> = tolerable.iter().map(|line| line.event_at).collect();
    times.sort_unstable();
    let threshold = usize::try_from(policy.threshold).expect("a small one");
    let over = times
        .windows(threshold + 1)
        .any(|within| within[threshold].since(within[0]) < policy.quiet_period);
    others.first().copied().or_else(|| tolerable.first().copied().filter(|_| over))
}

/// Tells whether the journal excuses the use at `now`: its consumer is waived, its log retired.
fn is_excused(story: &Story, line: &Written, policy: &Policy, now: Timestamp) -> bool {
    let name = match (line.consumer.as_str(), policy.anonymous) {
        ("-", AnonymousConsumers::Pooled) => "anonymous",
        ("-", AnonymousConsumers::Each) => line.address.as_str(),
        (name, _) => name,
    };
    let excuses = |told: &Told| match told.kind.as_str() {
        "consumer_waived" => {
            told.consumer.as_deref() == Some(name)
                && told.until.as_ref().is_some_and(|until| now < story.at(until))
        }
        "source_retired" => {
            told.source.as_ref() == Some(&line.place.0)
                && told.stream.as_ref().is_none_or(|stream| *stream == line.place.1)
        }
        _ => false,
    };
    story.event.iter().filter(|told| story.at(&told.at) <= now).any(excuses)
}
