//! Lines that a container runtime has split into parts.

use std::time::Duration;

use crate::world::{World, append, gzip};

/// What the runtime writes before a line or a part.
fn tagged(tag: &str, text: &str) -> String {
    format!("2024-05-01T12:00:00.123456789Z stdout {tag} {text}\n")
}

/// Ledger lines as the runtime writes them: whole, in two parts, in four, with a line of the other
/// output between two parts.
fn split_lines(world: &mut World, count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let line = world.line();
        let line = line.trim_end();
        let parts = [1, 2, 4][number % 3];
        let step = line.len().div_ceil(parts);
        for part in 0..parts {
            let piece = &line[part * step..line.len().min((part + 1) * step)];
            text.push_str(&tagged(if part + 1 == parts { "F" } else { "P" }, piece));
            if part == 1 {
                text.push_str("2024-05-01T12:00:00.5Z stderr F a remark\n");
            }
        }
    }
    text
}

#[test]
fn a_line_in_parts_is_counted_once_wherever_the_writer_and_the_reader_stop() {
    for (step, stops) in [(1, false), (23, true), (160, true), (4096, false)] {
        let mut world = World::new(&["c.log"]);
        if step == 1 {
            // The parts of a record follow each other nearly at once, however they are read.
            world.between_polls = Duration::from_millis(1);
        }
        let text = split_lines(&mut world, 9);
        for piece in text.as_bytes().chunks(step) {
            append(&world.path("c.log"), piece);
            world.poll();
            if stops {
                world.stop();
            }
        }
        world.assert_ledger();
        world.assert_gaps(&[]);
        // Three of the nine lines are whole; each other one has a remark behind its second part.
        assert_eq!((world.lines, world.rejects), (9 + 6, 6), "step {step}");
        assert_eq!(world.open("c.log")[0].offset, text.len() as u64);
    }
}

#[test]
fn a_packed_log_with_parts_is_read_like_a_plain_one() {
    let mut world = World::new(&["c.log"]);
    world.limits.poll_bytes = 1;
    let text = split_lines(&mut world, 30);
    std::fs::write(world.path("c.log.1.gz"), gzip(text.as_bytes())).unwrap();
    append(&world.path("c.log"), b"");
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn the_offset_stays_before_a_record_that_is_not_whole() {
    let mut world = World::new(&["c.log"]);
    let whole = tagged("F", world.line().trim_end());
    append(&world.path("c.log"), whole.as_bytes());
    let line = world.line();
    let (head, tail) = line.trim_end().split_at(40);
    append(&world.path("c.log"), tagged("P", head).as_bytes());
    world.pass(3);
    assert_eq!(world.open("c.log")[0].offset, whole.len() as u64);
    assert!(world.stream_status("c.log").backlog > 0, "what is held back is known");
    append(&world.path("c.log"), tagged("F", tail).as_bytes());
    world.poll();
    world.assert_ledger();
    assert_eq!(world.stream_status("c.log").backlog, 0);
}

#[test]
fn a_record_whose_end_never_comes_is_a_reject_that_is_searched_for_keys() {
    let mut world = World::new(&["c.log*"]);
    let line = world.line();
    // The key is cut in two: only what was put together shows it.
    let at = line.find("sk_live").expect("the key") + 9;
    append(&world.path("c.log"), tagged("P", &line[..at]).as_bytes());
    append(&world.path("c.log"), tagged("P", &line[at..line.len() - 5]).as_bytes());
    world.poll();
    world.rotate("c.log", 9);
    world.write("c.log", 1);
    world.pass(world.limits.rotation_grace.as_secs() + 3);
    world.assert_ledger_without(&[0]);
    world.assert_gaps(&[]);
    assert_eq!((world.lines, world.rejects), (2, 1));
    assert_eq!(world.rejected_keys(), 1);
    let bytes: u64 = world.deltas().map(|delta| delta.range.to - delta.range.from).sum();
    let sizes = ["c.log", "c.log.1"].map(|name| std::fs::metadata(world.path(name)).unwrap().len());
    assert_eq!(bytes, sizes.iter().sum::<u64>());
}

#[test]
fn parts_that_never_end_do_not_stop_the_reading() {
    let mut world = World::new(&["c.log"]);
    let part = tagged("P", &"x".repeat(1 << 19));
    for _ in 0..5 {
        append(&world.path("c.log"), part.repeat(8).as_bytes());
        world.poll();
    }
    let read = world.open("c.log")[0].offset;
    assert!(read > 15 << 20, "only {read} bytes are read");
    let whole = tagged("F", world.line().trim_end());
    append(&world.path("c.log"), format!("{}{whole}", tagged("F", "end")).as_bytes());
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
    assert!(world.rejects > 0);
}

/// A record on the other output, whose end never comes.
fn open_record() -> String {
    "2024-05-01T12:00:00.5Z stderr P dying words\n".to_owned()
}

/// Ledger lines as the runtime writes them, whole.
fn whole_lines(world: &mut World, count: usize) -> String {
    (0..count).map(|_| tagged("F", world.line().trim_end())).collect()
}

/// Lines and proofs of silence that came before the first `count` lines were counted.
fn passed_before(world: &World, count: u64) -> bool {
    let mut counted = 0;
    world.deltas().any(|delta| {
        let is_next = delta.generation.0 > 1 || delta.range.from == delta.range.to;
        counted +=
            delta.cells.iter().map(|cell| cell.tally.counts.iter().sum::<u64>()).sum::<u64>();
        is_next && counted < count
    })
}

fn assert_every_byte(world: &World, names: &[&str]) {
    let bytes: u64 = world.deltas().map(|delta| delta.range.to - delta.range.from).sum();
    let size = |name: &&str| std::fs::metadata(world.path(name)).unwrap().len();
    assert_eq!(bytes, names.iter().map(size).sum::<u64>());
}

#[test]
fn no_frontier_passes_lines_that_wait_behind_an_open_record() {
    for idle_is_proof in [false, true] {
        let mut world = World::new(&["c.log*"]);
        world.idle_is_proof = idle_is_proof;
        append(&world.path("c.log"), open_record().as_bytes());
        let held = whole_lines(&mut world, 3);
        append(&world.path("c.log"), held.as_bytes());
        world.poll();
        let before = world.deltas().last().and_then(|delta| delta.frontier);
        world.rotate("c.log", 9);
        let next = whole_lines(&mut world, 1);
        append(&world.path("c.log"), next.as_bytes());
        world.pass(2);
        assert_eq!(world.deltas().last().and_then(|delta| delta.frontier), before);
        assert!(world.stream_status("c.log").backlog > 0, "what is held back is known");
        world.pass(world.limits.rotation_grace.as_secs() + 3);
        assert!(!passed_before(&world, 3), "idle is proof: {idle_is_proof}");
        world.assert_ledger();
        world.assert_gaps(&[]);
        assert_every_byte(&world, &["c.log", "c.log.1"]);
    }
}

#[test]
fn silence_proves_nothing_while_lines_wait_in_an_older_file() {
    let mut world = World::new(&["c.log*"]);
    world.idle_is_proof = true;
    append(&world.path("c.log"), open_record().as_bytes());
    let held = whole_lines(&mut world, 1);
    append(&world.path("c.log"), held.as_bytes());
    world.poll();
    world.rotate("c.log", 9);
    world.pass(10);
    assert!(!passed_before(&world, 1));
    world.assert_ledger();
    assert!(world.deltas().last().unwrap().frontier_assumed, "then it proves something again");
    assert_every_byte(&world, &["c.log", "c.log.1"]);
}

#[test]
fn lines_behind_an_open_record_are_counted_soon_in_a_live_file() {
    let mut world = World::new(&["c.log"]);
    append(&world.path("c.log"), open_record().as_bytes());
    // The log goes on all the time.
    for _ in 0..7 {
        let line = whole_lines(&mut world, 1);
        append(&world.path("c.log"), line.as_bytes());
        world.poll();
    }
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects), (8, 1));
    assert_eq!(world.stream_status("c.log").backlog, 0);
    assert_every_byte(&world, &["c.log"]);
}

