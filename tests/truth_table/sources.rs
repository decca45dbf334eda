//! Rows about sources that are behind, gone, unreadable, silent or blind.

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::coverage::{Basis, SourceState, SourceStatus, StreamStatus};
use keydrain::engine::credential::{SourceName, StreamName};
use keydrain::engine::evidence::Source;
use keydrain::engine::rotation::JournalEvent;
use keydrain::engine::time::Timestamp;

use crate::story::{
    INSTANT, Story, at, blocker, check, minutes, moved_over, moved_over_by, plain_policy, says,
    standing,
};
use crate::world::{ACCESS_LOG, EDGE, NEW, OLD, World, a_source, key_ref, live, one_host};

const OTHER_LOG: &str = "/var/log/nginx/other.log";

#[test]
fn evidence_older_than_the_lag_is_behind_and_evidence_as_old_is_not() {
    // The last line, at 11:00:00, gives a watermark of 10:59:30.
    let story = moved_over().declared(|declared| {
        declared.sources[0].policy.idle_after = minutes(60);
    });
    check(&story.answer("11:09:30"), Ready, []);
    let answer = story.answer_at(at("11:09:30").plus(INSTANT));
    check(&answer, Unknown, [("source_behind", EDGE)]);
    says(
        &answer,
        "source_behind",
        EDGE,
        &["source edge", "complete up to 10 min ago only", "10 min allowed"],
    );
    assert_eq!(answer.sources[0].state, SourceState::Behind);
    assert!(!blocker(&answer, "source_behind", EDGE).message.contains("bytes"));
}

#[test]
fn a_source_with_bytes_to_read_says_how_many_when_it_is_behind() {
    let story = moved_over().seen("10:30:00", |sight| {
        sight.streams.insert(
            ACCESS_LOG.to_owned(),
            Some(keydrain::engine::coverage::StreamStatus { backlog: 4096, ..live(ACCESS_LOG) }),
        );
    });
    says(&story.answer("11:20:00"), "source_behind", EDGE, &["4096 bytes not read"]);
}

#[test]
fn a_source_of_which_no_line_was_read_is_behind_and_not_fine() {
    let answer = Story::new().answer("10:00:00");
    assert_eq!((answer.verdict, answer.watermark), (Unknown, None));
    says(&answer, "source_behind", EDGE, &["no line was read from", ACCESS_LOG, "of source edge"]);
    let empty = moved_over().on(EDGE, OTHER_LOG).told("10:29:00", JournalEvent::Hold);
    let empty = empty.then("10:29:30", |world| {
        world.read((EDGE, OTHER_LOG), &[], at("10:29:30"), at("10:29:30"));
    });
    let said = ["no line was read from /var/log/nginx/other.log of source edge", "source_retired"];
    says(&empty.answer("10:30:00"), "source_behind", EDGE, &said);
    assert!(standing(&answer).contains(&("observation_too_short", "*")));
}

#[test]
fn a_source_in_which_no_stream_was_found_yet_is_behind_and_not_live() {
    let mut world = World::new(one_host(plain_policy()));
    world.sights.get_mut(EDGE).expect("it is declared").streams.clear();
    world.start(key_ref(OLD), key_ref(NEW), at("10:00:00"));
    let answer = world.answer(at("10:00:01"));
    assert_eq!((answer.verdict, answer.sources[0].state), (Unknown, SourceState::Behind));
}

#[test]
fn a_source_that_was_not_looked_at_since_the_start_is_behind() {
    let story = moved_over().then("10:30:00", |world| world.looking = false).restarted("10:30:00");
    let answer = story.answer("10:30:00");
    check(&answer, Unknown, [("source_behind", EDGE)]);
    says(&answer, "source_behind", EDGE, &["not looked at since the daemon started"]);
    check(&story.then("10:30:01", |world| world.looking = true).answer("10:30:01"), Ready, []);
}

