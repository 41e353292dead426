//! The default hasher, and how a key becomes 64 bits of which any may be used.
//!
//! The default is foldhash in its *quality* form: seeded for each process and each map, a few
//! instructions for a word. A hasher that the user brings may be weaker, one that leaves the high
//! bits zero, say. The map of boxed entries takes its tags and its bins from both ends of a hash,
//! so it folds whatever comes once more, by a wide multiplication whose halves are combined; every
//! bit of the input then reaches all parts of the output.
//!
//! # What this module does not do
//!
//! foldhash resists an attacker who cannot see hashes or measure many operations; it is not a
//! cryptographic function. Where that is not enough, give the map `std::hash::RandomState`
//! (`SipHash`). Colliding keys cost time only: in the map of boxed entries a search through as many
//! as collide. The map of words hashes their words once more and tells them apart.

use std::hash::{BuildHasher, Hash};

pub use foldhash::quality::RandomState;

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
