//! How much fits into which windows, under a quota that may change.
//!
//! Windows have numbers, and a limiter keeps the number of the one that it counts. A number never
//! comes again: under another quota, the window of the moment of the change gets the one above all
//! that were used, and those after it follow:
//!
//! ```text
//!   windows of 4   | 0 | 1 | 2 |         of 6    |  3  |  4  |  5  |
//!                        change -^  first = 3    ^- skipped = 2: those of 6 before it
//! ```
//!
//! So no count that was read under one quota is exchanged under another.

use env::clock::Timestamp;

use crate::quota::Quota;
use crate::sync::{AtomicU64, Ordering};
use crate::versioned::Together;

/// The cells of a window, and which windows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) limit: u64,
    pub(super) window_ns: u64,
    /// The number of the first window.
    first: u64,
    /// Windows of this length that had passed on the clock when the rule came into force.
    skipped: u64,
}

impl Rule {
    pub(super) fn new(quota: &Quota) -> Self {
        Self { limit: quota.cells(), window_ns: nanos(quota), first: 0, skipped: 0 }
    }

    /// The rule from `now` on, where `counted` is the last number that was used.
    pub(super) fn followed_by(&self, quota: &Quota, now: Timestamp, counted: u64) -> Self {
        let first = counted.max(self.number(now)).saturating_add(1);
        let next = Self::new(quota);
        Self { first, skipped: now.as_nanos() / next.window_ns, ..next }
    }

    /// The number of the window of `now`; zero, which is below all that are counted, before the
    /// rule was in force.
    pub(super) fn number(&self, now: Timestamp) -> u64 {
        let window = (now.as_nanos() / self.window_ns).checked_sub(self.skipped);
        window.map_or(0, |window| self.first.saturating_add(window))
    }

    /// Nanoseconds that are gone of the window of `now`.
    pub(super) fn gone(&self, now: Timestamp) -> u64 {
        now.as_nanos() % self.window_ns
    }

    /// When a window of this rule begins, and `offset` nanoseconds later.
    pub(super) fn moment(&self, number: u64, offset: u64) -> Timestamp {
        let window = number.saturating_sub(self.first).saturating_add(self.skipped);
        let start = window.saturating_mul(self.window_ns);
        Timestamp::from_nanos(start.saturating_add(offset))
    }
}

impl Together for Rule {
    type Words = [AtomicU64; 4];

    fn keep(self) -> [AtomicU64; 4] {
        [self.limit, self.window_ns, self.first, self.skipped].map(AtomicU64::new)
    }

    #[inline(always)]
    fn acquire(words: &[AtomicU64; 4], _: u64) -> Self {
        // Acquire: see `Together`, here and below.
        let [limit, window_ns, first, skipped] =
            std::array::from_fn(|it| words[it].load(Ordering::Acquire));
        Self { limit, window_ns, first, skipped }
    }

    fn release(self, words: &[AtomicU64; 4]) {
        let values = [self.limit, self.window_ns, self.first, self.skipped];
        words.iter().zip(values).for_each(|(word, value)| word.store(value, Ordering::Release));
    }
}

/// The period of a quota in nanoseconds.
pub(super) fn nanos(quota: &Quota) -> u64 {
    u64::try_from(quota.period().as_nanos()).expect("a quota's period is at most 2^62 ns")
}
