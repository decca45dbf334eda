//! Packed or plain bytes -> plain bytes. How a file is packed is told by its first bytes alone.
//!
//! gzip (all members) and zstd (all frames) are unpacked. Memory is bounded by what a window of
//! either takes, time by [`MAX_RATIO`].

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Chain, Cursor, Read};

use flate2::bufread::GzDecoder;
use indicatif::ProgressBar;

use super::CHUNK_BYTES;
use crate::source::files::{Codec, unread};

/// Bytes that any file may unpack to, however small it is. A second's work.
const FREE_BYTES: u64 = 256 << 20;

/// Bytes that a packed byte may unpack to beyond [`FREE_BYTES`]. Logs pack to a hundredth at best;
/// gzip cannot pack a run of zeros below 1/1032, zstd goes far beyond.
const MAX_RATIO: u64 = 500;

/// Largest window of a zstd frame, as a power of two: 128 MiB, where the `zstd` tool stops too
/// unless it is told.
const MAX_WINDOW_LOG: u32 = 27;

/// The unpacked bytes of a file.
pub struct Unpacked {
    /// Until the first bytes are read.
    unread: Option<Metered>,
    stream: Option<Stream>,
    /// Bytes that came out.
    bytes: u64,
}

enum Stream {
    Plain(Raw),
    Gzip(GzipMembers),
    Zstd(zstd::Decoder<'static, BufReader<Raw>>),
}

/// A file with the bytes that were read ahead.
type Raw = Chain<Cursor<Vec<u8>>, Metered>;

impl Unpacked {
    /// Starts at the file's position. Nothing is read yet.
    pub fn new(file: File, progress: ProgressBar) -> Self {
        Self { unread: Some(Metered { file, bytes: 0, progress }), stream: None, bytes: 0 }
    }

    /// Returns the next bytes. After an error nothing more can be read.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(file) = self.unread.take() {
            self.stream = Some(Stream::of(file)?);
        }
        let (read, raw) = match &mut self.stream {
            None => return Ok(0),
            Some(Stream::Plain(raw)) => return raw.read(into),
            Some(Stream::Gzip(members)) => (members.read(into)?, members.raw()),
            Some(Stream::Zstd(decoder)) => (decoder.read(into)?, Some(decoder.get_ref().get_ref())),
        };
        self.bytes += read as u64;
        let packed = raw.map_or(0, |raw| raw.get_ref().1.bytes);
        if read > 0 && self.bytes > FREE_BYTES.saturating_add(packed.saturating_mul(MAX_RATIO)) {
            self.stream = None;
            return Err(io::Error::other(format!(
                "unpacks to more than {MAX_RATIO} times its size, which no log should: if it is \
                 one, unpack it yourself and read that"
            )));
        }
        Ok(read)
    }
}

impl Stream {
    /// Reads the first bytes and chooses.
    fn of(mut file: Metered) -> io::Result<Self> {
        let mut head = Vec::new();
        file.by_ref().take(Codec::HEAD_BYTES as u64).read_to_end(&mut head)?;
        let codec = Codec::of(&head);
        let raw = Cursor::new(head).chain(file);
        let packed = |raw| BufReader::with_capacity(CHUNK_BYTES, raw);
        Ok(match codec {
            None => Self::Plain(raw),
            Some(Codec::Unread(tool)) => return Err(io::Error::other(unread(tool))),
            Some(Codec::Gzip) => Self::Gzip(GzipMembers::new(packed(raw))),
            Some(Codec::Zstd) => {
                let mut decoder = zstd::Decoder::with_buffer(packed(raw))?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Self::Zstd(decoder)
            }
        })
    }
}

/// The members of a gzip file, one after the other. Zeros after a member are padding, as for
/// `gzip` itself.
struct GzipMembers {
    /// `None` once the file has ended.
    member: Option<Box<GzDecoder<BufReader<Raw>>>>,
}

impl GzipMembers {
    fn new(packed: BufReader<Raw>) -> Self {
        Self { member: Some(Box::new(GzDecoder::new(packed))) }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            let mut packed = self.member.take().expect("looked at above").into_inner();
            if !skip_zeros(&mut packed)? {
                *self = Self::new(packed);
            }
        }
        Ok(0)
    }

    fn raw(&self) -> Option<&Raw> {
        self.member.as_ref().map(|member| member.get_ref().get_ref())
    }
}

/// Skips zeros; returns whether the file ends there.
fn skip_zeros(packed: &mut BufReader<Raw>) -> io::Result<bool> {
    loop {
        let buffer = packed.fill_buf()?;
        if buffer.is_empty() {
            return Ok(true);
        }
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        let all = zeros == buffer.len();
        packed.consume(zeros);
        if !all {
            return Ok(false);
        }
    }
}

/// A file that counts what is read of it, and tells it.
struct Metered {
    file: File,
    bytes: u64,
    progress: ProgressBar,
}

impl Read for Metered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(into) {
                Ok(read) => {
                    self.bytes += read as u64;
                    self.progress.inc(read as u64);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
