//! Which key was issued to which: a session's key and the key that asked for it.
//!
//! A long-lived key that buys session keys looks quiet while they are used, so what a child does is
//! its parent's use, however many sessions lie between them.

use hashbrown::HashMap;

use super::intern::{Interner, Symbol};

/// Longest line of descent that is followed. A role that assumes a role is one step; AWS limits
/// none, and a longer line ends at the key that is reached. So does a circle, which only a damaged
/// log has.
const MAX_STEPS: usize = 16;

/// Children and their parents.
#[derive(Default)]
pub struct Lineage {
    keys: Interner,
    parents: HashMap<Symbol, Symbol>,
}

impl Lineage {
    /// Records that `child` was issued to `parent`; of two parents the first one counts.
    pub fn link(&mut self, child: &[u8], parent: &[u8]) {
        if child == parent {
            return;
        }
        let (child, parent) = (self.keys.intern(child), self.keys.intern(parent));
        self.parents.entry(child).or_insert(parent);
    }

    /// Adds what another part of the log says.
    pub fn merge(&mut self, other: &Self) {
        // In the order of first sight, so that the first parent is the same whatever the seed.
        for child in other.keys.symbols() {
            if let Some(&parent) = other.parents.get(&child) {
                self.link(other.keys.get(child), other.keys.get(parent));
            }
        }
    }

    /// Returns the key that `child` was issued to.
    pub fn parent(&self, child: &[u8]) -> Option<&[u8]> {
        let child = self.keys.find(child)?;
        self.parents.get(&child).map(|&parent| self.keys.get(parent))
    }

    /// Returns the key at the end of the line that begins with `key`: itself if nobody asked for it.
    pub fn root<'a>(&'a self, key: &'a [u8]) -> &'a [u8] {
        let mut at = key;
        for _ in 0..MAX_STEPS {
            let Some(parent) = self.parent(at) else { break };
            at = parent;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_of_a_session_does_is_the_use_of_the_first_key() {
        let mut lineage = Lineage::default();
        lineage.link(b"ASIA2", b"ASIA1");
        lineage.link(b"ASIA1", b"AKIA");
        lineage.link(b"ASIA1", b"other");
        assert_eq!(lineage.root(b"ASIA2"), b"AKIA");
        assert_eq!(lineage.parent(b"ASIA2"), Some(&b"ASIA1"[..]));
        assert_eq!(lineage.root(b"AKIA"), b"AKIA");
        assert_eq!(lineage.root(b"unknown"), b"unknown");
        let mut whole = Lineage::default();
        whole.merge(&lineage);
        assert_eq!(whole.root(b"ASIA2"), b"AKIA");
    }

    #[test]
    fn keys_that_were_issued_in_a_circle_end_somewhere() {
        let mut lineage = Lineage::default();
        lineage.link(b"a", b"b");
        lineage.link(b"b", b"a");
        lineage.link(b"c", b"c");
        for key in [b"a", b"b"] {
            assert!(matches!(lineage.root(key), b"a" | b"b"));
        }
        assert_eq!(lineage.root(b"c"), b"c");
    }
}
