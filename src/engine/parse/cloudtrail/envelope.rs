//! What CloudTrail's records travel in.
//!
//! A record may stand as the object `detail` of an EventBridge event, as text in the `message` or
//! `Message` of a transport or in `CloudTrailEvent` of `aws cloudtrail lookup-events`, or as such an
//! event in such a text. What has a `userIdentity` or an `eventTime` of its own is a record and no
//! envelope, so nothing that a client can write into a record is ever read as one.

use crate::engine::parse::json::scan::{Found, Kind, Value};
use crate::engine::parse::json::values::Numbered;
use crate::engine::parse::layout::LayoutError;
use crate::engine::parse::template::FieldSpan;

/// Members that a record has and an envelope has not.
const OWN: [&str; 2] = ["userIdentity", "eventTime"];

/// Members that hold a record as text.
const TEXTS: [&str; 3] = ["message", "Message", "CloudTrailEvent"];

/// Numbers of the paths that are looked at.
#[derive(Debug)]
pub struct EnvelopePaths {
    own: [usize; OWN.len()],
    texts: [usize; TEXTS.len()],
    source: usize,
    detail: usize,
}

/// Where the record within an envelope stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// An object.
    Object(FieldSpan),
    /// What stands between the quotes of a string.
    Text(FieldSpan),
}

impl EnvelopePaths {
    /// Adds the paths.
    pub fn add(paths: &mut Numbered) -> Result<Self, LayoutError> {
        let mut number = |name| paths.parse(name);
        Ok(Self {
            own: [number(OWN[0])?, number(OWN[1])?],
            texts: [number(TEXTS[0])?, number(TEXTS[1])?, number(TEXTS[2])?],
            source: number("source")?,
            detail: number("detail")?,
        })
    }

    /// Returns where the record within `text` stands, if that is an envelope.
    pub fn within(&self, text: &[u8], found: &Found) -> Option<Within> {
        if self.own.iter().any(|&path| found.get(path).is_some()) {
            return None;
        }
        match found.get(self.detail) {
            Some(Value { kind: Kind::Nested, span, .. })
                if text[span.0] == b'{' && self.is_of_aws(text, found) =>
            {
                Some(Within::Object(span))
            }
            _ => self.texts.iter().find_map(|&path| text_record(text, found.get(path)?)),
        }
    }

    /// Tells whether an event of EventBridge comes from AWS: anybody can put events of another source
    /// on a bus, with any `detail`. One without a source was stripped by whoever collects it.
    fn is_of_aws(&self, text: &[u8], found: &Found) -> bool {
        found.get(self.source).is_none_or(|Value { span: (from, to), .. }| {
            text[from..to].starts_with(b"aws.") && !text[from..to].starts_with(b"aws.partner/")
        })
    }
}

fn text_record(text: &[u8], Value { kind, span, .. }: Value) -> Option<Within> {
    let is_text = matches!(kind, Kind::String { .. });
    let is_record = is_text && text[span.0..span.1].trim_ascii_start().starts_with(b"{");
    is_record.then_some(Within::Text(span))
}
