//! The flags that declare a log's layout: the same strings, or TOML values, as in a `[[source]]`.

use crate::cli::Failure;
use crate::config;
use crate::engine::parse::{FormatSpec, Layout};

/// What the lines look like, where the key stands and who presents it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct LayoutFlags {
    /// `combined`, `common`, `cloudtrail`, `nginx:LOG_FORMAT`, `apache:LOG_FORMAT`, or a TOML
    /// value such as `{ json = { time = "ts", status = "status" } }`. Repeat it for a list; the
    /// first that fits a line counts.
    #[arg(long, value_name = "FORMAT")]
    pub format: Vec<String>,
    /// Place of the key: `query:NAME` or `field:NAME`. Repeat it for a list; the first that is
    /// not empty counts.
    #[arg(long, value_name = "PLACE")]
    pub credential: Vec<String>,
    /// Field that names the consumer: `field:NAME`. Repeat it for a list; the first that is not
    /// empty counts.
    #[arg(long, value_name = "FIELD")]
    pub consumer: Vec<String>,
    /// What wrapped the lines: `syslog`, `docker`, `cri` or `journald`. Repeat it for a list, the
    /// outermost first; `none` takes them as they stand [default: detected].
    #[arg(long, value_name = "WRAPPER")]
    pub wrapped: Vec<String>,
    /// Time zone of times that carry none, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
}

impl LayoutFlags {
    /// Tells whether any of the flags was given.
    pub fn is_given(&self) -> bool {
        let lists = [&self.format, &self.credential, &self.consumer, &self.wrapped];
        self.zone.is_some() || lists.iter().any(|list| !list.is_empty())
    }

    /// Returns the layout as declared, `combined` when no format is; a place of the key may be
    /// missing.
    pub fn declared(&self) -> Result<Layout, Failure> {
        let zone = self.zone.iter().map(|zone| format!("zone = {}\n", toml_string(zone)));
        let lines = [
            list("format", &self.format)?,
            list("credential", &self.credential)?,
            list("consumer", &self.consumer)?,
            list("wrapped", &self.wrapped)?,
            zone.collect(),
        ];
        config::read_layout(&lines.concat()).map_err(|problems| {
            let texts = problems.iter().map(|one| format!("{}: {}", one.message, one.fix));
            Failure::usage(texts.collect::<Vec<_>>().join("; "))
        })
    }

    /// Returns the layout as declared; a place of the key must be named, or the format have one.
    pub fn layout(&self) -> Result<Layout, Failure> {
        let layout = self.declared()?;
        match layout.formats.iter().find(|format| layout.places(format).is_empty()) {
            Some(format) => Err(no_place(format)),
            None => Ok(layout),
        }
    }
}

/// Says what to add so that lines of `format` show a key.
fn no_place(format: &FormatSpec) -> Failure {
    let (place, why) = config::likely_place(format);
    let more = match format {
        FormatSpec::Combined | FormatSpec::Common => {
            ", for example `--credential query:api_key` (`keydrain explain FILE` lists the parameters)"
        }
        _ => "",
    };
    Failure::usage(format!(
        "where does a line show the key? add `--credential {place}`{more}: {why}"
    ))
}

/// Returns the line of a `[[source]]` that says what a repeated flag says: TOML values as they
/// are, lists taken apart, and any other text as a string. Nothing for a flag that is not there.
fn list(key: &str, values: &[String]) -> Result<String, Failure> {
    let mut items = Vec::new();
    for text in values {
        match toml_value(key, text)? {
            None => items.push(toml_string(text)),
            Some(toml::Value::Array(values)) => {
                items.extend(values.iter().map(toml::Value::to_string));
            }
            Some(value) => items.push(value.to_string()),
        }
    }
    Ok(if values.is_empty() { String::new() } else { format!("{key} = [{}]\n", items.join(", ")) })
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Reads `text` as a TOML value if it begins like a table, a list or a string.
fn toml_value(key: &str, text: &str) -> Result<Option<toml::Value>, Failure> {
    if !text.trim_start().starts_with(['{', '[', '"', '\'']) {
        return Ok(None);
    }
    let document = format!("value = {text}");
    let mut table: toml::Table = toml::from_str(&document).map_err(|error| {
        Failure::usage(format!(
            "`--{key}` is not the TOML value it looks like: {}",
            error.message()
        ))
    })?;
    Ok(table.remove("value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn flags(format: &str, credential: &[&str], consumer: &[&str]) -> LayoutFlags {
        LayoutFlags {
            format: owned(&[format]),
            credential: owned(credential),
            consumer: owned(consumer),
            ..LayoutFlags::default()
        }
    }

    #[test]
    fn a_toml_value_means_the_same_as_the_plain_string() {
        let plain = flags("nginx:$msec $a", &["query:k", "field:a"], &["field:a"]);
        let toml = flags("{ nginx = '$msec $a' }", &["['query:k', \"field:a\"]"], &["['field:a']"]);
        assert_eq!(plain.layout().expect("valid"), toml.layout().expect("valid"));
        let plain = flags("apache:%t \"%r\" 'x'", &["query:k"], &[]);
        let toml = flags("{ apache = \"%t \\\"%r\\\" 'x'\" }", &["query:k"], &[]);
        assert_eq!(plain.layout().expect("valid"), toml.layout().expect("valid"));
    }

    #[test]
    fn a_repeated_flag_is_a_list() {
        let repeated =
            LayoutFlags { format: owned(&["combined", "common"]), ..flags("", &["query:k"], &[]) };
        let list = flags("[\"combined\", 'common']", &["query:k"], &[]);
        assert_eq!(repeated.layout().expect("valid"), list.layout().expect("valid"));
        assert_eq!(
            repeated.layout().expect("valid").formats,
            [FormatSpec::Combined, FormatSpec::Common]
        );
    }

    #[test]
    fn a_missing_place_says_what_to_add() {
        for (format, expected) in [
            ("combined", "--credential query:NAME"),
            ("common", "--credential query:NAME"),
            ("nginx:$msec", "--credential field:NAME"),
            ("apache:%t", "--credential field:NAME"),
            ("{ json = { time = 'ts' } }", "--credential field:PATH"),
        ] {
            let failure = flags(format, &[], &[]).layout().expect_err("no place");
            assert!(failure.message.contains(expected), "{failure}");
        }
        for format in ["cloudtrail", "{ json = { time = 'ts', credential = 'a.b' } }"] {
            assert!(flags(format, &[], &[]).layout().is_ok(), "{format}");
        }
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        for flags in [
            flags("apache", &["query:k"], &[]),
            flags("{ json = { when = 'ts' } }", &["query:k"], &[]),
            flags("combined", &["api_key"], &[]),
            flags("combined", &["query:k"], &["query:user"]),
            flags("combined", &["[1]"], &[]),
            flags("{ nginx = ", &["query:k"], &[]),
            flags("{}", &["query:k"], &[]),
            LayoutFlags { zone: Some("Berlin".into()), ..flags("combined", &["query:k"], &[]) },
            LayoutFlags { wrapped: owned(&["podman"]), ..flags("combined", &["query:k"], &[]) },
        ] {
            assert_eq!(flags.layout().expect_err("wrong").exit, crate::cli::Exit::Usage);
        }
    }
}
