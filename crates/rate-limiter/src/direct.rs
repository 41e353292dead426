//! One bucket and a clock.
//!
//! [`DirectLimiter::check`] reads the clock and takes one cell. [`DirectLimiter::check_at`] leaves
//! the reading to the caller, who may share one reading among many checks: the reading costs as
//! much as everything else together.

use env::clock::{Clock, FastClock, Timestamp};

use crate::bucket::{AtomicWord, take};
use crate::decision::{Decision, Denial};
use crate::gcra::Word;
use crate::quota::{Quota, Scale};
use crate::sync::{AtomicU64, AtomicU128};

/// A limiter of one bucket.
///
/// All methods take `&self`; share it by reference or in an `Arc`.
#[derive(Debug)]
pub struct DirectLimiter<C = FastClock> {
    bucket: Bucket,
    clock: C,
    quota: Quota,
}

/// The bucket in the narrowest word that keeps its quota exactly.
#[derive(Debug)]
enum Bucket {
    Narrow(Cell<AtomicU64, u64>),
    Wide(Cell<AtomicU128, u128>),
}

/// A bucket with all that a check reads, on one cache line of its own: a thread that changes the
/// word needs the line anyway, and no neighbour is disturbed.
#[derive(Debug)]
#[repr(align(64))]
struct Cell<A, W> {
    tat: A,
    scale: Scale<W>,
    /// What the clock showed when the bucket was made; the bucket's time starts here.
    origin: Timestamp,
}

impl DirectLimiter<FastClock> {
    /// A limiter with a full bucket on the machine's fastest sound clock.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, FastClock::new())
    }
}

impl<C: Clock> DirectLimiter<C> {
    /// A limiter with a full bucket on `clock`.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        let origin = clock.now();
        let bucket = if let Some(scale) = Scale::narrow(&quota) {
            Bucket::Narrow(Cell { tat: AtomicU64::new(0), scale, origin })
        } else {
            let scale = Scale::wide(&quota);
            Bucket::Wide(Cell { tat: AtomicU128::new(0), scale, origin })
        };
        Self { bucket, clock, quota }
    }

    /// Takes one cell, now.
    ///
    /// Lock-free; one clock reading and at most one compare-and-swap when nobody contends.
    #[inline]
    pub fn check(&self) -> Decision {
        self.check_at(self.clock.now(), 1)
    }

    /// Takes `cells` cells, all or none, now.
    #[inline]
    pub fn check_n(&self, cells: u64) -> Decision {
        self.check_at(self.clock.now(), cells)
    }

    /// Takes `cells` cells, all or none, at `now`, a reading of this limiter's
    /// [`clock`](Self::clock).
    ///
    /// A reading that is older than one that another check used may deny what a fresh one would
    /// admit, never the reverse. A request of zero cells is admitted and takes nothing.
    #[inline]
    pub fn check_at(&self, now: Timestamp, cells: u64) -> Decision {
        match &self.bucket {
            Bucket::Narrow(cell) => cell.check(now, cells),
            Bucket::Wide(cell) => cell.check(now, cells),
        }
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// The quota that the limiter keeps.
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }
}

impl<A: AtomicWord> Cell<A, A::Word> {
    #[inline(always)]
    fn check(&self, now: Timestamp, cells: u64) -> Decision {
        if let Some(decision) = settled_by_size(&self.scale, cells) {
            return decision;
        }
        let elapsed = now.as_nanos().saturating_sub(self.origin.as_nanos());
        let (ticks, cost) = (self.scale.ticks_at(elapsed), self.scale.cost(cells));
        match take(&self.scale, &self.tat, ticks, cost) {
            Ok(()) => Decision::Admitted,
            Err(ready) => Decision::Denied(denial(&self.scale, self.origin, now, ready)),
        }
    }
}

/// What can be said of a request for `cells` without looking at the bucket.
#[inline(always)]
pub(crate) fn settled_by_size<W>(scale: &Scale<W>, cells: u64) -> Option<Decision> {
    match cells {
        0 => Some(Decision::Admitted),
        _ if cells > scale.burst => Some(Decision::Impossible { burst: scale.burst }),
        _ => None,
    }
}

/// The denial that ends at tick `ready` after `origin`.
#[inline]
pub(crate) fn denial<W: Word>(
    scale: &Scale<W>,
    origin: Timestamp,
    asked_at: Timestamp,
    ready: W,
) -> Denial {
    let retry_ns = scale.nanos_at(ready);
    // A narrow bucket's clock stands still at its end; nothing is admitted from there on.
    let retry_ns = if retry_ns > scale.elapsed_ns_max { u64::MAX } else { retry_ns };
    let retry_at = Timestamp::from_nanos(origin.as_nanos().saturating_add(retry_ns));
    Denial { retry_at, asked_at }
}
