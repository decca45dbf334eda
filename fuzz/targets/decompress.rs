//! Files of any bytes, as the command line opens them: packed or not.

use std::io::Write as _;

use keydrain::cli::input::LogInput;

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
    if is_plain(data) {
        assert!(whole.is_ok() && read.starts_with(&data[..data.len().min(ENOUGH)]));
    }
}

/// Tells whether no known way of packing begins like this.
fn is_plain(data: &[u8]) -> bool {
    const MAGIC: [&[u8]; 6] =
        [&[0x1f], &[0x28, 0xb5], b"\xfd7zXZ", b"BZh", &[0x04, 0x22, 0x4d, 0x18], b"PK"];
    // Skippable frames may begin a zstd file, too; a file may be cut within its first bytes.
    let skippable = (0x50..=0x5f).contains(data.first().unwrap_or(&0));
    let skippable = skippable && [0x2a, 0x4d, 0x18].starts_with(&data[1..data.len().min(4)]);
    let begins = |magic: &&[u8]| {
        let len = magic.len().min(data.len());
        len > 0 && magic[..len] == data[..len]
    };
    !skippable && !MAGIC.iter().any(begins)
}
