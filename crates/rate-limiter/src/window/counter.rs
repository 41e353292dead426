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

use super::rule::Rule;
use super::shared::{Counted, Counter};
use crate::decision::{Decision, Denial};
use crate::quota::{Quota, QuotaError};
use crate::single::settled_by_size;

/// A limiter of one bucket that remembers two windows.
#[derive(Debug)]
pub struct SlidingCounter<C = FastClock> {
    counter: Counter<Counts>,
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
        Ok(Self { counter: Counter::new(countable(quota)?), clock })
    }

    /// Takes one cell, now.
    pub fn check(&self) -> Decision {
        self.check_at(self.clock.now(), 1)
    }

    /// Takes `cells` cells, all or none, at `now`, a reading of this limiter's clock. Lock-free.
    pub fn check_at(&self, now: Timestamp, cells: u64) -> Decision {
        self.counter.update(|counts, rule| counts.decide(rule, now, cells))
    }

    /// What a request for `cells` cells would be answered at `now`. Takes nothing.
    pub fn peek_at(&self, now: Timestamp, cells: u64) -> Decision {
        let (rule, counts) = self.counter.read();
        counts.decide(&rule, now, cells).0
    }

    /// Gives back cells that were taken in the window of `now` and not used, at most what it has
    /// counted; says how many. What was taken in the last window stays counted, since its share
    /// falls by itself. Lock-free.
    pub fn refund_at(&self, now: Timestamp, cells: u64) -> u64 {
        self.counter.update(|counts, rule| counts.give_back(rule, now, cells))
    }

    /// Keeps another quota from now on. Where its windows are as long, all that counts goes on
    /// counting; else what counts now goes into the present one of the new windows, to the last
    /// cell begun. One that cannot be counted is refused, and nothing has changed.
    ///
    /// ```
    /// use rate_limiter::{Quota, SlidingCounter};
    ///
    /// # fn main() -> Result<(), rate_limiter::QuotaError> {
    /// let limiter = SlidingCounter::new(Quota::per_hour(2)?)?;
    /// assert!(limiter.check().is_admitted());
    /// limiter.set_quota(Quota::per_hour(1)?)?;
    /// assert!(!limiter.check().is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&self, quota: Quota) -> Result<(), QuotaError> {
        self.counter.change(|| self.clock.now(), countable(quota)?);
        Ok(())
    }

    /// The quota that the limiter keeps at present.
    pub fn quota(&self) -> Quota {
        self.counter.quota()
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }
}

/// The quota, where its cells can be counted.
fn countable(quota: Quota) -> Result<Quota, QuotaError> {
    let cells = quota.cells();
    if cells > LIMIT_MAX { Err(QuotaError::WindowTooLarge { cells }) } else { Ok(quota) }
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

    /// The first moment, from the start of its window on, at which `cells` fit.
    fn earliest(self, rule: &Rule, cells: u64) -> Timestamp {
        let Self { window, last, this } = self;
        let in_this = offset(rule, last, this, cells).map(|offset| (window, offset));
        // In the next window, this one is the last and nothing is counted yet; in the one after
        // it, neither.
        let next = window.saturating_add(1);
        let in_next = || offset(rule, this, 0, cells).map(|offset| (next, offset));
        let (window, offset) = in_this.or_else(in_next).unwrap_or((next.saturating_add(1), 0));
        rule.moment(window, offset)
    }
}

/// The first offset into a window at which `cells` fit; `None` where that is past its end.
fn offset(rule: &Rule, last: u64, this: u64, cells: u64) -> Option<u64> {
    let room = rule.limit.checked_sub(this)?.checked_sub(cells)?;
    if last == 0 {
        return Some(0);
    }
    // last * (W - e) <= room * W.
    let share = u128::from(room) * u128::from(rule.window_ns) / u128::from(last);
    let left = u64::try_from(share).unwrap_or(u64::MAX).min(rule.window_ns);
    (left > 0).then(|| rule.window_ns - left)
}

impl Counted for Counts {
    const NOTHING: Self = Self { window: 0, last: 0, this: 0 };

    fn pack(self) -> u128 {
        u128::from(self.window) << 64 | u128::from(self.last) << 32 | u128::from(self.this)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is taken by itself")]
    fn unpack(word: u128) -> Self {
        let (last, this) = ((word >> 32) as u32, word as u32);
        Self { window: (word >> 64) as u64, last: last.into(), this: this.into() }
    }

    fn decide(self, rule: &Rule, now: Timestamp, cells: u64) -> (Decision, Self) {
        if let Some(decision) = settled_by_size(rule.limit, cells) {
            return (decision, self);
        }
        let window = rule.number(now);
        let counts = self.seen_from(window);
        let offset = offset(rule, counts.last, counts.this, cells);
        if counts.window > window || offset.is_none_or(|offset| offset > rule.gone(now)) {
            return (Decision::Denied(Denial::new(now, counts.earliest(rule, cells))), self);
        }
        (Decision::Admitted, Self { this: counts.this + cells, ..counts })
    }

    fn give_back(self, rule: &Rule, now: Timestamp, cells: u64) -> (u64, Self) {
        let is_counted = rule.number(now) == self.window;
        let returned = if is_counted { cells.min(self.this) } else { 0 };
        (returned, Self { this: self.this - returned, ..self })
    }

    fn carried(self, rule: &Rule, now: Timestamp, quota: &Quota) -> (Rule, Self) {
        let next = rule.followed_by(quota, now, self.window);
        let (seen, window) = (self.seen_from(rule.number(now)), next.number(now));
        if rule.window_ns == next.window_ns {
            return (next, Self { window, ..seen });
        }
        // A clock that is behind the counts sees all of the last window.
        let gone = if seen.window > rule.number(now) { 0 } else { rule.gone(now) };
        let share = u128::from(seen.last) * u128::from(rule.window_ns - gone);
        let share = share.div_ceil(u128::from(rule.window_ns));
        let this = u64::try_from(share).map_or(LIMIT_MAX, |it| LIMIT_MAX.min(seen.this + it));
        (next, Self { window, last: 0, this })
    }
}
