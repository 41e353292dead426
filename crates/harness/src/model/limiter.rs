//! What a rate limiter must answer, in exact arithmetic: the definition, not an approximation.
//!
//! A quota is `cells` in each `period` with a `burst`. The bucket is described by its *debt*, the
//! cells that it misses to be full. To stay with whole numbers the debt is counted in parts of
//! which a cell has `P`, where `P` is the period in nanoseconds; then one nanosecond pays back
//! exactly `cells` parts, whatever the quota:
//!
//! ```text
//!   debt(t)        = max(0, debt(s) - cells * (t - s))           s: moment of the last request
//!   admit cost     iff debt(t) + cost * P <= burst * P           then debt += cost * P
//!   retry_after    = ceil((debt(t) + cost * P - burst * P) / cells)   nanoseconds
//! ```
//!
//! Every quantity fits into 128 bits: a period has less than 2^94 nanoseconds and a burst less than
//! 2^32 cells, so no debt exceeds 2^127. Products with a time span saturate, far beyond any debt.
//!
//! # A clock that goes backwards
//!
//! At a moment before `s` the bucket owes what it must have owed then in order to owe `debt(s)` at
//! `s`: `debt(s) + cells * (s - t)`. So a step back by `d` denies for at most `d` longer and never
//! admits anything twice. A limiter may also treat such a moment as if it were `s`, which admits
//! more but still never too much; [`ExactBucket::most_lenient`] is that upper bound.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use env::clock::{Clock, MonotonicClock, Timestamp};

use crate::contract::{Limiter, LimiterSpec, SteeredLimiter, Unsupported, Verdict};

/// One bucket, exact to the nanosecond and to the fraction of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExactBucket {
    /// Parts that a nanosecond pays back.
    cells: u128,
    /// Parts of a cell: nanoseconds of the period.
    parts: u128,
    /// Parts of a full bucket.
    capacity: u128,
    /// Parts that were missing at `latest`.
    ///
    /// Invariant: at most `capacity`, unless [`ExactBucket::follow`] took more than there was.
    debt: u128,
    /// Nanoseconds at the latest moment of a request that could be decided.
    latest: u128,
}

impl ExactBucket {
    /// A full bucket.
    ///
    /// Panics when a number of `spec` is zero.
    pub fn new(spec: &LimiterSpec) -> Self {
        let parts = spec.period.as_nanos();
        assert!(
            spec.cells > 0 && parts > 0 && spec.burst > 0,
            "a quota of nothing has no meaning: {spec:?}"
        );
        let capacity = u128::from(spec.burst) * parts;
        Self { cells: u128::from(spec.cells), parts, capacity, debt: 0, latest: 0 }
    }

    /// What a request for `cost` cells at `now` is to be answered. Changes nothing.
    pub fn verdict(&self, now: Duration, cost: u32) -> Verdict {
        let wanted = u128::from(cost) * self.parts;
        if wanted > self.capacity {
            return Verdict::TooLarge;
        }
        let missing = self.debt_at(now).saturating_add(wanted).saturating_sub(self.capacity);
        if missing == 0 {
            Verdict::Admit
        } else {
            Verdict::Deny { retry_after: Some(duration(missing.div_ceil(self.cells))) }
        }
    }

    /// The verdict at `now`, or at the latest moment that was seen where `now` lies before it: the
    /// most that any limiter may admit.
    pub fn most_lenient(&self, now: Duration, cost: u32) -> Verdict {
        self.verdict(now.max(duration(self.latest)), cost)
    }

    /// Decides a request and takes the cells where it is admitted.
    pub fn check(&mut self, now: Duration, cost: u32) -> Verdict {
        let verdict = self.verdict(now, cost);
        self.follow(now, cost, verdict);
        verdict
    }

    /// Takes over what a limiter answered, right or wrong, so that its next answer can be judged
    /// by its own past.
    pub fn follow(&mut self, now: Duration, cost: u32, verdict: Verdict) {
        match verdict {
            Verdict::Admit => self.record(now, cost),
            Verdict::Deny { .. } => self.record(now, 0),
            // Says nothing about the bucket, and so nothing about the moment either.
            Verdict::TooLarge => {}
        }
    }

    /// Takes `cost` cells at `now`, whether they are there or not.
    fn record(&mut self, now: Duration, cost: u32) {
        let nanos = now.as_nanos();
        if nanos > self.latest {
            self.debt = self.debt_at(now);
            self.latest = nanos;
        }
        self.debt = self.debt.saturating_add(u128::from(cost) * self.parts);
    }

    /// Whole cells that could be taken at `now`.
    pub fn available(&self, now: Duration) -> u32 {
        let left = self.capacity.saturating_sub(self.debt_at(now));
        u32::try_from(left / self.parts).expect("at most the burst")
    }

    fn debt_at(&self, now: Duration) -> u128 {
        let nanos = now.as_nanos();
        if nanos >= self.latest {
            let paid = self.cells.saturating_mul(nanos - self.latest);
            self.debt.saturating_sub(paid)
        } else {
            let owed_before = self.cells.saturating_mul(self.latest - nanos);
            self.debt.saturating_add(owed_before)
        }
    }
}

/// Saturates at the longest duration, 584 billion years.
fn duration(nanos: u128) -> Duration {
    const NANOS_PER_SECOND: u128 = 1_000_000_000;
    let Ok(seconds) = u64::try_from(nanos / NANOS_PER_SECOND) else {
        return Duration::MAX;
    };
    let rest = u32::try_from(nanos % NANOS_PER_SECOND).expect("below a second");
    Duration::new(seconds, rest)
}

/// One [`ExactBucket`] a key, all behind one lock.
#[derive(Debug)]
pub struct ModelLimiter {
    spec: LimiterSpec,
    buckets: Mutex<HashMap<u64, ExactBucket>>,
    clock: MonotonicClock,
    made_at: Timestamp,
}

impl Limiter for ModelLimiter {
    const NAME: &'static str = "model";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let clock = MonotonicClock::new();
        let made_at = clock.now();
        Ok(Self { spec: *spec, buckets: Mutex::default(), clock, made_at })
    }

    fn check(&self, key: u64, cost: u32) -> Verdict {
        self.check_at(self.clock.now().saturating_since(self.made_at), key, cost)
    }
}

impl SteeredLimiter for ModelLimiter {
    fn check_at(&self, now: Duration, key: u64, cost: u32) -> Verdict {
        // A poisoned lock guards a valid state: nothing in the critical section panics half-way.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.entry(key).or_insert_with(|| ExactBucket::new(&self.spec)).check(now, cost)
    }
}
