//! The JSON forms of the API: the contract with every client, field by field.
//!
//! Times are RFC 3339 in UTC, durations seconds, an unknown time is `null`. The engine's types do
//! not serialise themselves, so that renaming one of them never changes the API.

mod advice;
mod checkpoints;
mod evidence;
mod health;
mod migration;
mod readiness;
mod rotation;

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::engine::time::Timestamp;

pub use advice::{plan, preflight};
pub use checkpoints::checkpoints;
pub use evidence::{credential, credentials, sources};
pub use health::health;
pub use migration::migration;
pub use readiness::readiness;
pub use rotation::{consumers, journal, rotation, rotations};

/// An instant, written as RFC 3339 in UTC.
#[derive(Clone, Copy)]
struct At(Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Wraps an instant that may be unknown.
fn at(time: Option<Timestamp>) -> Option<At> {
    time.map(At)
}

/// A duration in seconds: an integer where it is whole, else with milliseconds.
#[derive(Clone, Copy)]
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_millis() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            millis => {
                // Exact enough: a double keeps milliseconds for 285 000 years.
                #[expect(clippy::cast_precision_loss, reason = "seconds fit 52 bits")]
                let whole = self.0.as_secs() as f64;
                serializer.serialize_f64((whole * 1000.0 + f64::from(millis)) / 1000.0)
            }
        }
    }
}

/// Makes the JSON text of a view.
fn text(view: &impl Serialize) -> String {
    serde_json::to_string(view).expect("views hold strings, numbers and lists of them")
}
