//! Leaky bucket as a queue: the admitted leave one after the other, at the rate.
//!
//! The decision is that of the meter (GCRA): a request of `c` cells is admitted while the bucket
//! has room for it. What differs is when it may go. A meter lets it go at once; a queue lets it go
//! when all before it have drained:
//!
//! ```text
//!   full(t)  = theoretical arrival time: when all that was admitted has drained
//!   admit    iff  max(full, now) + c * interval <= now + burst * interval
//!   departs  at   max(full, now), rounded up to the nanosecond
//!   then     full = max(full, now) + c * interval
//! ```
//!
//! # Error bound
//!
//! Zero in the decisions; a departure is shown at most one nanosecond late, and the lateness does
//! not add up. Over any stretch `t`, departures cost at most `largest request + t * rate`.
//!
//! # What this module does not do
//!
//! It holds no requests: it says when each goes. [`FairLimiter`](crate::FairLimiter) also waits.

use env::clock::{Clock, FastClock, Timestamp};

use crate::decision::Decision;
use crate::live::{Carry, LiveBucket};
use crate::quota::Quota;
use crate::sync::Mutex;

/// A queue that drains at a rate.
///
/// ```
/// use rate_limiter::{LeakyQueue, ManualClock, Quota};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), rate_limiter::QuotaError> {
/// let quota = Quota::per_second(10)?.with_burst(3)?;
/// let queue = LeakyQueue::with_clock(quota, ManualClock::default());
/// let departures: Vec<_> = (0..3).filter_map(|_| queue.join().ok()).collect();
/// assert_eq!(departures[2].as_nanos(), 200_000_000);
/// assert!(queue.join().is_err(), "the queue is full");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LeakyQueue<C = FastClock> {
    bucket: LiveBucket,
    clock: C,
    /// Held while it changes.
    quota: Mutex<Quota>,
}

impl LeakyQueue<FastClock> {
    /// An empty queue of `burst` cells on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> LeakyQueue<C> {
    /// An empty queue of `burst` cells on `clock`.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        Self { bucket: LiveBucket::full(&quota, clock.now()), clock, quota: Mutex::new(quota) }
    }

    /// Takes the next place for one cell: when it departs, or why there is none.
    pub fn join(&self) -> Result<Timestamp, Decision> {
        self.join_at(self.clock.now(), 1)
    }

    /// Takes the next place for `cells` cells at `now`: when they depart, never before `now`; or
    /// [`Denied`](Decision::Denied) until there is room, or
    /// [`Impossible`](Decision::Impossible). Lock-free.
    pub fn join_at(&self, now: Timestamp, cells: u64) -> Result<Timestamp, Decision> {
        self.bucket.queue(now, cells)
    }

    /// When `cells` cells that joined at `now` would depart, or why they would not. Takes nothing.
    pub fn peek_at(&self, now: Timestamp, cells: u64) -> Result<Timestamp, Decision> {
        self.bucket.peek_queue(now, cells)
    }

    /// Keeps another quota from now on. Who has joined departs when it was told; what has not
    /// drained by now is carried over, as [`Carry`] says, and who joins from now on departs behind
    /// that. Where the new rate is higher, somebody may so depart before one who joined earlier.
    ///
    /// ```
    /// use rate_limiter::{Carry, LeakyQueue, ManualClock, Quota};
    ///
    /// # fn main() -> Result<(), rate_limiter::QuotaError> {
    /// let queue = LeakyQueue::with_clock(Quota::per_second(10)?, ManualClock::default());
    /// assert!((0..5).all(|_| queue.join().is_ok()));
    /// queue.set_quota(Quota::per_second(100)?, Carry::Fraction);
    /// // Half of it was taken and still is, of a queue that drains in one second as before.
    /// assert_eq!(queue.join().map(|at| at.as_nanos()), Ok(500_000_000));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&self, quota: Quota, carry: Carry) {
        let mut current = self.quota.lock().expect("no holder of this lock panics");
        self.bucket.change(self.clock.now(), &current, &quota, carry);
        *current = quota;
    }

    /// The quota that the queue keeps at present.
    pub fn quota(&self) -> Quota {
        *self.quota.lock().expect("no holder of this lock panics")
    }

    /// The clock that the queue reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }
}
