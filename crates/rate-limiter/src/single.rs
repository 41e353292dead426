//! One bucket whose quota never changes, in the narrowest word that keeps it exactly.

use env::clock::Timestamp;

use crate::bucket::{AtomicWord, take_between};
use crate::decision::{Decision, Denial};
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

    /// Takes cells at `now` as [`take_between`] does, or says when `min` of them will be there.
    pub(crate) fn take_between(&self, now: Timestamp, min: u64, max: u64) -> Result<u64, Denial> {
        either!(self, cell => {
            let taken = take_between(&cell.scale, &cell.tat, cell.ticks_at(now), min, max);
            taken.map_err(|ready| denial(&cell.scale, cell.origin, now, ready))
        })
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
