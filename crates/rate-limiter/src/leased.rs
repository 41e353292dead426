//! Per-thread leases: most checks touch nothing that is shared, and the bound stays strict.
//!
//! Each thread holds a [`Lease`], which takes cells from the common bucket some at a time and hands
//! them out without reading a clock. Cells that were taken earlier are handed out later, so that
//! the common bucket alone would bound too little. What leases can hold is therefore kept out:
//!
//! ```text
//!   burst of the quota  =  burst of the common bucket  +  leases * cells of a lease
//!
//!   admitted in a stretch  <=  taken in it            +  held when it began
//!                          <=  common burst + rate * t + leases * cells     =  burst + rate * t
//! ```
//!
//! So the bound of the quota holds over any stretch of time, for all threads together. The price is
//! in the other direction: cells that an idle thread holds are missing to the others, at most
//! `leases * cells`.
//!
//! # What this module does not do
//!
//! It gives nothing back: what a lease holds when it is dropped is lost, since the bucket may have
//! been full since it was taken.

use env::clock::{Clock, FastClock};

use crate::decision::Decision;
use crate::live::{Carry, LiveBucket};
use crate::quota::{Quota, QuotaError};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// Why a quota cannot be leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// No leases, or leases of no cells.
    #[error("{leases} leases of {cells} cells each serve nobody; name at least one of each")]
    Nothing {
        /// Leases.
        leases: u64,
        /// Cells of each.
        cells: u64,
    },
    /// The leases would hold the whole burst.
    #[error(
        "{leases} leases of {cells} cells each leave nothing of a burst of {burst}; use smaller \
         leases, fewer, or a larger burst"
    )]
    BurstTooSmall {
        /// Leases.
        leases: u64,
        /// Cells of each.
        cells: u64,
        /// The quota's burst.
        burst: u64,
    },
}

/// A limiter of one bucket for a fixed number of threads. Clones share the bucket.
///
/// ```
/// use rate_limiter::{LeasedLimiter, Quota};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let quota = Quota::per_second(1_000_000)?.with_burst(10_000)?;
/// let limiter = LeasedLimiter::new(quota, 4, 64)?;
/// let mut lease = limiter.lease().expect("there are four");
/// assert!(lease.check().is_admitted());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LeasedLimiter<C = FastClock> {
    shared: Arc<Shared<C>>,
}

#[derive(Debug)]
struct Shared<C> {
    bucket: LiveBucket,
    /// Of the common bucket. Held while it changes.
    common: Mutex<Quota>,
    /// Leases in all.
    leases: u64,
    /// Cells of a lease.
    cells: u64,
    /// Leases that are not out.
    left: AtomicU64,
    clock: C,
}

/// One thread's part of a [`LeasedLimiter`].
#[derive(Debug)]
pub struct Lease<C = FastClock> {
    shared: Arc<Shared<C>>,
    /// Invariant: at most the cells of a lease.
    held: u64,
}

impl LeasedLimiter<FastClock> {
    /// A limiter for `leases` threads, which take `cells` cells at a time, on the machine's fastest
    /// sound clock.
    pub fn new(quota: Quota, leases: u64, cells: u64) -> Result<Self, LeaseError> {
        Self::with_clock(quota, leases, cells, FastClock::new())
    }
}

// Not derived: a clone shares the clock and need not clone it.
impl<C> Clone for LeasedLimiter<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Clock> LeasedLimiter<C> {
    /// The same on another clock.
    pub fn with_clock(quota: Quota, leases: u64, cells: u64, clock: C) -> Result<Self, LeaseError> {
        let common = common(&quota, leases, cells)?;
        let (bucket, left) = (LiveBucket::full(&common, clock.now()), AtomicU64::new(leases));
        let common = Mutex::new(common);
        Ok(Self { shared: Arc::new(Shared { bucket, common, leases, cells, left, clock }) })
    }

    /// Keeps another quota from now on, of which leases hold as many cells as of the one before;
    /// what the common bucket holds is carried over, as [`Carry`] says. What a lease holds stays
    /// there. Where the new burst is too small for the leases, nothing has changed.
    ///
    /// ```
    /// use rate_limiter::{Carry, LeasedLimiter, Quota};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = LeasedLimiter::new(Quota::per_hour(100)?, 2, 10)?;
    /// limiter.set_quota(Quota::per_hour(1_000)?, Carry::Fraction)?;
    /// assert!(limiter.set_quota(Quota::per_hour(20)?, Carry::Fraction).is_err());
    /// let mut lease = limiter.lease().expect("there are two");
    /// assert!(lease.check_n(980).is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&self, quota: Quota, carry: Carry) -> Result<(), LeaseError> {
        let Shared { bucket, common: current, leases, cells, clock, .. } = &*self.shared;
        let new = common(&quota, *leases, *cells)?;
        let mut current = current.lock().expect("no holder of this lock panics");
        bucket.change(clock.now(), &current, &new, carry);
        *current = new;
        Ok(())
    }

    /// A lease for the calling thread, with nothing in it yet; `None` while all are out.
    pub fn lease(&self) -> Option<Lease<C>> {
        // Relaxed, here and below: a count, which publishes nothing.
        let mut left = self.shared.left.load(Ordering::Relaxed);
        while let Some(fewer) = left.checked_sub(1) {
            let (order, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.shared.left.compare_exchange(left, fewer, order, failure) {
                Ok(_) => return Some(Lease { shared: Arc::clone(&self.shared), held: 0 }),
                Err(found) => left = found,
            }
        }
        None
    }

    /// The clock that the limiter reads.
    pub fn clock(&self) -> &C {
        &self.shared.clock
    }
}

impl<C: Clock> Lease<C> {
    /// Takes one cell. Mostly a decrement.
    #[inline(always)]
    pub fn check(&mut self) -> Decision {
        self.check_n(1)
    }

    /// Takes `cells` cells, all or none: what the lease holds, and the rest from the common bucket.
    ///
    /// [`Impossible`](Decision::Impossible) is what exceeds the common bucket's burst.
    #[inline(always)]
    pub fn check_n(&mut self, cells: u64) -> Decision {
        if let Some(held) = self.held.checked_sub(cells) {
            self.held = held;
            return Decision::Admitted;
        }
        self.refill(cells)
    }

    /// Cells that the lease holds.
    pub const fn held(&self) -> u64 {
        self.held
    }

    #[cold]
    fn refill(&mut self, cells: u64) -> Decision {
        let Shared { bucket, cells: lease, clock, .. } = &*self.shared;
        // One lease more than is missing would be held before it is handed out; not after.
        match bucket.refill(clock.now(), cells, self.held, lease - 1) {
            Ok(taken) => {
                self.held = self.held + taken - cells;
                Decision::Admitted
            }
            Err(decision) => decision,
        }
    }
}

/// What is left of a quota for all when leases hold all that they can.
fn common(quota: &Quota, leases: u64, cells: u64) -> Result<Quota, LeaseError> {
    if leases == 0 || cells == 0 {
        return Err(LeaseError::Nothing { leases, cells });
    }
    let too_small = LeaseError::BurstTooSmall { leases, cells, burst: quota.burst() };
    let held = leases.checked_mul(cells).ok_or(too_small)?;
    let burst = quota.burst().checked_sub(held).ok_or(too_small)?;
    // A burst of zero is the only thing that can be wrong with a smaller one.
    quota.with_burst(burst).map_err(|_: QuotaError| too_small)
}

impl<C> Drop for Lease<C> {
    fn drop(&mut self) {
        // Relaxed: as in `lease`.
        self.shared.left.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
