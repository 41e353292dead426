//! ratelimit: a token bucket in two atomic words, refilled at each request.

use std::sync::Arc;
use std::time::Duration;

use harness::contract::{Limiter, LimiterSpec, SteeredLimiter, Unsupported, Verdict};
use rate_limiter::{Clock, ManualClock, Timestamp};
use ratelimit::{Builder, Ratelimiter, StdClock, TryWaitError};

fn build<C: ratelimit::Clock>(
    builder: Builder<C>,
    spec: &LimiterSpec,
) -> Result<Ratelimiter<C>, Unsupported> {
    builder
        .period(spec.period)
        .max_tokens(spec.burst.into())
        .initial_available(spec.burst.into())
        .build()
        .map_err(|error| Unsupported(error.to_string()))
}

#[inline(always)]
fn verdict(result: Result<(), TryWaitError>) -> Verdict {
    match result {
        Ok(()) => Verdict::Admit,
        Err(TryWaitError::Insufficient(wait)) => Verdict::Deny { retry_after: Some(wait) },
        Err(_) => Verdict::TooLarge,
    }
}

/// One bucket on `Instant`, the default.
#[derive(Debug)]
pub struct Direct(Ratelimiter<StdClock>);

impl Limiter for Direct {
    const NAME: &'static str = "ratelimit";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        build(Ratelimiter::builder(spec.cells), spec).map(Self)
    }

    #[inline(always)]
    fn check(&self, _: u64, cost: u32) -> Verdict {
        verdict(self.0.try_wait_n(cost.into()))
    }
}

/// Our manual clock as the peer wants it.
#[derive(Clone, Debug, Default)]
struct SharedClock(Arc<ManualClock>);

impl ratelimit::Clock for SharedClock {
    fn elapsed(&self) -> Duration {
        self.0.now().saturating_since(Timestamp::ZERO)
    }
}

/// One bucket on a clock that the suite sets.
#[derive(Debug)]
pub struct Steered {
    limiter: Ratelimiter<SharedClock>,
    clock: SharedClock,
}

impl Limiter for Steered {
    const NAME: &'static str = "ratelimit";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let clock = SharedClock::default();
        let limiter = build(Builder::with_clock(spec.cells, clock.clone()), spec)?;
        Ok(Self { limiter, clock })
    }

    fn check(&self, _: u64, cost: u32) -> Verdict {
        verdict(self.limiter.try_wait_n(cost.into()))
    }
}

impl SteeredLimiter for Steered {
    fn check_at(&self, now: Duration, key: u64, cost: u32) -> Verdict {
        self.clock.0.set(Timestamp::ZERO + now);
        self.check(key, cost)
    }
}
