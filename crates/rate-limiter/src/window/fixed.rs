//! Fixed window: at most `L` cells in each aligned window of the clock.
//!
//! ```text
//!   admit  iff  count(floor(now / W)) + cells <= L
//! ```
//!
//! # Error bound
//!
//! None for the aligned window. A stretch of time as long as a window may see `2 L`: all of one
//! window at its end, all of the next at its start. Wherever that matters, use another limiter;
//! this one is for contracts that say "in each calendar minute".
//!
//! # State
//!
//! The number of the window and its count in one word of 128 bits, exchanged at once.

use env::clock::{Clock, FastClock, Timestamp};

use super::rule::Rule;
use super::shared::{Counted, Counter};
use crate::decision::{Decision, Denial};
use crate::quota::Quota;
use crate::single::settled_by_size;

/// A limiter of one bucket that is filled at the start of each window.
#[derive(Debug)]
pub struct FixedWindow<C = FastClock> {
    counter: Counter<Count>,
    clock: C,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
struct Count {
    window: u64,
    cells: u64,
}

/// Where the window lies in the word.
const WINDOW_SHIFT: u32 = 64;

impl FixedWindow<FastClock> {
    /// An empty window on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> FixedWindow<C> {
    /// An empty window on `clock`, to whose origin the windows are aligned.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        Self { counter: Counter::new(quota), clock }
    }

    /// Takes one cell, now.
    pub fn check(&self) -> Decision {
        self.check_at(self.clock.now(), 1)
    }

    /// Takes `cells` cells, all or none, at `now`, a reading of this limiter's clock. Lock-free.
    pub fn check_at(&self, now: Timestamp, cells: u64) -> Decision {
        self.counter.update(|count, rule| count.decide(rule, now, cells))
    }

    /// What a request for `cells` cells would be answered at `now`. Takes nothing.
    pub fn peek_at(&self, now: Timestamp, cells: u64) -> Decision {
        let (rule, count) = self.counter.read();
        count.decide(&rule, now, cells).0
    }

    /// Gives back cells that were taken in the window of `now` and not used, at most what it has
    /// counted; says how many. What was taken in an earlier window is over. Lock-free.
    pub fn refund_at(&self, now: Timestamp, cells: u64) -> u64 {
        self.counter.update(|count, rule| count.give_back(rule, now, cells))
    }

    /// Keeps another quota from now on. What the present window has counted stays counted, in the
    /// window of the new length that it is now: of a longer one, what was before is not known.
    ///
    /// ```
    /// use rate_limiter::{FixedWindow, Quota};
    ///
    /// # fn main() -> Result<(), rate_limiter::QuotaError> {
    /// let limiter = FixedWindow::new(Quota::per_hour(2)?);
    /// assert!(limiter.check().is_admitted());
    /// limiter.set_quota(Quota::per_hour(1)?);
    /// assert!(!limiter.check().is_admitted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_quota(&self, quota: Quota) {
        self.counter.change(|| self.clock.now(), quota);
    }

    /// The quota that the limiter keeps at present.
    pub fn quota(&self) -> Quota {
        self.counter.quota()
    }

    /// Cells that could be taken at `now`.
    pub fn remaining_at(&self, now: Timestamp) -> u64 {
        let (rule, count) = self.counter.read();
        match rule.number(now).cmp(&count.window) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => rule.limit.saturating_sub(count.cells),
            std::cmp::Ordering::Greater => rule.limit,
        }
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }
}

impl Counted for Count {
    const NOTHING: Self = Self { window: 0, cells: 0 };

    fn pack(self) -> u128 {
        u128::from(self.window) << WINDOW_SHIFT | u128::from(self.cells)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half is taken by itself")]
    fn unpack(word: u128) -> Self {
        Self { window: (word >> WINDOW_SHIFT) as u64, cells: word as u64 }
    }

    fn decide(self, rule: &Rule, now: Timestamp, cells: u64) -> (Decision, Self) {
        if let Some(decision) = settled_by_size(rule.limit, cells) {
            return (decision, self);
        }
        let window = rule.number(now);
        let used = if window > self.window { 0 } else { self.cells };
        let fits = used <= rule.limit - cells;
        if window < self.window || !fits {
            // The window that is counted may have room, and lies ahead; or the one after it.
            let first = self.window.max(window).saturating_add(u64::from(!fits));
            return (Decision::Denied(Denial::new(now, rule.moment(first, 0))), self);
        }
        (Decision::Admitted, Self { window, cells: used + cells })
    }

    fn give_back(self, rule: &Rule, now: Timestamp, cells: u64) -> (u64, Self) {
        let is_counted = rule.number(now) == self.window;
        let returned = if is_counted { cells.min(self.cells) } else { 0 };
        (returned, Self { cells: self.cells - returned, ..self })
    }

    fn carried(self, rule: &Rule, now: Timestamp, quota: &Quota) -> (Rule, Self) {
        let next = rule.followed_by(quota, now, self.window);
        let cells = if rule.number(now) > self.window { 0 } else { self.cells };
        (next, Self { window: next.number(now), cells })
    }
}
