//! The `[[source]]` block of a log, as the config reads it.

use std::io::{self, Write};
use std::path::Path;

use super::candidate::Candidate;
use super::servers::Server;
use super::shown::WRAPPERS;
use crate::cli::input::is_stdin;
use crate::engine::parse::wrap::{Wrapper, Wrapping};
use crate::engine::parse::{FormatSpec, JsonSpec, Place};

/// Variables of text formats that name a consumer, best first.
const CONSUMERS: [&str; 4] = ["remote_user", "jwt_claim_sub", "ssl_client_s_dn", "remote_addr"];

/// What a block declares.
pub struct Block {
    /// The formats, at least one.
    pub formats: Vec<FormatSpec>,
    /// The places of the key.
    pub places: Vec<Place>,
    /// The fields of the consumer.
    pub consumers: Vec<String>,
    /// The declared wrappers; `None`: they are detected.
    wrapped: Option<Vec<&'static str>>,
    /// The zone of times that carry none, and whether it was declared.
    zone: Option<(String, bool)>,
    /// Whether lines are stamped when their requests begin, which the format does not tell.
    stamps_start: bool,
}

impl Block {
    /// Returns the block of a candidate with the key at `places`.
    pub fn of(candidate: &Candidate, places: Vec<Place>) -> Self {
        let layout = &candidate.layout;
        // What shows the key names nobody.
        let is_key = |name: &String| places.contains(&Place::Field(name.clone()));
        let consumers = consumers(candidate).into_iter().filter(|name| !is_key(name)).collect();
        let zone = layout.zone.as_ref().map(|zone| zone.iana_name().unwrap_or("UTC").to_owned());
        Self {
            formats: layout.formats.clone(),
            places,
            consumers,
            wrapped: match &layout.wrapping {
                Wrapping::Detect => None,
                Wrapping::Declared(wrappers) => Some(wrapper_names(wrappers)),
            },
            zone: zone.map(|zone| (zone, candidate.zone_is_declared)),
            stamps_start: candidate.server == Server::TraefikClf,
        }
    }

    /// Writes the block for the log at `path`.
    pub fn write(&self, out: &mut impl Write, path: &Path) -> io::Result<()> {
        let (name, pattern) = family(path);
        let formats: Vec<String> = self.formats.iter().map(format_value).collect();
        writeln!(out, "\n[[source]]")?;
        writeln!(out, "name = {}", toml_string(&name))?;
        writeln!(out, "kind = \"file\"")?;
        writeln!(out, "paths = [{}]", toml_string(&pattern))?;
        writeln!(out, "format = {}", list(&formats))?;
        if let Some(wrapped) = &self.wrapped {
            let words: Vec<String> = wrapped.iter().map(|word| toml_string(word)).collect();
            writeln!(out, "wrapped = {}", list(&words))?;
        }
        if let Some((zone, is_declared)) = &self.zone {
            let remark = "   # these times carry no zone: put the server's here";
            writeln!(
                out,
                "zone = {}{}",
                toml_string(zone),
                if *is_declared { "" } else { remark }
            )?;
        }
        if self.stamps_start {
            writeln!(out, "allowed_lateness = \"330s\"   # the time is that of a request's start")?;
        }
        let places: Vec<String> =
            self.places.iter().map(|place| toml_string(&place.to_string())).collect();
        writeln!(out, "credential = {}", list(&places))?;
        if !self.consumers.is_empty() {
            let fields = self.consumers.iter().map(|name| toml_string(&format!("field:{name}")));
            writeln!(out, "consumer = {}", list(&fields.collect::<Vec<_>>()))?;
        }
        Ok(())
    }
}

/// Returns the config's words for wrappers; `none` where a record stands alone.
fn wrapper_names(wrappers: &[Wrapper]) -> Vec<&'static str> {
    let name = |wrapper: &Wrapper| WRAPPERS.iter().find(|(_, known)| known == wrapper);
    let names: Vec<&str> = wrappers.iter().filter_map(name).map(|&(name, _)| name).collect();
    if names.is_empty() { vec!["none"] } else { names }
}

/// Returns the fields of the consumer that a candidate has.
fn consumers(candidate: &Candidate) -> Vec<String> {
    if !candidate.layout.consumer.is_empty() {
        return candidate.layout.consumer.clone();
    }
    if let Some(spec) = candidate.json() {
        return spec.consumer.clone();
    }
    let logged: Vec<&str> = candidate.parser.field_names().collect();
    let known = CONSUMERS.iter().filter(|name| logged.contains(name));
    known.map(|&name| name.to_owned()).collect()
}

fn format_value(format: &FormatSpec) -> String {
    match format {
        FormatSpec::Combined => "\"combined\"".to_owned(),
        FormatSpec::Common => "\"common\"".to_owned(),
        FormatSpec::CloudTrail => "\"cloudtrail\"".to_owned(),
        FormatSpec::Nginx(text) => format!("{{ nginx = {} }}", toml_string(text)),
        FormatSpec::Apache(text) => format!("{{ apache = {} }}", toml_string(text)),
        FormatSpec::Json(spec) => format!("{{ json = {{ {} }} }}", json_value(spec)),
    }
}

fn json_value(spec: &JsonSpec) -> String {
    let path = |name: &str, path: &Option<String>| {
        path.as_ref().map(|path| format!("{name} = {}", toml_string(path)))
    };
    let pairs = [path("time", &spec.time), path("status", &spec.status)];
    pairs.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns a TOML value as it is, several as a list.
fn list(values: &[String]) -> String {
    match values {
        [single] => single.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// Returns a source's name and path pattern for the rotation family of `path`.
fn family(path: &Path) -> (String, String) {
    if is_stdin(path) {
        return ("access".to_owned(), "/var/log/nginx/access.log*".to_owned());
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = path.display().to_string();
    let packed = [".gz", ".zst"].iter().find_map(|ending| text.strip_suffix(ending));
    let live = packed.unwrap_or(&text);
    let digits = live.trim_end_matches(|char: char| char.is_ascii_digit());
    let live = if digits.len() < live.len() {
        digits.strip_suffix(['.', '-']).unwrap_or(live)
    } else {
        live
    };
    let file = live.rsplit('/').next().unwrap_or(live);
    let name = file.split('.').next().filter(|name| !name.is_empty()).unwrap_or("access");
    // Characters that mean something in a pattern stand for themselves.
    (name.to_owned(), format!("{}*", glob::Pattern::escape(live)))
}

/// Returns a TOML string: literal where that is possible, as templates are full of quotes.
fn toml_string(text: &str) -> String {
    let literal =
        text.contains('"') && !text.contains(|char: char| char == '\'' || char.is_control());
    if literal { format!("'{text}'") } else { toml::Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_sibling_names_its_family() {
        let pattern = |path: &str| family(Path::new(path)).1;
        assert_eq!(pattern("/var/log/nginx/access.log"), "/var/log/nginx/access.log*");
        assert_eq!(pattern("/var/log/nginx/access.log.2.gz"), "/var/log/nginx/access.log*");
        assert_eq!(pattern("/var/log/nginx/access.log.2.zst"), "/var/log/nginx/access.log*");
        assert_eq!(pattern("/var/log/nginx/access.log-20260131"), "/var/log/nginx/access.log*");
        assert_eq!(pattern("/var/log/edge1"), "/var/log/edge1*");
        assert_eq!(pattern("/var/log/a[1].log"), "/var/log/a[[]1[]].log*");
    }
}
