//! Thousands of random rotations through the engine, and through the rules people use instead.
//!
//! ```sh
//! cargo run --release --example simulate -- --rotations 1000 --seed 1
//! ```
//!
//! Prints a table per population: how often a rule said ready while the old key was still to be
//! used, and how long it waited after the last use. Ends with 1 when keydrain was wrong in the
//! population whose consumers do what was declared of them. `docs/DECISION.md` has the figures.

mod log;
mod play;
mod population;

use std::process::ExitCode;
use std::thread;

use play::FirstReady;
use population::{HISTORY, Kind, Run};

const MINUTE: i64 = 60;
/// What people wait for: nothing seen of the old key for so long.
const NAIVE: [(&str, i64); 3] =
    [("silent 15 min", 15 * MINUTE), ("silent 1 h", 60 * MINUTE), ("silent 24 h", 1440 * MINUTE)];
const THREADS: u64 = 2;

/// What became of one rotation: its last use of the old key, and when each rule said ready.
struct Outcome {
    last_old: i64,
    first_ready: Vec<FirstReady>,
}

fn main() -> ExitCode {
    let (rotations, seed) = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut wrong = 0;
    for (kind, title) in [
        (Kind::Declared, "Consumers do what was declared of them"),
        (Kind::Memoryless, "Exponential gaps: none seen bounds the next one"),
        (Kind::Surprising, "One thing happens that nobody declared"),
    ] {
        let outcomes = simulate(kind, rotations, seed);
        println!("\n### {title}: {rotations} rotations\n");
        let false_ready = print_table(&outcomes);
        if kind == Kind::Declared {
            wrong = false_ready;
        }
    }
    if wrong > 0 {
        eprintln!("\nkeydrain was wrong {wrong} times although everything was declared");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn arguments() -> Result<(u64, u64), String> {
    let (mut rotations, mut seed) = (1000, 1);
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let value = given.next().and_then(|value| value.parse::<u64>().ok());
        match (flag.as_str(), value) {
            ("--rotations", Some(value)) => rotations = value,
            ("--seed", Some(value)) => seed = value,
            _ => return Err("usage: simulate [--rotations N] [--seed N]".to_owned()),
        }
    }
    Ok((rotations, seed))
}

fn simulate(kind: Kind, rotations: u64, seed: u64) -> Vec<Outcome> {
    let share = |thread: u64| {
        let mine = (0..rotations).filter(move |number| number % THREADS == thread);
        mine.map(|number| play(&Run::draw(kind, seed.wrapping_mul(1_000_003) + number))).collect()
    };
    thread::scope(|scope| {
        let share = &share;
        let threads: Vec<_> =
            (0..THREADS).map(|n| scope.spawn(move || -> Vec<Outcome> { share(n) })).collect();
        threads.into_iter().flat_map(|t| t.join().expect("a run does not panic")).collect()
    })
}

fn play(run: &Run) -> Outcome {
    let mut first_ready = vec![play::keydrain(run)];
    first_ready.extend(NAIVE.map(|(_, silence)| play::naive(run, silence)));
    Outcome { last_old: run.last_old(), first_ready }
}

/// Prints one row per rule; returns how often keydrain was wrong.
fn print_table(outcomes: &[Outcome]) -> usize {
    println!("| rule | said ready | false ready | median wait | p90 wait |");
    println!("|---|---|---|---|---|");
    let mut wrong = 0;
    for (rule, name) in ["keydrain"].into_iter().chain(NAIVE.map(|(name, _)| name)).enumerate() {
        let ready: Vec<(i64, i64)> = outcomes
            .iter()
            .filter_map(|outcome| Some((outcome.first_ready[rule]?, outcome.last_old)))
            .collect();
        let false_ready = ready.iter().filter(|(at, last)| at < last).count();
        let mut waits: Vec<i64> = ready
            .iter()
            .filter(|(at, last)| at >= last)
            .map(|(at, last)| at - (*last).max(HISTORY))
            .collect();
        waits.sort_unstable();
        let wait = |percent: usize| {
            // Nearest rank.
            let rank = (waits.len() * percent).div_ceil(100).max(1) - 1;
            waits.get(rank).map_or("-".to_owned(), |seconds| hours(*seconds))
        };
        println!(
            "| {name} | {} of {} | {false_ready} | {} | {} |",
            ready.len(),
            outcomes.len(),
            wait(50),
            wait(90)
        );
        if rule == 0 {
            wrong = false_ready;
        }
    }
    wrong
}

fn hours(seconds: i64) -> String {
    match seconds {
        0..7200 => format!("{} min", seconds / MINUTE),
        _ => format!("{}.{} h", seconds / 3600, seconds % 3600 / 360),
    }
}
