//! One bucket and a clock.
//!
//! [`DirectLimiter::check`] reads the clock and takes one cell. [`DirectLimiter::check_at`] leaves
//! the reading to the caller, who may share one reading among many checks: the reading costs as
//! much as everything else together.

use env::clock::{Clock, FastClock, Timestamp};

use crate::decision::{Decision, Standing};
use crate::live::{Carry, LiveBucket};
use crate::quota::Quota;
use crate::sync::Mutex;

/// A limiter of one bucket.
///
/// All methods take `&self`; share it by reference or in an `Arc`.
#[derive(Debug)]
pub struct DirectLimiter<C = FastClock> {
    bucket: LiveBucket,
    clock: C,
    /// Held while it changes.
    quota: Mutex<Quota>,
}

impl DirectLimiter<FastClock> {
    /// A limiter with a full bucket on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> DirectLimiter<C> {
    /// A limiter with a full bucket on `clock`.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        Self { bucket: LiveBucket::full(&quota, clock.now()), clock, quota: Mutex::new(quota) }
    }

    /// Takes one cell, now.
    ///
    /// Lock-free; one clock reading and at most one compare-and-swap when nobody contends.
    #[inline]
    pub fn check(&self) -> Decision {
        self.check_at(self.clock.now(), 1)
    }

    /// Takes `cells` cells, all or none, now.
    #[inline]
    pub fn check_n(&self, cells: u64) -> Decision {
        self.check_at(self.clock.now(), cells)
    }

    /// Takes `cells` cells, all or none, at `now`, a reading of this limiter's
    /// [`clock`](Self::clock).
    ///
    /// A reading that is older than one that another check used may deny what a fresh one would
    /// admit, never the reverse. A request of zero cells is admitted and takes nothing.
    #[inline]
    pub fn check_at(&self, now: Timestamp, cells: u64) -> Decision {
        self.bucket.check(now, cells)
    }

    /// What a request for `cells` cells would be answered at `now`. Takes nothing.
    ///
    /// ```
    /// use rate_limiter::{Clock, DirectLimiter, Quota};
    ///
    /// # fn main() -> Result<(), rate_limiter::QuotaError> {
    /// let limiter = DirectLimiter::new(Quota::per_hour(1)?);
    /// let now = limiter.clock().now();
    /// assert!(limiter.peek_at(now, 1).is_admitted());
    /// assert!(limiter.check_at(now, 1).is_admitted(), "the look took nothing");
    /// # Ok(())
    /// # }
    /// ```
    pub fn peek_at(&self, now: Timestamp, cells: u64) -> Decision {
        self.bucket.peek(now, cells)
    }

    /// What the bucket holds at `now`.
    pub fn standing_at(&self, now: Timestamp) -> Standing {
        self.bucket.standing(now)
    }

    /// Gives back `cells` cells that were taken and not used; a full bucket takes no more.
    ///
    /// The bucket cannot know whose cells they are. Over any stretch of time, what is admitted and
    /// not given back stays within the quota as long as the bucket was not full between a taking
    /// and its return; where it was, those cells had been replenished already, and giving them back
    /// admits as many again. Return at once what an earlier step took and a later one refused.
    pub fn refund(&self, cells: u64) {
        self.bucket.refund(cells);
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// Keeps another quota from now on.
    ///
    /// Checks go on meanwhile: each is decided wholly by the old quota or wholly by the new one,
    /// and what the bucket holds is carried over between them. Changes wait for each other.
    ///
    /// ```
    /// use rate_limiter::{Carry, DirectLimiter, Quota};
    /// use std::sync::Arc;
    ///
    /// # fn main() -> Result<(), rate_limiter::QuotaError> {
    /// let limiter = Arc::new(DirectLimiter::new(Quota::per_hour(10)?));
    /// assert!(limiter.check_n(5).is_admitted());
    /// limiter.set_quota(Quota::per_hour(100)?, Carry::Fraction);
    /// assert!(limiter.check_n(50).is_admitted(), "half of it was left");
    /// assert!(!limiter.check().is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&self, quota: Quota, carry: Carry) {
        let mut current = self.quota.lock().expect("no holder of this lock panics");
        self.bucket.change(self.clock.now(), &current, &quota, carry);
        *current = quota;
    }

    /// The quota that the limiter keeps at present.
    pub fn quota(&self) -> Quota {
        *self.quota.lock().expect("no holder of this lock panics")
    }
}
