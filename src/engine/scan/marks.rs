//! Where lines end in a block and where quotes and backslashes stand in it, found in one pass: a bit
//! for each byte.
//!
//! ```text
//! 192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n192.0.2.1 - …
//! signs       …                              1              1       1 1 1    1 0
//! ends                                                                        1
//! ```
//!
//! With AVX2, where the processor has it; else by a search, which finds the same.

use memchr::memchr3_iter;

/// Bytes of a block that one word of bits stands for.
const WORD: usize = 64;

/// The marks of a block. They are used again for the next, so their memory is taken once.
#[derive(Debug, Default)]
pub struct Marks {
    /// Line ends.
    ends: Vec<u64>,
    /// Quotes and backslashes.
    signs: Vec<u64>,
}

/// The quotes and backslashes of one line.
#[derive(Clone, Copy, Debug)]
pub struct LineMarks<'m> {
    signs: &'m [u64],
    /// Where the line begins in the block.
    from: usize,
}

impl Marks {
    /// Marks `block` instead of the one before.
    pub fn mark(&mut self, block: &[u8]) {
        let words = block.len().div_ceil(WORD);
        for bits in [&mut self.ends, &mut self.signs] {
            bits.clear();
            bits.resize(words, 0);
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 was detected.
            unsafe { self.mark_by_avx2(block) };
            return;
        }
        self.mark_by_search(block);
    }

