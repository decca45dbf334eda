//! Rules about what makes a source able to prove absence: probes, and sources that lose lines.

use crate::engine::answer::Blocker;
use crate::engine::case::Case;

pub(super) fn probe_missing(_case: &Case<'_>, _out: &mut Vec<Blocker>) {}

pub(super) fn positive_only(_case: &Case<'_>, _out: &mut Vec<Blocker>) {}
