//! A sound limiter in another form than the model's, and the same with one bug planted.
//!
//! Time is counted in ticks of `1 / cells` nanoseconds, a cell takes `period` ticks, and a bucket
//! is the tick at which it will be full (the theoretical arrival time of GCRA).

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::contract::{Limiter, LimiterSpec, SteeredLimiter, Unsupported, Verdict};

pub(super) const NOTHING: u8 = 0;
pub(super) const TRUNCATED_INTERVAL: u8 = 1;
pub(super) const BURST_PLUS_ONE: u8 = 2;
pub(super) const BURST_MINUS_ONE: u8 = 3;
pub(super) const BACKWARD_REFILL: u8 = 4;
pub(super) const BACKWARD_FREEZE: u8 = 5;
pub(super) const RACY: u8 = 6;
pub(super) const RETRY_TOO_SOON: u8 = 7;
pub(super) const RETRY_TOO_LATE: u8 = 8;
pub(super) const REMAINDER_LOST: u8 = 9;
pub(super) const WRAPS: u8 = 10;
pub(super) const PANICS_FAR: u8 = 11;
pub(super) const TOO_LARGE_DENIED: u8 = 12;
pub(super) const ONE_BUCKET: u8 = 13;
pub(super) const NO_WAITS: u8 = 14;
pub(super) const REFUSES: u8 = 15;

pub(super) type Sound = Planted<NOTHING>;

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// Tick at which the bucket is full.
    full_at: u128,
    /// Tick of the last request.
    last: u128,
}

pub(super) struct Planted<const BUG: u8> {
    cells: u128,
    /// Ticks that one cell takes.
    interval: u128,
    /// Ticks that an empty bucket takes.
    brim: u128,
    burst: u32,
    buckets: Mutex<HashMap<u64, Bucket>>,
}

impl<const BUG: u8> Limiter for Planted<BUG> {
    const NAME: &'static str = "planted";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        if BUG == REFUSES {
            return Err(Unsupported("every quota".to_owned()));
        }
        let cells = u128::from(spec.cells);
        let mut interval = spec.period.as_nanos();
        if matches!(BUG, TRUNCATED_INTERVAL | WRAPS) {
            interval = (interval / cells).max(1) * cells;
        }
        let mut burst = u128::from(spec.burst);
        match BUG {
            BURST_PLUS_ONE => burst += 1,
            BURST_MINUS_ONE => burst -= 1,
            _ => {}
        }
        let mut brim = interval * burst;
        if BUG == WRAPS {
            // In whole nanoseconds of 64 bits, as far as all but the last cell.
            let nanos = u64::try_from(interval / cells).unwrap();
            let tolerance = nanos.wrapping_mul(u64::from(spec.burst - 1));
            brim = u128::from(tolerance) * cells + interval;
        }
        let buckets = Mutex::default();
        Ok(Self { cells, interval, brim, burst: spec.burst, buckets })
    }

    fn check(&self, key: u64, cost: u32) -> Verdict {
        self.check_at(Duration::ZERO, key, cost)
    }
}

impl<const BUG: u8> Planted<BUG> {
    fn load(&self, key: u64) -> Bucket {
        self.buckets.lock().unwrap().get(&key).copied().unwrap_or_default()
    }

    fn decide(&self, mut bucket: Bucket, now: u128, cost: u32) -> (Verdict, Bucket) {
        match BUG {
            // "Time has passed", whichever way: the bucket is paid back by the distance.
            BACKWARD_REFILL if now < bucket.last => {
                bucket.full_at = bucket.full_at.saturating_sub(2 * (bucket.last - now));
            }
            BACKWARD_FREEZE if now < bucket.last => {
                bucket.full_at = bucket.full_at.max(bucket.last) + (bucket.last - now);
            }
            // Refills in thousandths of a cell and forgets what is left over.
            REMAINDER_LOST if now > bucket.last => {
                let passed = now - bucket.last;
                let grain = self.interval.div_ceil(1_000);
                bucket.full_at = bucket.full_at.max(bucket.last) + passed % grain;
            }
            _ => {}
        }
        bucket.last = now;
        let wanted = self.interval * u128::from(cost);
        let next = bucket.full_at.max(now) + wanted;
        if next <= now + self.brim {
            bucket.full_at = next;
            return (Verdict::Admit, bucket);
        }
        let nanos = (next - now - self.brim).div_ceil(self.cells);
        let nanos = match BUG {
            RETRY_TOO_SOON => nanos - 1,
            RETRY_TOO_LATE => nanos + 1,
            _ => nanos,
        };
        let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        (Verdict::Deny { retry_after: (BUG != NO_WAITS).then_some(wait) }, bucket)
    }
}

impl<const BUG: u8> SteeredLimiter for Planted<BUG> {
    fn check_at(&self, now: Duration, key: u64, cost: u32) -> Verdict {
        if cost > self.burst {
            let silent = Verdict::Deny { retry_after: None };
            return if BUG == TOO_LARGE_DENIED { silent } else { Verdict::TooLarge };
        }
        let key = if BUG == ONE_BUCKET { 0 } else { key };
        if BUG == PANICS_FAR {
            let nanos = u64::try_from(now.as_nanos()).unwrap();
            let interval = u64::try_from(self.interval / self.cells).unwrap();
            assert!(nanos.checked_add(interval).is_some(), "attempt to add with overflow");
        }
        let now = now.as_nanos().saturating_mul(self.cells).min(u128::MAX >> 1);
        if BUG == RACY {
            let (verdict, bucket) = self.decide(self.load(key), now, cost);
            thread::yield_now();
            self.buckets.lock().unwrap().insert(key, bucket);
            return verdict;
        }
        let mut buckets = self.buckets.lock().unwrap();
        let bucket = buckets.entry(key).or_default();
        let (verdict, next) = self.decide(*bucket, now, cost);
        *bucket = next;
        verdict
    }
}
