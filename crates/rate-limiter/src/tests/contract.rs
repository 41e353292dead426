//! The limiters under the suite that judges every limiter, peers and exercises included.

use std::time::Duration;

use harness::contract::{Limiter, LimiterSpec, SteeredLimiter, Unsupported, Verdict};

use crate::{Decision, DirectLimiter, KeyedLimiter, ManualClock, Quota, Timestamp};

struct Direct(DirectLimiter<ManualClock>);
struct Keyed(KeyedLimiter<ManualClock>);

fn quota(spec: &LimiterSpec) -> Result<Quota, Unsupported> {
    Quota::new(spec.cells, spec.period)
        .and_then(|quota| quota.with_burst(spec.burst.into()))
        .map_err(|error| Unsupported(error.to_string()))
}

fn verdict(decision: Decision) -> Verdict {
    match decision {
        Decision::Admitted => Verdict::Admit,
        Decision::Denied(denial) => Verdict::Deny { retry_after: Some(denial.retry_after()) },
        Decision::Impossible { .. } => Verdict::TooLarge,
    }
}

impl Limiter for Direct {
    const NAME: &'static str = "rate-limiter";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(DirectLimiter::with_clock(quota(spec)?, ManualClock::default())))
    }

    fn check(&self, _: u64, cost: u32) -> Verdict {
        verdict(self.0.check_n(cost.into()))
    }
}

impl SteeredLimiter for Direct {
    fn check_at(&self, now: Duration, _: u64, cost: u32) -> Verdict {
        verdict(self.0.check_at(Timestamp::ZERO + now, cost.into()))
    }
}

impl Limiter for Keyed {
    const NAME: &'static str = "rate-limiter-keyed";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let builder = KeyedLimiter::builder(quota(spec)?, 1_000).clock(ManualClock::default());
        builder.build().map(Self).map_err(|error| Unsupported(error.to_string()))
    }

    fn check(&self, key: u64, cost: u32) -> Verdict {
        verdict(self.0.check_n(&key, cost.into()))
    }
}

impl SteeredLimiter for Keyed {
    fn check_at(&self, now: Duration, key: u64, cost: u32) -> Verdict {
        verdict(self.0.check_at(Timestamp::ZERO + now, &key, cost.into()))
    }
}

harness::limiter_suite!(direct, Direct);
harness::limiter_suite!(keyed, Keyed, keyed);
