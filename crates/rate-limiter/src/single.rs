//! One bucket whose quota never changes, in the narrowest word that keeps it exactly.

use std::time::Duration;

use env::clock::Timestamp;

use crate::bucket::{AtomicWord, take, take_between};
use crate::decision::{Decision, Denial, Standing};
use crate::gcra::Word;
use crate::quota::{Quota, Scale};
use crate::sync::{AtomicU64, AtomicU128, Ordering};

/// The bucket.
#[derive(Debug)]
pub(crate) enum Bucket {
    Narrow(Cell<AtomicU64, u64>),
    Wide(Cell<AtomicU128, u128>),
}

/// A bucket with all that a check reads, on one cache line of its own: a thread that changes the
/// word needs the line anyway, and no neighbour is disturbed.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Cell<A, W> {
    pub(crate) tat: A,
    pub(crate) scale: Scale<W>,
    /// What the clock showed when the bucket was made; the bucket's time starts here.
    pub(crate) origin: Timestamp,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// The cells were there.
    Now,
    /// They will be at tick `due`, and cost so many ticks.
    Due { due: u128, cost: u128 },
    /// They would be at `due`, and nothing was taken.
    TooLate { due: Timestamp },
}

/// What became of a reservation that was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// It was not due: all behind it are due earlier by its cost.
    Returned,
    /// It was due, but nobody came after it.
    AsLast,
    /// It was due and somebody came after it; the bucket may have been full in between, and what
    /// was replenished must not be given twice.
    Forfeited,
}

/// Does the same to a bucket of either width.
macro_rules! either {
    ($bucket:expr, $cell:ident => $does:expr) => {
        match $bucket {
            Bucket::Narrow($cell) => $does,
            Bucket::Wide($cell) => $does,
        }
    };
}

impl Bucket {
    /// A full bucket, whose time starts at `origin`.
    pub(crate) fn full(quota: &Quota, origin: Timestamp) -> Self {
        Self::with_debt(quota, origin, 0)
    }

    /// A bucket that misses `debt` ticks to be full at `origin`, at most its tolerance.
    pub(crate) fn with_debt(quota: &Quota, origin: Timestamp, debt: u128) -> Self {
        if let Some(scale) = Scale::narrow(quota) {
            let debt = u64::try_from(debt).unwrap_or(u64::MAX).min(scale.tolerance);
            Self::Narrow(Cell { tat: AtomicU64::new(debt), scale, origin })
        } else {
            let scale = Scale::wide(quota);
            Self::Wide(Cell { tat: AtomicU128::new(debt.min(scale.tolerance)), scale, origin })
        }
    }

    /// The bucket whose time started at `origin` and that has come to `tat`; `None` where no bucket
    /// of this quota comes there.
    pub(crate) fn restored(quota: &Quota, origin: Timestamp, tat: u128) -> Option<Self> {
        let bucket = Self::full(quota, origin);
        either!(&bucket, cell => cell.restore(tat)).then_some(bucket)
    }

    /// When the bucket's time started, and its theoretical arrival time.
    pub(crate) fn state(&self) -> (Timestamp, u128) {
        either!(self, cell => cell.state())
    }

    #[inline(always)]
    pub(crate) fn check(&self, now: Timestamp, cells: u64) -> Decision {
        either!(self, cell => cell.check(now, cells))
    }

    /// Takes cells at `now` as [`take_between`] does, or says when `min` of them will be there.
    pub(crate) fn take_between(&self, now: Timestamp, min: u64, max: u64) -> Result<u64, Denial> {
        either!(self, cell => {
            let taken = take_between(&cell.scale, &cell.tat, cell.ticks_at(now), min, max);
            taken.map_err(|ready| denial(&cell.scale, cell.origin, now, ready))
        })
    }

    /// Takes `cells` cells, whether they are there or not, if they will be within `patience` of
    /// `now`.
    pub(crate) fn reserve(&self, now: Timestamp, cells: u64, patience: Duration) -> Reserved {
        either!(self, cell => cell.reserve(now, cells, patience))
    }

    /// Gives back the reservation of `cost` ticks that is due at tick `due`, unless it is due
    /// already; that is decided at `now` (called after the bucket was read).
    ///
    /// As long as the reservation is not due, the bucket was not full since, so that without it
    /// every later TAT would have been smaller by `cost`.
    pub(crate) fn cancel(&self, due: u128, cost: u128, now: impl Fn() -> Timestamp) -> Cancelled {
        either!(self, cell => cell.cancel(due, cost, now))
    }

    /// Whether tick `due` has come at `now`.
    pub(crate) fn is_due(&self, due: u128, now: Timestamp) -> bool {
        either!(self, cell => cell.is_due(due, now))
    }

    /// The first moment that is not before tick `due`.
    pub(crate) fn moment(&self, due: u128) -> Timestamp {
        either!(self, cell => cell.moment(due))
    }
}

