//! Keys of sessions that were issued to a tracked key: whose use is the use of that key.
//!
//! A child is kept for as long as it may live after the newest one was issued, so what is kept
//! depends on the set of issues and not on their order. Their number is bounded; one beyond the
//! bound is told, never passed over.

use std::collections::BTreeSet;
use std::time::Duration;

use hashbrown::HashMap;

use crate::engine::credential::Fingerprint;
use crate::engine::time::Timestamp;

/// How long any session's key may live: that of `GetSessionToken` or `GetFederationToken` for at
/// most 129,600 s. Source: AWS STS API reference, `DurationSeconds`.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(36);

/// How long the key of a role's session may live: a role allows at most 43,200 s, and one that is
/// assumed with a session's key an hour. Source: AWS STS API reference, `AssumeRole`.
pub const ROLE_SESSION_LIFETIME: Duration = Duration::from_hours(12);

/// Children of one key that are kept.
pub const MAX_CHILDREN: usize = 10_000;

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept from now on, or known to be younger than before.
    New,
    /// Nothing changed.
    Known,
    /// It is past its lifetime already.
    Past,
    /// There are too many: it is not kept.
    Not,
}

/// The children of one key that may live.
#[derive(Clone, Debug, Default)]
pub struct Children {
    issued_at: HashMap<Fingerprint, Timestamp>,
    by_age: BTreeSet<(Timestamp, Fingerprint)>,
    newest: Option<Timestamp>,
}

impl Children {
    /// Adds a child that was issued at `at`; those that are past their lifetime then are given to
    /// `forget`.
    pub fn take(
        &mut self,
        child: Fingerprint,
        at: Timestamp,
        mut forget: impl FnMut(Fingerprint),
    ) -> Kept {
        self.newest = self.newest.max(Some(at));
        let newest = self.newest.unwrap_or(at);
        while let Some(&(oldest, past)) = self.by_age.first()
            && is_past(oldest, newest)
        {
            self.by_age.pop_first();
            self.issued_at.remove(&past);
            forget(past);
        }
        match self.issued_at.get(&child) {
            Some(known) if *known >= at => return Kept::Known,
            Some(known) => {
                self.by_age.remove(&(*known, child));
            }
            None if is_past(at, newest) => return Kept::Past,
            None if self.issued_at.len() >= MAX_CHILDREN => return Kept::Not,
            None => {}
        }
        self.issued_at.insert(child, at);
        self.by_age.insert((at, child));
        Kept::New
    }

    /// Forgets a child.
    pub fn remove(&mut self, child: &Fingerprint) {
        if let Some(at) = self.issued_at.remove(child) {
            self.by_age.remove(&(at, *child));
        }
    }

    /// Tells whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.issued_at.is_empty()
    }
}

/// Tells whether a child that was issued at `at` cannot live any more at `now`.
pub fn is_past(at: Timestamp, now: Timestamp) -> bool {
    at < now.minus(SESSION_LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANT: Duration = Duration::from_nanos(1);

    fn child(number: usize) -> Fingerprint {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Fingerprint::from_bytes(bytes)
    }

    fn forgotten(children: &mut Children, number: usize, at: Timestamp) -> (Kept, usize) {
        let mut gone = 0;
        (children.take(child(number), at, |_| gone += 1), gone)
    }

    #[test]
    fn a_child_is_kept_for_its_lifetime_and_no_instant_longer() {
        let issued = Timestamp::from_seconds(1_000_000);
        let last = issued.plus(SESSION_LIFETIME);
        let mut children = Children::default();
        assert_eq!(forgotten(&mut children, 1, issued), (Kept::New, 0));
        assert_eq!(forgotten(&mut children, 1, issued), (Kept::Known, 0));
        assert_eq!(forgotten(&mut children, 2, last), (Kept::New, 0));
        assert_eq!(forgotten(&mut children, 3, last.plus(INSTANT)), (Kept::New, 1));
        assert_eq!(forgotten(&mut children, 1, issued), (Kept::Past, 0));
    }

    #[test]
    fn a_child_that_is_forgotten_is_new_when_it_comes_again() {
        let at = Timestamp::from_seconds(1_000_000);
        let mut children = Children::default();
        assert!(children.is_empty());
        assert_eq!(forgotten(&mut children, 1, at), (Kept::New, 0));
        assert!(!children.is_empty());
        children.remove(&child(1));
        assert!(children.is_empty());
        assert_eq!(forgotten(&mut children, 1, at), (Kept::New, 0));
    }

    #[test]
    fn one_child_too_many_is_told_and_the_others_are_kept() {
        let at = Timestamp::from_seconds(1_000_000);
        let mut children = Children::default();
        for number in 0..MAX_CHILDREN {
            assert_eq!(forgotten(&mut children, number, at), (Kept::New, 0));
        }
        assert_eq!(forgotten(&mut children, MAX_CHILDREN, at), (Kept::Not, 0));
        assert_eq!(forgotten(&mut children, 0, at.plus(INSTANT)), (Kept::New, 0));
        let after = at.plus(SESSION_LIFETIME).plus(INSTANT);
        assert_eq!(forgotten(&mut children, 0, after), (Kept::New, MAX_CHILDREN - 1));
    }
}
