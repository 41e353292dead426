//! One limit for several classes, each with a share that nobody else can take.
//!
//! A class has a *guarantee*, a part of the limit. What others leave unused may be borrowed, as
//! long as everything that is guaranteed and not used stays free:
//!
//! ```text
//!   admit class i  iff  used(i) < guarantee(i)
//!                  or   sum of max(used(j), guarantee(j)) over all j   <  limit
//! ```
//!
//! # What holds, exactly
//!
//! In flight, all together, is at most the limit, and a class below its guarantee is admitted at
//! once. Both follow from the invariant `sum of max(used, guarantee) <= limit`. Limiters that let a
//! guaranteed class exceed the limit have only the second.
//!
//! A limit that is lowered lowers the guarantees in proportion; until permits come back, who is
//! above may stay, and neither promise holds.

use crate::sync::{Arc, Mutex};

/// A class of [`Partitions`], by its place in the list they were made from.
pub type Partition = usize;

/// Why a limit cannot be divided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionsError {
    /// More is promised than there is.
    #[error("the classes are guaranteed {percent} % of the limit; give them 100 % at most")]
    Oversold {
        /// What they would be promised together.
        percent: u64,
    },
}

/// A concurrency limit that is divided among classes. Clones share it.
///
/// ```
/// use rate_limiter::Partitions;
///
/// # fn main() -> Result<(), rate_limiter::PartitionsError> {
/// let limit = Partitions::new(10, &[70, 20])?; // user requests, prefetches
/// let prefetches: Vec<_> = (0..10).filter_map(|_| limit.try_acquire(1)).collect();
/// assert_eq!(prefetches.len(), 3, "two of its own, one that nobody is guaranteed");
/// assert!(limit.try_acquire(0).is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Partitions {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    percents: Box<[u64]>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u64,
    used: Box<[u64]>,
}

/// The right of a class to be in flight; ends when it is dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once limits nothing"]
pub struct PartitionPermit {
    shared: Arc<Shared>,
    partition: Partition,
}

impl Partitions {
    /// At most `limit` at once, of which each class is guaranteed so many percent, rounded down.
    pub fn new(limit: u64, percents: &[u64]) -> Result<Self, PartitionsError> {
        let percent = percents.iter().fold(0, |sum: u64, &it| sum.saturating_add(it));
        if percent > 100 {
            return Err(PartitionsError::Oversold { percent });
        }
        let used = vec![0; percents.len()].into_boxed_slice();
        let state = Mutex::new(State { limit, used });
        Ok(Self { shared: Arc::new(Shared { percents: percents.into(), state }) })
    }

    /// A permit for a class, if one more fits. As many steps as there are classes.
    ///
    /// Panics when there is no such class.
    pub fn try_acquire(&self, partition: Partition) -> Option<PartitionPermit> {
        self.try_acquire_counted(partition).map(|(permit, _)| permit)
    }

    /// The same, with how many are in flight of all classes then.
    pub(super) fn try_acquire_counted(
        &self,
        partition: Partition,
    ) -> Option<(PartitionPermit, u64)> {
        let shared = &self.shared;
        // Before the lock, which a panic would poison for all who hold permits.
        self.require(partition);
        let mut state = shared.state.lock().expect("no holder of this lock panics");
        let limit = state.limit;
        let guarantee = |class: usize| {
            limit / 100 * shared.percents[class] + limit % 100 * shared.percents[class] / 100
        };
        let is_own = state.used[partition] < guarantee(partition);
        let claimed =
            state.used.iter().enumerate().map(|(class, &used)| used.max(guarantee(class)));
        if !is_own && claimed.sum::<u64>() >= limit {
            return None;
        }
        state.used[partition] += 1;
        let permit = PartitionPermit { shared: Arc::clone(shared), partition };
        Some((permit, state.used.iter().sum()))
    }

    fn require(&self, partition: Partition) {
        let count = self.shared.percents.len();
        assert!(partition < count, "there is no class {partition}, only {count}");
    }

    /// Another limit from now on; see [`AdaptivePartitions`](crate::AdaptivePartitions) for a rule
    /// that sets it.
    pub fn set_limit(&self, limit: u64) {
        self.shared.state.lock().expect("no holder of this lock panics").limit = limit;
    }

    /// The limit.
    pub fn limit(&self) -> u64 {
        self.shared.state.lock().expect("no holder of this lock panics").limit
    }

    /// Permits of a class that are out. Panics when there is no such class.
    pub fn in_flight(&self, partition: Partition) -> u64 {
        self.require(partition);
        self.shared.state.lock().expect("no holder of this lock panics").used[partition]
    }
}

impl Drop for PartitionPermit {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().expect("no holder of this lock panics");
        state.used[self.partition] -= 1;
    }
}
