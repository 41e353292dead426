//! Atomics, or the schedule explorer's versions of them, and how to wait.
//!
//! Built with `--cfg loom` or `--cfg shuttle`, the crate runs on `harness::sync` and its tests
//! explore interleavings. Other tests run on atomics that count what is written (`counted`).

#[cfg(all(test, not(any(loom, shuttle))))]
mod counted;

#[cfg(not(any(test, loom, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::{
    hint,
    sync::atomic::{Ordering, fence},
    thread,
};

#[cfg(all(test, not(any(loom, shuttle))))]
pub(crate) use counted::{AtomicPtr, AtomicU64, AtomicUsize};

#[cfg(any(loom, shuttle))]
pub(crate) use harness::sync::{
    atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence},
    hint, thread,
};

/// Rounds of spinning, each twice as long as the one before, until a waiter yields instead.
const SPIN_ROUNDS: u32 = 6;

/// How a writer waits for another writer of the same bin.
///
/// The other one needs some ten nanoseconds, unless the system has taken its processor away; then
/// spinning only keeps it from getting it back.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    round: u32,
}

impl Backoff {
    /// Waits a little longer than last time.
    #[cold]
    pub(crate) fn wait(&mut self) {
        if self.round < SPIN_ROUNDS {
            for _ in 0..1 << self.round {
                hint::spin_loop();
            }
            self.round += 1;
        } else {
            thread::yield_now();
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
