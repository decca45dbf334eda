//! One log -> pieces that can be counted apart: each begins and ends where a record does.
//!
//! A log of lines is cut into blocks, as it stands. Where a record ends is known to the reader
//! alone for documents, and for a record longer than a block; then a piece is a list of records.
//! Nothing depends on how the bytes came in.

use std::io::{self, Read as _};
use std::ops::Range;

use crate::cli::input::{CHUNK_BYTES, LogInput};
use crate::engine::parse::{LineParser, RejectReason, Scratch};
use crate::engine::scan::lines::MAX_LINE_BYTES;
use crate::engine::scan::marks::Marks;
use crate::engine::scan::records::{Framer, Framing, Record, boundary, lines_are_records};
use crate::engine::scan::tally::ScanTally;

/// Bytes after which a piece is closed.
const PIECE_BYTES: usize = 256 << 10;

/// Bytes of a block in which a boundary is looked for.
const MAX_BLOCK_BYTES: usize = 4 << 20;

/// Records after which a piece is closed: an empty one takes no bytes, but a place in the list.
const MAX_RECORDS: usize = 1 << 16;

/// A part of a log. It is used again for the next, so its memory is taken once.
#[derive(Debug, Default)]
pub struct Piece {
    bytes: Vec<u8>,
    form: Form,
    /// For [`Form::Lines`].
    marks: Marks,
    /// For [`Form::Records`].
    records: Vec<Framed>,
    /// Whether the log ends with it.
    pub is_last: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// Records as they stand in the log, to be framed.
    #[default]
    Block,
    /// The same, each of which is a line.
    Lines,
    /// As in a block, but a failure cuts the last record, so it is none: half of it may read as
    /// another key.
    Broken,
    /// Records that are framed already.
    Records,
}

#[derive(Clone, Debug)]
enum Framed {
    Whole(Range<usize>),
    Cut(Range<usize>),
    TooLong,
}

impl Piece {
    /// Counts the records of the piece.
    pub fn count(
        &self,
        framing: Framing,
        parser: &LineParser,
        scratch: &mut Scratch,
        tally: &mut ScanTally,
    ) {
        let mut tally = tally.batch();
        if self.form == Form::Lines {
            return self.marks.lines(&self.bytes, |line, marks| {
                if line.len() > MAX_LINE_BYTES {
                    return tally.reject(RejectReason::TooLong);
                }
                match parser.parse_marked(line, marks, scratch) {
                    Ok(event) => tally.event(&event),
                    Err(reason) => tally.reject(reason),
                }
            });
        }
        let mut count = |record: Record<'_>| match record {
            Record::Whole(record) => match parser.parse(record, scratch) {
                Ok(event) => tally.event(&event),
                Err(reason) => tally.reject(reason),
            },
            Record::TooLong => tally.reject(RejectReason::TooLong),
            Record::Cut(_) if framing == Framing::Documents => tally.reject(RejectReason::Json),
            Record::Cut(_) => tally.reject(RejectReason::Form),
        };
        if self.form == Form::Records {
            for record in &self.records {
                count(match record {
                    Framed::Whole(at) => Record::Whole(&self.bytes[at.clone()]),
                    Framed::Cut(at) => Record::Cut(&self.bytes[at.clone()]),
                    Framed::TooLong => Record::TooLong,
                });
            }
            return;
        }
        let mut framer = Framer::new(framing);
        framer.feed(&self.bytes, &mut count);
        if self.form == Form::Block {
            framer.finish(count);
        }
    }

    fn clear(&mut self, form: Form) {
        self.bytes.clear();
        self.records.clear();
        self.form = form;
        self.is_last = false;
    }

    fn push(&mut self, record: Record<'_>) {
        let mut held = |record: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(record);
            start..self.bytes.len()
        };
        let framed = match record {
            Record::Whole(record) => Framed::Whole(held(record)),
            Record::Cut(record) => Framed::Cut(held(record)),
            Record::TooLong => Framed::TooLong,
        };
        self.records.push(framed);
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= PIECE_BYTES || self.records.len() >= MAX_RECORDS
    }
}

/// The pieces of one log, in order.
pub struct Pieces {
    /// `None`: there is nothing to read.
    input: Option<LogInput>,
    framing: Framing,
    /// For a log that is not cut into blocks.
    framer: Option<Framer>,
    /// Bytes of a block beyond its end; with a framer, the memory of a chunk.
    held: Vec<u8>,
    /// Bytes of the log that were read.
    pub bytes: u64,
    /// Why the log was not read to its end.
    pub failure: Option<io::Error>,
}

