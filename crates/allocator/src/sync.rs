//! Atomics, or the schedule explorer's versions of them.
//!
//! Built with `--cfg loom` or `--cfg shuttle`, the one protocol of this crate that is about threads
//! ([`handover`](crate::handover)) runs on `harness::sync`, and nothing else of it is compiled: the
//! rest is made of constants and of raw memory, neither of which an explorer can see into.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicPtr, Ordering};

#[cfg(any(loom, shuttle))]
pub(crate) use harness::sync::atomic::{AtomicPtr, Ordering};
