//! What the servers of a story write, when, and what a line looks like.

use std::collections::BTreeMap;
use std::time::Duration;

use keydrain::engine::time::Timestamp;

use crate::declare::{Wiring, directive};
use crate::story::{Fault, Story, Writes, span};
use crate::world::NO_KEY;

/// A source and one of its logs.
pub type Place = (String, String);

/// A line of a log, written or yet to be written.
#[derive(Clone, Debug)]
pub struct Written {
    /// When the request ended.
    pub event_at: Timestamp,
    /// When the line shows in the log.
    pub at: Timestamp,
    /// Where.
    pub place: Place,
    /// Name of the key, or `-`.
    pub key: String,
    /// The client's name, or `-`.
    pub consumer: String,
    /// The client's address.
    pub address: String,
    status: u16,
}

/// All servers of a story.
pub struct Servers<'s> {
    /// The story.
    pub story: &'s Story,
    /// Logs of each source.
    pub streams: BTreeMap<String, Vec<String>>,
    /// Directives of each source, each with the time since when.
    directives: BTreeMap<String, Vec<(Timestamp, String)>>,
    first_source: String,
}

impl<'s> Servers<'s> {
    /// Sets the servers up.
    pub fn new(story: &'s Story, wiring: &Wiring) -> Self {
        let mut streams: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut directives = BTreeMap::new();
        for source in &wiring.config.sources {
            let name = source.name.as_str().to_owned();
            let own = story.stream.iter().filter(|stream| stream.source == name);
            let mut own: Vec<String> = own.flat_map(|stream| stream.names.clone()).collect();
            if own.is_empty() {
                own.push(source.paths[0].trim_end_matches('*').to_owned());
            }
            streams.insert(name.clone(), own);
            let first = (Timestamp::MIN, directive(&source.layout).to_owned());
            directives.insert(name, vec![first]);
        }
        let first_source = wiring.config.sources[0].name.as_str().to_owned();
        let mut servers = Self { story, streams, directives, first_source };
        for fault in &story.fault {
            if let Fault::FormatChanged { at, source, nginx } = fault {
                let source = servers.source(source.as_ref());
                let all = servers.directives.get_mut(&source).expect("it is configured");
                all.push((story.at(at), nginx.clone()));
            }
        }
        servers
    }

    /// Returns the source that is meant.
    pub fn source(&self, told: Option<&String>) -> String {
        let source = told.unwrap_or(&self.first_source);
        assert!(self.streams.contains_key(source), "no source `{source}`");
        source.clone()
    }

    /// Tells whether a fault about a source and perhaps a stream is about this place.
    pub fn concerns(&self, told: (Option<&String>, Option<&String>), place: &Place) -> bool {
        self.source(told.0) == place.0 && told.1.is_none_or(|stream| *stream == place.1)
    }

    /// Returns all lines in the order in which they show.
    pub fn lines(&self) -> Vec<Written> {
        let mut lines: Vec<Written> = Vec::new();
        for (number, writes) in self.story.log.iter().enumerate() {
            self.generate(number, writes, &mut lines);
        }
        for (source, streams) in &self.streams {
            for stream in streams {
                self.beat((source, stream), &mut lines);
            }
        }
        lines.retain(|line| !self.is_mute(line));
        lines.sort_by_key(|line| line.at);
        lines
    }

    fn generate(&self, number: usize, writes: &Writes, lines: &mut Vec<Written>) {
        let source = self.source(writes.source.as_ref());
        let streams = &self.streams[&source];
        let places: Vec<&String> = match writes.stream.as_deref() {
            None => vec![&streams[0]],
            Some("*") => streams.iter().collect(),
            Some(one) => {
                let found = streams.iter().find(|stream| *stream == one);
                vec![found.unwrap_or_else(|| panic!("no stream `{one}` of source {source}"))]
            }
        };
        let addresses = writes
            .address
            .as_ref()
            .map_or(vec!["192.0.2.7".to_owned()], |address| address.all().to_vec());
        let spacing = writes.spacing.as_deref().map_or(Duration::from_secs(1), span);
        let jitter = writes.jitter.as_deref().map_or(Duration::ZERO, span);
        let delay = writes.appears_after.as_deref().map_or(Duration::ZERO, span);
        for (n, begin) in self.times(writes).into_iter().enumerate() {
            let begin = begin.plus(jitter_of(jitter, number, n));
            for nth in 0..writes.burst {
                let event_at = begin.plus(spacing * nth);
                let turn = n * writes.burst as usize + nth as usize;
                lines.push(Written {
                    event_at,
                    at: event_at.plus(delay),
                    place: (source.clone(), places[turn % places.len()].clone()),
                    key: writes.key.clone(),
                    consumer: writes.consumer.clone(),
                    address: addresses[turn % addresses.len()].clone(),
                    status: writes.status,
                });
            }
        }
    }