#[test]
fn an_open_record_that_nothing_waits_for_may_go_on() {
    let mut world = World::new(&["c.log"]);
    let line = world.line();
    let (head, tail) = line.trim_end().split_at(40);
    append(&world.path("c.log"), tagged("P", head).as_bytes());
    world.pass(20);
    assert_eq!(world.open("c.log")[0].offset, 0);
    append(&world.path("c.log"), tagged("F", tail).as_bytes());
    world.poll();
    world.assert_ledger();
    assert_eq!(world.rejects, 0);
}

#[test]
fn a_record_that_has_just_begun_is_not_broken_off_with_an_old_one() {
    let mut world = World::new(&["c.log"]);
    append(&world.path("c.log"), open_record().as_bytes());
    let waiting = whole_lines(&mut world, 1);
    append(&world.path("c.log"), waiting.as_bytes());
    world.pass(4);
    let line = world.line();
    let (head, tail) = line.trim_end().split_at(40);
    append(&world.path("c.log"), tagged("P", head).as_bytes());
    world.pass(3);
    append(&world.path("c.log"), tagged("F", tail).as_bytes());
    world.poll();
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects), (3, 1));
}

#[test]
fn a_key_in_a_record_that_is_broken_off_in_time_is_found() {
    let mut world = World::new(&["c.log"]);
    let line = world.line();
    let at = line.find("sk_live").expect("the key") + 9;
    let error = |text: &str| tagged("P", text).replace("stdout", "stderr");
    append(&world.path("c.log"), error(&line[..at]).as_bytes());
    append(&world.path("c.log"), error(&line[at..line.len() - 5]).as_bytes());
    let held = whole_lines(&mut world, 1);
    append(&world.path("c.log"), held.as_bytes());
    world.pass(8);
    world.assert_ledger_without(&[0]);
    assert_eq!(world.rejected_keys(), 1);
}

#[test]
fn a_record_whose_parts_come_slowly_is_not_broken_off() {
    let mut world = World::new(&["c.log"]);
    let line = world.line();
    for (index, piece) in line.trim_end().as_bytes().chunks(20).enumerate() {
        let piece = String::from_utf8_lossy(piece);
        append(&world.path("c.log"), tagged("P", &piece).as_bytes());
        let remark = format!("2024-05-01T12:00:00.5Z stderr F remark {index}\n");
        append(&world.path("c.log"), remark.as_bytes());
        world.pass(4);
    }
    assert_eq!(world.open("c.log")[0].offset, 0);
    append(&world.path("c.log"), tagged("F", "").as_bytes());
    world.poll();
    world.assert_ledger();
}

#[test]
fn lines_behind_the_second_of_two_open_records_are_counted_soon() {
    let mut world = World::new(&["c.log"]);
    append(&world.path("c.log"), tagged("P", "first").as_bytes());
    append(&world.path("c.log"), open_record().as_bytes());
    append(&world.path("c.log"), tagged("F", "its end").as_bytes());
    let waiting = whole_lines(&mut world, 2);
    append(&world.path("c.log"), waiting.as_bytes());
    world.pass(7);
    world.assert_ledger();
    assert_every_byte(&world, &["c.log"]);
}