#[test]
fn a_pattern_without_a_match_is_absent_until_it_matches() {
    let story = moved_over().seen("10:30:00", |sight| sight.absent.push("/var/log/b*".to_owned()));
    let answer = story.busy("10:31:00");
    check(&answer, Unknown, [("source_absent", EDGE)]);
    says(
        &answer,
        "source_absent",
        EDGE,
        &["source edge", "nothing matches /var/log/b*", "source_retired"],
    );
    let back = story.seen("10:32:00", |sight| sight.absent.clear());
    check(&back.busy("10:33:00"), Ready, []);
}

#[test]
fn a_live_file_that_is_gone_is_absent_until_a_new_one_comes() {
    let story = moved_over().seen("10:30:00", |sight| {
        let gone = keydrain::engine::coverage::StreamStatus { live: false, ..live(ACCESS_LOG) };
        sight.streams.insert(ACCESS_LOG.to_owned(), Some(gone));
    });
    let answer = story.busy("10:31:00");
    check(&answer, Unknown, [("source_absent", ACCESS_LOG)]);
    says(
        &answer,
        "source_absent",
        ACCESS_LOG,
        &["live file", "is gone", "source_retired for the stream"],
    );
    let back = story.seen("10:32:00", |sight| {
        sight.streams.insert(ACCESS_LOG.to_owned(), Some(live(ACCESS_LOG)));
    });
    check(&back.busy("10:33:00"), Ready, []);
}

#[test]
fn a_stream_that_the_reader_finds_no_more_is_absent_at_once() {
    let story = moved_over().seen("10:30:00", |sight| {
        sight.streams.insert(ACCESS_LOG.to_owned(), None);
    });
    check(&story.answer("10:30:00"), Unknown, [("source_absent", ACCESS_LOG)]);
}

#[test]
fn a_stream_that_is_not_found_after_a_restart_is_absent() {
    let story = moved_over()
        .then("10:30:00", |world| {
            let sight = world.sights.get_mut(EDGE).expect("it is declared");
            sight.streams.insert(ACCESS_LOG.to_owned(), None);
        })
        .restarted("10:30:00");
    check(&story.answer("10:30:00"), Unknown, [("source_absent", ACCESS_LOG)]);
}

#[test]
fn a_path_that_cannot_be_read_is_unknown_whether_directory_or_live_file() {
    let directory = moved_over().seen("10:30:00", |sight| {
        sight.unreadable.push(("/var/log/nginx".to_owned(), "permission denied".to_owned()));
    });
    let answer = directory.busy("10:31:00");
    check(&answer, Unknown, [("source_unreadable", "/var/log/nginx")]);
    says(&answer, "source_unreadable", "/var/log/nginx", &["permission denied", "daemon's user"]);
    let file = moved_over().seen("10:30:00", |sight| {
        sight.streams.insert(
            ACCESS_LOG.to_owned(),
            Some(keydrain::engine::coverage::StreamStatus {
                unreadable: Some("permission denied".to_owned()),
                ..live(ACCESS_LOG)
            }),
        );
    });
    check(&file.busy("10:31:00"), Unknown, [("source_unreadable", ACCESS_LOG)]);
    check(&directory.seen("10:32:00", |s| s.unreadable.clear()).busy("10:33:00"), Ready, []);
}

/// What cannot be read was passed over where its name only began like that of a retired stream.
#[test]
fn a_retired_stream_excuses_its_own_files_alone() {
    let retire =
        JournalEvent::SourceRetired(SourceName::new(EDGE), Some(StreamName::new(OTHER_LOG)));
    let story = moved_over().told("10:20:00", retire);
    for (ending, excused) in
        [("", true), (".1", true), ("-20260301.gz", true), (".json", false), ("-api", false)]
    {
        let path = format!("{OTHER_LOG}{ending}");
        let found = story.clone().seen("10:30:00", move |sight| {
            sight.unreadable.push((path.clone(), "permission denied".to_owned()));
        });
        assert_eq!(found.busy("10:31:00").verdict == Ready, excused, "{ending}");
    }
}

#[test]
fn a_refused_path_only_warns() {
    let story = moved_over().seen("10:30:00", |sight| {
        sight.refused.push(("/var/log/nginx/pipe".to_owned(), "a FIFO".to_owned()));
    });
    let answer = story.busy("10:31:00");
    check(&answer, Ready, []);
    assert!(answer.warnings.iter().any(|w| w.code.as_str() == "refused_path"
        && w.subject == "/var/log/nginx/pipe"
        && w.message.contains("FIFO")));
}

