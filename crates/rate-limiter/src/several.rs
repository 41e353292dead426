//! Several quotas at once, all or nothing: ten a second *and* a thousand a day.
//!
//! A request is admitted if every bucket has its cells, and then every bucket is charged; a denial
//! charges none. `retry_at` is the latest of what the buckets say, which is exact: each bucket only
//! fills while nobody asks.
//!
//! # How
//!
//! All theoretical arrival times lie behind one lock. Taking from one bucket after the other and
//! giving back at a denial would need no lock, but a concurrent request could be denied for cells
//! that are about to be given back, and none of its denials would be exact.
//!
//! # What this module does not do
//!
//! It has no quotas per key: keep a [`KeyedLimiter`](crate::KeyedLimiter) for each, and mind the
//! above.

use env::clock::{Clock, FastClock, Timestamp};

use crate::decision::{Decision, Denial};
use crate::gcra::{Step, step};
use crate::quota::{Quota, Scale};
use crate::single::{denial, settled_by_size};
use crate::sync::Mutex;

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
    scales: Box<[Scale<u128>]>,
    tats: Mutex<Box<[u128]>>,
    origin: Timestamp,
    clock: C,
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
        let scales: Box<[_]> = quotas.iter().map(Scale::wide).collect();
        let tats = Mutex::new(vec![0; scales.len()].into_boxed_slice());
        Self { scales, tats, origin: clock.now(), clock }
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
        let smallest = self.scales.iter().min_by_key(|scale| scale.burst);
        let Some(smallest) = smallest else { return Decision::Admitted };
        if let Some(decision) = settled_by_size(smallest.burst, cells) {
            return decision;
        }
        let elapsed = now.as_nanos().saturating_sub(self.origin.as_nanos());
        let decide =
            |scale: &Scale<u128>, tat| step(scale, tat, scale.ticks_at(elapsed), scale.cost(cells));
        let mut tats = self.tats.lock().expect("no holder of this lock panics");
        let steps = || self.scales.iter().zip(&*tats).map(|(scale, &tat)| decide(scale, tat));
        let denials = self.scales.iter().zip(steps()).filter_map(|(scale, step)| match step {
            Step::Deny(ready) => Some(denial(scale, self.origin, now, ready)),
            Step::Admit(_) => None,
        });
        if let Some(last) = denials.max_by_key(Denial::retry_at) {
            return Decision::Denied(last);
        }
        for (scale, tat) in self.scales.iter().zip(&mut *tats) {
            *tat = (*tat).max(scale.ticks_at(elapsed)) + scale.cost(cells);
        }
        Decision::Admitted
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }
}
