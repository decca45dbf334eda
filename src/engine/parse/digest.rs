//! A short text for what decides how a line is read: when it changes, so may what was proved.

use sha2::{Digest, Sha256};

use super::Format;
use super::layout::{FormatSpec, Layout};
use super::wrap::Wrapping;

/// Hashes what of a layout decides how a line is read; each part is preceded by its length.
pub(super) fn digest(layout: &Layout, formats: &[Format]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    for (spec, format) in layout.formats.iter().zip(formats) {
        match spec {
            FormatSpec::Combined => part("combined"),
            FormatSpec::Common => part("common"),
            FormatSpec::Nginx(text) => {
                part("nginx");
                part(text);
            }
            FormatSpec::Apache(text) => {
                part("apache");
                part(text);
            }
            FormatSpec::CloudTrail => part("cloudtrail"),
            FormatSpec::Json(spec) => {
                part("json");
                part(spec.time.as_deref().unwrap_or_default());
                part(spec.status.as_deref().unwrap_or_default());
            }
        }
        for place in layout.places(spec) {
            part("key");
            part(&place.to_string());
        }
        for field in format.consumer_fields() {
            part("consumer");
            part(field);
        }
    }
    if let Wrapping::Declared(wrappers) = &layout.wrapping {
        part(&format!("wrapped {wrappers:?}"));
    }
    if let Some(zone) = &layout.zone {
        match zone.iana_name() {
            Some(name) => part(&format!("zone {name}")),
            None => part(&format!("zone {zone:?}")),
        }
    }
    for rule in layout.consumer_map.rules() {
        part("consumer map");
        part(&rule.name);
        for pattern in &rule.patterns {
            part(pattern.kind().as_str());
            part(pattern.as_str());
        }
    }
    crate::engine::wording::hex(&hash.finalize()[..8])
}