#[test]
fn silence_longer_than_idle_after_is_no_evidence_and_as_long_is() {
    // The last line is the heartbeat of 11:00:00.
    check(&moved_over().answer("11:05:00"), Ready, []);
    let answer = moved_over().answer_at(at("11:05:00").plus(INSTANT));
    check(&answer, Unknown, [("source_silent", ACCESS_LOG)]);
    says(
        &answer,
        "source_silent",
        ACCESS_LOG,
        &["no line for 5 min", "silence is not idleness", "any request"],
    );
    assert_eq!(answer.sources[0].state, SourceState::Silent);
}

#[test]
fn a_log_whose_last_line_is_old_is_silent_however_lately_it_was_read() {
    let story = Story::new()
        .policy(|policy| policy.max_evidence_lag = minutes(60))
        .line_read("09:50:00", "10:00:00", OLD, "checkout", 200);
    let answer = story.answer("10:00:00");
    assert!(standing(&answer).contains(&("source_silent", ACCESS_LOG)), "{:?}", answer.blockers);
}

#[test]
fn any_line_ends_a_silence_and_covers_it() {
    let silent = moved_over().heartbeats("12:00:00", "12:00:00");
    check(
        &silent.answer("11:59:59"),
        Unknown,
        [("source_behind", EDGE), ("source_silent", ACCESS_LOG)],
    );
    check(&silent.answer("12:00:00"), Ready, []);
}

#[test]
fn a_dead_stream_of_a_live_source_is_silent() {
    let story = moved_over()
        .heartbeats("11:01:00", "11:30:00")
        .on(EDGE, OTHER_LOG)
        .uses(OLD, "checkout", ["09:30:00"])
        .heartbeats("09:31:00", "10:55:00");
    let answer = story.answer("11:01:00");
    check(&answer, Unknown, [("source_silent", OTHER_LOG)]);
    let retire =
        JournalEvent::SourceRetired(SourceName::new(EDGE), Some(StreamName::new(OTHER_LOG)));
    check(&story.told("11:01:00", retire).answer("11:01:00"), Ready, []);
}

#[test]
fn what_a_retired_stream_holds_that_is_no_access_log_blocks_no_more() {
    // A pattern that was too wide: error.log holds lines that nobody can read, and the old key.
    let story = moved_over()
        .on(EDGE, "/var/log/nginx/error.log")
        .uses(OLD, "checkout", ["09:59:59"])
        .heartbeats("10:00:00", "10:55:00")
        .garbled("10:20:00", "")
        .garbled("10:20:01", OLD);
    let answer = story.busy("10:30:00");
    assert!(standing(&answer).contains(&("rejects", OLD)), "{:?}", answer.blockers);
    let retire = JournalEvent::SourceRetired(
        SourceName::new(EDGE),
        Some(StreamName::new("/var/log/nginx/error.log")),
    );
    let retired = story.told("10:29:00", retire);
    check(&retired.busy("10:30:00"), Ready, []);
    check(&retired.restarted("10:29:30").busy("10:30:00"), Ready, []);
}

#[test]
fn an_end_of_file_in_the_instant_of_a_line_takes_nothing_from_what_the_line_proves() {
    let story = moved_over_by("10:30:00");
    let to_end = story.clone().then("10:30:00", |world| {
        world.read_to_end((EDGE, ACCESS_LOG), at("10:30:00"));
    });
    let basis = |story: &Story| story.answer("10:30:00").sources[0].basis;
    assert_eq!((basis(&story), basis(&to_end)), (Basis::Proved, Basis::Proved));
}

