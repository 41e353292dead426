//! One file an engine, each implementing the contract of its family.

pub mod allocator;
mod allocators;
pub mod cluster;
pub mod dashmap;
pub mod echo;
mod entries;
pub mod fjall;
pub mod flurry;
pub mod glibc;
pub mod governor;
pub mod hashmap;
pub mod hashmap_word;
pub mod jemalloc;
pub mod leaky_bucket;
pub mod lsm;
pub mod mimalloc;
pub mod mimalloc_nothp;
pub mod mimalloc_v2;
pub mod mutex_bucket;
pub mod papaya;
pub mod raft;
pub mod raft_rs;
pub mod rate_limiter;
pub mod ratelimit;
pub mod redb;
pub mod replica;
#[cfg(feature = "rocksdb")]
pub mod rocksdb;
pub mod rpmalloc;
pub mod rusty_alloc;
pub mod rwlock;
pub mod scc;
pub mod sled;
#[cfg(feature = "snmalloc")]
pub mod snmalloc;
#[cfg(feature = "tcmalloc")]
pub mod tcmalloc;
pub mod yours_allocator;
pub mod yours_cluster;
pub mod yours_limiter;
pub mod yours_map;
pub mod yours_store;

/// What every map hashes with, so that maps are compared and not their defaults.
pub type Hasher = foldhash::fast::RandomState;
