//! What to declare for a log that was explained: the `[[source]]` block, or the change of the
//! server's config that makes its log show a key.

use std::io::{self, Write};
use std::path::Path;

use super::{Candidate, Finding};
use crate::cli::input::is_stdin;
use crate::engine::parse::{FormatSpec, Place};

/// Parts of a parameter's or field's name that make it look like the place of a key.
const KEY_WORDS: [&str; 8] =
    ["key", "token", "secret", "auth", "signature", "password", "credential", "apikey"];

/// Variables of nginx that name a consumer, best first.
const CONSUMERS: [&str; 4] = ["remote_user", "jwt_claim_sub", "ssl_client_s_dn", "remote_addr"];

/// Writes the advice for the candidate that fits best.
pub fn write(
    out: &mut impl Write,
    path: &Path,
    candidate: &Candidate,
    finding: &Finding,
) -> io::Result<()> {
    let mut parameters: Vec<(&[u8], u64)> =
        finding.parameters.iter().map(|(name, count)| (name.as_slice(), *count)).collect();
    parameters.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let shown: Vec<String> = parameters
        .iter()
        .take(10)
        .map(|(name, count)| format!("{} ({count})", super::mask::field("", name)))
        .collect();
    if !shown.is_empty() {
        writeln!(out, "query parameters, by lines: {}", shown.join(", "))?;
    }
    let declared = &candidate.layout.credential;
    if !declared.is_empty() {
        let lines = finding.with_key;
        let places: Vec<String> = declared.iter().map(Place::to_string).collect();
        writeln!(out, "{lines} of these lines show a key at {}", places.join(", "))?;
        if lines > 0 {
            return source_block(out, path, candidate, &places);
        }
    } else if let Some(place) = likely_place(candidate, &parameters) {
        writeln!(out, "`{place}` looks like the place of the key; check that it is")?;
        return source_block(out, path, candidate, &[place.to_string()]);
    }
    server_change(out, path, candidate)
}

/// Returns the field or parameter that looks most like the place of a key.
fn likely_place(candidate: &Candidate, parameters: &[(&[u8], u64)]) -> Option<Place> {
    let likely = |name: &str| KEY_WORDS.iter().any(|word| name.to_lowercase().contains(word));
    let field = candidate.parser.field_names().find(|name| likely(name));
    let parameter = || {
        let names = parameters.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok());
        let mut plain = names.filter(|name| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        });
        plain.find(|name| likely(name)).map(|name| Place::Query(name.to_owned()))
    };
    field.map(|name| Place::Field(name.to_owned())).or_else(parameter)
}

fn source_block(
    out: &mut impl Write,
    path: &Path,
    candidate: &Candidate,
    places: &[String],
) -> io::Result<()> {
    let format = match &candidate.layout.formats[0] {
        FormatSpec::Nginx(template) => format!("{{ nginx = {} }}", toml_string(template)),
        _ => "\"combined\"".to_owned(),
    };
    write_source(out, path, &format, places, &consumers(candidate))
}

fn consumers(candidate: &Candidate) -> Vec<String> {
    if !candidate.layout.consumer.is_empty() {
        return candidate.layout.consumer.clone();
    }
    let logged: Vec<&str> = candidate.parser.field_names().collect();
    let known = CONSUMERS.iter().filter(|name| logged.contains(name));
    known.map(|&name| name.to_owned()).collect()
}

fn write_source(
    out: &mut impl Write,
    path: &Path,
    format: &str,
    places: &[String],
    consumers: &[String],
) -> io::Result<()> {
    let quoted = |texts: Vec<String>| {
        let texts: Vec<String> = texts.iter().map(|text| toml_string(text)).collect();
        match texts.as_slice() {
            [single] => single.clone(),
            several => format!("[{}]", several.join(", ")),
        }
    };
    let (name, pattern) = family(path);
    writeln!(out, "\n[[source]]")?;
    writeln!(out, "name = {}", toml_string(&name))?;
    writeln!(out, "kind = \"file\"")?;
    writeln!(out, "paths = [{}]", toml_string(&pattern))?;
    writeln!(out, "format = {format}")?;
    writeln!(out, "credential = {}", quoted(places.to_vec()))?;
    if !consumers.is_empty() {
        let fields = consumers.iter().map(|name| format!("field:{name}")).collect();
        writeln!(out, "consumer = {}", quoted(fields))?;
    }
    Ok(())
}

/// Returns a source's name and path pattern for the rotation family of `path`.
fn family(path: &Path) -> (String, String) {
    if is_stdin(path) {
        return ("access".to_owned(), "/var/log/nginx/access.log*".to_owned());
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = path.display().to_string();
    let live = text.strip_suffix(".gz").unwrap_or(&text);
    let live = live.trim_end_matches(|char: char| char.is_ascii_digit());
    let live = live.strip_suffix(['.', '-']).unwrap_or(live);
    let file = live.rsplit('/').next().unwrap_or(live);
    let name = file.split('.').next().filter(|name| !name.is_empty()).unwrap_or("access");
    (name.to_owned(), format!("{live}*"))
}

/// Says that the log cannot show a key, and which change of nginx makes it show the key's name.
fn server_change(out: &mut impl Write, path: &Path, candidate: &Candidate) -> io::Result<()> {
    let template = match &candidate.layout.formats[0] {
        FormatSpec::Nginx(template) => template.clone(),
        _ => crate::engine::parse::COMBINED.to_owned(),
    };
    let template = format!("{template} \"$key_name\"");
    writeln!(out, "these lines show no key, so nothing can be proved from them: no line with the")?;
    writeln!(
        out,
        "old key would mean nothing. Let nginx log the key's name, never the key itself:"
    )?;
    writeln!(out)?;
    writeln!(
        out,
        "map $http_x_api_key $key_name {{ \"OLD KEY\" \"old\"; \"NEW KEY\" \"new\"; default \"-\"; }}"
    )?;
    writeln!(out, "log_format keydrain '{template}';   # and name it in access_log")?;
    let format = format!("{{ nginx = {} }}", toml_string(&template));
    write_source(out, path, &format, &["field:key_name".to_owned()], &consumers(candidate))
}

/// Writes a TOML string: literal where that is possible, as templates are full of quotes.
fn toml_string(text: &str) -> String {
    let literal = text.contains('"') && !text.contains(['\'', '\n']);
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
        assert_eq!(pattern("/var/log/nginx/access.log-20260131"), "/var/log/nginx/access.log*");
    }
}