#[test]
fn declared_idleness_lets_a_confirmed_end_of_file_speak_and_is_called_assumed() {
    let story = moved_over()
        .declared(|declared| declared.sources[0].policy.silence_is_idle = true)
        .then("11:30:00", |world| world.read_to_end((EDGE, ACCESS_LOG), at("11:30:00")));
    let answer = story.answer("11:30:00");
    check(&answer, Ready, []);
    assert_eq!((answer.watermark, answer.sources[0].basis), (Some(at("11:29:30")), Basis::Assumed));
    assert!(answer.warnings.iter().any(|w| w.code.as_str() == "assumed_idle"));
    // Without a fresh proof it ages like everything else.
    check(&story.answer_at(at("11:39:30").plus(INSTANT)), Unknown, [("source_behind", EDGE)]);
}

#[test]
fn a_watermark_that_rests_on_lines_is_called_proved() {
    let answer = moved_over().busy("10:30:00");
    assert_eq!((answer.watermark, answer.sources[0].basis), (Some(at("10:29:30")), Basis::Proved));
}

#[test]
fn declared_idleness_without_a_confirmed_end_of_file_is_silence() {
    let story = moved_over().declared(|declared| declared.sources[0].policy.silence_is_idle = true);
    check(&story.answer_at(at("11:05:00").plus(INSTANT)), Unknown, [("source_silent", ACCESS_LOG)]);
}

#[test]
fn a_stream_that_never_showed_a_key_is_blind_until_it_shows_one() {
    let story = moved_over().on(EDGE, OTHER_LOG).heartbeats("09:00:00", "11:00:00");
    let answer = story.busy("10:30:00");
    check(&answer, Unknown, [("source_blind", OTHER_LOG)]);
    says(
        &answer,
        "source_blind",
        OTHER_LOG,
        &[OLD, NEW, "format may not log the key", "keydrain explain"],
    );
    assert_eq!(answer.sources[0].state, SourceState::Blind);
    check(&story.uses(NEW, "checkout", ["10:29:00"]).busy("10:30:00"), Ready, []);
}

#[test]
fn a_stream_that_showed_a_key_is_blind_again_after_a_gap() {
    let story = moved_over().lost("10:20:00").heartbeats("10:20:01", "10:20:01");
    let answer = story.busy("10:50:00");
    check(&answer, Unknown, [("source_blind", ACCESS_LOG)]);
    check(&story.uses(NEW, "checkout", ["10:49:00"]).busy("10:50:00"), Ready, []);
}

#[test]
fn a_restart_of_the_daemon_makes_nothing_blind() {
    let story = moved_over().restarted("10:30:00").restarted("10:31:00");
    check(&story.busy("10:32:00"), Ready, []);
}

#[test]
fn a_second_source_must_be_seen_as_well_as_the_first() {
    let two = |story: Story| {
        story.declared(|declared| {
            declared.sources.push(a_source("inner"));
            declared.credentials[0].sources.push(SourceName::new("inner"));
        })
    };
    let story = two(moved_over()).seen("09:00:00", |_| {});
    let answer = story.busy("10:30:00");
    assert_eq!((answer.verdict, answer.watermark), (Unknown, None));
    assert!(standing(&answer).contains(&("source_behind", "inner")));
    let retire = JournalEvent::SourceRetired(SourceName::new("inner"), None);
    check(&story.clone().told("10:29:00", retire).busy("10:30:00"), Ready, []);
    let seen = story
        .on("inner", ACCESS_LOG)
        .uses(NEW, "checkout", ["09:00:00"])
        .heartbeats("09:01:00", "11:00:00");
    check(&seen.busy("10:30:00"), Ready, []);
}

#[test]
fn a_rotation_of_which_every_source_is_retired_is_never_ready() {
    let retire = JournalEvent::SourceRetired(SourceName::new(EDGE), None);
    let answer = moved_over().told("10:29:00", retire).busy("10:30:00");
    check(&answer, Unknown, [("observation_too_short", "*"), ("consumer_not_moved", "checkout")]);
}

#[test]
fn a_source_that_the_configuration_names_no_longer_is_absent() {
    let story = moved_over().reconfigured("10:30:00", |declared| declared.sources.clear());
    let answer = story.answer("10:30:00");
    assert_eq!(answer.verdict, Unknown);
    says(
        &answer,
        "source_absent",
        EDGE,
        &["the configuration names it no longer", "source_retired"],
    );
    assert_eq!(answer.sources[0].state, SourceState::Absent);
}

