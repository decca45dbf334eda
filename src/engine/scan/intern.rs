//! Texts that come again and again, kept once: a number for each.
//!
//! Looking up a known text allocates nothing. The texts may be raw keys: they stand in blocks
//! that never move and are wiped when dropped.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use zeroize::Zeroizing;

/// Block that texts are packed into. A longer text gets a block of its own.
const BLOCK_BYTES: usize = 64 << 10;

/// The number of a text, from 0 in order of first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

impl Symbol {
    /// Returns the number for use as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The texts seen so far.
#[derive(Default)]
pub struct Interner {
    table: HashTable<Symbol>,
    hasher: DefaultHashBuilder,
    texts: Vec<Text>,
    blocks: Vec<Zeroizing<Vec<u8>>>,
    bytes: usize,
}

struct Text {
    hash: u64,
    block: usize,
    from: usize,
    to: usize,
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
        slice(&self.texts, &self.blocks, symbol)
    }

    /// Iterates over the texts in order of first sight.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.texts.iter().map(|text| &self.blocks[text.block][text.from..text.to])
    }

    /// Iterates over the symbols in order of first sight.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> {
        (0..self.texts.len()).map(|index| Symbol(u32::try_from(index).expect("as numbered")))
    }

    /// Returns the symbol of `text` if it was seen.
    pub fn find(&self, text: &[u8]) -> Option<Symbol> {
        let hash = self.hasher.hash_one(text);
        let equal = |&symbol: &Symbol| slice(&self.texts, &self.blocks, symbol) == text;
        self.table.find(hash, equal).copied()
    }

    /// Returns the symbol of `text`; a new one has the number [`len`](Self::len) had before.
    pub fn intern(&mut self, text: &[u8]) -> Symbol {
        let hash = self.hasher.hash_one(text);
        let equal = |&symbol: &Symbol| slice(&self.texts, &self.blocks, symbol) == text;
        if let Some(&symbol) = self.table.find(hash, equal) {
            return symbol;
        }
        let number = u32::try_from(self.texts.len()).expect("memory ends before 2^32 texts do");
        let symbol = Symbol(number);
        let full = |block: &Zeroizing<Vec<u8>>| block.capacity() - block.len() < text.len();
        if self.blocks.last().is_none_or(full) {
            let block = Vec::with_capacity(BLOCK_BYTES.max(text.len()));
            self.blocks.push(Zeroizing::new(block));
        }
        let index = self.blocks.len() - 1;
        let block = &mut self.blocks[index];
        let from = block.len();
        block.extend_from_slice(text);
        self.bytes += text.len();
        self.texts.push(Text { hash, block: index, from, to: block.len() });
        let texts = &self.texts;
        self.table.insert_unique(hash, symbol, |symbol| texts[symbol.index()].hash);
        symbol
    }

    /// Forgets and wipes all texts.
    pub fn clear(&mut self) {
        self.table.clear();
        self.texts.clear();
        self.blocks.clear();
        self.bytes = 0;
    }
}

fn slice<'a>(texts: &[Text], blocks: &'a [Zeroizing<Vec<u8>>], symbol: Symbol) -> &'a [u8] {
    let text = &texts[symbol.index()];
    &blocks[text.block][text.from..text.to]
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
        interner.clear();
        assert_eq!(interner.find(&text(7)), None);
        assert_eq!(interner.intern(&text(8)).index(), 0);
    }
}
