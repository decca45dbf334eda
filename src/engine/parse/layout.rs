//! What is declared of a source's lines: format, places of the key, fields of the consumer.
//!
//! A [`Layout`] is plain data from a config or a command line. It is compiled once into a
//! [`LineParser`](super::LineParser); what cannot work is a [`LayoutError`] that says what to change.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;

use super::cloudtrail;
use super::consumer_map::ConsumerMap;
use super::wrap::Wrapping;

/// Most places of the key that one layout may list.
pub const MAX_PLACES: usize = 4;

/// Most formats that one layout may list: a line may be tried with each of them.
pub const MAX_FORMATS: usize = 8;

/// Format as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatSpec {
    /// The `combined` preset of nginx and Apache.
    Combined,
    /// Apache's `common`: `combined` without referrer and user agent.
    Common,
    /// An nginx `log_format`: its string, or the whole directive as it stands in the config.
    Nginx(String),
    /// An Apache `LogFormat`: its string, or the whole directive as it stands in the config.
    Apache(String),
    /// One JSON object per line.
    Json(JsonSpec),
    /// AWS CloudTrail, in any of the shapes it is delivered in.
    CloudTrail,
}

/// Where the fields of a JSON format stand: dotted paths such as `request.headers.X-Api-Key.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonSpec {
    /// Path of the event time. `None`: the wrapper's time counts.
    pub time: Option<String>,
    /// Path of the status. `None`: every request was accepted.
    pub status: Option<String>,
    /// Places of the key. Empty: those of the layout.
    pub credential: Vec<Place>,
    /// Paths of the consumer. Empty: those of the layout.
    pub consumer: Vec<String>,
}

/// Where a line shows the key: `query:NAME` or `field:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A parameter of the request's query.
    Query(String),
    /// A field of the format.
    Field(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Field(name) => write!(f, "field:{name}"),
        }
    }
}

/// The text is not `query:NAME` or `field:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place of a key: write `query:NAME` or `field:NAME`")]
pub struct NotAPlace(String);

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        match text.split_once(':') {
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            Some(("field", name)) if !name.is_empty() => Ok(Self::Field(name.to_owned())),
            _ => Err(NotAPlace(text.to_owned())),
        }
    }
}

/// What is declared of a line: its format, where the key stands and who presents it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The formats, at least one: a record is read with the first that fits.
    pub formats: Vec<FormatSpec>,
    /// The wrappers around a record.
    pub wrapping: Wrapping,
    /// The zone of times that carry none.
    pub zone: Option<TimeZone>,
    /// Places of the key, first one that is not empty. At most [`MAX_PLACES`]; empty: the format's
    /// own default.
    pub credential: Vec<Place>,
    /// Fields of the consumer (`field:` already removed), first one that is not empty.
    /// Empty: the format's own default; a custom text format has none.
    pub consumer: Vec<String>,
    /// Names for what those fields hold.
    pub consumer_map: ConsumerMap,
}

impl Layout {
    /// Makes the layout of one format, wrappers detected, its times with a zone.
    pub fn new(format: FormatSpec, credential: Vec<Place>, consumer: Vec<String>) -> Self {
        Self {
            formats: vec![format],
            wrapping: Wrapping::Detect,
            zone: None,
            credential,
            consumer,
            consumer_map: ConsumerMap::default(),
        }
    }

    /// Tells whether a wrapper that must be there may give a record its time.
    pub fn has_arrival(&self) -> bool {
        matches!(&self.wrapping, Wrapping::Declared(wrappers) if !wrappers.is_empty())
    }

    /// Tells whether the keys are public ids by the format's own nature: `CloudTrail` logs ids.
    pub fn has_public_keys(&self) -> bool {
        self.formats.iter().all(|format| *format == FormatSpec::CloudTrail)
    }

    /// Returns the places of the key in lines of `format`: those that it declares for itself, else
    /// those of the layout, else its preset's.
    pub fn places(&self, format: &FormatSpec) -> Vec<Place> {
        match format {
            FormatSpec::Json(spec) if !spec.credential.is_empty() => spec.credential.clone(),
            _ if !self.credential.is_empty() => self.credential.clone(),
            FormatSpec::CloudTrail => vec![Place::Field(cloudtrail::CREDENTIAL.to_owned())],
            _ => Vec::new(),
        }
    }
}

