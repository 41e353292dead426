//! Pacing: writers give a little of their time before they would have to stop.
//!
//! ```text
//!   share of a write's longest delay
//!   1 |                                   x
//!     |                                xx
//!     |                           xxx          at 1 writers wait: the next memtable has no place,
//!   0 +xxxxxxxxxxxxxxxxxxxxxxxxxxx             or the first level is full
//!     0             debt              1
//! ```
//!
//! A writer who outruns what is behind it stops in the end, as long as a flush or a merge takes.
//! Here it pays in instalments instead. Debt is how far the present memtable is filled while no
//! other could follow it, or how full the first level is. From half of it on, each write waits in
//! proportion to its bytes and to the square of the rest: microseconds, which settle where writes
//! and merges keep pace. It neither sleeps nor yields, since the system would make of either some
//! milliseconds: it looks at the clock. No lock is held meanwhile.

use std::time::Duration;

use super::core::{Core, State};
use crate::memtable::Memtable;
use crate::options::Background;
use crate::sync::linger;

/// What a byte waits at full debt, in nanoseconds: then thirteen megabytes a second are written,
/// less than any disk takes that is worth the name.
const DELAY_PER_BYTE: u64 = 75;
/// No write waits longer.
const DELAY_MAX: Duration = Duration::from_micros(500);
/// Debt is counted in thousandths.
const WHOLE: usize = 1_000;

/// What writers of a family owe, in thousandths of what makes them stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Debt(usize);

impl Debt {
    fn of(is: usize, most: usize) -> Self {
        Self((is * WHOLE / most.max(1)).min(WHOLE))
    }

    /// How long a write of so many bytes waits.
    fn delay(self, bytes: usize) -> Duration {
        let rest = (2 * self.0.saturating_sub(WHOLE / 2)) as u64;
        let full = (bytes as u64).saturating_mul(DELAY_PER_BYTE);
        let nanos = full.saturating_mul(rest * rest) / (WHOLE * WHOLE) as u64;
        Duration::from_nanos(nanos).min(DELAY_MAX)
    }
}

impl Core {
    /// What a write of a family owes now.
    #[inline]
    pub(super) fn debt(&self, state: &State) -> Debt {
        let is_last = state.immutables.len() + 2 > self.options.memtables.get();
        let of_flush = if is_last { fill(&state.memtable) } else { Debt::default() };
        let runs = if self.is_fifo() { 0 } else { state.version.level(0).len() };
        of_flush.max(Debt::of(runs, self.runs_max()))
    }

    /// Waits for what was owed when so many bytes were written.
    #[inline]
    pub(super) fn pay(&self, debt: Debt, bytes: usize) {
        let delay = debt.delay(bytes);
        if !delay.is_zero() && self.options.background == Background::Threads {
            self.counters.slowed(delay);
            linger(delay);
        }
    }
}

fn fill(memtable: &Memtable) -> Debt {
    Debt::of(memtable.used(), memtable.capacity())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_short_and_grow_with_debt_and_bytes() {
        let delay = |thousandths, bytes| Debt(thousandths).delay(bytes).as_nanos();
        assert_eq!([0, 300, 500].map(|it| delay(it, 136)), [0, 0, 0]);
        assert_eq!([600, 750, 1_000].map(|it| delay(it, 136)), [408, 2_550, 10_200]);
        assert_eq!(delay(1_000, 4_096), 307_200);
        assert_eq!(delay(1_000, usize::MAX), DELAY_MAX.as_nanos());
        assert_eq!(Debt::of(70, 30), Debt(1_000), "there is no more than full debt");
        assert_eq!(Debt::of(3, 0), Debt(1_000));
    }
}
