//! One bucket whose quota may change while it is in use.
//!
//! A change converts the debt of the bucket (what it misses to be full) from the ticks of the old
//! quota to those of the new one, as [`Carry`] says. The result is rounded up to a tick, so that a
//! change never gives a cell away:
//!
//! ```text
//!   Fraction   debt' = ceil(debt * tolerance' / tolerance)      a half full bucket stays half full
//!   Cells      stored' = floor(stored * interval' / interval)    as many cells, at most the burst
//!   Full       debt' = 0
//! ```
//!
//! # How
//!
//! Quota and bucket lie behind a reader-writer lock. Checks read, and run side by side; only a
//! change writes. Two words cannot be exchanged at once, and a check that saw the old rate must not
//! write into the new bucket: a lock says so in one line. It costs a check about as much again as
//! the bucket, which is why [`DirectLimiter`](crate::DirectLimiter) has none.
//!
//! # What this module does not do
//!
//! A change believes the clock: if the clock has jumped back at that moment, the bucket forgets by
//! how far.

use env::clock::{Clock, FastClock, Timestamp};

use crate::decision::{Decision, Standing};
use crate::quota::{Quota, Scale};
use crate::ratio::{mul_div, mul_div_ceil};
use crate::single::Bucket;
use crate::sync::RwLock;

/// What becomes of the cells in a bucket when its quota changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carry {
    /// A bucket that was half full stays half full.
    #[default]
    Fraction,
    /// A bucket keeps its cells, as many as the new burst has room for.
    Cells,
    /// A bucket is full.
    Full,
}

/// A limiter of one bucket whose quota may change while it is in use.
///
/// ```
/// use rate_limiter::{Carry, LiveLimiter, Quota};
///
/// # fn main() -> Result<(), rate_limiter::QuotaError> {
/// let limiter = LiveLimiter::new(Quota::per_hour(10)?);
/// assert!(limiter.check_n(5).is_admitted());
/// limiter.set_quota(Quota::per_hour(100)?, Carry::Fraction);
/// assert!(limiter.check_n(50).is_admitted(), "half of it was left");
/// assert!(!limiter.check().is_admitted());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LiveLimiter<C = FastClock> {
    setting: RwLock<Setting>,
    clock: C,
}

#[derive(Debug)]
struct Setting {
    quota: Quota,
    bucket: Bucket,
}

impl LiveLimiter<FastClock> {
    /// A limiter with a full bucket on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> LiveLimiter<C> {
    /// A limiter with a full bucket on `clock`.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        let bucket = Bucket::full(&quota, clock.now());
        Self { setting: RwLock::new(Setting { quota, bucket }), clock }
    }

    /// Takes one cell, now.
    pub fn check(&self) -> Decision {
        self.check_at(self.clock.now(), 1)
    }

    /// Takes `cells` cells, all or none, now.
    pub fn check_n(&self, cells: u64) -> Decision {
        self.check_at(self.clock.now(), cells)
    }

    /// Takes `cells` cells, all or none, at `now`, a reading of this limiter's clock.
    pub fn check_at(&self, now: Timestamp, cells: u64) -> Decision {
        self.read(|setting| setting.bucket.check(now, cells))
    }

    /// What a request for `cells` cells would be answered at `now`. Takes nothing.
    pub fn peek_at(&self, now: Timestamp, cells: u64) -> Decision {
        self.read(|setting| setting.bucket.peek(now, cells))
    }

    /// What the bucket holds at `now`.
    pub fn standing_at(&self, now: Timestamp) -> Standing {
        self.read(|setting| setting.bucket.standing(now))
    }

    /// Gives back `cells` cells; see [`DirectLimiter::refund`](crate::DirectLimiter::refund).
    pub fn refund(&self, cells: u64) {
        self.read(|setting| setting.bucket.refund(cells));
    }

    /// Keeps another quota from now on.
    pub fn set_quota(&self, quota: Quota, carry: Carry) {
        let mut setting = self.setting.write().expect("no holder of this lock panics");
        let now = self.clock.now();
        let debt = carried(carry, &setting.quota, &quota, setting.bucket.debt(now));
        *setting = Setting { quota, bucket: Bucket::with_debt(&quota, now, debt) };
    }

    /// The quota that is kept at present.
    pub fn quota(&self) -> Quota {
        self.read(|setting| setting.quota)
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    fn read<R>(&self, does: impl FnOnce(&Setting) -> R) -> R {
        does(&self.setting.read().expect("no holder of this lock panics"))
    }
}

/// A debt in ticks of the old quota as one in ticks of the new.
pub(crate) fn carried(carry: Carry, old: &Quota, new: &Quota, debt: u128) -> u128 {
    // A narrow bucket has the same ticks, in a narrower word.
    let (old, new) = (Scale::wide(old), Scale::wide(new));
    let debt = debt.min(old.tolerance);
    match carry {
        Carry::Fraction => mul_div_ceil(debt, new.tolerance, old.tolerance),
        Carry::Cells => {
            let stored = mul_div(old.tolerance - debt, new.ticks_per_cell, old.ticks_per_cell);
            new.tolerance - stored.min(new.tolerance)
        }
        Carry::Full => 0,
    }
}

#[cfg(test)]
mod tests;
