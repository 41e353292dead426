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

use std::time::Duration;

use env::clock::{Clock, FastClock, Timestamp};

use crate::decision::{Decision, Denial};
use crate::quota::Quota;
use crate::single::settled_by_size;
use crate::sync::{AtomicU128, Ordering};

/// A limiter of one bucket that is filled at the start of each window.
#[derive(Debug)]
pub struct FixedWindow<C = FastClock> {
    /// The window's number above, its count below.
    state: AtomicU128,
    limit: u64,
    window_ns: u64,
    clock: C,
}

/// Where the count lies in the state.
const COUNT_BITS: u32 = 64;

impl FixedWindow<FastClock> {
    /// An empty window on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> FixedWindow<C> {
    /// An empty window on `clock`, to whose origin the windows are aligned.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        let window_ns = nanos(quota.period());
        Self { state: AtomicU128::new(0), limit: quota.cells(), window_ns, clock }
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
    /// counted; says how many. What was taken in an earlier window is over. Lock-free.
    pub fn refund_at(&self, now: Timestamp, cells: u64) -> u64 {
        let window = now.as_nanos() / self.window_ns;
        // Relaxed, here and below: as above.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let (counted, count) = unpack(seen);
            let returned = if window == counted { cells.min(count) } else { 0 };
            let new = pack(counted, count - returned);
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
        let (counted, count) = unpack(state);
        let used = if window > counted { 0 } else { count };
        let fits = used <= self.limit - cells;
        if window < counted || !fits {
            // The window that is counted may have room, and lies ahead; or the one after it.
            let first = counted.max(window).saturating_add(u64::from(!fits));
            return (Decision::Denied(Denial::new(now, self.start(first))), state);
        }
        (Decision::Admitted, pack(window, used + cells))
    }

    /// Cells that could be taken at `now`.
    pub fn remaining_at(&self, now: Timestamp) -> u64 {
        // Relaxed: as above.
        let (counted, count) = unpack(self.state.load(Ordering::Relaxed));
        match (now.as_nanos() / self.window_ns).cmp(&counted) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => self.limit - count,
            std::cmp::Ordering::Greater => self.limit,
        }
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    fn start(&self, window: u64) -> Timestamp {
        Timestamp::from_nanos(window.saturating_mul(self.window_ns))
    }
}

fn pack(window: u64, count: u64) -> u128 {
    u128::from(window) << COUNT_BITS | u128::from(count)
}

#[expect(clippy::cast_possible_truncation, reason = "each half is taken by itself")]
fn unpack(state: u128) -> (u64, u64) {
    ((state >> COUNT_BITS) as u64, state as u64)
}

/// A period in nanoseconds.
pub(super) fn nanos(period: Duration) -> u64 {
    u64::try_from(period.as_nanos()).expect("a quota's period is at most 2^62 ns")
}
