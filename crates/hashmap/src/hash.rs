//! How a key becomes 64 bits of which any may be used.
//!
//! The default hasher is foldhash with a random seed for each map: fast, and without a seed that a
//! hostile client could know. A hasher that the user brings may be weaker: one that leaves the high
//! bits zero, say. So whatever comes is folded once more, by a wide multiplication whose halves are
//! combined; every bit of the input then reaches the high bits, which choose the bin, and the low
//! ones, which are the tag.

use std::hash::{BuildHasher, Hash};

/// The default hasher: seeded at random, once for each map.
pub type RandomState = foldhash::quality::RandomState;

/// An odd number without pattern: the fractional part of the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// The hash of `key`, folded.
#[inline(always)]
pub(crate) fn of<K: Hash + ?Sized>(key: &K, hasher: &impl BuildHasher) -> u64 {
    fold(hasher.hash_one(key))
}

#[inline(always)]
fn fold(hash: u64) -> u64 {
    let product = u128::from(hash ^ (MULTIPLIER >> 7)) * u128::from(MULTIPLIER);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded
}