impl Pieces {
    /// Begins at the first byte of a log.
    pub fn new(input: LogInput, framing: Framing) -> Self {
        let framer = match framing {
            Framing::Documents => Some(Framer::new(framing)),
            Framing::Lines | Framing::Parts => None,
        };
        let input = Some(input);
        Self { input, framing, framer, held: Vec::new(), bytes: 0, failure: None }
    }

    /// Stands for a log without any byte, because of a failure or because it was read already.
    pub fn none(failure: Option<io::Error>) -> Self {
        let framing = Framing::Lines;
        Self { input: None, framing, framer: None, held: Vec::new(), bytes: 0, failure }
    }

    /// Makes `piece` the next one. There is none after the last.
    pub fn next(&mut self, piece: &mut Piece) {
        if self.framer.is_some() {
            self.next_records(piece);
        } else {
            self.next_block(piece);
        }
    }

    fn next_block(&mut self, piece: &mut Piece) {
        piece.clear(Form::Block);
        piece.bytes.append(&mut self.held);
        let mut wanted = PIECE_BYTES;
        loop {
            while piece.bytes.len() < wanted {
                if !self.read_into(&mut piece.bytes) {
                    piece.is_last = true;
                    if self.failure.is_some() {
                        piece.form = Form::Broken;
                    }
                    return;
                }
            }
            piece.marks.mark(&piece.bytes);
            let is_plain = lines_are_records(self.framing, &piece.bytes, &piece.marks);
            let end = if is_plain {
                piece.marks.last_end()
            } else {
                boundary(self.framing, &piece.bytes)
            };
            if end > 0 {
                piece.form = if is_plain { Form::Lines } else { Form::Block };
                self.held.extend_from_slice(&piece.bytes[end..]);
                piece.bytes.truncate(end);
                return;
            }
            if wanted >= MAX_BLOCK_BYTES {
                return self.frame_from_here_on(piece);
            }
            wanted += PIECE_BYTES;
        }
    }

    /// Goes over to framing. A framer never holds more than a record, so no log is too odd for it.
    fn frame_from_here_on(&mut self, piece: &mut Piece) {
        let block = std::mem::take(&mut piece.bytes);
        piece.clear(Form::Records);
        let mut framer = Framer::new(self.framing);
        framer.feed(&block, |record| piece.push(record));
        self.framer = Some(framer);
    }

    fn next_records(&mut self, piece: &mut Piece) {
        piece.clear(Form::Records);
        while !piece.is_full() {
            let mut chunk = std::mem::take(&mut self.held);
            chunk.clear();
            let more = self.read_into(&mut chunk);
            if let Some(framer) = &mut self.framer {
                framer.feed(&chunk, |record| piece.push(record));
            }
            self.held = chunk;
            if !more {
                piece.is_last = true;
                let framer = self.framer.take().filter(|_| self.failure.is_none());
                if let Some(framer) = framer {
                    self.finish(framer, piece);
                }
                return;
            }
        }
    }

    /// Ends the framing. A document that is cut makes the log incomplete.
    fn finish(&mut self, framer: Framer, piece: &mut Piece) {
        if framer.is_amid_document() {
            let why = "it ends within a JSON document: the rest of its records is missing";
            self.failure = Some(io::Error::other(why));
        }
        framer.finish(|record| {
            // Nothing stands where the document broke off.
            if record != Record::Cut(b"") {
                piece.push(record);
            }
        });
    }

    /// Appends the next bytes of the log, at most a chunk; returns whether more may come.
    fn read_into(&mut self, bytes: &mut Vec<u8>) -> bool {
        let Some(input) = &mut self.input else { return false };
        let start = bytes.len();
        // Chunks are of one length: how a packed log is unpacked does not depend on what was read
        // before.
        bytes.resize(start + CHUNK_BYTES, 0);
        let (read, failure) = match input.read(&mut bytes[start..]) {
            Ok(read) => (read, None),
            Err(error) => (0, Some(error)),
        };
        bytes.truncate(start + read);
        self.bytes += read as u64;
        if failure.is_some() {
            self.failure = failure;
        }
        read > 0
    }
}
