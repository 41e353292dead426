//! Ours.

use std::time::Duration;

use harness::contract::{Limiter, LimiterSpec, SteeredLimiter, Unsupported, Verdict};
use rate_limiter::{
    Clock, Decision, DirectLimiter, FastClock, KeyedLimiter, ManualClock, Quota, Timestamp,
};

/// Keys that a keyed limiter has room for, twice what any line uses: a user does not know the
/// number of keys beforehand.
pub const KEYS_MAX: usize = 2_000_000;

fn quota(spec: &LimiterSpec) -> Result<Quota, Unsupported> {
    Quota::new(spec.cells, spec.period)
        .and_then(|quota| quota.with_burst(spec.burst.into()))
        .map_err(|error| Unsupported(error.to_string()))
}

#[inline(always)]
fn verdict(decision: Decision) -> Verdict {
    match decision {
        Decision::Admitted => Verdict::Admit,
        Decision::Denied(denial) => Verdict::Deny { retry_after: Some(denial.retry_after()) },
        Decision::Impossible { .. } => Verdict::TooLarge,
    }
}

/// One bucket on the machine's clock.
#[derive(Debug)]
pub struct Direct(DirectLimiter);

impl Limiter for Direct {
    const NAME: &'static str = "rate-limiter";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(DirectLimiter::new(quota(spec)?)))
    }

    #[inline(always)]
    fn check(&self, _: u64, cost: u32) -> Verdict {
        verdict(self.0.check_n(cost.into()))
    }
}

/// One bucket whose caller reads the clock once for 64 requests.
#[derive(Debug)]
pub struct GivenNow(DirectLimiter);

impl GivenNow {
    /// The clock that the caller reads.
    pub fn now(&self) -> Timestamp {
        self.0.clock().now()
    }

    /// One request at a moment that the caller has read before.
    #[inline(always)]
    pub fn check_given(&self, now: Timestamp) -> Verdict {
        verdict(self.0.check_at(now, 1))
    }
}

impl Limiter for GivenNow {
    const NAME: &'static str = "rate-limiter";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(DirectLimiter::new(quota(spec)?)))
    }

    #[inline(always)]
    fn check(&self, _: u64, cost: u32) -> Verdict {
        verdict(self.0.check_n(cost.into()))
    }
}

/// A bucket for each key, on the machine's clock.
#[derive(Debug)]
pub struct Keyed(KeyedLimiter<FastClock>);

impl Limiter for Keyed {
    const NAME: &'static str = "rate-limiter";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let limiter = KeyedLimiter::new(quota(spec)?, KEYS_MAX);
        limiter.map(Self).map_err(|error| Unsupported(error.to_string()))
    }

    #[inline(always)]
    fn check(&self, key: u64, cost: u32) -> Verdict {
        verdict(self.0.check_n(&key, cost.into()))
    }
}

/// A bucket for each key, with room for the million keys that will come: what they weigh.
#[derive(Debug)]
pub struct KeyedForAMillion(KeyedLimiter<FastClock>);

impl Limiter for KeyedForAMillion {
    const NAME: &'static str = "rate-limiter";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let limiter = KeyedLimiter::new(quota(spec)?, 1_000_000);
        limiter.map(Self).map_err(|error| Unsupported(error.to_string()))
    }

    #[inline(always)]
    fn check(&self, key: u64, cost: u32) -> Verdict {
        verdict(self.0.check_n(&key, cost.into()))
    }
}

/// One bucket on a clock that the suite sets.
#[derive(Debug)]
pub struct Steered(DirectLimiter<ManualClock>);

impl Limiter for Steered {
    const NAME: &'static str = "rate-limiter";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(DirectLimiter::with_clock(quota(spec)?, ManualClock::default())))
    }

    fn check(&self, _: u64, cost: u32) -> Verdict {
        verdict(self.0.check_n(cost.into()))
    }
}

impl SteeredLimiter for Steered {
    fn check_at(&self, now: Duration, _: u64, cost: u32) -> Verdict {
        verdict(self.0.check_at(Timestamp::ZERO + now, cost.into()))
    }
}
