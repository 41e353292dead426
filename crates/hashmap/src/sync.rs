//! Atomics, or the schedule explorer's versions of them.
//!
//! Built with `--cfg loom` or `--cfg shuttle`, the crate runs on `harness::sync` and its tests
//! explore interleavings.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

#[cfg(any(loom, shuttle))]
pub(crate) use harness::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
