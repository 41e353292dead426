//! leaky-bucket: a token bucket that refills by the interval, behind a lock.

use harness::contract::{Limiter, LimiterSpec, Unsupported, Verdict};
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
