//! Texts that come again and again, kept once: a number for each.
//!
//! Looking up a known text allocates nothing. The texts may be raw keys: they stand in blocks
//! that never move and are wiped when dropped.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use zeroize::Zeroizing;

use super::prefetch::prefetch;

/// Block that texts are packed into. A longer text gets a block of its own.
const BLOCK_BYTES: usize = 64 << 10;

/// Bytes of a text that stand in the table itself: most addresses, and what tells long texts apart.
const HEAD_BYTES: usize = 20;

/// The number of a text, from 0 in order of first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

impl Symbol {
    /// Returns the number for use as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the number, below 2^32 - 1: as many texts take more memory than there is.
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// Returns the symbol with a number that [`number`](Self::number) returned.
    pub(super) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// The texts seen so far.
#[derive(Default)]
pub struct Interner {
    /// Open addressing with linear probing; a power of two long, and at most three quarters full.
    slots: Zeroizing<Vec<Slot>>,
    hasher: DefaultHashBuilder,
    texts: Vec<Text>,
    blocks: Vec<Zeroizing<Vec<u8>>>,
    bytes: usize,
}

/// A place of the table, two to a cache line: all that the look-up of a short text needs.
#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct Slot {
    /// The number of the text plus one; 0: there is none.
    number: u32,
    /// The upper half of the hash: other texts are told apart without looking at them.
    hash: u32,
    len: u32,
    head: [u8; HEAD_BYTES],
}

impl zeroize::DefaultIsZeroes for Slot {}

/// The hash of a text, by the interner that it was asked of.
#[derive(Clone, Copy, Debug)]
pub struct TextHash(u64);

impl TextHash {
    fn upper(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Where a text stands.
#[derive(Clone, Copy)]
struct Text {
    block: u32,
    from: u32,
    len: u32,
}

impl Interner {
    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns the bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns a text.
    pub fn get(&self, symbol: Symbol) -> &[u8] {
        self.texts[symbol.index()].bytes(&self.blocks)
    }

    /// Iterates over the texts in order of first sight.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.texts.iter().map(|text| text.bytes(&self.blocks))
    }

    /// Iterates over the symbols in order of first sight.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> {
        (0..self.texts.len()).map(|index| Symbol(u32::try_from(index).expect("as numbered")))
    }

    /// Returns the hash of `text`, and fetches what its look-up will need.
    #[inline]
    pub fn hash(&self, text: &[u8]) -> TextHash {
        let hash = TextHash(self.hasher.hash_one(text));
        prefetch(&self.slots, self.home(hash));
        hash
    }

    /// Returns the symbol of `text` if it was seen.
    pub fn find(&self, text: &[u8]) -> Option<Symbol> {
        self.find_hashed(self.hash(text), text)
    }

