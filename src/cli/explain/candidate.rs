//! The formats that a sample is tried with: the given one, the presets, and JSON by its members.

use jiff::tz::TimeZone;

use super::known::Known;
use super::members::Members;
use super::sample::Sample;
use super::servers::Server;
use crate::cli::Failure;
use crate::cli::layout_flags::LayoutFlags;
use crate::engine::parse::{FormatSpec, JsonSpec, Layout, LayoutError, LineParser, Place, Scratch};
use crate::engine::scan::records::{Framing, Record};
use crate::engine::time::Timestamp;

/// Apache's combined format behind the virtual host, as its `vhost_combined` writes it.
const VHOST_COMBINED: &str = r#"%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#;

/// The same without the port.
const VHOST_WITHOUT_PORT: &str = r#"%v %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;

/// The rank of the given format, which no other has.
const GIVEN: u8 = 9;

/// Records in which a time is tried.
const TRIED: u64 = 1000;

/// 2000-01-01: a number that reads as an earlier time is none.
const EARLIEST: Timestamp = Timestamp::from_seconds(946_684_800);

/// A format that the records may have.
pub struct Candidate {
    /// What it is called.
    pub name: String,
    /// What is declared of it.
    pub layout: Layout,
    /// The same, compiled.
    pub parser: LineParser,
    /// What writes it.
    pub server: Server,
    /// How much its name says, for two that fit equally.
    pub rank: u8,
    /// Fields where the key may stand, best first.
    pub proposals: Vec<String>,
    /// Whether the zone of its layout was declared, and not assumed.
    pub zone_is_declared: bool,
    /// Those of them that are known.
    known_places: &'static [&'static str],
    /// What the operator has to know about it.
    pub remarks: &'static [&'static str],
}

impl Candidate {
    fn new(name: &str, server: Server, rank: u8, layout: Layout) -> Result<Self, LayoutError> {
        let parser = match LineParser::compile(&layout) {
            Err(LayoutError::NoPlace) => LineParser::without_key(&layout)?,
            compiled => compiled?,
        };
        let name = name.to_owned();
        Ok(Self {
            name,
            layout,
            parser,
            server,
            rank,
            proposals: Vec::new(),
            zone_is_declared: true,
            known_places: &[],
            remarks: &[],
        })
    }

    /// Makes a candidate with the declared places, or without them where its format has not got
    /// them.
    fn with_or_without(name: &str, server: Server, rank: u8, layout: Layout) -> Option<Self> {
        let bare = Layout { credential: Vec::new(), consumer: Vec::new(), ..layout.clone() };
        let whole = Self::new(name, server, rank, layout);
        whole.or_else(|_| Self::new(name, server, rank, bare)).ok()
    }

    /// Lists the places of the key that are looked at.
    pub fn places(&self) -> Vec<Place> {
        self.layout.formats.first().map(|format| self.layout.places(format)).unwrap_or_default()
    }

    /// Returns the same with the key at `place`, if its format has such a place.
    pub fn with_place(&self, place: Place) -> Option<Self> {
        let layout = Layout { credential: vec![place], ..self.layout.clone() };
        let parser = LineParser::compile(&layout).ok()?;
        let (name, proposals) = (self.name.clone(), self.proposals.clone());
        Some(Self { name, layout, parser, proposals, ..*self })
    }

    /// Tells whether its place of the key is one that the log is known to have.
    pub fn is_known_place(&self) -> bool {
        let is_known = |place: &Place| match place {
            Place::Field(field) => self.known_places.contains(&field.as_str()),
            Place::Query(_) => false,
        };
        self.places().iter().all(is_known)
    }

    /// Tells whether it is the format that was given.
    pub fn is_given(&self) -> bool {
        self.rank == GIVEN
    }

    /// Returns the paths of a JSON format.
    pub fn json(&self) -> Option<&JsonSpec> {
        match self.layout.formats.as_slice() {
            [FormatSpec::Json(spec)] => Some(spec),
            _ => None,
        }
    }
}

/// What the flags declare.
pub struct Declared {
    layout: Layout,
    has_format: bool,
}

impl Declared {
    /// Reads the flags.
    pub fn of(flags: &LayoutFlags) -> Result<Self, Failure> {
        Ok(Self { layout: flags.declared()?, has_format: !flags.format.is_empty() })
    }

    /// Returns what is declared, with another format.
    fn layout(&self, format: FormatSpec) -> Layout {
        Layout { formats: vec![format], ..self.layout.clone() }
    }

    /// Makes the candidate of the given formats.
    fn given(&self) -> Result<Candidate, Failure> {
        let (name, server) = match self.layout.formats.as_slice() {
            [FormatSpec::Combined] => ("combined", Server::Nginx),
            [FormatSpec::Common] => ("common", Server::Apache),
            [FormatSpec::CloudTrail] => ("cloudtrail", Server::CloudTrail),
            [FormatSpec::Apache(_)] => ("the given format", Server::Apache),
            [FormatSpec::Json(_)] => ("the given format", Server::Unknown),
            [FormatSpec::Nginx(_)] => ("the given format", Server::Nginx),
            _ => ("the given formats", Server::Nginx),
        };
        Candidate::new(name, server, GIVEN, self.layout.clone()).map_err(Failure::usage)
    }

    fn has_given(&self, format: &FormatSpec) -> bool {
        self.has_format && self.layout.formats.contains(format)
    }
}

