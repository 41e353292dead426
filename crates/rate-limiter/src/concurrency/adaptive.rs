//! A concurrency limit that finds its own height.

mod partitions;

use std::sync::PoisonError;

use env::clock::{Clock, FastClock, Timestamp};

pub use partitions::{AdaptivePartitionPermit, AdaptivePartitions};

use super::rules::{LimitRule, Sample};
use super::{ConcurrencyLimit, Permit};
use crate::sync::{Arc, Mutex};

/// At most as many at once as `rule` thinks good. Clones share the limit.
///
/// ```
/// use rate_limiter::{AdaptiveLimit, Aimd};
///
/// let limit = AdaptiveLimit::new(Aimd::new(1, 100, 10));
/// let permit = limit.try_acquire().expect("ten fit");
/// permit.dropped(); // a timeout, a refusal: the limit goes down
/// assert_eq!(limit.limit(), 9);
/// ```
#[derive(Debug)]
pub struct AdaptiveLimit<R, C = FastClock> {
    limit: ConcurrencyLimit,
    steering: Arc<Steering<R, C>>,
}

/// What moves a limit.
#[derive(Debug)]
struct Steering<R, C> {
    rule: Mutex<R>,
    clock: C,
}

impl<R: LimitRule, C: Clock> Steering<R, C> {
    /// Shows the rule a request that ends now, and sets the limit that it makes of that.
    fn learn(&self, began: Timestamp, in_flight: u64, dropped: bool, set: impl FnOnce(u64)) {
        let round_trip = self.clock.now().saturating_since(began);
        // A rule is its user's: one that panicked is the caller's matter then, not everyone's.
        let mut rule = self.rule.lock().unwrap_or_else(PoisonError::into_inner);
        rule.update(&Sample { round_trip, in_flight, dropped });
        // Under the lock: of two limits the later one stays.
        set(rule.limit());
    }
}

/// The right to be in flight, with the moment at which it began.
///
/// Say how it ended: [`succeeded`](Self::succeeded) or [`dropped`](Self::dropped). A permit that is
/// simply dropped, as by a cancelled future or a bad request, ends without being a sample.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once limits nothing"]
pub struct AdaptivePermit<R: LimitRule, C: Clock = FastClock> {
    permit: Permit,
    of: AdaptiveLimit<R, C>,
    began: Timestamp,
    /// In flight when it began, itself included.
    in_flight: u64,
}

// Not derived: a clone shares rule and clock and need not clone them.
impl<R, C> Clone for AdaptiveLimit<R, C> {
    fn clone(&self) -> Self {
        Self { limit: self.limit.clone(), steering: Arc::clone(&self.steering) }
    }
}

impl<R: LimitRule> AdaptiveLimit<R, FastClock> {
    /// A limit on the machine's fastest sound clock.
    pub fn new(rule: R) -> Self {
        Self::with_clock(rule, FastClock::new())
    }
}

impl<R: LimitRule, C: Clock> AdaptiveLimit<R, C> {
    /// A limit that measures round trips on `clock`.
    pub fn with_clock(rule: R, clock: C) -> Self {
        let limit = ConcurrencyLimit::new(rule.limit());
        Self { limit, steering: Arc::new(Steering { rule: Mutex::new(rule), clock }) }
    }

    /// A permit, if one more fits.
    pub fn try_acquire(&self) -> Option<AdaptivePermit<R, C>> {
        let permit = self.limit.try_acquire(1)?;
        let in_flight = self.limit.in_flight();
        let began = self.steering.clock.now();
        Some(AdaptivePermit { permit, of: self.clone(), began, in_flight })
    }

    /// The limit at present.
    pub fn limit(&self) -> u64 {
        self.limit.limit()
    }

    /// Permits that are out.
    pub fn in_flight(&self) -> u64 {
        self.limit.in_flight()
    }
}

impl<R: LimitRule, C: Clock> AdaptivePermit<R, C> {
    /// Ends with success: the round trip is a sample.
    pub fn succeeded(self) {
        self.end(false);
    }

    /// Ends with a sign of overload: a timeout, a refusal further on. The round trip is none: a
    /// refusal is fast, and a limit that took it for a good answer would rise.
    pub fn dropped(self) {
        self.end(true);
    }

    fn end(self, dropped: bool) {
        let set = |limit| self.of.limit.set_limit(limit);
        self.of.steering.learn(self.began, self.in_flight, dropped, set);
        drop(self.permit);
    }
}
