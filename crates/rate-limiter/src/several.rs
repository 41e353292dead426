//! Several quotas at once, all or nothing: ten a second *and* a thousand a day.
//!
//! A request is admitted if every bucket has its cells, and then every bucket is charged; a denial
//! charges none. `retry_at` is the latest of what the buckets say, which is exact: each bucket only
//! fills while nobody asks.
//!
//! # How
//!
//! All buckets lie behind one lock. Taking from one bucket after the other and
//! giving back at a denial would need no lock, but a concurrent request could be denied for cells
//! that are about to be given back, and none of its denials would be exact.
//!
//! A change of quota converts what the bucket misses to be full, as [`Carry`] says, and rounds it
//! up to a tick of the new quota: it never gives a cell away. It believes the clock: if that has
//! jumped back at the moment, the bucket forgets by how far.
//!
//! # What this module does not do
//!
//! It has no quotas per key: keep a [`KeyedLimiter`](crate::KeyedLimiter) for each, and mind the
//! above.

use env::clock::{Clock, FastClock, Timestamp};

use crate::decision::{Decision, Denial};
use crate::gcra::{Step, debt, step};
use crate::live::{Carry, carried};
use crate::quota::{Quota, Scale};
use crate::single::{denial, settled_by_size};
use crate::sync::{Mutex, MutexGuard};

/// A limiter that keeps several quotas at once.
///
/// ```
/// use rate_limiter::{Quota, SeveralQuotas};
///
/// # fn main() -> Result<(), rate_limiter::QuotaError> {
/// let limiter = SeveralQuotas::new(&[Quota::per_second(10)?, Quota::per_hour(12)?]);
/// assert!(limiter.check_n(10).is_admitted());
/// assert!(!limiter.check_n(3).is_admitted(), "the hour has two left");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SeveralQuotas<C = FastClock> {
    buckets: Mutex<Box<[Bucket]>>,
    clock: C,
}

/// The bucket of one quota.
#[derive(Debug)]
struct Bucket {
    quota: Quota,
    scale: Scale<u128>,
    /// When the bucket's time started.
    origin: Timestamp,
    tat: u128,
}

impl SeveralQuotas<FastClock> {
    /// Full buckets on the machine's fastest sound clock. No quotas admit everything.
    pub fn new(quotas: &[Quota]) -> Self {
        Self::with_clock(quotas, FastClock::new())
    }
}

impl<C: Clock> SeveralQuotas<C> {
    /// Full buckets on `clock`. No quotas admit everything.
    pub fn with_clock(quotas: &[Quota], clock: C) -> Self {
        let origin = clock.now();
        let buckets = quotas.iter().map(|quota| Bucket::new(*quota, origin, 0)).collect();
        Self { buckets: Mutex::new(buckets), clock }
    }

    /// Takes one cell from every bucket or from none, now.
    pub fn check(&self) -> Decision {
        self.check_at(self.clock.now(), 1)
    }

    /// Takes `cells` cells from every bucket or from none, now.
    pub fn check_n(&self, cells: u64) -> Decision {
        self.check_at(self.clock.now(), cells)
    }

    /// Takes `cells` cells from every bucket or from none, at `now`, a reading of this limiter's
    /// clock.
    ///
    /// [`Impossible`](Decision::Impossible) names the smallest burst.
    pub fn check_at(&self, now: Timestamp, cells: u64) -> Decision {
        let mut buckets = self.lock();
        let decision = decide(&buckets, now, cells);
        if decision.is_admitted() {
            buckets.iter_mut().for_each(|bucket| bucket.take(now, cells));
        }
        decision
    }

    /// What a request for `cells` cells would be answered at `now`. Takes nothing.
    pub fn peek_at(&self, now: Timestamp, cells: u64) -> Decision {
        decide(&self.lock(), now, cells)
    }

    /// Gives `cells` cells back to every bucket that were taken and not used; a full one takes no
    /// more. What [`DirectLimiter::refund`](crate::DirectLimiter::refund) says of one bucket holds
    /// for each.
    pub fn refund(&self, cells: u64) {
        for bucket in &mut *self.lock() {
            // Before its first tick a bucket is full as well.
            bucket.tat = bucket.tat.saturating_sub(bucket.cost(cells));
        }
    }

    /// Keeps another quota in the place of the one with this number from now on.
    ///
    /// Panics when there is no such quota.
    pub fn set_quota(&self, number: usize, quota: Quota, carry: Carry) {
        let count = self.lock().len();
        assert!(number < count, "there is no quota {number}, only {count}");
        let now = self.clock.now();
        let bucket = &mut self.lock()[number];
        let missing = debt(bucket.tat, bucket.ticks_at(now));
        *bucket = Bucket::new(quota, now, carried(carry, &bucket.quota, &quota, missing));
    }

    /// The quotas that the limiter keeps at present, in their order.
    pub fn quotas(&self) -> Vec<Quota> {
        self.lock().iter().map(|bucket| bucket.quota).collect()
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    fn lock(&self) -> MutexGuard<'_, Box<[Bucket]>> {
        self.buckets.lock().expect("no holder of this lock panics")
    }
}

/// What all buckets together answer.
fn decide(buckets: &[Bucket], now: Timestamp, cells: u64) -> Decision {
    let Some(smallest) = buckets.iter().map(|bucket| bucket.scale.burst).min() else {
        return Decision::Admitted;
    };
    if let Some(decision) = settled_by_size(smallest, cells) {
        return decision;
    }
    let denials = buckets.iter().filter_map(|bucket| bucket.denial(now, cells));
    denials.max_by_key(Denial::retry_at).map_or(Decision::Admitted, Decision::Denied)
}

impl Bucket {
    /// A bucket that misses `debt` ticks to be full at `now`.
    fn new(quota: Quota, now: Timestamp, debt: u128) -> Self {
        Self { quota, scale: Scale::wide(&quota), origin: now, tat: debt }
    }

    fn ticks_at(&self, now: Timestamp) -> u128 {
        self.scale.ticks_at(now.as_nanos().saturating_sub(self.origin.as_nanos()))
    }

    fn cost(&self, cells: u64) -> u128 {
        self.scale.cost(cells.min(self.scale.burst))
    }

    fn denial(&self, now: Timestamp, cells: u64) -> Option<Denial> {
        match step(&self.scale, self.tat, self.ticks_at(now), self.cost(cells)) {
            Step::Deny(ready) => Some(denial(&self.scale, self.origin, now, ready)),
            Step::Admit(_) => None,
        }
    }

    fn take(&mut self, now: Timestamp, cells: u64) {
        self.tat = self.tat.max(self.ticks_at(now)) + self.cost(cells);
    }
}

#[cfg(test)]
mod tests;
