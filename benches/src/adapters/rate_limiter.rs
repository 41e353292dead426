//! Ours.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use harness::contract::{
    Limiter, LimiterSpec, SteeredLimiter, Unsupported, Verdict, WaitingLimiter,
};
use rate_limiter::{
    Clock, Decision, DirectLimiter, FairLimiter, FastClock, KeyedLimiter, Lease, LeasedLimiter,
    ManualClock, Quota, Timestamp, TokioTimer, WhenFull,
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

/// One bucket that tasks wait for, in order.
#[derive(Debug)]
pub struct Waiting(FairLimiter<TokioTimer>);

impl WaitingLimiter for Waiting {
    const NAME: &'static str = "rate-limiter";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        Ok(Self(FairLimiter::new(quota(spec)?, TokioTimer)))
    }

    async fn acquire(&self) {
        self.0.acquire(1).await.expect("one cell fits into every burst");
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

/// Threads that a leased bucket serves.
const LEASES: usize = 2;

/// Cells that a thread takes at a time.
const LEASE_CELLS: u64 = 64;

/// One bucket of which each thread takes 64 cells at a time, out of the burst.
#[derive(Debug)]
pub struct Leased {
    /// A thread's own, locked once for thousands of checks.
    leases: [Mutex<Lease>; LEASES],
}

impl Leased {
    /// Leases for the threads of a line.
    pub fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let limiter = LeasedLimiter::new(quota(spec)?, LEASES as u64, LEASE_CELLS)
            .map_err(|error| Unsupported(error.to_string()))?;
        let lease = |_| Mutex::new(limiter.lease().expect("one for each thread"));
        Ok(Self { leases: std::array::from_fn(lease) })
    }

    /// How many of `requests` requests of `thread` are admitted.
    pub fn admitted(&self, thread: usize, requests: u64) -> u64 {
        let lease = &self.leases[thread % LEASES];
        let mut lease = lease.lock().unwrap_or_else(PoisonError::into_inner);
        (0..requests).map(|_| u64::from(lease.check().is_admitted())).sum()
    }
}

impl Keyed {
    /// How many of one request for each of `keys` are admitted.
    #[inline(always)]
    pub fn admitted_of(&self, keys: &[u64]) -> u64 {
        let mut admitted = 0;
        let now = self.0.clock().now();
        self.0.check_many_at(now, keys, |_, decision| {
            admitted += u64::from(decision.is_admitted());
        });
        admitted
    }
}

/// A bucket for each key, packed, with room for as many keys as will come: what they weigh.
#[derive(Debug)]
pub struct Fitting<const KEYS: usize>(KeyedLimiter<FastClock>);

impl<const KEYS: usize> Limiter for Fitting<KEYS> {
    const NAME: &'static str = "rate-limiter";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        // A key that finds no room is admitted, so that all contenders do the same work.
        let builder = KeyedLimiter::builder(quota(spec)?, KEYS).dense();
        let limiter = builder.when_full(WhenFull::Admit).build();
        limiter.map(Self).map_err(|error| Unsupported(error.to_string()))
    }

    #[inline(always)]
    fn check(&self, key: u64, cost: u32) -> Verdict {
        verdict(self.0.check_n(&key, cost.into()))
    }
}

/// A bucket of eight bytes for each key, with room for the million keys that will come.
#[derive(Debug)]
pub struct Compact(KeyedLimiter<FastClock>);

impl Limiter for Compact {
    const NAME: &'static str = "rate-limiter-compact";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let builder = KeyedLimiter::builder(quota(spec)?, 1_000_000).compact();
        let limiter = builder.when_full(WhenFull::Admit).build();
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
