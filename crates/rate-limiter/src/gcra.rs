//! The generic cell rate algorithm, as a pure function.
//!
//! A bucket is one number, the *theoretical arrival time* (TAT): the moment at which it is full
//! again. A bucket whose TAT has passed is full, whatever the number says. Taking a cell moves the
//! TAT one interval into the future; the request conforms while the TAT stays within the
//! tolerance (burst times interval) of the present:
//!
//! ```text
//!        now                          now + tolerance
//!   ------|-------------------|--------------|-------------> ticks
//!                     max(TAT, now)
//!                             |---- cost ----|
//!                                         new TAT
//!
//!   admitted while new TAT <= now + tolerance
//! ```
//!
//! This is the virtual scheduling form of the algorithm, ITU-T I.371 (2004), annex A, and equal,
//! decision for decision, to a token bucket of the same rate and burst. The error bound is zero:
//! all quantities are whole numbers of ticks (see `quota`).
//!
//! # Overflow
//!
//! The largest number that is formed is `max(TAT, now) + cost`. A TAT is at most the largest
//! `now` plus the tolerance, and a cost at most the tolerance, so that the invariant of
//! [`Scale`](crate::quota::Scale) covers it.

use std::fmt;
use std::hint::cold_path;
use std::ops::{Add, Div, Mul, Sub};

use crate::quota::Scale;
use crate::setting::Shared;
use crate::sync::AtomicU64;

/// An unsigned number of ticks: `u64` where that suffices, `u128` elsewhere.
pub(crate) trait Word:
    Copy
    + Ord
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + From<u64>
    + TryInto<u64>
    + Into<u128>
    + TryFrom<u128>
    + Send
    + Sync
    + fmt::Debug
{
    /// Where such a word is kept that may change while others read it.
    type Shared: Shared<Self>;

    /// The word's largest value, which no TAT ever takes.
    const MARK: Self;
    /// A TAT that has passed at every moment.
    const ZERO: Self;
    /// One tick.
    const ONE: Self;

    /// The sum; `None` where it does not fit.
    fn checked_add(self, other: Self) -> Option<Self>;

    /// The product; `None` where it does not fit.
    fn checked_mul(self, other: Self) -> Option<Self>;
}

impl Word for u64 {
    type Shared = AtomicU64;

    const MARK: Self = Self::MAX;
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn checked_add(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    fn checked_mul(self, other: Self) -> Option<Self> {
        self.checked_mul(other)
    }
}

impl Word for u128 {
    type Shared = [AtomicU64; 2];

    const MARK: Self = Self::MAX;
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn checked_add(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    fn checked_mul(self, other: Self) -> Option<Self> {
        self.checked_mul(other)
    }
}

/// What one request does to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<W> {
    /// It conforms, and this is the bucket's new TAT.
    Admit(W),
    /// It does not, and this is the first tick at which it would.
    Deny(W),
}

/// Decides a request of `cost` ticks on a bucket with theoretical arrival time `tat`.
#[inline(always)]
pub(crate) fn step<W: Word>(scale: &Scale<W>, tat: W, now: W, cost: W) -> Step<W> {
    let new_tat = tat.max(now) + cost;
    if new_tat <= now + scale.tolerance {
        Step::Admit(new_tat)
    } else {
        // Only a TAT in the future denies, so that `new_tat` exceeds the tolerance.
        Step::Deny(new_tat - scale.tolerance)
    }
}

/// Ticks that a bucket misses to be full at `now`.
#[inline]
pub(crate) fn debt<W: Word>(tat: W, now: W) -> W {
    tat.max(now) - now
}

impl<W: Word> Scale<W> {
    /// The tick at which a clock stands that shows `elapsed_ns` since its origin.
    ///
    /// The end of the clock is a branch that the processor foresees, not a choice that it waits
    /// for: a check lasts as long as the way from the clock to the exchange.
    #[inline(always)]
    pub(crate) fn ticks_at(&self, elapsed_ns: u64) -> W {
        let nanos = if elapsed_ns <= self.elapsed_ns_max {
            elapsed_ns
        } else {
            cold_path();
            self.elapsed_ns_max
        };
        W::from(nanos) * self.ticks_per_ns
    }

    /// Ticks from the origin to the farthest TAT that fits for sure: of an empty bucket at the end
    /// of the clock.
    pub(crate) fn reach(&self) -> W {
        self.ticks_at(u64::MAX) + self.tolerance
    }

    /// Ticks that `cells` take. The caller has compared them with the burst.
    #[inline(always)]
    pub(crate) fn cost(&self, cells: u64) -> W {
        debug_assert!(cells <= self.burst, "{cells} cells exceed the burst of {}", self.burst);
        W::from(cells) * self.ticks_per_cell
    }

    /// Whole cells that a bucket holds at `now`.
    #[inline]
    pub(crate) fn remaining(&self, tat: W, now: W) -> u64 {
        let stored = self.tolerance - debt(tat, now).min(self.tolerance);
        (stored / self.ticks_per_cell).try_into().unwrap_or(u64::MAX)
    }

    /// The first nanosecond since the origin that is not before `tick`.
    #[inline]
    pub(crate) fn nanos_at(&self, tick: W) -> u64 {
        // Most quotas have whole nanoseconds, and a division is the dearest part of a denial.
        if self.ticks_per_ns == W::ONE {
            return tick.try_into().unwrap_or(u64::MAX);
        }
        let nanos = tick / self.ticks_per_ns;
        // Rounded up afterwards: before, the last ticks of a word would not fit it.
        let begun = u64::from(nanos * self.ticks_per_ns < tick);
        nanos.try_into().map_or(u64::MAX, |nanos: u64| nanos.saturating_add(begun))
    }

    /// As [`nanos_at`](Self::nanos_at); the end of time where the clock never comes there: a narrow
    /// bucket's stands still before, and nothing happens from then on.
    #[inline]
    pub(crate) fn moment_ns(&self, tick: W) -> u64 {
        let nanos = self.nanos_at(tick);
        if nanos > self.elapsed_ns_max { u64::MAX } else { nanos }
    }
}

#[cfg(test)]
mod tests;
