//! Reference implementations: one for each contract, too simple to be wrong.
//!
//! A model trades everything for being obvious. It holds one lock, copies what it returns and does
//! arithmetic in numbers that cannot overflow. The suites of [`crate::check::suite`] compare a
//! system with its model, and every model that is a system itself passes the suite of its family,
//! which is a test of the suite.
//!
//! | contract          | model            | state                                           |
//! |-------------------|------------------|-------------------------------------------------|
//! | `ConcurrentMap`   | [`ModelMap`]     | a `HashMap` behind a lock                       |
//! | `OrderedStore`    | [`ModelStore`]   | a `BTreeMap` behind a lock, and a log on disk   |
//! | `Limiter`         | [`ModelLimiter`] | the exact cells that each bucket misses         |
//! | `Allocator`       | [`ShadowHeap`]   | the disjoint intervals that are handed out      |
//! | `Consensus`       | [`ModelCluster`] | one log, and how much of it each node applied   |
//!
//! # What this module does not do
//!
//! A model is no baseline for speed and no example of how to build the thing.

mod cluster;
mod limiter;
mod map;
mod shadow_heap;
mod store;

pub use cluster::ModelCluster;
pub(crate) use cluster::agree;
pub use limiter::{ExactBucket, ModelLimiter};
pub use map::ModelMap;
pub use shadow_heap::{ShadowError, ShadowHeap};
pub use store::ModelStore;
#[cfg(test)]
pub(crate) use store::{Changes, Log};

#[cfg(test)]
mod tests;
