//! governor: GCRA in one atomic word; keyed over `DashMap`.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use harness::contract::{
    Limiter, LimiterSpec, SteeredLimiter, Unsupported, Verdict, WaitingLimiter,
};

/// The quota as a user would write it: `per_second` where the period is one, else the interval.
fn quota(spec: &LimiterSpec) -> Result<Quota, Unsupported> {
    let burst = NonZeroU32::new(spec.burst).expect("a burst is never zero");
    let cells = u32::try_from(spec.cells).ok().and_then(NonZeroU32::new);
    let cells = cells.ok_or_else(|| Unsupported("at most 2^32 - 1 cells a period".to_owned()))?;
    let quota = if spec.period == Duration::from_secs(1) {
        Quota::per_second(cells)
    } else {
        let interval = spec.period / cells.get();
        Quota::with_period(interval)
            .ok_or_else(|| Unsupported("an interval below one nanosecond".to_owned()))?
    };
    Ok(quota.allow_burst(burst))
}

const ONE: NonZeroU32 = NonZeroU32::MIN;

fn cost_of(cost: u32) -> NonZeroU32 {
    NonZeroU32::new(cost).expect("a cost is never zero")
}

/// One bucket on quanta's clock, the default.
#[derive(Debug)]
pub struct Direct(DefaultDirectRateLimiter);

impl Limiter for Direct {
    const NAME: &'static str = "governor";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(RateLimiter::direct(quota(spec)?)))
    }

    #[inline(always)]
    fn check(&self, _: u64, cost: u32) -> Verdict {
        if cost_of(cost) == ONE {
            return admit_or_deny(self.0.check().is_ok());
        }
        match self.0.check_n(cost_of(cost)) {
            Ok(decision) => admit_or_deny(decision.is_ok()),
            Err(_) => Verdict::TooLarge,
        }
    }
}

/// One bucket that tasks wait for.
#[derive(Debug)]
pub struct Waiting(DefaultDirectRateLimiter);

impl WaitingLimiter for Waiting {
    const NAME: &'static str = "governor";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(RateLimiter::direct(quota(spec)?)))
    }

    async fn acquire(&self) {
        self.0.until_ready().await;
    }
}

/// A bucket for each key, in the default store.
#[derive(Debug)]
pub struct Keyed(DefaultKeyedRateLimiter<u64>);

impl Limiter for Keyed {
    const NAME: &'static str = "governor";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(RateLimiter::keyed(quota(spec)?)))
    }

    #[inline(always)]
    fn check(&self, key: u64, cost: u32) -> Verdict {
        if cost_of(cost) == ONE {
            return admit_or_deny(self.0.check_key(&key).is_ok());
        }
        match self.0.check_key_n(&key, cost_of(cost)) {
            Ok(decision) => admit_or_deny(decision.is_ok()),
            Err(_) => Verdict::TooLarge,
        }
    }
}

fn admit_or_deny(admitted: bool) -> Verdict {
    if admitted { Verdict::Admit } else { Verdict::Deny { retry_after: None } }
}

type FakeDirect = RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>;
type Nanos = <FakeRelativeClock as governor::clock::Clock>::Instant;

/// One bucket on its clock for tests, which moves forward only.
#[derive(Debug)]
pub struct Steered {
    limiter: FakeDirect,
    clock: FakeRelativeClock,
    /// What the clock shows.
    shown: Mutex<Duration>,
}

impl Limiter for Steered {
    const NAME: &'static str = "governor";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::direct_with_clock(quota(spec)?, clock.clone());
        Ok(Self { limiter, clock, shown: Mutex::new(Duration::ZERO) })
    }

    fn check(&self, _: u64, cost: u32) -> Verdict {
        use governor::clock::{Clock, Reference};
        match self.limiter.check_n(cost_of(cost)) {
            Ok(Ok(())) => Verdict::Admit,
            Ok(Err(not_until)) => {
                let wait = not_until.earliest_possible().duration_since(self.clock.now());
                Verdict::Deny { retry_after: Some(wait.into()) }
            }
            Err(_) => Verdict::TooLarge,
        }
    }
}

impl SteeredLimiter for Steered {
    fn check_at(&self, now: Duration, key: u64, cost: u32) -> Verdict {
        let mut shown = self.shown.lock().expect("no holder panics");
        if let Some(step) = now.checked_sub(*shown) {
            self.clock.advance(step);
            *shown = now;
        }
        self.check(key, cost)
    }
}
