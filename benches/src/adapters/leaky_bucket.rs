//! leaky-bucket: a token bucket that refills by the interval, behind a lock.

use harness::contract::{Limiter, LimiterSpec, Unsupported, Verdict, WaitingLimiter};
use leaky_bucket::RateLimiter;

/// One bucket on tokio's clock. It tells no time to wait.
#[derive(Debug)]
pub struct Direct(RateLimiter);

impl Limiter for Direct {
    const NAME: &'static str = "leaky-bucket";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let fits = |cells: u64| usize::try_from(cells).expect("64-bit targets only");
        let limiter = RateLimiter::builder()
            .max(fits(spec.burst.into()))
            .initial(fits(spec.burst.into()))
            .refill(fits(spec.cells))
            .interval(spec.period)
            .build();
        Ok(Self(limiter))
    }

    #[inline(always)]
    fn check(&self, _: u64, cost: u32) -> Verdict {
        if self.0.try_acquire(cost as usize) {
            Verdict::Admit
        } else {
            Verdict::Deny { retry_after: None }
        }
    }
}

/// One bucket that tasks wait for. It is refilled a cell at a time, so that cells come evenly.
#[derive(Debug)]
pub struct Waiting(RateLimiter);

impl WaitingLimiter for Waiting {
    const NAME: &'static str = "leaky-bucket";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let few = u32::try_from(spec.cells);
        let cells = few.map_err(|_| Unsupported("fewer than 2^32 cells a period".to_owned()))?;
        let limiter = RateLimiter::builder()
            .max(spec.burst as usize)
            .initial(spec.burst as usize)
            .refill(1)
            .interval(spec.period / cells)
            .build();
        Ok(Self(limiter))
    }

    async fn acquire(&self) {
        self.0.acquire(1).await;
    }
}
