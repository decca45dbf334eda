//! Rows about what is assumed or passed over: it warns as long as an answer rests on it.

use std::time::Duration;

use keydrain::engine::answer::Answer;
use keydrain::engine::answer::Verdict::Ready;
use keydrain::engine::coverage::{Basis, WeakFileSystem, Weakness};
use keydrain::engine::credential::SourceName;
use keydrain::engine::policy::Completeness;

use crate::story::{at, check, moved_over};
use crate::world::{ACCESS_LOG, EDGE, a_source};

/// Returns the subjects of the warnings with this code.
fn warned<'a>(answer: &'a Answer, code: &str) -> Vec<&'a str> {
    let warnings = answer.warnings.iter().filter(|warning| warning.code.as_str() == code);
    warnings.map(|warning| warning.subject.as_str()).collect()
}

#[test]
fn a_lateness_below_the_formats_own_is_assumed_and_the_formats_own_is_not() {
    check(&moved_over().busy("10:30:00"), Ready, []);
    assert_eq!(warned(&moved_over().busy("10:30:00"), "assumed_lateness"), [""; 0]);
    let answer = moved_over()
        .declared(|declared| {
            let policy = &mut declared.sources[0].policy;
            (policy.allowed_lateness, policy.lateness_assumed) = (Duration::from_secs(2), true);
        })
        .busy("10:30:00");
    check(&answer, Ready, []);
    assert_eq!(warned(&answer, "assumed_lateness"), [EDGE]);
    assert!(answer.warnings.iter().any(|warning| warning.message.contains("at most 2 s late")));
}

#[test]
fn idleness_is_assumed_where_a_watermark_rests_on_an_end_of_file_and_no_longer() {
    let story = moved_over()
        .declared(|declared| declared.sources[0].policy.silence_is_idle = true)
        .then("11:30:00", |world| world.read_to_end((EDGE, ACCESS_LOG), at("11:30:00")));
    // What is declared and was not needed yet is no assumption.
    assert_eq!(warned(&story.answer("11:00:00"), "assumed_idle"), [""; 0]);
    assert_eq!(warned(&story.answer("11:30:00"), "assumed_idle"), [ACCESS_LOG]);
    let line = story.heartbeats("11:31:00", "11:31:00");
    check(&line.answer("11:31:00"), Ready, []);
    assert_eq!(warned(&line.answer("11:31:00"), "assumed_idle"), [""; 0]);
}

#[test]
fn a_path_is_refused_as_long_as_it_is_there() {
    let story = moved_over().seen("10:20:00", |sight| {
        sight.refused.push(("/var/log/nginx/pipe".to_owned(), "a FIFO".to_owned()));
    });
    assert_eq!(warned(&story.busy("10:19:59"), "refused_path"), [""; 0]);
    assert_eq!(warned(&story.busy("10:20:00"), "refused_path"), ["/var/log/nginx/pipe"]);
    let gone = story.seen("10:25:00", |sight| sight.refused.clear());
    assert_eq!(warned(&gone.busy("10:25:00"), "refused_path"), [""; 0]);
}

#[test]
fn a_weak_file_system_is_told_and_lowers_the_basis_as_long_as_it_is_there() {
    let basis = |answer: &Answer| answer.sources[0].basis;
    let local = moved_over();
    assert_eq!(basis(&local.busy("10:30:00")), Basis::Proved);
    let remote = local.seen("10:20:00", |sight| {
        sight.weak.push(WeakFileSystem {
            path: "/var/log/nginx".to_owned(),
            name: "nfs".to_owned(),
            weakness: Weakness::Remote,
        });
    });
    assert_eq!(warned(&remote.busy("10:19:59"), "weak_file_system"), [""; 0]);
    let answer = remote.busy("10:30:00");
    check(&answer, Ready, []);
    assert_eq!(warned(&answer, "weak_file_system"), ["/var/log/nginx"]);
    assert!(answer.warnings.iter().any(|it| it.message.starts_with("nfs: another host keeps")));
    assert_eq!(basis(&answer), Basis::Assumed);
    let moved = remote.seen("10:25:00", |sight| sight.weak.clear());
    assert_eq!(warned(&moved.busy("10:30:00"), "weak_file_system"), [""; 0]);
    assert_eq!(basis(&moved.busy("10:30:00")), Basis::Proved);
}

#[test]
fn a_gap_before_the_window_warns_and_no_gap_does_not() {
    assert_eq!(warned(&moved_over().busy("10:50:00"), "history_gap"), [""; 0]);
    let story = moved_over().lost("10:20:30").uses(crate::world::NEW, "checkout", ["10:20:31"]);
    assert_eq!(warned(&story.busy("10:50:00"), "history_gap"), [ACCESS_LOG]);
}

#[test]
fn no_answer_rests_on_what_is_assumed_of_a_best_effort_source() {
    let lb_log = "/var/log/lb.log";
    let answer = moved_over()
        .declared(|declared| {
            let mut lb = a_source("lb");
            let covered_by = Some(SourceName::new(EDGE));
            lb.policy.completeness = Completeness::PositiveOnly { covered_by };
            lb.policy.lateness_assumed = true;
            declared.sources.push(lb);
            declared.credentials[0].sources.push(SourceName::new("lb"));
        })
        .on("lb", lb_log)
        .heartbeats("09:00:00", "09:05:00")
        .lost("09:06:00")
        .seen("10:20:00", |sight| sight.refused.push(("/l/pipe".to_owned(), "a FIFO".to_owned())))
        .busy("10:30:00");
    check(&answer, Ready, []);
    for code in ["assumed_lateness", "history_gap"] {
        assert_eq!(warned(&answer, code), [""; 0], "{code}");
    }
    // A path that is not read may hold a use all the same.
    assert_eq!(warned(&answer, "refused_path"), ["/l/pipe"]);
}