    fn times(&self, writes: &Writes) -> Vec<Timestamp> {
        match (&writes.at, &writes.every) {
            (Some(at), None) => at.all().iter().map(|at| self.story.at(at)).collect(),
            (None, Some(every)) => {
                let from = writes.from.as_deref().map_or(self.story.begins(), |t| self.story.at(t));
                let to = writes.to.as_deref().map_or(self.story.ends(), |t| self.story.at(t));
                let every = span(every);
                std::iter::successors(Some(from), |at| Some(at.plus(every)))
                    .take_while(|at| *at < to)
                    .collect()
            }
            _ => panic!("a log entry has either `at` or `every`: {writes:?}"),
        }
    }

    fn beat(&self, (source, stream): (&String, &String), lines: &mut Vec<Written>) {
        let own = self.story.stream.iter().find(|spec| spec.names.contains(stream));
        let Some(every) = self.story.heartbeat(own) else { return };
        let mut at = self.appears(stream);
        while at <= self.story.ends() {
            lines.push(Written {
                event_at: at,
                at,
                place: (source.clone(), stream.clone()),
                key: NO_KEY.to_owned(),
                consumer: "-".to_owned(),
                address: "127.0.0.1".to_owned(),
                status: 200,
            });
            at = at.plus(every);
        }
    }

    /// Returns when a log appears.
    pub fn appears(&self, stream: &str) -> Timestamp {
        let mut own = self.story.stream.iter();
        let own = own.find(|spec| spec.names.iter().any(|name| name == stream));
        let from = own.and_then(|spec| spec.from.as_ref());
        from.map_or(self.story.begins(), |from| self.story.at(from))
    }

    /// Tells whether the line is not written because of a fault, or before there is a log.
    fn is_mute(&self, line: &Written) -> bool {
        let within = |from: Timestamp, to: Timestamp| from <= line.at && line.at < to;
        let too_early = line.at < self.appears(&line.place.1);
        too_early
            || self.story.fault.iter().any(|fault| match fault {
                Fault::Silent { from, to, source, stream } => {
                    self.concerns((source.as_ref(), stream.as_ref()), &line.place)
                        && within(self.story.at(from), self.story.at(to))
                }
                // There were no such times.
                Fault::ClockStep { at, forward } => {
                    let at = self.story.at(at);
                    within(at, at.plus(span(forward)))
                }
                _ => false,
            })
    }

    /// Writes a line as its server does at that time.
    pub fn text(&self, line: &Written) -> String {
        let directives = &self.directives[&line.place.0];
        let in_effect = directives.iter().rfind(|(since, _)| *since <= line.at);
        let (_, directive) = in_effect.expect("the first holds from the beginning");
        let mut pieces = directive.split('$');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = piece.find(|c| !part_of_name(c)).unwrap_or(piece.len());
            text += &line.value(&piece[..end]);
            text += &piece[end..];
        }
        text + "\n"
    }
}

impl Written {
    /// Returns the value of a variable of nginx.
    fn value(&self, variable: &str) -> String {
        let nanos = self.event_at.as_nanos();
        let (seconds, millis) =
            (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000) / 1_000_000);
        match variable {
            "remote_addr" => self.address.clone(),
            "remote_user" => self.consumer.clone(),
            "key_name" => self.key.clone(),
            "msec" => format!("{seconds}.{millis:03}"),
            "request" => "GET /v1/pay HTTP/1.1".to_owned(),
            "status" => self.status.to_string(),
            _ => "-".to_owned(),
        }
    }
}

/// Returns the `n`th delay of a log entry: the same in every run, at most `jitter`.
fn jitter_of(jitter: Duration, entry: usize, n: usize) -> Duration {
    let millis = u64::try_from(jitter.as_millis()).expect("a short one");
    // SplitMix64: neighbouring seeds give unrelated values.
    let mut z = ((entry as u64) << 32 | n as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_millis((z ^ (z >> 31)) % (millis + 1))
}
