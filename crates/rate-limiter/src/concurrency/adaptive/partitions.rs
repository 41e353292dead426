//! A limit that finds its own height and is divided among classes.
//!
//! One rule for all: they share what is overloaded. So each round trip and each drop, of whichever
//! class, moves the one limit, and the guarantees move with it, in proportion. What
//! [`Partitions`] promises holds against the limit of the moment; while permits of a higher limit
//! are out, neither promise does.

use env::clock::{Clock, FastClock, Timestamp};

use super::super::rules::LimitRule;
use super::super::{Partition, PartitionPermit, Partitions, PartitionsError};
use super::Steering;
use crate::sync::{Arc, Mutex};

/// At most as many at once as `rule` thinks good, with a guaranteed share of it for each class.
/// Clones share the limit.
///
/// ```
/// use rate_limiter::{AdaptivePartitions, Aimd};
///
/// # fn main() -> Result<(), rate_limiter::PartitionsError> {
/// let limit = AdaptivePartitions::new(Aimd::new(1, 100, 10), &[70, 20])?;
/// let prefetch = limit.try_acquire(1).expect("two are its own");
/// prefetch.dropped();
/// assert_eq!(limit.limit(), 9);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AdaptivePartitions<R, C = FastClock> {
    partitions: Partitions,
    steering: Arc<Steering<R, C>>,
}

/// The right of a class to be in flight, with the moment at which it began. Say how it ended, as
/// with an [`AdaptivePermit`](crate::AdaptivePermit).
#[derive(Debug)]
#[must_use = "a permit that is dropped at once limits nothing"]
pub struct AdaptivePartitionPermit<R: LimitRule, C: Clock = FastClock> {
    permit: PartitionPermit,
    of: AdaptivePartitions<R, C>,
    began: Timestamp,
    /// In flight of all classes when it began, itself included.
    in_flight: u64,
}

// Not derived: a clone shares rule and clock and need not clone them.
impl<R, C> Clone for AdaptivePartitions<R, C> {
    fn clone(&self) -> Self {
        Self { partitions: self.partitions.clone(), steering: Arc::clone(&self.steering) }
    }
}

impl<R: LimitRule> AdaptivePartitions<R, FastClock> {
    /// A limit on the machine's fastest sound clock, of which each class is guaranteed so many
    /// percent, rounded down.
    pub fn new(rule: R, percents: &[u64]) -> Result<Self, PartitionsError> {
        Self::with_clock(rule, percents, FastClock::new())
    }
}

impl<R: LimitRule, C: Clock> AdaptivePartitions<R, C> {
    /// A limit that measures round trips on `clock`.
    pub fn with_clock(rule: R, percents: &[u64], clock: C) -> Result<Self, PartitionsError> {
        let partitions = Partitions::new(rule.limit(), percents)?;
        Ok(Self { partitions, steering: Arc::new(Steering { rule: Mutex::new(rule), clock }) })
    }

    /// A permit for a class, if one more fits. As many steps as there are classes.
    ///
    /// Panics when there is no such class.
    pub fn try_acquire(&self, partition: Partition) -> Option<AdaptivePartitionPermit<R, C>> {
        let (permit, in_flight) = self.partitions.try_acquire_counted(partition)?;
        let began = self.steering.clock.now();
        Some(AdaptivePartitionPermit { permit, of: self.clone(), began, in_flight })
    }

    /// The limit at present.
    pub fn limit(&self) -> u64 {
        self.partitions.limit()
    }

    /// Permits of a class that are out. Panics when there is no such class.
    pub fn in_flight(&self, partition: Partition) -> u64 {
        self.partitions.in_flight(partition)
    }
}

impl<R: LimitRule, C: Clock> AdaptivePartitionPermit<R, C> {
    /// Ends with success: the round trip is a sample.
    pub fn succeeded(self) {
        self.end(false);
    }

    /// Ends with a sign of overload, as [`AdaptivePermit`](crate::AdaptivePermit::dropped) does.
    pub fn dropped(self) {
        self.end(true);
    }

    fn end(self, dropped: bool) {
        let set = |limit| self.of.partitions.set_limit(limit);
        self.of.steering.learn(self.began, self.in_flight, dropped, set);
        drop(self.permit);
    }
}

#[cfg(test)]
mod tests;
