//! A stream that a seed determines.

use super::Random;

/// xoshiro256++ 1.0: 256 bits of state, period 2^256 - 1, a nanosecond a number.
///
/// The same seed gives the same stream on every machine and in every later version. Anyone who sees
/// a few numbers can tell the rest, so it is no source of secrets.
///
/// Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators", TOMS 2021. The
/// state is filled from the seed by `SplitMix64`, as the authors advise.
///
/// ```
/// use env::random::{Random, SeededRandom};
///
/// let (mut one, mut other) = (SeededRandom::new(7), SeededRandom::new(7));
/// assert_eq!(one.next_u64(), other.next_u64());
/// assert!(one.below(6) < 6);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeededRandom {
    /// Invariant: not all zero, the one state that never changes.
    state: [u64; 4],
}

impl SeededRandom {
    /// The stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        let (first, seed) = split_mix(seed);
        let (second, seed) = split_mix(seed);
        let (third, seed) = split_mix(seed);
        let (fourth, _) = split_mix(seed);
        Self { state: [first, second, third, fourth] }
    }

    /// The stream of a known state, which must not be all zero.
    #[cfg(test)]
    pub(super) fn from_state(state: [u64; 4]) -> Self {
        assert_ne!(state, [0; 4], "this state never changes");
        Self { state }
    }

    /// A generator whose stream has nothing to do with what this one yields from now on.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }
}

impl Random for SeededRandom {
    #[inline]
    fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }
}

/// A number of the stream of `SplitMix64`, and the state behind it.
const fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31), state)
}
