//! The world that a build runs in: files, clocks and randomness, one narrow trait each.
//!
//! Nothing above this crate names `std::fs`, `Instant`, `SystemTime` or an entropy source. What a
//! build needs of its surroundings it takes as a parameter of one of these traits, so that the
//! same engine code runs on the real machine and inside the deterministic simulation of
//! `harness::sim`, where time, disk and chance follow from one seed.
//!
//! ```text
//!            build (lsm, raft, rate-limiter, ...)
//!              |            |             |
//!          fs::Fs     clock::Clock   random::Random        <- traits of this crate
//!          /     \       /     \        /     \
//!      OsFs   sim disk  TSC   sim     OS    seeded         <- implementations
//! ```
//!
//! # What this crate does not do
//!
//! It holds no policy: it never retries, never caches, never decides when to sync. It is no
//! portability layer for every call of an operating system either; a call is added when a build
//! needs it and the simulation can imitate it.

pub mod clock;
pub mod fs;
pub mod pages;
pub mod priority;
pub mod random;