    fn mark_by_search(&mut self, block: &[u8]) {
        for at in memchr3_iter(b'\n', b'"', b'\\', block) {
            let bits = if block[at] == b'\n' { &mut self.ends } else { &mut self.signs };
            bits[at / WORD] |= 1 << (at % WORD);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn mark_by_avx2(&mut self, block: &[u8]) {
        let (whole, rest) = block.as_chunks::<WORD>();
        let mut last = [0; WORD];
        last[..rest.len()].copy_from_slice(rest);
        let last = (!rest.is_empty()).then_some(&last);
        let bits = self.ends.iter_mut().zip(&mut self.signs);
        for (bytes, (ends, signs)) in whole.iter().chain(last).zip(bits) {
            (*ends, *signs) = marks_of(bytes);
        }
    }

    /// Returns the length of the longest start of the block that ends with a line, 0 if there is none.
    pub fn last_end(&self) -> usize {
        let last = self.ends.iter().rposition(|ends| *ends != 0);
        last.map_or(0, |word| (word + 1) * WORD - self.ends[word].leading_zeros() as usize)
    }

    /// Tells whether any line of `block`, which is marked, is one that `is` tells of.
    pub fn any_line(&self, block: &[u8], is: impl Fn(&[u8]) -> bool) -> bool {
        let mut any = false;
        self.lines(block, |line, _| any = any || is(line));
        any
    }

    /// Gives each line of `block`, which is marked, to `take`, without its LF and one CR before it.
    /// The last one may lack its LF.
    pub fn lines<'m, 'b>(&'m self, block: &'b [u8], mut take: impl FnMut(&'b [u8], LineMarks<'m>)) {
        let signs = &*self.signs;
        let mut from = 0;
        for (word, &ends) in self.ends.iter().enumerate() {
            let mut ends = ends;
            while ends != 0 {
                let end = word * WORD + ends.trailing_zeros() as usize;
                ends &= ends - 1;
                take(without_cr(&block[from..end]), LineMarks { signs, from });
                from = end + 1;
            }
        }
        if from < block.len() {
            take(without_cr(&block[from..]), LineMarks { signs, from });
        }
    }
}

impl LineMarks<'_> {
    /// Returns where the first `N` quotes of `line` stand, which these marks are of, if there is no
    /// backslash before the last of them.
    #[inline]
    pub fn quotes<const N: usize>(self, line: &[u8]) -> Option<[usize; N]> {
        let mut word = self.from / WORD;
        let mut bits = self.signs.get(word)? & (u64::MAX << (self.from % WORD));
        let mut quotes = [0; N];
        for quote in &mut quotes {
            while bits == 0 {
                word += 1;
                bits = *self.signs.get(word)?;
            }
            let at = word * WORD + bits.trailing_zeros() as usize - self.from;
            bits &= bits - 1;
            *quote = (line.get(at) == Some(&b'"')).then_some(at)?;
        }
        Some(quotes)
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Returns the bits of 64 bytes: line ends; quotes and backslashes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn marks_of(bytes: &[u8; WORD]) -> (u64, u64) {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    };
    let half = |from: usize| {
        let half: &[u8; 32] = bytes[from..].first_chunk().expect("half of 64 bytes");
        // SAFETY: both are 32 bytes, and all bits are a vector.
        unsafe { std::mem::transmute::<[u8; 32], __m256i>(*half) }
    };
    let (low, high) = (half(0), half(32));
    let is =
        |half: __m256i, byte: u8| _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte.cast_signed()));
    let bits = |low: __m256i, high: __m256i| {
        let word = |half: __m256i| u64::from(_mm256_movemask_epi8(half).cast_unsigned());
        word(low) | word(high) << 32
    };
    let signs = |half: __m256i| _mm256_or_si256(is(half, b'"'), is(half, b'\\'));
    (bits(is(low, b'\n'), is(high, b'\n')), bits(signs(low), signs(high)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scan::lines::lines;
    use proptest::prelude::*;

    /// The marks, by looking at each byte.
    fn oracle(block: &[u8]) -> Marks {
        let bits = |is: fn(u8) -> bool| {
            let word = |bytes: &[u8]| {
                bytes
                    .iter()
                    .enumerate()
                    .fold(0, |bits, (at, &byte)| bits | u64::from(is(byte)) << at)
            };
            block.chunks(WORD).map(word).collect()
        };
        Marks { ends: bits(|byte| byte == b'\n'), signs: bits(|byte| b"\"\\".contains(&byte)) }
    }

    fn check(block: &[u8]) {
        let expected = oracle(block);
        let mut marks = Marks::default();
        marks.mark(&vec![b'"'; 300]);
        marks.mark(block);
        assert_eq!((&marks.ends, &marks.signs), (&expected.ends, &expected.signs));
        let mut searched =
            Marks { ends: vec![0; expected.ends.len()], signs: vec![0; expected.signs.len()] };
        searched.mark_by_search(block);
        assert_eq!((&searched.ends, &searched.signs), (&expected.ends, &expected.signs));
        let mut all = Vec::new();
        marks.lines(block, |line, marks| {
            assert_eq!(marks.quotes::<3>(line), quotes(line), "{}", line.escape_ascii());
            all.push(line);
        });
        assert!(all.iter().copied().eq(lines(block)));
    }

    fn quotes(line: &[u8]) -> Option<[usize; 3]> {
        let mut signs = (0..line.len()).filter(|&at| b"\"\\".contains(&line[at]));
        let mut quotes = [0; 3];
        for quote in &mut quotes {
            *quote = signs.next().filter(|&at| line[at] == b'"')?;
        }
        Some(quotes)
    }

    #[test]
    fn every_byte_is_marked_for_what_it_is_wherever_it_stands() {
        for at in 0..200 {
            for byte in 0..=u8::MAX {
                let mut block = vec![b'a'; at + 1];
                block[at] = byte;
                check(&block);
            }
        }
    }

    #[test]
    fn a_block_of_any_length_at_any_alignment_is_marked() {
        let bytes: Vec<u8> =
            (0..400_usize).map(|n| b"a\"\n\\b\r\n\"\"\xff\0"[n * n % 11]).collect();
        for from in 0..64 {
            for to in from..from + 300 {
                check(&bytes[from..to]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_block_is_marked_as_byte_by_byte(
            block in prop::collection::vec(prop::sample::select(b"aab\"\\\r\n\n".to_vec()), 0..500),
        ) {
            check(&block);
        }
    }
}
