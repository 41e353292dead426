//! A quota that changes while checks run.
//!
//! A [`Setting`] is a quota in ticks, and where its ticks begin. It lies behind a sequence lock: a
//! version that is odd while a change writes. A check reads the setting and a bucket, and knows by
//! the version that both belong together; it writes nothing that another check reads:
//!
//! ```text
//!   check:   version -> words of the setting, a bucket -> version     even and the same: valid
//!   change:  version + 1 -> words -> version + 2                      one at a time
//! ```
//!
//! # Ticks never repeat
//!
//! Each setting counts its ticks from a `base` above all that came before it. So no bucket ever
//! holds a theoretical arrival time (TAT) that it held under an earlier setting, and one exchange
//! decides between a check that read the old setting and whoever carries its bucket over: one of
//! the two fails and looks again.
//!
//! # Orderings
//!
//! The words are stored with `Release` and loaded with `Acquire`, so that who saw one of a change
//! sees the odd version before it. Likewise a bucket that is carried over. On x86-64 these are
//! plain loads and stores.
//!
//! # What this module does not do
//!
//! It is not lock-free for checks that meet a change: they wait out some dozen stores.

use crate::gcra::Word;
use crate::quota::Scale;
use crate::sync::{AtomicU64, Ordering, hint};

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
        self.base + self.scale.ticks_at(now_ns.saturating_sub(self.start_ns))
    }

    /// The first nanosecond that is not before `tick`; the end of time where the clock never comes
    /// there.
    #[inline]
    pub(crate) fn moment_ns(&self, tick: W) -> u64 {
        self.start_ns.saturating_add(self.scale.moment_ns(tick - self.base))
    }
}

/// The setting in force, on cache lines of its own, which only a change writes.
#[repr(align(64))]
pub(crate) struct Live<W: Word> {
    /// Odd while a change writes.
    version: AtomicU64,
    ticks_per_ns: W::Shared,
    ticks_per_cell: W::Shared,
    tolerance: W::Shared,
    burst: AtomicU64,
    elapsed_ns_max: AtomicU64,
    start_ns: AtomicU64,
    base: W::Shared,
}

// A check of a narrow bucket reads the bucket's line and this one.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Live<u64>>() == 64);

impl<W: Word> Live<W> {
    pub(crate) fn new(setting: Setting<W>) -> Self {
        let Setting { scale, start_ns, base, version } = setting;
        Self {
            version: AtomicU64::new(version),
            ticks_per_ns: W::Shared::new(scale.ticks_per_ns),
            ticks_per_cell: W::Shared::new(scale.ticks_per_cell),
            tolerance: W::Shared::new(scale.tolerance),
            burst: AtomicU64::new(scale.burst),
            elapsed_ns_max: AtomicU64::new(scale.elapsed_ns_max),
            start_ns: AtomicU64::new(start_ns),
            base: W::Shared::new(base),
        }
    }

    /// What `look` sees, and the setting that was in force when it did.
    ///
    /// `look` loads with `Acquire` whatever a change writes.
    #[inline(always)]
    pub(crate) fn read<T>(&self, look: impl Fn() -> T) -> (Setting<W>, T) {
        loop {
            // Acquire: who sees the version sees the words of its setting.
            let version = self.version.load(Ordering::Acquire);
            let setting = self.words(version);
            let seen = look();
            // Relaxed: all loads between acquire, so that this one comes after them.
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return (setting, seen);
            }
            hint::spin_loop();
        }
    }

    #[inline(always)]
    fn words(&self, version: u64) -> Setting<W> {
        Setting {
            scale: Scale {
                ticks_per_ns: self.ticks_per_ns.acquire(),
                ticks_per_cell: self.ticks_per_cell.acquire(),
                tolerance: self.tolerance.acquire(),
                burst: self.burst.acquire(),
                elapsed_ns_max: self.elapsed_ns_max.acquire(),
            },
            start_ns: self.start_ns.acquire(),
            base: self.base.acquire(),
            version,
        }
    }

    /// Puts into force what `next` makes of the setting, if anything. Checks wait meanwhile.
    ///
    /// The caller sees to it that changes come one at a time. `next` does not panic.
    pub(crate) fn change(&self, next: impl FnOnce(Setting<W>) -> Option<Setting<W>>) {
        // Relaxed: nobody else writes it.
        let version = self.version.load(Ordering::Relaxed);
        // Relaxed: the stores after it release it.
        self.version.store(version + 1, Ordering::Relaxed);
        if let Some(Setting { scale, start_ns, base, version: _ }) = next(self.words(version)) {
            self.ticks_per_ns.release(scale.ticks_per_ns);
            self.ticks_per_cell.release(scale.ticks_per_cell);
            self.tolerance.release(scale.tolerance);
            self.burst.release(scale.burst);
            self.elapsed_ns_max.release(scale.elapsed_ns_max);
            self.start_ns.release(start_ns);
            self.base.release(base);
        }
        // Release: see the header.
        self.version.store(version + 2, Ordering::Release);
    }
}

impl<W: Word> std::fmt::Debug for Live<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.read(|| ()).0, f)
    }
}
