//! A quota in ticks that changes while checks run.
//!
//! A [`Setting`] is a quota in ticks, and where its ticks begin. A check reads it together with a
//! bucket, by the version that both belong to; see `versioned`.
//!
//! # Ticks never repeat
//!
//! Each setting counts its ticks from a `base` above all that came before it. So no bucket ever
//! holds a theoretical arrival time (TAT) that it held under an earlier setting, and one exchange
//! decides between a check that read the old setting and whoever carries its bucket over: one of
//! the two fails and looks again.

use std::hint::cold_path;

use env::clock::Timestamp;

use crate::gcra::Word;
use crate::quota::Scale;
use crate::sync::{AtomicU64, Ordering};
use crate::versioned::{Together, Versioned};

/// A word of ticks that may change while others read it. The version says whether its halves, where
/// it has any, belong together.
pub(crate) trait Shared<W>: Send + Sync {
    fn new(value: W) -> Self;
    fn acquire(&self) -> W;
    fn release(&self, value: W);
}

impl Shared<u64> for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    #[inline(always)]
    fn acquire(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn release(&self, value: u64) {
        self.store(value, Ordering::Release);
    }
}

impl Shared<u128> for [AtomicU64; 2] {
    fn new(value: u128) -> Self {
        halves(value).map(AtomicU64::new)
    }

    #[inline(always)]
    fn acquire(&self) -> u128 {
        let [low, high] = self;
        u128::from(high.acquire()) << 64 | u128::from(low.acquire())
    }

    fn release(&self, value: u128) {
        for (half, value) in self.iter().zip(halves(value)) {
            half.release(value);
        }
    }
}

/// Low and high.
fn halves(value: u128) -> [u64; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "a half each")]
    let halves = [value as u64, (value >> 64) as u64];
    halves
}

/// A quota in ticks, and where its ticks begin.
///
/// Invariant: `base` and what the invariant of [`Scale`] sums up fit in a `W` together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<W> {
    pub(crate) scale: Scale<W>,
    /// The nanosecond at which it came into force, on the clock of whoever reads it.
    pub(crate) start_ns: u64,
    /// The tick at that nanosecond.
    pub(crate) base: W,
    /// Even, and another one for each setting.
    pub(crate) version: u64,
}

impl<W: Word> Setting<W> {
    /// The first setting.
    pub(crate) fn first(scale: Scale<W>, start_ns: u64) -> Self {
        Self { scale, start_ns, base: W::ZERO, version: 0 }
    }

    /// The tick at nanosecond `now_ns`; the first one before the setting came into force.
    #[inline(always)]
    pub(crate) fn ticks_at(&self, now_ns: u64) -> W {
        // A branch, for the reason that `Scale::ticks_at` states.
        let Some(elapsed_ns) = now_ns.checked_sub(self.start_ns) else {
            cold_path();
            return self.base;
        };
        self.base + self.scale.ticks_at(elapsed_ns)
    }

    /// The first nanosecond that is not before `tick`; the end of time where the clock never comes
    /// there.
    #[inline]
    pub(crate) fn moment_ns(&self, tick: W) -> u64 {
        self.start_ns.saturating_add(self.scale.moment_ns(tick - self.base))
    }

    /// When a reservation is due that led to `tat`: when the bucket is no longer overdrawn.
    pub(crate) fn due(&self, tat: W) -> Timestamp {
        Timestamp::from_nanos(self.moment_ns(tat - self.scale.tolerance.min(tat - self.base)))
    }
}

/// The setting in force.
pub(crate) type Live<W> = Versioned<Setting<W>>;

// A check of a narrow bucket reads the bucket's line and this one.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Live<u64>>() == 64);

/// Where a setting is kept.
pub(crate) struct Kept<W: Word> {
    ticks_per_ns: W::Shared,
    ticks_per_cell: W::Shared,
    tolerance: W::Shared,
    burst: AtomicU64,
    elapsed_ns_max: AtomicU64,
    start_ns: AtomicU64,
    base: W::Shared,
}

impl<W: Word> Together for Setting<W> {
    type Words = Kept<W>;

    fn keep(self) -> Kept<W> {
        let Self { scale, start_ns, base, version: _ } = self;
        Kept {
            ticks_per_ns: W::Shared::new(scale.ticks_per_ns),
            ticks_per_cell: W::Shared::new(scale.ticks_per_cell),
            tolerance: W::Shared::new(scale.tolerance),
            burst: AtomicU64::new(scale.burst),
            elapsed_ns_max: AtomicU64::new(scale.elapsed_ns_max),
            start_ns: AtomicU64::new(start_ns),
            base: W::Shared::new(base),
        }
    }

    #[inline(always)]
    fn acquire(words: &Kept<W>, version: u64) -> Self {
        Self {
            scale: Scale {
                ticks_per_ns: words.ticks_per_ns.acquire(),
                ticks_per_cell: words.ticks_per_cell.acquire(),
                tolerance: words.tolerance.acquire(),
                burst: words.burst.acquire(),
                elapsed_ns_max: words.elapsed_ns_max.acquire(),
            },
            start_ns: words.start_ns.acquire(),
            base: words.base.acquire(),
            version,
        }
    }

    fn release(self, words: &Kept<W>) {
        let Self { scale, start_ns, base, version: _ } = self;
        words.ticks_per_ns.release(scale.ticks_per_ns);
        words.ticks_per_cell.release(scale.ticks_per_cell);
        words.tolerance.release(scale.tolerance);
        words.burst.release(scale.burst);
        words.elapsed_ns_max.release(scale.elapsed_ns_max);
        words.start_ns.release(start_ns);
        words.base.release(base);
    }
}
