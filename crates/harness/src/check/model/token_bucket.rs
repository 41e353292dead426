//! A rate limiter whose callers say what time it is.
//!
//! The bucket is kept the way the *generic cell rate algorithm* keeps it (ITU-T I.371, virtual
//! scheduling): one number, the moment at which the bucket will be full again. It is exact, because
//! time is counted in units of `1 / cells` nanoseconds: a cell then takes `period` units to return,
//! a whole number, and nothing is ever rounded.
//!
//! ```text
//!        now                        full_at
//!   ------|---------------------------|------------------|----> time
//!         |<- what is missing of it ->|<-- this request ->|
//!         |<------------- at most one burst ------------->|     else: deny
//! ```
//!
//! Concurrent callers may read the clock in one order and reach the bucket in another; a request
//! with an older `now` then finds the bucket as empty as it will have been, and nothing special
//! happens.

use std::time::Duration;

use super::Model;
use crate::contract::LimiterSpec;

/// The bucket of one key, at first full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenBucket {
    spec: LimiterSpec,
    /// When the bucket will be full again, in units of `1 / spec.cells` nanoseconds.
    full_at: u128,
}

/// Takes cells from the bucket of a key. The answer is whether they were there; if not, none is
/// taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketOp {
    /// Which bucket.
    pub key: u64,
    /// When, on the clock of the test.
    pub now: Duration,
    /// How many cells. Never zero.
    pub cost: u32,
}

impl TokenBucket {
    /// A full bucket.
    ///
    /// Panics where the specification allows nothing at all.
    pub fn new(spec: LimiterSpec) -> Self {
        assert!(spec.cells > 0, "a limiter needs cells, got {spec:?}");
        assert!(!spec.period.is_zero(), "a limiter needs a period, got {spec:?}");
        assert!(spec.burst > 0, "a limiter needs a burst, got {spec:?}");
        Self { spec, full_at: 0 }
    }
}

impl Model for TokenBucket {
    type Op = BucketOp;
    type Ret = bool;
    type Key = u64;

    fn key(op: &BucketOp) -> u64 {
        op.key
    }

    /// Cannot overflow while `now` and `period` are below 2^63 ns (292 years): the products of a
    /// `u64` and a number below 2^63 sum to less than 2^128.
    fn apply(&mut self, op: &BucketOp) -> bool {
        let cell = self.spec.period.as_nanos();
        let now = op.now.as_nanos() * u128::from(self.spec.cells);
        let full_at = self.full_at.max(now) + cell * u128::from(op.cost);
        let admitted = full_at <= now + cell * u128::from(self.spec.burst);
        if admitted {
            self.full_at = full_at;
        }
        admitted
    }

    fn is_observation(_op: &BucketOp, admitted: &bool) -> bool {
        !admitted
    }
}
