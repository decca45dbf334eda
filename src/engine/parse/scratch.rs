//! Buffers that one record after another is read with, and what a format found in a record.
//!
//! A value stands in the record itself or, decoded, in a buffer: a [`Text`] says where. So a format
//! that does not fit leaves nothing borrowed behind, and the next one can be tried.

use std::time::Duration;

use zeroize::Zeroizing;

use super::event::{AccessEvent, Keys};
use super::instant::Clock;
use super::json::Found;
use super::layout::MAX_PLACES;
use super::template::FieldSpan;
use super::value::Held;
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Buffers that one record after another is read with; wiped when dropped.
#[derive(Default)]
pub struct Scratch {
    pub(super) wrapped: super::wrap::Buffers,
    pub(super) work: Work,
}

/// Room of a buffer from the start. When one grows, what was in it is left behind unwiped: so it
/// does not, unless values are longer than the servers' bounds for headers and targets (8 KiB).
const ROOM: usize = 16 << 10;

/// The buffers of a format.
pub(super) struct Work {
    /// Fields of a template.
    pub spans: Vec<FieldSpan>,
    /// Reads the times of a template.
    pub clock: Clock,
    /// Values of a JSON record.
    pub found: Found,
    /// A value between two steps of decoding.
    pub unescaped: Zeroizing<Vec<u8>>,
    /// Decoded values that the facts point to, one after the other.
    pub decoded: Zeroizing<Vec<u8>>,
    /// What a text format found last: too much to be handed from one to the next.
    pub facts: Facts,
}

impl Default for Work {
    fn default() -> Self {
        let room = || Zeroizing::new(Vec::with_capacity(ROOM));
        Self {
            spans: Vec::new(),
            clock: Clock::default(),
            found: Found::default(),
            unescaped: room(),
            decoded: room(),
            facts: Facts::new(Timestamp::MIN, Outcome::Accepted),
        }
    }
}

/// Where a value stands: `[from, to)` of the record, or of [`Work::decoded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// In the record as it was logged.
    Record(FieldSpan),
    /// In the buffer.
    Decoded(FieldSpan),
}

/// What was found at a place of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InPlace {
    /// Nothing.
    Nothing,
    /// What is written instead of a key.
    Masked,
    /// A key.
    Key(Text),
}

impl InPlace {
    /// Says where the key stands, if it is one that is held.
    pub fn of(held: Held, text: Text) -> Self {
        match held {
            Held::Nothing => Self::Nothing,
            Held::Masked => Self::Masked,
            Held::Key => Self::Key(text),
        }
    }

    /// Returns the key.
    pub fn key(self) -> Option<Text> {
        match self {
            Self::Key(text) => Some(text),
            Self::Nothing | Self::Masked => None,
        }
    }
}

/// What a format found in a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Event time.
    pub event_at: Timestamp,
    /// What became of the request.
    pub outcome: Outcome,
    /// Who presented the key, and whether that names somebody.
    pub consumer: Option<(Text, bool)>,
    /// What stands at the places, in their order.
    pub keys: [InPlace; MAX_PLACES],
    /// The numbers of the places in the parser's list of all.
    pub places: [u8; MAX_PLACES],
    /// The service's id of the event.
    pub event_id: Option<Text>,
    /// The key that was issued.
    pub issued: Option<Text>,
    /// How long that key may live.
    pub issued_lifetime: Duration,
}

impl Facts {
    /// Returns facts of which nothing but time and outcome is known.
    pub fn new(event_at: Timestamp, outcome: Outcome) -> Self {
        Self {
            event_at,
            outcome,
            consumer: None,
            keys: [InPlace::Nothing; MAX_PLACES],
            places: [0; MAX_PLACES],
            event_id: None,
            issued: None,
            issued_lifetime: Duration::ZERO,
        }
    }

    /// Looks the facts up in the record and the buffer they were found with.
    pub fn event<'a>(&self, record: &'a [u8], decoded: &'a [u8]) -> AccessEvent<'a> {
        let text = |text: Text| match text {
            Text::Record((from, to)) => &record[from..to],
            Text::Decoded((from, to)) => &decoded[from..to],
        };
        let mut keys = Keys::default();
        for (found, place) in self.keys.into_iter().zip(self.places) {
            if let Some(key) = found.key() {
                keys.push(text(key), place);
            }
        }
        AccessEvent {
            event_at: self.event_at,
            outcome: self.outcome,
            consumer: self.consumer.map(|(name, named)| (text(name), named)),
            keys,
            masked: self.keys.contains(&InPlace::Masked),
            event_id: self.event_id.map(text),
            issued: self.issued.map(text),
            issued_lifetime: self.issued_lifetime,
        }
    }
}