    /// Returns where the slot of a text is looked for first.
    #[inline]
    fn home(&self, hash: TextHash) -> usize {
        // The upper half is compared: take the lower one.
        (hash.0 & 0xffff_ffff) as u32 as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn find_hashed(&self, hash: TextHash, text: &[u8]) -> Option<Symbol> {
        let mut at = self.home(hash);
        loop {
            let slot = self.slots.get(at)?;
            let number = slot.number.checked_sub(1)?;
            if slot.hash == hash.upper() && self.stands_in(slot, text) {
                return Some(Symbol(number));
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    #[inline]
    fn stands_in(&self, slot: &Slot, text: &[u8]) -> bool {
        let len = slot.len as usize;
        if len != text.len() {
            return false;
        }
        if len <= HEAD_BYTES {
            return are_equal(&slot.head[..len], text);
        }
        text[..HEAD_BYTES] == slot.head && are_equal(self.get(Symbol(slot.number - 1)), text)
    }

    /// Returns the symbol of `text`; a new one has the number [`len`](Self::len) had before.
    #[inline]
    pub fn intern(&mut self, text: &[u8]) -> Symbol {
        self.intern_hashed(self.hash(text), text)
    }

    /// Returns the same where the [hash](Self::hash) is known.
    #[inline]
    pub fn intern_hashed(&mut self, hash: TextHash, text: &[u8]) -> Symbol {
        match self.find_hashed(hash, text) {
            Some(symbol) => symbol,
            None => self.add(hash, text),
        }
    }

    #[cold]
    fn add(&mut self, hash: TextHash, text: &[u8]) -> Symbol {
        const LIMIT: &str = "memory ends before 2^32 texts do";
        let number = u32::try_from(self.texts.len()).ok().filter(|number| *number < u32::MAX);
        let symbol = Symbol(number.expect(LIMIT));
        let full = |block: &Zeroizing<Vec<u8>>| block.capacity() - block.len() < text.len();
        if self.blocks.last().is_none_or(full) {
            let block = Vec::with_capacity(BLOCK_BYTES.max(text.len()));
            self.blocks.push(Zeroizing::new(block));
        }
        let index = self.blocks.len() - 1;
        let block = &mut self.blocks[index];
        let place = Text {
            block: u32::try_from(index).expect(LIMIT),
            from: u32::try_from(block.len()).expect("a block of many texts is small"),
            len: u32::try_from(text.len()).expect("texts come from lines of bounded length"),
        };
        block.extend_from_slice(text);
        self.bytes += text.len();
        self.texts.push(place);
        if self.texts.len() > self.slots.len() / 4 * 3 {
            self.grow();
        } else {
            self.put(hash, symbol);
        }
        symbol
    }

    /// Puts a text that is not in the table into it.
    fn put(&mut self, hash: TextHash, symbol: Symbol) {
        let text = self.get(symbol);
        let mut head = [0; HEAD_BYTES];
        let in_head = text.len().min(HEAD_BYTES);
        head[..in_head].copy_from_slice(&text[..in_head]);
        let len = self.texts[symbol.index()].len;
        let mut at = self.home(hash);
        while self.slots[at].number > 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Slot { number: symbol.0 + 1, hash: hash.upper(), len, head };
    }

    /// Doubles the table, with all texts.
    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(64);
        self.slots = Zeroizing::new(vec![Slot::default(); len]);
        for index in 0..self.texts.len() {
            let symbol = Symbol(u32::try_from(index).expect("as numbered"));
            self.put(TextHash(self.hasher.hash_one(self.get(symbol))), symbol);
        }
    }

    /// Forgets and wipes all texts.
    pub fn clear(&mut self) {
        self.slots = Zeroizing::default();
        self.texts.clear();
        self.blocks.clear();
        self.bytes = 0;
    }
}

impl Text {
    fn bytes(self, blocks: &[Zeroizing<Vec<u8>>]) -> &[u8] {
        let from = self.from as usize;
        &blocks[self.block as usize][from..from + self.len as usize]
    }
}

/// Compares texts as `==` does. Those that come again and again have up to 32 bytes: as whole words
/// from both ends, which may overlap, they cost less than a call.
fn are_equal(a: &[u8], b: &[u8]) -> bool {
    fn ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
    }
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        4..=8 => ends::<4>(a, b),
        9..=16 => ends::<8>(a, b),
        17..=32 => ends::<16>(a, b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_symbol_over_many_blocks() {
        let mut interner = Interner::default();
        let long = vec![b'x'; BLOCK_BYTES * 2];
        let text = |number: usize| format!("key number {number}").into_bytes();
        for number in 0..20_000 {
            assert_eq!(interner.intern(&text(number)).index(), number);
        }
        let last = interner.intern(&long);
        assert_eq!(interner.len(), 20_001);
        assert_eq!(interner.find(&text(7)).map(Symbol::index), Some(7));
        assert_eq!(interner.get(last), long);
        assert_eq!(interner.find(b"never seen"), None);
        let bytes = interner.iter().map(<[u8]>::len).sum::<usize>();
        assert_eq!(interner.bytes(), bytes);
        // A block that grew would have left its texts behind.
        let mut rooms = interner.blocks.iter().map(|block| block.capacity()).collect::<Vec<_>>();
        assert_eq!(rooms.pop(), Some(long.len()));
        assert_eq!(rooms, vec![BLOCK_BYTES; (bytes - long.len()).div_ceil(BLOCK_BYTES)]);
        interner.clear();
        assert_eq!(interner.find(&text(7)), None);
        assert_eq!(interner.intern(&text(8)).index(), 0);
    }

    #[test]
    fn texts_of_any_length_are_equal_only_if_every_byte_is() {
        for len in 0..70 {
            let text: Vec<u8> = (0..len).collect();
            assert!(are_equal(&text, &text.clone()), "{len}");
            assert!(!are_equal(&text, &[&text[..], b"x"].concat()), "{len}");
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(!are_equal(&text, &other), "{len}: {at}");
            }
        }
    }
}
