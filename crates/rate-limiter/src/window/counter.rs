//! Sliding-window counter: this window's count and a share of the last one's.
//!
//! With the last window's count `p`, this window's `c`, the limit `L`, the length `W` and `e`
//! nanoseconds gone of this window, all whole numbers:
//!
//! ```text
//!   admit  iff  p * (W - e) + (c + cells) * W  <=  L * W
//! ```
//!
//! # Error bound
//!
//! The formula is kept exactly; it is the formula that estimates. It takes the last window for
//! evenly spread. Where all of it lay at its end, a stretch of one period sees up to `2 L - 1`; no
//! case exceeds that, since a stretch meets two windows with at most `L` each, and both in full
//! only at one instant. A sliding log has no such error and a memory that grows with `L`.
//!
//! # State
//!
//! The window's number (64 bits) and both counts (32 each) in one word, exchanged at once.

use env::clock::{Clock, FastClock, Timestamp};

use super::fixed::nanos;
use crate::decision::{Decision, Denial};
use crate::quota::{Quota, QuotaError};
use crate::single::settled_by_size;
use crate::sync::{AtomicU128, Ordering};

/// A limiter of one bucket that remembers two windows.
#[derive(Debug)]
pub struct SlidingCounter<C = FastClock> {
    state: AtomicU128,
    limit: u64,
    window_ns: u64,
    clock: C,
}

/// Most cells that a window can count.
const LIMIT_MAX: u64 = u32::MAX as u64;

/// What is counted.
#[derive(Clone, Copy, Debug)]
struct Counts {
    window: u64,
    /// Invariant: at most `LIMIT_MAX`.
    last: u64,
    /// Invariant: at most `LIMIT_MAX`.
    this: u64,
}

impl SlidingCounter<FastClock> {
    /// Empty windows on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Result<Self, QuotaError> {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> SlidingCounter<C> {
    /// Empty windows on `clock`, to whose origin they are aligned. A window counts at most
    /// 2^32 - 1 cells.
    pub fn with_clock(quota: Quota, clock: C) -> Result<Self, QuotaError> {
        let limit = quota.cells();
        if limit > LIMIT_MAX {
            return Err(QuotaError::WindowTooLarge { cells: limit });
        }
        let window_ns = nanos(quota.period());
        Ok(Self { state: AtomicU128::new(0), limit, window_ns, clock })
    }

    /// Takes one cell, now.
    pub fn check(&self) -> Decision {
        self.check_at(self.clock.now(), 1)
    }

    /// Takes `cells` cells, all or none, at `now`, a reading of this limiter's clock. Lock-free.
    pub fn check_at(&self, now: Timestamp, cells: u64) -> Decision {
        // Relaxed, here and below: the word publishes nothing but itself.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let (decision, new) = self.decide(seen, now, cells);
            if new == seen {
                return decision;
            }
            match self.state.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return decision,
                Err(found) => seen = found,
            }
        }
    }

    /// What a request for `cells` cells would be answered at `now`. Takes nothing.
    pub fn peek_at(&self, now: Timestamp, cells: u64) -> Decision {
        // Relaxed: as above.
        self.decide(self.state.load(Ordering::Relaxed), now, cells).0
    }

    /// Gives back cells that were taken in the window of `now` and not used, at most what it has
    /// counted; says how many. What was taken in the last window stays counted, since its share
    /// falls by itself. Lock-free.
    pub fn refund_at(&self, now: Timestamp, cells: u64) -> u64 {
        let window = now.as_nanos() / self.window_ns;
        // Relaxed, here and below: as above.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let counts = Counts::unpack(seen);
            let returned = if window == counts.window { cells.min(counts.this) } else { 0 };
            let new = Counts { this: counts.this - returned, ..counts }.pack();
            match self.state.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return returned,
                Err(found) => seen = found,
            }
        }
    }

    /// The answer to a request, and the state after it.
    fn decide(&self, state: u128, now: Timestamp, cells: u64) -> (Decision, u128) {
        if let Some(decision) = settled_by_size(self.limit, cells) {
            return (decision, state);
        }
        let window = now.as_nanos() / self.window_ns;
        let counts = Counts::unpack(state).seen_from(window);
        let gone = now.as_nanos() % self.window_ns;
        let offset = self.offset(counts.last, counts.this, cells);
        if counts.window > window || offset.is_none_or(|offset| offset > gone) {
            return (Decision::Denied(Denial::new(now, self.earliest(counts, cells))), state);
        }
        (Decision::Admitted, Counts { this: counts.this + cells, ..counts }.pack())
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// The first moment, from the start of `counts.window` on, at which `cells` fit.
    fn earliest(&self, counts: Counts, cells: u64) -> Timestamp {
        let Counts { window, last, this } = counts;
        let in_this = self.offset(last, this, cells).map(|offset| (window, offset));
        // In the next window, this one is the last and nothing is counted yet; in the one after
        // it, neither.
        let next = window.saturating_add(1);
        let in_next = || self.offset(this, 0, cells).map(|offset| (next, offset));
        let (window, offset) = in_this.or_else(in_next).unwrap_or((next.saturating_add(1), 0));
        let start = window.saturating_mul(self.window_ns);
        Timestamp::from_nanos(start.saturating_add(offset))
    }

    /// The first offset into a window at which `cells` fit; `None` where that is past its end.
    fn offset(&self, last: u64, this: u64, cells: u64) -> Option<u64> {
        let room = self.limit.checked_sub(this)?.checked_sub(cells)?;
        if last == 0 {
            return Some(0);
        }
        // last * (W - e) <= room * W.
        let share = u128::from(room) * u128::from(self.window_ns) / u128::from(last);
        let left = u64::try_from(share).unwrap_or(u64::MAX).min(self.window_ns);
        (left > 0).then(|| self.window_ns - left)
    }
}

impl Counts {
    /// The same counts, seen from a later window; from an earlier one, as they are.
    fn seen_from(self, window: u64) -> Self {
        match window.checked_sub(self.window) {
            None | Some(0) => self,
            Some(1) => Self { window, last: self.this, this: 0 },
            Some(_) => Self { window, last: 0, this: 0 },
        }
    }

    fn pack(self) -> u128 {
        u128::from(self.window) << 64 | u128::from(self.last) << 32 | u128::from(self.this)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is taken by itself")]
    fn unpack(state: u128) -> Self {
        let (last, this) = ((state >> 32) as u32, state as u32);
        Self { window: (state >> 64) as u64, last: last.into(), this: this.into() }
    }
}
