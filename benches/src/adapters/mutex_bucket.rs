//! The textbook token bucket: a lock around a number of tokens and the time of the last refill.
//!
//! Not a crate but what most people write first, and so a line that a reader can place the others
//! by. Its tokens are floating-point, as they usually are.

use std::sync::Mutex;

use harness::contract::{Limiter, LimiterSpec, Unsupported, Verdict};
use rate_limiter::{Clock, MonotonicClock, Timestamp};

/// One bucket behind a lock.
#[derive(Debug)]
pub struct Direct {
    bucket: Mutex<Bucket>,
    clock: MonotonicClock,
    tokens_per_ns: f64,
    tokens_max: f64,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    refilled_at: Timestamp,
}

impl Limiter for Direct {
    const NAME: &'static str = "mutex-bucket";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let clock = MonotonicClock::new();
        let tokens_max = f64::from(spec.burst);
        Ok(Self {
            bucket: Mutex::new(Bucket { tokens: tokens_max, refilled_at: clock.now() }),
            clock,
            tokens_per_ns: spec.cells as f64 / spec.period.as_nanos() as f64,
            tokens_max,
        })
    }

    #[inline(always)]
    fn check(&self, _: u64, cost: u32) -> Verdict {
        let mut bucket = self.bucket.lock().expect("no holder panics");
        let now = self.clock.now();
        let elapsed_ns = now.as_nanos().saturating_sub(bucket.refilled_at.as_nanos()) as f64;
        let refilled = bucket.tokens + elapsed_ns * self.tokens_per_ns;
        bucket.tokens = refilled.min(self.tokens_max);
        bucket.refilled_at = now;
        if bucket.tokens >= f64::from(cost) {
            bucket.tokens -= f64::from(cost);
            Verdict::Admit
        } else {
            Verdict::Deny { retry_after: None }
        }
    }
}
