//! Files of any bytes, as the command line opens them: packed or not.

use std::io::Write as _;

use keydrain::cli::log_input::LogInput;

/// Bytes after which a file is left: a small one may unpack to very many.
const ENOUGH: usize = 8 << 20;

/// Longest chunk that the reader gives.
const LONGEST_CHUNK: usize = 1 << 20;

/// Reads a file with this content.
pub fn run(data: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a writable folder");
    file.write_all(data).expect("room for a small file");
    let mut read = Vec::new();
    let take = |chunk: &[u8]| {
        assert!(!chunk.is_empty() && chunk.len() <= LONGEST_CHUNK);
        read.extend_from_slice(chunk);
        read.len() < ENOUGH
    };
    let whole = LogInput::open(file.path()).and_then(|input| input.read_chunks(take));
    let packed = data.starts_with(&[0x1f, 0x8b]) || data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    // Skippable frames may begin a zstd file, too.
    let skippable = data.get(1..4) == Some(&[0x2a, 0x4d, 0x18]);
    if !packed && !skippable {
        assert!(whole.is_ok() && read == data);
    }
}
