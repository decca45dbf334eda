//! Chance with a fixed seed, and what is drawn from it.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use crate::Outcome;

/// The day of every log, as the formats write it.
pub const DAY: &str = "2026-05-18";

/// Seconds of the day.
const DAY_SECONDS: u64 = 86_400;

/// A minute of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute(pub u16);

impl Minute {
    /// Returns the minute that holds a second of the day.
    pub fn of(second: u32) -> Self {
        Self(u16::try_from(second / 60).expect("a day has 1440 minutes"))
    }
}

/// A sequence that a seed decides. Its algorithm is named, so another version of the crate cannot
/// change it.
pub struct Draw(Xoshiro256PlusPlus);

impl Draw {
    /// Starts the sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0.random_range(0..bound)
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.random()
    }

    /// Returns one of `choices`.
    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.0.random_range(0..choices.len())]
    }

    /// Returns the second of line `number` of `expected`: evenly over the day, but one line in
    /// twenty comes up to 20 s late.
    pub fn second(&mut self, number: u64, expected: u64) -> u32 {
        let second = (number * DAY_SECONDS / expected).min(DAY_SECONDS - 1);
        let late = if self.below(20) == 0 { self.below(20) + 1 } else { 0 };
        u32::try_from(second).expect("a day is short").saturating_sub(late)
    }

    /// Returns what becomes of a request: two in a hundred are denied, two fail.
    pub fn outcome(&mut self) -> Outcome {
        match self.below(100) {
            0 | 1 => Outcome::Denied,
            2 | 3 => Outcome::Failed,
            _ => Outcome::Accepted,
        }
    }
}

/// Numbers of which the first are drawn far more often than the last: the weight of rank `r` is
/// `r^-1.05`.
pub struct Zipf {
    /// Sums of the weights up to each rank, scaled to 32 bits.
    up_to: Vec<u32>,
}

impl Zipf {
    /// Makes the numbers below `ranks`.
    pub fn new(ranks: u32) -> Self {
        let weights = (1..=ranks).map(|rank| f64::from(rank).powf(-1.05));
        let all: f64 = weights.clone().sum();
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum / all * f64::from(u32::MAX))
        });
        // A fraction of 2^32: the cast cuts what is below one.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let up_to = sums.map(|sum| sum as u32).collect();
        Self { up_to }
    }

    /// Returns a number.
    pub fn draw(&self, draw: &mut Draw) -> u32 {
        let at = draw.below(u32::MAX);
        let rank = self.up_to.partition_point(|&sum| sum <= at).min(self.up_to.len() - 1);
        u32::try_from(rank).expect("ranks are counted in u32")
    }
}

/// Appends `number` in decimal.
pub fn push_number(text: &mut Vec<u8>, mut number: u32) {
    let mut digits = [b'0'; 10];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] += low_byte(number % 10);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[from..]);
}

fn low_byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

/// Appends a second of the day as `hh:mm:ss`.
pub fn push_clock(text: &mut Vec<u8>, second: u32) {
    let two = |number: u32| [b'0' + low_byte(number / 10), b'0' + low_byte(number % 10)];
    let [h, m, s] = [second / 3600, second / 60 % 60, second % 60].map(two);
    text.extend_from_slice(&[h[0], h[1], b':', m[0], m[1], b':', s[0], s[1]]);
}

/// Appends 16 hex digits of `digits`.
pub fn push_hex(text: &mut Vec<u8>, bits: u64, digits: &[u8; 16]) {
    for byte in bits.to_be_bytes() {
        text.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
    }
}

/// Digits of [`push_hex`].
pub const LOWER: &[u8; 16] = b"0123456789abcdef";
/// Digits of [`push_hex`], as ids of `CloudTrail` have them.
pub const UPPER: &[u8; 16] = b"0123456789ABCDEF";
/// Sixteen of the letters and digits that access key ids of AWS are made of.
pub const BASE32: &[u8; 16] = b"2345ABCDEFGHKMNP";

/// Returns `prefix` and 16 digits for each of `parts`, as text.
pub fn name(prefix: &str, parts: &[u64], digits: &[u8; 16]) -> String {
    let mut text = prefix.as_bytes().to_vec();
    for &bits in parts {
        push_hex(&mut text, bits, digits);
    }
    String::from_utf8(text).expect("digits are ASCII")
}

/// Appends address `number` of 65,536: each number has one of its own.
pub fn push_address(text: &mut Vec<u8>, number: u32) {
    // An odd factor maps 16-bit numbers one to one, so the last two parts tell addresses apart.
    let [low, high, ..] = number.wrapping_mul(0x9e37).to_le_bytes();
    push_number(text, 11 + u32::from(low ^ high) % 200);
    for part in [low.wrapping_mul(31) ^ high, high, low] {
        text.push(b'.');
        push_number(text, u32::from(part));
    }
}
