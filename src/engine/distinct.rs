//! How many different things were seen: a set of hashes of bounded size.
//!
//! The K smallest hashes are kept, so unions of parts are the union of the whole, in any order.
//! Below K the count is exact. Beyond it, with U the largest hash kept as a share of all hashes,
//! (K − 1) / U is an unbiased estimate of relative standard error 1 / √(K − 2): 6.3 % for K = 256.
//!
//! Sources: Bar-Yossef, Jayram, Kumar, Sivakumar, Trevisan, "Counting distinct elements in a data
//! stream" (RANDOM 2002); Beyer, Haas, Reinwald, Sismanis, Gemulla, "On synopses for
//! distinct-value estimation under multiset operations" (SIGMOD 2007), section 4.

/// Hashes kept at most.
pub const MAX_HASHES: usize = 256;

/// Hashes of different things, the smallest [`MAX_HASHES`] of them: at most 2 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    /// In ascending order.
    least: Vec<u64>,
}

impl Distinct {
    /// Adds the hash of a thing; tells whether that changed anything. The hashes must be spread
    /// evenly, whoever chooses the things.
    pub fn insert(&mut self, hash: u64) -> bool {
        let Err(place) = self.least.binary_search(&hash) else { return false };
        if place == MAX_HASHES {
            return false;
        }
        self.least.insert(place, hash);
        self.least.truncate(MAX_HASHES);
        true
    }

    /// Adds all things of another set; tells whether that changed anything.
    pub fn unite(&mut self, other: &Self) -> bool {
        other.least.iter().fold(false, |changed, hash| self.insert(*hash) | changed)
    }

    /// Tells whether [`count`](Self::count) is exact.
    pub fn is_exact(&self) -> bool {
        self.least.len() < MAX_HASHES
    }

    /// Returns how many different things were seen; an estimate where it is not exact.
    pub fn count(&self) -> u64 {
        let seen = self.least.len() as u64;
        match self.least.last() {
            Some(&largest) if !self.is_exact() => {
                let estimate = (u128::from(seen - 1) << 64) / (u128::from(largest) + 1);
                u64::try_from(estimate).unwrap_or(u64::MAX)
            }
            _ => seen,
        }
    }

    /// Iterates over the hashes in ascending order, for storage.
    pub fn hashes(&self) -> impl Iterator<Item = u64> {
        self.least.iter().copied()
    }
}

impl FromIterator<u64> for Distinct {
    fn from_iter<I: IntoIterator<Item = u64>>(hashes: I) -> Self {
        let mut all = Self::default();
        for hash in hashes {
            all.insert(hash);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::FingerprintSecret;
    use proptest::prelude::*;

    /// Hashes of `count` addresses, as an install with its own secret makes them.
    fn hashes(install: u64, count: u32) -> Vec<u64> {
        let secret = FingerprintSecret::new(install.to_be_bytes().to_vec());
        (0..count).map(|n| secret.address_hash(&n.to_be_bytes())).collect()
    }

    /// Relative error of the count of `count` addresses.
    fn error(install: u64, count: u32) -> f64 {
        let seen: Distinct = hashes(install, count).into_iter().collect();
        let estimate = f64::from(u32::try_from(seen.count()).expect("of this order"));
        (estimate - f64::from(count)) / f64::from(count)
    }

    #[test]
    fn the_255th_thing_is_counted_exactly_and_the_256th_is_not_said_to_be() {
        let seen: Distinct = hashes(1, 255).into_iter().collect();
        assert_eq!((seen.count(), seen.is_exact()), (255, true));
        let seen: Distinct = hashes(1, 256).into_iter().collect();
        assert!(!seen.is_exact());
    }

    #[test]
    fn the_estimate_is_one_less_than_are_kept_over_the_part_of_all_hashes_that_they_fill() {
        // The 256th of them lies at a quarter of all: 255 in a quarter are 1020 in all.
        let quarter = (1 << 62) - 1;
        let seen: Distinct = (0..255).chain([quarter]).collect();
        assert_eq!(seen.count(), 1020);
        // Where they fill next to nothing there are about as many as can be told apart.
        assert_eq!((0..256).collect::<Distinct>().count(), 255 << 56);
    }

    #[test]
    fn the_standard_error_is_the_one_of_theory() {
        let squares = (0..60).map(|install| error(install, 2000).powi(2));
        let measured = (squares.sum::<f64>() / 60.0).sqrt();
        let theory = 1.0 / 254_f64.sqrt();
        assert!((measured / theory - 1.0).abs() < 0.3, "{measured} where {theory} is expected");
    }

    proptest! {
        #[test]
        fn below_256_the_count_is_exact_whatever_comes_again(
            install in any::<u64>(),
            count in 0_u32..256,
            again in 0_u32..256,
        ) {
            let mut all = hashes(install, count);
            all.extend(hashes(install, count.min(again)));
            let seen: Distinct = all.into_iter().collect();
            prop_assert_eq!((seen.count(), seen.is_exact()), (u64::from(count), true));
        }

        #[test]
        fn beyond_it_the_count_is_within_five_standard_errors(
            install in any::<u64>(),
            count in 256_u32..1500,
        ) {
            prop_assert!(error(install, count).abs() < 5.0 / 254_f64.sqrt());
        }

        #[test]
        fn parts_in_any_order_unite_to_the_whole(
            all in prop::collection::vec(any::<u64>(), 0..600),
            cut in 0_usize..600,
        ) {
            let (left, right) = all.split_at(cut.min(all.len()));
            let [left, right, whole]: [Distinct; 3] =
                [left, right, &all].map(|part| part.iter().copied().collect());
            let (mut one, mut other) = (left.clone(), right.clone());
            one.unite(&right);
            other.unite(&left);
            prop_assert_eq!(&one, &whole);
            prop_assert_eq!(&other, &whole);
            prop_assert!(!one.unite(&whole), "the same things again change nothing");
            prop_assert_eq!(&whole, &whole.hashes().collect());
        }
    }
}
