//! Times that do not come in order: a shuffled file, and the night in which the clocks are set.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use keydrain::engine::parse::{FormatSpec, JsonSpec, Layout, Place};
use keydrain::engine::time::Timestamp;
use keydrain::engine::usage::UsageCell;

use crate::world::{KEY, World, append};

const HOUR: Duration = Duration::from_secs(3600);

/// A line of the consumer `u{number}`, as nginx writes it.
fn line(number: u64, at: Timestamp) -> String {
    let time = jiff::Timestamp::from_second(at.as_seconds()).unwrap();
    let time = time.strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("192.0.2.1 - u{number} [{time}] \"GET /?api_key={KEY} HTTP/1.1\" 200 5 \"-\" \"-\"\n")
}

/// The one cell of each consumer.
fn cells(world: &World) -> BTreeMap<&str, &UsageCell> {
    let mut all = BTreeMap::new();
    for cell in world.deltas().flat_map(|delta| &delta.cells) {
        assert!(all.insert(cell.consumer.as_str(), cell).is_none(), "{cell:?} comes twice");
    }
    all
}

/// Event times of `count` lines, a second apart, each put off by up to an hour to either side. The
/// same in each run.
fn shuffled(from: Timestamp, count: u64) -> Vec<Timestamp> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let put_off = |n| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        from.plus(Duration::from_secs(n + seed % 7201)).minus(HOUR)
    };
    (0..count).map(put_off).collect()
}

/// Reads lines of these times from one file, with a restart after each step.
fn read(times: &[Timestamp], allowed_lateness: Duration) -> World {
    let mut world = World::new(&["access.log"]);
    world.allowed_lateness = allowed_lateness;
    world.limits.poll_bytes = 1;
    world.now = times.iter().max().unwrap().plus(Duration::from_secs(60));
    let text: String = (0..).zip(times).map(|(n, at)| line(n, *at)).collect();
    append(&world.path("access.log"), text.as_bytes());
    world.written = times.len() as u64;
    while world.poll().more {
        world.stop();
    }
    world.assert_ledger();
    world.assert_gaps(&[]);
    let offset = world.generations()[0].offset;
    assert_eq!(offset, text.len() as u64, "progress is the offset, whatever the times are");
    world
}

#[test]
fn row_33_lines_out_of_order_within_the_lateness_count_by_their_event_times() {
    let times = shuffled(Timestamp::from_seconds(4_102_444_800), 12_000);
    assert!(!times.is_sorted());
    let world = read(&times, HOUR * 2);
    assert!(world.deltas().count() > 1, "the file is read in steps");
    let cells = cells(&world);
    for (n, at) in times.iter().enumerate() {
        let cell = cells[format!("u{n}").as_str()];
        assert_eq!((cell.minute, cell.tally.last_seen), (at.minute(), *at), "line {n}");
        assert!(!cell.late, "line {n}");
    }
    let frontier = world.deltas().last().unwrap().frontier;
    assert_eq!(frontier.as_ref(), times.iter().max(), "the latest line, not the last one");
    assert!(world.deltas().all(|delta| delta.late_by.is_none()));
}

#[test]
fn row_33_lines_further_out_of_order_count_from_their_arrival_and_keep_their_event_times() {
    let allowed = Duration::from_secs(600);
    let times = shuffled(Timestamp::from_seconds(4_102_444_800), 12_000);
    let world = read(&times, allowed);
    let cells = cells(&world);
    let mut frontier = Timestamp::MIN;
    let mut late = 0;
    for (n, at) in times.iter().enumerate() {
        let cell = cells[format!("u{n}").as_str()];
        assert_eq!(cell.tally.last_seen, *at, "line {n}");
        let is_late = frontier > at.plus(allowed);
        assert_eq!(cell.late, is_late, "line {n}");
        let counts_from = if is_late { cell.tally.counts_until } else { *at };
        assert_eq!(cell.minute, counts_from.minute(), "line {n}");
        assert!(!is_late || cell.tally.counts_until > *times.iter().max().unwrap(), "line {n}");
        late += u64::from(is_late);
        frontier = frontier.max(*at);
    }
    assert!(late > 3000, "only {late} lines were late");
}

/// A minute of the night, on the clocks of Berlin, with the time that it was.
struct Tick {
    local: String,
    at: Timestamp,
}

/// Each minute of the six hours from `from` on.
fn night(from: &str) -> Vec<Tick> {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let from: jiff::Timestamp = from.parse().unwrap();
    let tick = |minute: i64| {
        let at = from.as_second() + minute * 60;
        let shown = jiff::Timestamp::from_second(at).unwrap().to_zoned(zone.clone());
        let local = shown.strftime("%Y-%m-%d %H:%M:%S").to_string();
        Tick { local, at: Timestamp::from_seconds(at) }
    };
    (0..360).map(tick).collect()
}

/// A world whose lines carry a local time without a zone.
fn local_times(zone: Option<&str>) -> World {
    let mut world = World::new(&["access.log"]);
    let spec = JsonSpec {
        time: Some("time".to_owned()),
        credential: vec![Place::Field("key".to_owned())],
        consumer: vec!["user".to_owned()],
        ..JsonSpec::default()
    };
    world.layout = Layout::new(FormatSpec::Json(spec), Vec::new(), Vec::new());
    world.layout.zone = zone.map(|zone| TimeZone::get(zone).unwrap());
    world
}

