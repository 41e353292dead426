//! Atomics and locks, or the schedule explorer's versions of them.
//!
//! Built with `--cfg loom` or `--cfg shuttle`, the crate runs on `harness::sync` and its tests
//! explore interleavings. The explorers have no 128-bit atomic, so theirs is a lock.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::{
    hint,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

#[cfg(any(loom, shuttle))]
pub(crate) use harness::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
    hint,
};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use portable_atomic::AtomicU128;

#[cfg(any(loom, shuttle))]
pub(crate) use explored::AtomicU128;

#[cfg(any(loom, shuttle))]
mod explored {
    use super::{Mutex, Ordering};

    /// A 128-bit cell whose operations are atomic because each holds a lock.
    #[derive(Debug)]
    pub(crate) struct AtomicU128(Mutex<u128>);

    impl AtomicU128 {
        pub(crate) fn new(value: u128) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn load(&self, _: Ordering) -> u128 {
            *self.0.lock().expect("no holder panics")
        }

        pub(crate) fn store(&self, value: u128, _: Ordering) {
            *self.0.lock().expect("no holder panics") = value;
        }

        pub(crate) fn compare_exchange(
            &self,
            current: u128,
            new: u128,
            _: Ordering,
            _: Ordering,
        ) -> Result<u128, u128> {
            let mut value = self.0.lock().expect("no holder panics");
            let found = *value;
            if found == current {
                *value = new;
                Ok(found)
            } else {
                Err(found)
            }
        }
    }
}
