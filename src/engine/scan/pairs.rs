//! Pairs of symbols, each once.

use super::intern::Symbol;
use super::prefetch::prefetch;

/// An odd number near 2^64 divided by the golden ratio: it spreads neighbouring numbers.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A set of pairs. Open addressing with linear probing: symbols are numbers that nobody outside
/// chooses, so no hash must be secret.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Pairs as numbers, 0 for none; a power of two long, and at most three quarters full.
    slots: Vec<u64>,
    len: usize,
}

impl Pairs {
    /// Fetches what the insertion of a pair will need.
    #[inline]
    pub fn prefetch(&self, first: Symbol, second: Symbol) {
        prefetch(&self.slots, self.home(number(first, second)));
    }

    /// Adds a pair, unless it is in the set.
    #[inline]
    pub fn insert(&mut self, first: Symbol, second: Symbol) {
        let pair = number(first, second);
        let mut at = self.home(pair);
        while let Some(&slot) = self.slots.get(at) {
            if slot == pair {
                return;
            }
            if slot == 0 {
                break;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.add(pair, at);
    }

    #[inline]
    fn add(&mut self, pair: u64, at: usize) {
        self.len += 1;
        if self.len > self.slots.len() / 4 * 3 {
            self.grow(pair);
        } else {
            self.slots[at] = pair;
        }
    }

    #[cold]
    fn grow(&mut self, more: u64) {
        let len = (self.slots.len() * 2).max(64);
        let before = std::mem::replace(&mut self.slots, vec![0; len]);
        for pair in before.into_iter().filter(|pair| *pair > 0).chain([more]) {
            let mut at = self.home(pair);
            while self.slots[at] > 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = pair;
        }
    }

    /// Returns where a pair is looked for first.
    #[inline]
    fn home(&self, pair: u64) -> usize {
        (pair.wrapping_mul(SPREAD) >> 32) as u32 as usize & self.slots.len().wrapping_sub(1)
    }

    /// Iterates over the pairs, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, Symbol)> {
        self.slots.iter().filter(|pair| **pair > 0).map(|pair| {
            let half = |half: u64| Symbol::from_number(u32::try_from(half).expect("of 64 bits"));
            (half(pair >> 32), half((pair & u64::from(u32::MAX)) - 1))
        })
    }
}

/// Returns a pair as a number above zero: a symbol's number is below 2^32 - 1.
#[inline]
fn number(first: Symbol, second: Symbol) -> u64 {
    u64::from(first.number()) << 32 | (u64::from(second.number()) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_pair_is_kept_once() {
        let symbol = Symbol::from_number;
        let mut pairs = Pairs::default();
        let mut expected = BTreeSet::new();
        for n in 0..30_000_u32 {
            let pair = (symbol(n % 7), symbol(n.wrapping_mul(2_654_435_761) % 5000));
            pairs.prefetch(pair.0, pair.1);
            pairs.insert(pair.0, pair.1);
            expected.insert(pair);
        }
        let mut all: Vec<_> = pairs.iter().collect();
        all.sort_unstable();
        assert!(all.iter().eq(&expected), "{} of {}", all.len(), expected.len());
        pairs.insert(symbol(u32::MAX - 1), symbol(u32::MAX - 1));
        assert!(pairs.iter().any(|pair| pair == (symbol(u32::MAX - 1), symbol(u32::MAX - 1))));
    }
}
