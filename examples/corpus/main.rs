//! Writes a log whose true counts are known, for measuring.
//!
//! ```sh
//! cargo run --release --example corpus -- --kind combined --size 268435456 --log c1.log --truth c1.json
//! ```
//!
//! The same arguments give the same bytes. What is true of a log is counted while it is written,
//! by nothing that keydrain reads logs with: no code of keydrain is used here. It is an example and
//! no bench: `cargo bench` would run it, and it takes arguments.

mod combined;
mod draw;
mod records;
mod trail;
mod truth;

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use draw::{Draw, Minute};
use truth::Truth;

/// Bytes that are written at once.
const BLOCK_BYTES: usize = 1 << 20;

/// Writes a log and what is true of it.
#[derive(clap::Parser)]
struct Args {
    /// What the lines look like.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Bytes after which the log ends, at the end of a line.
    #[arg(long)]
    size: u64,
    /// Distinct keys; 0: a new one in each line, of which the truth holds the number only.
    #[arg(long, default_value_t = 2000)]
    keys: u32,
    /// Another seed is another log of the same kind.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The log.
    #[arg(long)]
    log: PathBuf,
    /// What is true of it, as JSON.
    #[arg(long)]
    truth: PathBuf,
}

/// What the lines look like.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// nginx's combined, `?api_key=` in 65 % of the lines.
    Combined,
    /// JSON lines with nested objects, `"api_key_id"` in 92 %.
    Json,
    /// `CloudTrail`, one record per line, 88 % with a key.
    Cloudtrail,
}

/// A way to write lines.
struct Form {
    /// Mean bytes of a line, measured: spreads the lines over the day.
    line_bytes: u64,
    /// Lines in a hundred that carry a key.
    keyed: u32,
    /// What a key looks like.
    key: fn(&mut Draw) -> String,
    /// Appends a line without its end.
    write: fn(&mut Vec<u8>, &mut Draw, &Line<'_>),
}

/// What a line says.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// Seconds since the start of the day.
    second: u32,
    /// The key, if it carries one.
    key: Option<&'a str>,
    /// Who presents it.
    consumer: Consumer,
    outcome: Outcome,
    /// Whether it is broken, so that nothing can be counted of it.
    is_broken: bool,
}

/// A consumer, by what names it.
#[derive(Clone, Copy)]
struct Consumer(u32);

/// What became of a request.
#[derive(Clone, Copy)]
enum Outcome {
    Accepted,
    /// 401 and 403; for `CloudTrail` that the access was denied.
    Denied,
    /// 5xx; for `CloudTrail` any other error.
    Failed,
}

impl Kind {
    fn form(self) -> Form {
        match self {
            Self::Combined => combined::form(),
            Self::Json => records::form(),
            Self::Cloudtrail => trail::form(),
        }
    }

    /// Returns who presents the key of this number. A server sees all addresses with all keys;
    /// a client has a few keys and an account's user one.
    fn consumer(self, draw: &mut Draw, key: u32) -> Consumer {
        Consumer(match self {
            Self::Combined => combined::consumer(draw),
            Self::Json => (key.wrapping_mul(7) + draw.below(4)) % records::CLIENTS,
            Self::Cloudtrail => key,
        })
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    let mut log = File::create(&args.log)?;
    let form = args.kind.form();
    let mut draw = Draw::new(args.seed);
    let keys: Vec<String> = (0..args.keys).map(|_| (form.key)(&mut draw)).collect();
    let popular = draw::Zipf::new(args.keys);
    let mut truth = Truth::default();
    let mut text = Vec::with_capacity(BLOCK_BYTES + 4096);
    let expected_lines = (args.size / form.line_bytes).max(1);
    while truth.bytes < args.size {
        let second = draw.second(truth.lines, expected_lines);
        let is_keyed = draw.below(100) < form.keyed;
        let number = if args.keys == 0 { 0 } else { popular.draw(&mut draw) };
        let fresh = (args.keys == 0 && is_keyed).then(|| (form.key)(&mut draw));
        let is_broken = draw.below(20_000) == 0;
        let key = fresh.as_deref().or_else(|| keys.get(number as usize).map(String::as_str));
        let line = Line {
            second,
            key: key.filter(|_| is_keyed && !is_broken),
            consumer: args.kind.consumer(&mut draw, number),
            outcome: draw.outcome(),
            is_broken,
        };
        let start = text.len();
        (form.write)(&mut text, &mut draw, &line);
        text.push(b'\n');
        truth.count(&line, fresh.is_none().then_some(number), text.len() - start);
        if text.len() >= BLOCK_BYTES {
            log.write_all(&text)?;
            text.clear();
        }
    }
    log.write_all(&text)?;
    let mut out = BufWriter::new(File::create(&args.truth)?);
    truth.write(&keys, &mut out)?;
    out.flush()
}

impl Line<'_> {
    fn minute(&self) -> Minute {
        Minute::of(self.second)
    }
}
