//! Rate limiters.

use std::time::Duration;

use super::Unsupported;

/// What a limiter is asked to keep: `cells` in each `period` in the long run, `burst` at once.
///
/// A bucket starts full: `burst` cells are admitted at the first moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimiterSpec {
    /// Cells that each period replenishes. Never zero.
    pub cells: u64,
    /// The period. Never zero.
    pub period: Duration,
    /// Cells that a full bucket holds. Never zero.
    pub burst: u32,
}

/// What a limiter said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cells were taken.
    Admit,
    /// Nothing was taken. `retry_after`, where the limiter tells it, is the time until the same
    /// request would be admitted if nobody else asked.
    Deny {
        /// `None` where the limiter does not tell.
        retry_after: Option<Duration>,
    },
    /// Nothing was taken, and the same request can never be admitted: it exceeds the burst.
    TooLarge,
}

impl Verdict {
    /// Whether the cells were taken.
    pub const fn is_admit(self) -> bool {
        matches!(self, Self::Admit)
    }
}

/// A rate limiter on a clock of its own.
pub trait Limiter: Send + Sync + Sized {
    /// Stable name: the package name, with a suffix for a variant.
    const NAME: &'static str;

    /// A limiter whose buckets are all full, or why this limiter cannot keep `spec`.
    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported>;

    /// Takes `cost` cells from the bucket of `key`, or says why not. A limiter of one bucket
    /// ignores the key. `cost` is never zero.
    fn check(&self, key: u64, cost: u32) -> Verdict;
}

/// A rate limiter whose clock the caller can set, which is what makes it checkable.
pub trait SteeredLimiter: Limiter {
    /// As [`Limiter::check`], at `now` after the limiter was made. `now` may be smaller than in
    /// an earlier call.
    fn check_at(&self, now: Duration, key: u64, cost: u32) -> Verdict;
}

/// A rate limiter that lets a task wait for its turn, within a runtime of tokio's.
pub trait WaitingLimiter: Sized {
    /// Stable name: the package name, with a suffix for a variant.
    const NAME: &'static str;

    /// A limiter whose bucket is full, or why this limiter cannot keep `spec`.
    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported>;

    /// Waits until a cell was taken.
    fn acquire(&self) -> impl Future<Output = ()>;
}