/// Tells whether most lines end as Traefik's do behind the combined format: ` 7 "router" "url" 3ms`.
fn is_traefik_clf(sample: &Sample) -> bool {
    let (mut lines, mut ends) = (0u64, 0u64);
    sample.records(Framing::Parts, |number, record| {
        if let (Record::Whole(line), true) = (record, number <= TRIED) {
            let line = line.trim_ascii_end();
            lines += 1;
            let digits = line.strip_suffix(b"ms").map(<[u8]>::iter).into_iter().flatten().rev();
            let digits = digits.take_while(|byte| byte.is_ascii_digit()).count();
            let ends_so = digits > 0 && line[..line.len() - 2 - digits].ends_with(b"\" ");
            ends += u64::from(ends_so);
        }
    });
    2 * ends > lines
}

/// Returns the candidates for a sample, the given format first.
pub fn candidates(
    declared: &Declared,
    sample: &Sample,
    members: &Members,
) -> Result<Vec<Candidate>, Failure> {
    let mut candidates = Vec::new();
    if declared.has_format {
        candidates.push(declared.given()?);
    }
    let is_json = members.records > 0;
    let (name, server) = if is_traefik_clf(sample) {
        ("combined (Traefik's, with more fields)", Server::TraefikClf)
    } else {
        ("combined", Server::Nginx)
    };
    let apache = |format: &str| FormatSpec::Apache(format.to_owned());
    let presets = [
        (
            "cloudtrail",
            Server::CloudTrail,
            6,
            FormatSpec::CloudTrail,
            sample.contains("\"userIdentity\""),
        ),
        (name, server, 4, FormatSpec::Combined, true),
        ("apache vhost_combined", Server::Apache, 4, apache(VHOST_COMBINED), !is_json),
        ("apache combined behind %v", Server::Apache, 3, apache(VHOST_WITHOUT_PORT), !is_json),
        ("common", Server::Apache, 2, FormatSpec::Common, true),
    ];
    for (name, server, rank, format, is_tried) in presets {
        if is_tried && !declared.has_given(&format) {
            let layout = declared.layout(format);
            candidates.extend(Candidate::with_or_without(name, server, rank, layout));
        }
    }
    if is_json {
        let known = members.known().into_iter();
        candidates.extend(known.filter_map(|known| known_json(known, declared, sample, members)));
        candidates.extend(any_json(declared, sample, members));
    }
    Ok(candidates)
}

/// Makes the candidate of a known JSON log, with those of its paths that the records have.
fn known_json(
    known: &'static Known,
    declared: &Declared,
    sample: &Sample,
    members: &Members,
) -> Option<Candidate> {
    let times: Vec<String> = known.time.iter().map(|&path| path.to_owned()).collect();
    let spec = JsonSpec {
        status: members
            .first(known.status)
            .or_else(|| known.status.first().map(|&path| path.to_owned())),
        consumer: known.consumer.iter().filter_map(|paths| members.first(paths)).collect(),
        ..JsonSpec::default()
    };
    let mut candidate = with_time(known.name, (known.server, 5), &times, &spec, declared, sample)?;
    let paths = known.credential.iter().map(|&path| path.to_owned());
    candidate.proposals = paths.chain(members.keys()).collect();
    candidate.known_places = known.credential;
    candidate.remarks = known.remarks;
    Some(candidate)
}

/// Makes the candidate of JSON lines that nothing is known of, by the names of their members.
fn any_json(declared: &Declared, sample: &Sample, members: &Members) -> Option<Candidate> {
    let spec =
        JsonSpec { status: members.status(), consumer: members.consumers(), ..JsonSpec::default() };
    let kind = (Server::Unknown, 1);
    let mut candidate = with_time("json lines", kind, &members.times(), &spec, declared, sample)?;
    candidate.proposals = members.keys();
    Some(candidate)
}

/// Makes a candidate with that of several paths of the time which most records have a readable
/// time at; times without a zone are tried as UTC.
fn with_time(
    name: &str,
    (server, rank): (Server, u8),
    times: &[String],
    spec: &JsonSpec,
    declared: &Declared,
    sample: &Sample,
) -> Option<Candidate> {
    let zones = match &declared.layout.zone {
        Some(zone) => [Some(zone.clone()), None],
        None => [None, Some(TimeZone::UTC)],
    };
    zones.into_iter().find_map(|zone| {
        let mut best: Option<(u64, Candidate)> = None;
        for time in times {
            let spec = JsonSpec { time: Some(time.clone()), ..spec.clone() };
            let layout = Layout { zone: zone.clone(), ..declared.layout(FormatSpec::Json(spec)) };
            let candidate = Candidate::with_or_without(name, server, rank, layout);
            let Some(mut candidate) = candidate else { continue };
            candidate.zone_is_declared = declared.layout.zone.is_some();
            let readable = readable(&candidate.parser, sample);
            if readable > best.as_ref().map_or(0, |(most, _)| *most) {
                best = Some((readable, candidate));
            }
        }
        best.map(|(_, candidate)| candidate)
    })
}

/// Counts the records with a time that can be one.
fn readable(parser: &LineParser, sample: &Sample) -> u64 {
    let mut count = 0;
    let mut scratch = Scratch::default();
    sample.records(parser.framing(), |number, record| {
        if let (Record::Whole(text), true) = (record, number <= TRIED) {
            let event = parser.parse(text, &mut scratch);
            count += u64::from(event.is_ok_and(|event| event.event_at >= EARLIEST));
        }
    });
    count
}
