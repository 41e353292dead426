//! Your limiters, in the shape in which the suite and the duel take every limiter.

use std::time::Duration;

use env::clock::{Clock, FastClock, Timestamp};
use harness::contract::{Limiter, LimiterSpec, SteeredLimiter, Unsupported, Verdict};

use crate::Limit;

/// A limiter of the exercise as one that is judged and compared.
#[derive(Debug)]
pub struct Judged<L> {
    limit: L,
    clock: FastClock,
    made_at: Timestamp,
}

impl<L: Limit> Limiter for Judged<L> {
    const NAME: &'static str = "yours";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let clock = FastClock::new();
        let made_at = clock.now();
        Ok(Self { limit: L::new(spec)?, clock, made_at })
    }

    #[inline(always)]
    fn check(&self, key: u64, cost: u32) -> Verdict {
        let now = self.clock.now().as_nanos().saturating_sub(self.made_at.as_nanos());
        self.limit.check(now, key, cost)
    }
}

impl<L: Limit> SteeredLimiter for Judged<L> {
    /// A moment beyond 584 years counts as the last one.
    fn check_at(&self, now: Duration, key: u64, cost: u32) -> Verdict {
        self.limit.check(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), key, cost)
    }
}
