//! What is true of a log: counted from what was written, never from its text.

use std::io::{self, Write};

use crate::{Consumer, Line, Outcome};

/// The counts of a log.
#[derive(Default)]
pub struct Truth {
    /// Bytes of the log.
    pub bytes: u64,
    /// Lines of the log.
    pub lines: u64,
    rejects: u64,
    keyless: u64,
    /// Events, each with a key that no other line has.
    fresh: u64,
    /// The other events.
    events: Vec<Event>,
}

/// An event: number of its key, minute of the day, outcome, number of its consumer.
type Event = (u32, u16, u8, u32);

impl Truth {
    /// Counts a line of so many bytes; `number` is that of its key, `None` for a fresh one.
    pub fn count(&mut self, line: &Line<'_>, number: Option<u32>, bytes: usize) {
        self.bytes += bytes as u64;
        self.lines += 1;
        if line.is_broken {
            self.rejects += 1;
            return;
        }
        let outcome = match line.outcome {
            Outcome::Accepted => 0,
            Outcome::Denied => 1,
            Outcome::Failed => 2,
        };
        let Consumer(consumer) = line.consumer;
        match (line.key, number) {
            (None, _) => self.keyless += 1,
            (Some(_), None) => self.fresh += 1,
            (Some(_), Some(number)) => {
                self.events.push((number, line.minute().0, outcome, consumer));
            }
        }
    }

    /// Writes the truth as JSON: for each key its consumers and, for each of its minutes,
    /// `[minute, accepted, denied, failed]`; `cells` is the number of distinct minutes, keys and
    /// consumers.
    pub fn write(mut self, keys: &[String], out: &mut impl Write) -> io::Result<()> {
        self.events.sort_unstable();
        let events = self.events.len() as u64 + self.fresh;
        let Self { bytes, lines, rejects, keyless, fresh, .. } = self;
        let cells = distinct(self.events.iter().map(|&(key, minute, _, who)| (key, minute, who)));
        write!(
            out,
            r#"{{"bytes":{bytes},"lines":{lines},"rejects":{rejects},"keyless":{keyless},"events":{events},"fresh_keys":{fresh},"cells":{cells},"keys":{{"#
        )?;
        for (at, of_key) in self.events.chunk_by(|one, next| one.0 == next.0).enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let key = &keys[of_key[0].0 as usize];
            let consumers = distinct(of_key.iter().map(|event| event.3));
            write!(out, "{comma}\n{key:?}:{{\"consumers\":{consumers},\"minutes\":[")?;
            for (at, of_minute) in of_key.chunk_by(|one, next| one.1 == next.1).enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let of = |outcome| of_minute.iter().filter(|event| event.2 == outcome).count();
                write!(out, "{comma}[{},{},{},{}]", of_minute[0].1, of(0), of(1), of(2))?;
            }
            write!(out, "]}}")?;
        }
        writeln!(out, "\n}}}}")
    }
}

fn distinct<T: Ord>(all: impl Iterator<Item = T>) -> usize {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}
