//! The five family traits: the least that a system must offer to be checked and compared.
//!
//! A contract is small enough to implement in twenty lines and monomorphic: the hot path of a
//! comparison calls the trait method directly, so that a peer pays for nothing but itself. Ours,
//! every peer (in `benches/src/adapters`) and a learner's exercise implement the same trait in the
//! same shape, which makes fairness visible at a glance.
//!
//! | family              | contract           | state that the model keeps      |
//! |---------------------|--------------------|---------------------------------|
//! | concurrent hash map | [`ConcurrentMap`]  | `HashMap<K, V>`                 |
//! | LSM and other trees | [`OrderedStore`]   | `BTreeMap<Vec<u8>, Vec<u8>>`    |
//! | memory allocator    | [`Allocator`]      | disjoint intervals of addresses |
//! | rate limiter        | [`Limiter`]        | one exact rational bucket a key |
//! | consensus           | [`Consensus`]      | one log                         |
//!
//! # What a contract does not do
//!
//! It is not the public API of a build, and it says nothing about speed. A feature that only one
//! contender has is shown in a line of its own, never smuggled through a contract.

mod allocator;
mod consensus;
mod limiter;
mod map;
mod ordered_store;

pub use allocator::Allocator;
pub use consensus::{ClusterSpec, Consensus};
pub use limiter::{Limiter, LimiterSpec, SteeredLimiter, Verdict, WaitingLimiter};
pub use map::{ConcurrentMap, MapHandle};
pub use ordered_store::{Durability, OrderedStore, StoreError, StoreSpec};

/// Why a contender cannot take part in a line or a suite: a fact to be shown, not a failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not supported: {0}")]
pub struct Unsupported(pub String);