/// A layout that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A `$` without a name after it.
    #[error(
        "the format has a `$` without a variable name at byte {at}: write `$name` or `${{name}}`"
    )]
    Variable {
        /// Offset of the `$`.
        at: usize,
    },
    /// No variable at all.
    #[error(
        "the format has no variable: paste the string of the server's `log_format` or `LogFormat`"
    )]
    NoVariable,
    /// Two variables touch.
    #[error(
        "nothing stands between `${first}` and `${second}`, so no one can tell where one ends: put a space or quotes between them in the server's log_format"
    )]
    Touching {
        /// The first variable.
        first: String,
        /// The one right after it.
        second: String,
    },
    /// An odd number of quotes.
    #[error(
        "the format opens a quote that it never closes: check that the whole string was pasted"
    )]
    UnterminatedQuote,
    /// A backslash right before a variable.
    #[error(
        "a backslash stands right before `${0}`, so a client can hide where the value ends: take it out of the server's format"
    )]
    Backslash(String),
    /// No escaping that nginx has.
    #[error("nginx has no `{0}`: write escape=default, escape=json or escape=none")]
    Escape(String),
    /// A decoded value without escapes.
    #[error(
        "with escape=none, `${0}` lets a client write whole lines: use escape=json, or leave it out"
    )]
    Unescaped(String),
    /// A directive that is broken off.
    #[error(
        "the directive is not whole: paste all of it, from `log_format` or `LogFormat` to its end, or only the string in quotes"
    )]
    Directive,
    /// A directive of a format string that is not known.
    #[error("`{0}` is no directive of Apache's LogFormat: check the string")]
    Apache(String),
    /// A pattern of a time that cannot be read back.
    #[error(
        "a time such as `{0}` cannot be read back: use `%t` or `%{{%Y-%m-%dT%H:%M:%S%z}}t` in the server's LogFormat"
    )]
    TimePattern(String),
    /// A local time, and no zone.
    #[error(
        "the format logs a time without a zone: name the `zone`, as \"Europe/Berlin\", or add `%z` to the server's LogFormat"
    )]
    NoZone,
    /// No time.
    #[error(
        "the format logs no time: add `$msec`, `$time_iso8601` or `[$time_local]` to the server's log_format"
    )]
    NoTime,
    /// No path of the time.
    #[error("the format names no time: add `time = \"…\"`, the path of the field that holds it")]
    NoTimePath,
    /// A text that is no path.
    #[error(transparent)]
    Path(super::json::NotAPath),
    /// Too many paths.
    #[error("the format names {0} paths, at most 64 can be: list only those that are needed")]
    TooManyPaths(usize),
    /// No format, or too many.
    #[error("{0} formats are named: name at least 1 and at most {MAX_FORMATS}")]
    Formats(usize),
    /// No place of the key.
    #[error(
        "no place of the key is named: add `query:NAME` (a query parameter) or `field:NAME` (a field of the format)"
    )]
    NoPlace,
    /// Too many places of the key.
    #[error(
        "{0} places of the key are named, at most {MAX_PLACES} can be: list only those that clients use"
    )]
    TooManyPlaces(usize),
    /// A field that the format does not have.
    #[error(
        "the format does not log `{field}`: add `${field}` to the server's log_format, or use one of {known}"
    )]
    UnknownField {
        /// The field that was asked for.
        field: String,
        /// The fields of the format.
        known: String,
    },
    /// A consumer that is named after a secret.
    #[error(
        "`{0}` holds a secret and would be shown as the consumer's name: name a user, an account or an address"
    )]
    SecretConsumer(String),
    /// A query place, but no request.
    #[error(
        "the format does not log the request, so `query:{name}` can never show: add `\"$request\"` to the server's log_format, or name a `field:`"
    )]
    NoQuery {
        /// The parameter that was asked for.
        name: String,
    },
    /// The name of a query parameter has a character that ends a name.
    #[error(
        "`query:{name}` can never match: a parameter's name holds no `&`, `=`, `#` or white space"
    )]
    QueryName {
        /// The parameter that was asked for.
        name: String,
    },
    /// [`Touching`](Self::Touching), said of an Apache format.
    #[error(
        "nothing stands between the fields `{first}` and `{second}`, so no one can tell where one ends: put a space or quotes between them in the server's LogFormat"
    )]
    ApacheTouching {
        /// The first field.
        first: String,
        /// The one right after it.
        second: String,
    },
    /// [`NoTime`](Self::NoTime), said of an Apache format.
    #[error("the format logs no time: add `%t` to the server's LogFormat")]
    ApacheNoTime,
    /// [`UnknownField`](Self::UnknownField), said of an Apache format.
    #[error(
        "the format does not log `{field}`: add its directive to the server's LogFormat (`%{{X-Api-Key}}i` is logged as `http_x_api_key`), or use one of {known}"
    )]
    ApacheUnknownField {
        /// The field that was asked for.
        field: String,
        /// The fields of the format.
        known: String,
    },
    /// [`NoQuery`](Self::NoQuery), said of an Apache format.
    #[error(
        "the format does not log the request, so `query:{name}` can never show: add `\"%r\"` to the server's LogFormat, or name a `field:`"
    )]
    ApacheNoQuery {
        /// The parameter that was asked for.
        name: String,
    },
}

impl LayoutError {
    /// Says the same of an Apache format: what to change there is written in another way.
    #[must_use]
    pub fn in_words_of_apache(self) -> Self {
        match self {
            Self::Touching { first, second } => Self::ApacheTouching { first, second },
            Self::NoTime => Self::ApacheNoTime,
            Self::UnknownField { field, known } => Self::ApacheUnknownField { field, known },
            Self::NoQuery { name } => Self::ApacheNoQuery { name },
            other => other,
        }
    }
}
