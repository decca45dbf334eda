//! The log of the simulated host: an nginx that logs the key's name.

use std::fmt::Write as _;
use std::ops::Range;

use keydrain::engine::credential::{SourceName, StreamName};
use keydrain::engine::parse::{FormatSpec, Layout, Place};
use keydrain::engine::scan::matcher::ChunkUsage;
use keydrain::engine::time::Timestamp;
use keydrain::engine::usage::{Anchor, ByteRange, FileId, GenerationNumber, UsageDelta};

/// Name of the key that is being retired.
pub const OLD: &str = "2025-q4";
/// Name of its successor.
pub const NEW: &str = "2026-q1";

/// Returns the format of the lines.
pub fn layout() -> Layout {
    let format = "$remote_addr $remote_user $key_name $msec \"$request\" $status";
    Layout::new(
        FormatSpec::Nginx(format.to_owned()),
        vec![Place::Field("key_name".to_owned())],
        vec!["remote_user".to_owned(), "remote_addr".to_owned()],
    )
}

/// Appends a line.
pub fn write(text: &mut String, at: i64, consumer: &str, key: &str, t: impl Fn(i64) -> Timestamp) {
    let seconds = t(at).as_seconds();
    writeln!(text, "192.0.2.7 {consumer} {key} {seconds}.000 \"GET /v1/pay HTTP/1.1\" 200")
        .expect("writing to a String cannot fail");
}

/// Makes the delta of a chunk.
pub fn delta(
    usage: ChunkUsage,
    (source, stream): (&str, &str),
    range: Range<u64>,
    now: Timestamp,
) -> UsageDelta {
    UsageDelta {
        source: SourceName::new(source),
        stream: StreamName::new(stream),
        generation: GenerationNumber(1),
        file: FileId { device: 1, inode: 2, birth: 3, handle: None },
        range: ByteRange { from: range.start, to: range.end },
        skipped: 0,
        inside_overlong: false,
        anchor: Anchor::default(),
        arrival: now,
        cells: usage.cells,
        pools: usage.pools,
        issued: usage.issued,
        lines: usage.lines,
        other_keys: usage.other_keys,
        newest_line_at: Some(now),
        first_event: usage.first_event,
        last_event: usage.last_event,
        frontier: usage.frontier,
        frontier_assumed: false,
        rejected_keys: usage.rejected_keys,
        open_rejects: usage.open_rejects,
        late_by: usage.late_by,
        future_event: usage.future_event,
        places: usage.places,
        masked_at: usage.masked_at,
    }
}