fn json_line(number: usize, tick: &Tick) -> String {
    format!("{{\"time\":\"{}\",\"key\":\"{KEY}\",\"user\":\"u{number}\"}}\n", tick.local)
}

/// When the clocks are set back an hour comes twice and nothing in a line says which one it is: so
/// both are meant. No use counts as older than it is, no time that is yet to come counts as read, and
/// what the line would prove by its time (a move, a key that works) it does not prove.
#[test]
fn row_34_a_line_in_the_hour_that_comes_twice_means_both_and_never_the_better_one() {
    let night = night("2099-10-24T22:00:00Z");
    let twice = night.windows(2).filter(|pair| pair[1].local < pair[0].local).count();
    assert_eq!(twice, 1, "the clocks are set back once");
    let end = night.last().unwrap().at.plus(HOUR);
    for backlog in [false, true] {
        let mut world = local_times(Some("Europe/Berlin"));
        world.between_polls = Duration::ZERO;
        for (n, tick) in night.iter().enumerate() {
            append(&world.path("access.log"), json_line(n, tick).as_bytes());
            world.written += 1;
            // Read as it is written, or all of it much later.
            world.now = if backlog { end } else { tick.at };
            world.poll();
            let frontier = world.deltas().last().unwrap().frontier;
            assert!(frontier <= Some(tick.at), "{frontier:?} is ahead of {}", tick.at);
        }
        assert_eq!(world.deltas().last().unwrap().frontier, Some(night.last().unwrap().at));
        world.assert_ledger();
        assert_eq!(world.rejects, 0);
        assert!(world.deltas().all(|delta| !delta.future_event && delta.late_by.is_none()));
        let cells = cells(&world);
        for (n, tick) in night.iter().enumerate() {
            let cell = cells[format!("u{n}").as_str()];
            let counts_until = cell.tally.counts_until;
            assert!(counts_until >= tick.at, "{} counts until {counts_until}", tick.local);
            let in_doubt = tick.local.starts_with("2099-10-25 02");
            assert_eq!(cell.late, in_doubt, "{}: whether it proves nothing", tick.local);
            assert!(in_doubt || counts_until == tick.at, "{}", tick.local);
        }
    }
}

/// A server that starts with its clock years ahead writes one line before that is set right.
#[test]
fn row_35_a_line_of_the_future_moves_no_gap() {
    for (restart, removed) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 2);
        let today = world.now;
        world.now = today.plus(100_000 * HOUR);
        world.write("access.log", 1);
        world.now = today;
        world.drain();
        world.write("access.log", 2);
        world.pass(100);
        if restart {
            world.stop();
        }
        let (lost, at) = (world.written, world.now);
        world.write("access.log", 2);
        world.now = world.now.plus(HOUR);
        if removed {
            world.rotate("access.log", 1);
            world.rotate("access.log", 1);
        } else {
            world.cut("access.log", 0);
        }
        world.write("access.log", 1);
        world.drain();
        world.pass(70);
        world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
        assert!(world.gaps.iter().all(|gap| gap.span.to <= world.now), "{:?}", world.gaps);
    }
}

/// When the clocks are set forward nothing is in doubt, and a time that the clocks left out is
/// nobody's: it is told, not guessed.
#[test]
fn row_34_a_time_that_the_clocks_left_out_is_a_reject_and_all_others_are_exact() {
    let night = night("2099-03-28T22:00:00Z");
    let mut world = local_times(Some("Europe/Berlin"));
    world.now = night.last().unwrap().at.plus(HOUR);
    let text: String = night.iter().enumerate().map(|(n, tick)| json_line(n, tick)).collect();
    append(&world.path("access.log"), text.as_bytes());
    world.written += night.len() as u64;
    let left_out = Tick { local: "2099-03-29 02:30:00".to_owned(), at: world.now };
    append(&world.path("access.log"), json_line(9999, &left_out).as_bytes());
    world.drain();
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects, world.rejected_keys()), (361, 1, 1));
    let cells = cells(&world);
    for (n, tick) in night.iter().enumerate() {
        assert_eq!(cells[format!("u{n}").as_str()].tally.last_seen, tick.at, "{}", tick.local);
    }
}

#[test]
fn row_34_a_local_time_without_a_declared_zone_is_never_guessed() {
    let mut world = local_times(None);
    append(&world.path("access.log"), json_line(0, &night("2099-10-24T22:00:00Z")[0]).as_bytes());
    world.drain();
    assert_eq!((world.lines, world.rejects, world.rejected_keys()), (1, 1, 1));
    // Where the server's own directive shows that its times have no zone, it is refused at once.
    let format = FormatSpec::Apache("%{%Y-%m-%d %H:%M:%S}t \"%r\" %>s".to_owned());
    let mut layout = Layout::new(format, vec![Place::Query("api_key".to_owned())], Vec::new());
    let refused = keydrain::engine::parse::LineParser::compile(&layout).err().unwrap();
    assert!(refused.to_string().contains("name the `zone`"), "{refused}");
    layout.zone = Some(TimeZone::UTC);
    assert!(keydrain::engine::parse::LineParser::compile(&layout).is_ok());
}
