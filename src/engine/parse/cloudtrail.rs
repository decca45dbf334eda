//! AWS CloudTrail: one record of it, read as time, outcome, consumer, key, and the key it issued.

use super::Field;
use super::event::RejectReason;
use super::layout::{Layout, LayoutError};
use super::scratch::{Facts, Work};
use crate::engine::time::Timestamp;

/// Where a record shows the key, unless declared.
pub const CREDENTIAL: &str = "userIdentity.accessKeyId";

/// Where a record shows the consumer, unless declared.
pub const CONSUMERS: [&str; 3] =
    ["userIdentity.arn", "userIdentity.principalId", "sourceIPAddress"];

/// The format, compiled.
#[derive(Debug)]
pub struct CloudTrailFormat {}

impl CloudTrailFormat {
    /// Compiles the places and fields of a layout.
    pub fn compile(_layout: &Layout) -> Result<Self, LayoutError> {
        Ok(Self {})
    }

    /// Reads one record.
    pub fn read(
        &self,
        _record: &[u8],
        _arrival: Option<Timestamp>,
        _work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        Err(RejectReason::Json)
    }

    /// Iterates over the paths that are looked at.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        CONSUMERS.into_iter()
    }

    /// Names every value of a record by its path, with its text.
    pub fn fields(&self, _record: &[u8]) -> Result<Vec<Field>, RejectReason> {
        Err(RejectReason::Json)
    }

    /// Iterates over the paths of the consumer.
    pub fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        CONSUMERS.into_iter()
    }
}
