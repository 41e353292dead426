//! Warm-up: a rate that rises from cold to its full height while it is used.
//!
//! For what is slow after a pause: caches to be filled, pools to be connected. The limiter has a
//! *heat* of `0 ..= M` cells. Each admission warms by one cell; each interval of idleness cools by
//! one. The interval after an admission at heat `h`, with the full rate's interval `I` and the cold
//! one `k` times as long:
//!
//! ```text
//!   I(h) = I + I * (k - 1) * (M - h) / M              k * I at heat 0, I at heat M
//!
//!   admit  iff  now >= free
//!   then   heat' = max(0, heat - floor((now - free) / I))
//!          free  = now + I(heat'),  heat = min(M, heat' + 1)
//! ```
//!
//! Warming up takes `M` cells, which last `M * I * (k + 1) / 2` and half a step.
//!
//! # Error bound
//!
//! Zero: time is counted in parts of which an interval has a multiple of `M`. There is no burst; an
//! admission that comes late shortens no interval after it.

use env::clock::{Clock, FastClock, Timestamp};

use crate::decision::{Decision, Denial};
use crate::quota::{Quota, QuotaError, Scale};
use crate::sync::Mutex;

/// A limiter of one bucket that starts slowly.
#[derive(Debug)]
pub struct WarmUp<C = FastClock> {
    state: Mutex<State>,
    /// Parts in a nanosecond.
    parts_per_ns: u128,
    /// `I`, in parts. Invariant: a multiple of `cells`.
    interval: u128,
    /// `k - 1`.
    colder: u128,
    /// `M`.
    cells: u64,
    origin: Timestamp,
    clock: C,
}

#[derive(Debug)]
struct State {
    /// The first part at which the next cell is admitted.
    free: u128,
    heat: u64,
}

/// Most cells of a warm-up, and the largest cold factor: they bound the arithmetic below.
const FACTOR_MAX: u64 = 1 << 20;

impl<C: Clock> WarmUp<C> {
    /// A cold limiter on `clock`, whose rate is that of `quota` after `cells` cells, and `factor`
    /// times slower before the first. The burst of the quota plays no part.
    ///
    /// Either number is at least one and at most 2^20, and the period of the quota, in parts, must
    /// leave room for the range of the clock; every rate up to a cell a nanosecond does.
    pub fn with_clock(quota: Quota, cells: u64, factor: u64, clock: C) -> Result<Self, QuotaError> {
        let refused = QuotaError::WarmUpTooLong { cells, factor };
        let legal = 1..=FACTOR_MAX;
        if !legal.contains(&cells) || !legal.contains(&factor) {
            return Err(refused);
        }
        let scale = Scale::wide(&quota);
        let parts_per_ns = scale.ticks_per_ns.checked_mul(cells.into()).ok_or(refused)?;
        let interval = scale.ticks_per_cell.checked_mul(cells.into()).ok_or(refused)?;
        let longest = interval.checked_mul(factor.into()).ok_or(refused)?;
        let range = parts_per_ns.checked_mul(u64::MAX.into()).ok_or(refused)?;
        range.checked_add(longest).ok_or(refused)?;
        Ok(Self {
            state: Mutex::new(State { free: 0, heat: 0 }),
            parts_per_ns,
            interval,
            colder: u128::from(factor) - 1,
            cells,
            origin: clock.now(),
            clock,
        })
    }

    /// Takes one cell, now.
    pub fn check(&self) -> Decision {
        self.check_at(self.clock.now())
    }

    /// Takes one cell at `now`, a reading of this limiter's clock.
    pub fn check_at(&self, now: Timestamp) -> Decision {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        let parts = self.parts_at(now);
        let Some(idle) = parts.checked_sub(state.free) else {
            return self.denied(&state, now);
        };
        let cooled = u64::try_from(idle / self.interval).unwrap_or(u64::MAX);
        let heat = state.heat.saturating_sub(cooled);
        let missing = u128::from(self.cells - heat);
        // Exact: the interval is a multiple of `cells`.
        let extra = self.interval / u128::from(self.cells) * self.colder * missing;
        state.free = parts + self.interval + extra;
        state.heat = (heat + 1).min(self.cells);
        Decision::Admitted
    }

    /// What a request for a cell would be answered at `now`. Takes nothing.
    pub fn peek_at(&self, now: Timestamp) -> Decision {
        let state = self.state.lock().expect("no holder of this lock panics");
        if self.parts_at(now) < state.free { self.denied(&state, now) } else { Decision::Admitted }
    }

    fn parts_at(&self, now: Timestamp) -> u128 {
        u128::from(now.as_nanos().saturating_sub(self.origin.as_nanos())) * self.parts_per_ns
    }

    fn denied(&self, state: &State, now: Timestamp) -> Decision {
        let nanos = u64::try_from(state.free.div_ceil(self.parts_per_ns)).unwrap_or(u64::MAX);
        let retry_at = self.origin.as_nanos().saturating_add(nanos);
        Decision::Denied(Denial::new(now, Timestamp::from_nanos(retry_at)))
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }
}
