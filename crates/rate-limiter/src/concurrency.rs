//! Limits on how much is in flight at once, fixed and adaptive.
//!
//! | limiter             | the limit is                                          | bound                      |
//! |---------------------|-------------------------------------------------------|----------------------------|
//! | [`ConcurrencyLimit`]| a number, which may be changed                        | in flight <= limit, always |
//! | [`AdaptiveLimit`]   | what a [`LimitRule`] makes of round trips and drops   | the same                   |
//! | [`Partitions`]      | a number, with a guaranteed share for each class      | the same, for all together |
//! | [`AdaptivePartitions`] | what a rule makes of the round trips of all classes, with their shares | the same |
//!
//! All give out permits, which count until they are dropped. "Always" is at the moment of an
//! admission: a limit that is lowered waits for permits to come back.
//!
//! # What this module does not do
//!
//! It has no queue: who is refused is refused.

mod adaptive;
mod partition;
mod rules;

use crate::sync::{Arc, AtomicU64, Ordering};

pub use adaptive::{AdaptiveLimit, AdaptivePartitionPermit, AdaptivePartitions, AdaptivePermit};
pub use partition::{Partition, PartitionPermit, Partitions, PartitionsError};
pub use rules::{Aimd, Gradient, LimitRule, Sample, Vegas};

/// At most so many at once. Clones share the limit.
///
/// ```
/// use rate_limiter::ConcurrencyLimit;
///
/// let limit = ConcurrencyLimit::new(1);
/// let permit = limit.try_acquire(1).expect("nobody is there yet");
/// assert!(limit.try_acquire(1).is_none());
/// drop(permit);
/// assert!(limit.try_acquire(1).is_some());
/// ```
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: AtomicU64,
    in_flight: AtomicU64,
}

/// The right to be in flight; ends when it is dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once limits nothing"]
pub struct Permit {
    shared: Arc<Shared>,
    weight: u64,
}

impl ConcurrencyLimit {
    /// At most `limit` at once. A limit of zero admits nothing.
    pub fn new(limit: u64) -> Self {
        let (limit, in_flight) = (AtomicU64::new(limit), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { limit, in_flight }) }
    }

    /// A permit that counts as `weight`, if it fits. Lock-free.
    pub fn try_acquire(&self, weight: u64) -> Option<Permit> {
        // Acquire: pairs with the Release of a permit's drop, so that what the last holder did is
        // seen by the next.
        let mut seen = self.shared.in_flight.load(Ordering::Acquire);
        loop {
            let wanted = seen.checked_add(weight)?;
            // Relaxed: a limit that is just being changed may be the old one.
            if wanted > self.shared.limit.load(Ordering::Relaxed) {
                return None;
            }
            // Acquire: as above.
            let exchanged = self.shared.in_flight.compare_exchange(
                seen,
                wanted,
                Ordering::Acquire,
                Ordering::Acquire,
            );
            match exchanged {
                Ok(_) => return Some(Permit { shared: Arc::clone(&self.shared), weight }),
                Err(found) => seen = found,
            }
        }
    }

    /// Another limit from now on. Permits that are out stay valid.
    pub fn set_limit(&self, limit: u64) {
        // Relaxed: the number publishes nothing.
        self.shared.limit.store(limit, Ordering::Relaxed);
    }

    /// The limit.
    pub fn limit(&self) -> u64 {
        // Relaxed: as in `set_limit`.
        self.shared.limit.load(Ordering::Relaxed)
    }

    /// The weight of all permits that are out.
    pub fn in_flight(&self) -> u64 {
        // Relaxed: a number to be shown.
        self.shared.in_flight.load(Ordering::Relaxed)
    }
}

impl Permit {
    /// What it counts as.
    pub const fn weight(&self) -> u64 {
        self.weight
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `try_acquire`.
        self.shared.in_flight.fetch_sub(self.weight, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