#[test]
fn a_credential_that_the_configuration_names_no_longer_is_absent() {
    let story = moved_over().reconfigured("10:30:00", |declared| declared.credentials.clear());
    let answer = story.busy("11:31:00");
    assert_eq!(answer.verdict, Unknown);
    says(
        &answer,
        "source_absent",
        "payments-api",
        &["policy is unknown", "restore it", "rolled_back"],
    );
}

#[test]
fn a_key_that_a_source_is_not_matched_against_makes_it_blind() {
    let story = moved_over().old_key("another").declared(|declared| {
        declared.sources[0].tracked.retain(|key| *key != crate::world::fingerprint("another"));
    });
    let answer = story.busy("10:30:00");
    assert!(matches!(answer.verdict, Unknown), "{:?}", answer.blockers);
    says(&answer, "source_blind", EDGE, &["not matched against another yet"]);
}

#[test]
fn a_wrong_secret_file_never_gets_ready() {
    // The key in the file is not the one that the log shows.
    let story = moved_over().old_key("2025-q4-mistyped").declared(|declared| {
        declared.sources[0].tracked.push(crate::world::fingerprint("2025-q4-mistyped"));
    });
    for now in ["10:16:00", "11:00:00", "9 11:00:00"] {
        let answer = story.busy(now);
        check(&answer, Unknown, [("old_key_unseen", "2025-q4-mistyped")]);
        says(
            &answer,
            "old_key_unseen",
            "2025-q4-mistyped",
            &["no line with", "declared wrong", "attest old_key_unused"],
        );
    }
}

#[test]
fn a_wrong_new_key_never_gets_ready() {
    let story = moved_over().new_key("2026-q1-mistyped").declared(|declared| {
        declared.sources[0].tracked.push(crate::world::fingerprint("2026-q1-mistyped"));
    });
    check(
        &story.busy("9 11:00:00"),
        NotReady,
        [("consumer_not_moved", "checkout"), ("new_key_unused", "2026-q1-mistyped")],
    );
}

#[test]
fn an_old_key_that_nobody_ever_presented_needs_one_line_or_an_attestation() {
    let story = Story::new().heartbeats("09:00:00", "11:00:00").uses(NEW, "checkout", ["09:01:00"]);
    check(&story.busy("10:30:00"), Unknown, [("old_key_unseen", OLD)]);
    let probed = story.line("10:05:00", OLD, "checkout", 403).uses(NEW, "checkout", ["10:06:00"]);
    assert!(!standing(&probed.busy("10:30:00")).contains(&("old_key_unseen", OLD)));
}

/// What the reader finds at second `at`.
fn found(at: i64, unreadable: &[&str], absent: &[&str], streams: &[&str]) -> SourceStatus {
    let stream = |name: &&str| StreamStatus {
        stream: StreamName::new(*name),
        live: true,
        unreadable: None,
        backlog: 0,
        open_generations: 1,
        ends: Vec::new(),
    };
    SourceStatus {
        source: SourceName::new("edge"),
        looked_at: Timestamp::from_seconds(at),
        absent: absent.iter().map(|path| (*path).to_owned()).collect(),
        unreadable: unreadable.iter().map(|path| ((*path).to_owned(), "why".to_owned())).collect(),
        refused: Vec::new(),
        weak: Vec::new(),
        streams: streams.iter().map(stream).collect(),
        masked: None,
        caught_up: true,
    }
}

#[test]
fn a_file_that_appears_is_covered_since_the_first_look_at_which_nothing_was_hidden() {
    let since = |unreadable: &[&str], absent: &[&str]| {
        let mut source = Source::new(SourceName::new("edge"));
        source.look(found(10, unreadable, absent, &[]));
        source.look(found(20, unreadable, absent, &["a.log"]));
        source.streams[&StreamName::new("a.log")].record.observing_since
    };
    assert_eq!(since(&[], &[]), Some(Timestamp::from_seconds(10)));
    assert_eq!(since(&["b.log"], &[]), None);
    assert_eq!(since(&[], &["*.log"]), None);
    assert_eq!(since(&["b.log"], &["*.log"]), None);
}