impl<A: AtomicWord> Cell<A, A::Word> {
    #[inline(always)]
    pub(crate) fn ticks_at(&self, now: Timestamp) -> A::Word {
        self.scale.ticks_at(now.as_nanos().saturating_sub(self.origin.as_nanos()))
    }

    /// Sets the TAT, unless no bucket of this quota comes there; says whether it did.
    fn restore(&self, tat: u128) -> bool {
        let last = self.ticks_at(Timestamp::from_nanos(u64::MAX)) + self.scale.tolerance;
        let tat = A::Word::try_from(tat).ok().filter(|tat| *tat <= last);
        // Relaxed: nobody else has the bucket yet.
        tat.map(|tat| self.tat.store(tat, Ordering::Relaxed)).is_some()
    }

    fn state(&self) -> (Timestamp, u128) {
        // Relaxed: see the header of `bucket`.
        (self.origin, self.tat.load(Ordering::Relaxed).into())
    }

    #[inline(always)]
    fn check(&self, now: Timestamp, cells: u64) -> Decision {
        if let Some(decision) = settled_by_size(self.scale.burst, cells) {
            return decision;
        }
        match take(&self.scale, &self.tat, self.ticks_at(now), self.scale.cost(cells)) {
            Ok(_) => Decision::Admitted,
            Err(ready) => Decision::Denied(denial(&self.scale, self.origin, now, ready)),
        }
    }

    fn reserve(&self, now: Timestamp, cells: u64, patience: Duration) -> Reserved {
        let (ticks, cost) = (self.ticks_at(now), self.scale.cost(cells));
        // A reservation beyond the clock's end would never be due, and its sum might not fit.
        let latest = self.ticks_at(now + patience) + self.scale.tolerance;
        // Relaxed, here and below: see the header of `bucket`.
        let mut seen = self.tat.load(Ordering::Relaxed);
        loop {
            let tat = seen.max(ticks) + cost;
            let due = tat - self.scale.tolerance.min(tat);
            if tat > latest {
                return Reserved::TooLate { due: moment(&self.scale, self.origin, due) };
            }
            match self.tat.exchange(seen, tat, Ordering::Relaxed) {
                Ok(()) if due <= ticks => return Reserved::Now,
                Ok(()) => return Reserved::Due { due: due.into(), cost: cost.into() },
                Err(found) => seen = found,
            }
        }
    }

    fn is_due(&self, due: u128, now: Timestamp) -> bool {
        let ticks: u128 = self.ticks_at(now).into();
        due <= ticks
    }

    fn moment(&self, due: u128) -> Timestamp {
        let due = A::Word::try_from(due).ok().expect("a due tick comes from a word as wide");
        moment(&self.scale, self.origin, due)
    }

    fn cancel(&self, due: u128, cost: u128, now: impl Fn() -> Timestamp) -> Cancelled {
        let word = |ticks: u128| {
            ticks.try_into().ok().expect("the ticks of a reservation come from a word as wide")
        };
        let (due, cost): (A::Word, A::Word) = (word(due), word(cost));
        loop {
            // Acquire: the clock is read after it.
            let seen = self.tat.load(Ordering::Acquire);
            let is_last = seen == due + self.scale.tolerance;
            let is_due = due <= self.ticks_at(now());
            if is_due && !is_last {
                return Cancelled::Forfeited;
            }
            // Relaxed: see the header of `bucket`.
            if self.tat.exchange(seen, seen - cost, Ordering::Relaxed).is_ok() {
                return if is_due { Cancelled::AsLast } else { Cancelled::Returned };
            }
        }
    }
}

/// What a bucket with theoretical arrival time `tat` holds at `now`.
pub(crate) fn standing<W: Word>(
    scale: &Scale<W>,
    origin: Timestamp,
    now: Timestamp,
    tat: W,
) -> Standing {
    let ticks = scale.ticks_at(now.as_nanos().saturating_sub(origin.as_nanos()));
    Standing {
        burst: scale.burst,
        remaining: scale.remaining(tat, ticks),
        full_at: if tat > ticks { moment(scale, origin, tat) } else { now },
        asked_at: now,
        fill_ns: scale.nanos_at(scale.tolerance),
    }
}

/// What can be said of a request for `cells` without looking at the bucket.
#[inline(always)]
pub(crate) fn settled_by_size(burst: u64, cells: u64) -> Option<Decision> {
    match cells {
        0 => Some(Decision::Admitted),
        _ if cells > burst => Some(Decision::Impossible { burst }),
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
    Denial::new(asked_at, moment(scale, origin, ready))
}

/// The first moment that is not before `tick`.
#[inline]
pub(crate) fn moment<W: Word>(scale: &Scale<W>, origin: Timestamp, tick: W) -> Timestamp {
    Timestamp::from_nanos(origin.as_nanos().saturating_add(scale.moment_ns(tick)))
}
