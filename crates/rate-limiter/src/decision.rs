//! What a limiter answers.

use std::time::Duration;

use env::clock::Timestamp;

/// The answer to a request for some cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a denied request must not be served"]
pub enum Decision {
    /// The cells were taken.
    Admitted,
    /// Nothing was taken: the bucket does not hold as many cells now.
    Denied(Denial),
    /// Nothing was taken, and never will be: the request is larger than a full bucket.
    Impossible {
        /// The largest request that can be admitted.
        burst: u64,
    },
}

impl Decision {
    /// Whether the cells were taken.
    #[inline]
    pub const fn is_admitted(self) -> bool {
        matches!(self, Self::Admitted)
    }
}

/// What a bucket holds at one moment: for a look that takes nothing, and for response fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub(crate) burst: u64,
    pub(crate) remaining: u64,
    pub(crate) full_at: Timestamp,
    pub(crate) asked_at: Timestamp,
    pub(crate) fill_ns: u64,
}

impl Standing {
    /// Cells that a full bucket holds.
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// Whole cells that could be taken at once.
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The first moment, on the limiter's clock, at which the bucket is full again if nobody asks.
    pub const fn full_at(&self) -> Timestamp {
        self.full_at
    }

    /// How long that takes from the moment of the look.
    pub const fn full_after(&self) -> Duration {
        self.full_at.saturating_since(self.asked_at)
    }

    /// How long an empty bucket takes to be full.
    pub const fn fill_time(&self) -> Duration {
        Duration::from_nanos(self.fill_ns)
    }
}

/// When a denied request would be admitted, if nobody else asked before.
///
/// Exact to the nanosecond: at [`retry_at`](Self::retry_at) the request is admitted, one
/// nanosecond earlier it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Invariant: `asked_at < retry_at`, unless the clock is at its end.
    pub(crate) retry_at: Timestamp,
    pub(crate) asked_at: Timestamp,
}

impl Denial {
    /// A denial that ends at `retry_at`.
    pub(crate) const fn new(asked_at: Timestamp, retry_at: Timestamp) -> Self {
        Self { retry_at, asked_at }
    }

    /// The first moment, on the limiter's clock, at which the request would be admitted.
    /// [`Timestamp::MAX`] where that lies beyond the clock's range.
    pub const fn retry_at(&self) -> Timestamp {
        self.retry_at
    }

    /// How long to wait from the moment of the check.
    pub const fn retry_after(&self) -> Duration {
        self.retry_at.saturating_since(self.asked_at)
    }
}
