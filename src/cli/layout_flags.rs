//! The flags that declare a log's layout: the same strings, or TOML values, as in a `[[source]]`.

use crate::cli::Failure;
use crate::engine::parse::{FormatSpec, Layout, Place};

/// What the lines look like, where the key stands and who presents it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct LayoutFlags {
    /// `combined`, `nginx:LOG_FORMAT`, or a TOML value such as `{ nginx = '…' }`.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Place of the key: `query:NAME` or `field:NAME`. Repeat it for a list; the first that is
    /// not empty counts.
    #[arg(long, value_name = "PLACE")]
    pub credential: Vec<String>,
    /// Field that names the consumer: `field:NAME`. Repeat it for a list; the first that is not
    /// empty counts.
    #[arg(long, value_name = "FIELD")]
    pub consumer: Vec<String>,
}

impl LayoutFlags {
    /// Tells whether any of the flags was given.
    pub fn is_given(&self) -> bool {
        self.format.is_some() || !self.credential.is_empty() || !self.consumer.is_empty()
    }

    /// Returns the declared format; `combined` when none is.
    pub fn format(&self) -> Result<FormatSpec, Failure> {
        self.format.as_deref().map_or(Ok(FormatSpec::Combined), format)
    }

    /// Returns the declared places of the key.
    pub fn places(&self) -> Result<Vec<Place>, Failure> {
        let texts = strings("--credential", &self.credential)?;
        texts.iter().map(|text| text.parse().map_err(Failure::usage)).collect()
    }

    /// Returns the declared fields of the consumer, without `field:`.
    pub fn consumers(&self) -> Result<Vec<String>, Failure> {
        strings("--consumer", &self.consumer)?
            .into_iter()
            .map(|text| match text.parse() {
                Ok(Place::Field(name)) => Ok(name),
                _ => Err(Failure::usage(format!(
                    "`--consumer {text}` is no field: write `--consumer field:NAME`"
                ))),
            })
            .collect()
    }

    /// Returns the whole layout; a place of the key must be named.
    pub fn layout(&self) -> Result<Layout, Failure> {
        let format = self.format()?;
        let credential = self.places()?;
        if credential.is_empty() {
            return Err(Failure::usage(match format {
                FormatSpec::Combined => {
                    "where does a line show the key? `combined` logs no header, so only a query \
                     parameter can show it: add `--credential query:NAME`, for example \
                     `--credential query:api_key` (`keydrain explain FILE` lists the parameters)"
                }
                _ => {
                    "where does a line show the key? add `--credential field:NAME` (a variable of \
                     the format, without `$`) or `--credential query:NAME`"
                }
            }));
        }
        Ok(Layout::new(format, credential, self.consumers()?))
    }
}

fn format(text: &str) -> Result<FormatSpec, Failure> {
    let unknown = || {
        Failure::usage(format!(
            "`--format {text}` is no format: write `combined`, or `nginx:` and the string of the \
             server's log_format"
        ))
    };
    if let Some(template) = text.strip_prefix("nginx:") {
        return Ok(FormatSpec::Nginx(template.to_owned()));
    }
    if text == "combined" {
        return Ok(FormatSpec::Combined);
    }
    match toml_value("--format", text)?.ok_or_else(unknown)? {
        toml::Value::String(name) if name == "combined" => Ok(FormatSpec::Combined),
        toml::Value::Table(table) => match table.iter().next() {
            Some((kind, toml::Value::String(template))) if kind == "nginx" && table.len() == 1 => {
                Ok(FormatSpec::Nginx(template.clone()))
            }
            _ => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

/// Returns the strings of repeated flags, TOML strings and lists taken apart.
fn strings(flag: &str, values: &[String]) -> Result<Vec<String>, Failure> {
    let mut texts = Vec::new();
    for value in values {
        let Some(parsed) = toml_value(flag, value)? else {
            texts.push(value.clone());
            continue;
        };
        let items = match parsed {
            toml::Value::Array(items) => items,
            single => vec![single],
        };
        for item in items {
            let toml::Value::String(text) = item else {
                return Err(Failure::usage(format!("`{flag} {value}` must hold strings only")));
            };
            texts.push(text);
        }
    }
    Ok(texts)
}

/// Reads `text` as a TOML value if it begins like a table, a list or a string.
fn toml_value(flag: &str, text: &str) -> Result<Option<toml::Value>, Failure> {
    if !text.trim_start().starts_with(['{', '[', '"', '\'']) {
        return Ok(None);
    }
    let document = format!("value = {text}");
    let mut table: toml::Table = toml::from_str(&document).map_err(|error| {
        Failure::usage(format!("`{flag}` is not the TOML value it looks like: {}", error.message()))
    })?;
    Ok(table.remove("value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(format: &str, credential: &[&str], consumer: &[&str]) -> LayoutFlags {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        LayoutFlags {
            format: Some(format.to_owned()),
            credential: owned(credential),
            consumer: owned(consumer),
        }
    }

    #[test]
    fn a_toml_value_means_the_same_as_the_plain_string() {
        let plain = flags("nginx:$msec $a", &["query:k", "field:a"], &["field:a"]);
        let toml = flags("{ nginx = '$msec $a' }", &["['query:k', \"field:a\"]"], &["['field:a']"]);
        assert_eq!(plain.layout().expect("valid"), toml.layout().expect("valid"));
    }

    #[test]
    fn a_missing_place_says_what_to_add() {
        let failure = flags("combined", &[], &[]).layout().expect_err("no place");
        assert!(failure.message.contains("--credential query:NAME"), "{failure}");
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        for flags in [
            flags("apache", &["query:k"], &[]),
            flags("{ json = {} }", &["query:k"], &[]),
            flags("combined", &["api_key"], &[]),
            flags("combined", &["query:k"], &["query:user"]),
            flags("combined", &["[1]"], &[]),
            flags("{ nginx = ", &["query:k"], &[]),
        ] {
            assert_eq!(flags.layout().expect_err("wrong").exit, crate::cli::Exit::Usage);
        }
    }
}
