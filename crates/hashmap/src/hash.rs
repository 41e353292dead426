//! The default hasher, and how a key becomes 64 bits of which any may be used.
//!
//! The default is foldhash in its *quality* form: seeded for each process and each map, a few
//! instructions for a word. A hasher that the user brings may be weaker, one that leaves the high
//! bits zero, say. The map of boxed entries takes its bins and its tags from the first bits of a
//! hash, so it multiplies whatever comes by an odd number: each bit of the input then reaches all
//! bits of the output from its own place up, and no two hashes become one. (A wide multiplication
//! whose halves are combined would mix more. It costs a search eight cycles, all of them before it
//! knows its bin, and good hashers gain nothing from it.)
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

/// The hash of `key`, its entropy in the first bits.
#[inline(always)]
pub(crate) fn of<K: Hash + ?Sized>(key: &K, hasher: &impl BuildHasher) -> u64 {
    hasher.hash_one(key).wrapping_mul(MULTIPLIER)
}
