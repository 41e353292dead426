//! A bucket in eight bytes: a tag of the key and a coarse theoretical arrival time (TAT).
//!
//! ```text
//!   63            40 39                                    0
//!   | tag, 24 bits  | TAT modulo 2^40, in parts of a cell   |      eight slots a cache line
//! ```
//!
//! Tag and TAT are one word, so that a slot changes hands by the same exchange that a request
//! makes: there is no state in between. Only insertions take a lock, so that two of one key do not
//! make two buckets.
//!
//! # Time
//!
//! A cell has `2^k` parts, so that the rate is exact and nothing drifts. The clock in parts is one
//! multiplication, at most two parts behind. `k` is the largest of `0 ..= 20` for which the burst
//! has at most 2^24 parts and a nanosecond at most one.
//!
//! A TAT is in use while it lies at most the burst ahead of the clock, modulo 2^40; a table that
//! remembers the latest moment, give or take [`SLACK`], knows a clock that jumped back from a TAT
//! that has passed.
//!
//! # Error bounds
//!
//! 1. *Time*: a request is admitted at most two parts of a cell early. Over any stretch a key is
//!    admitted at most `burst + rate * t + 2 / 2^k` cells, and this does not add up.
//! 2. *Tags*: a key meets a slot in use of another one with its tag with a chance of at most 2^-18
//!    (64 slots, 2^24 tags), and then shares it. Mostly that denies early; should the other one
//!    have come to a nearer slot, what the key had taken before is forgotten once.
//! 3. *Wrapping*: a bucket that nobody touched for 2^40 parts looks in use again, with a chance of
//!    2^-16 at a random moment, for at most the time of a burst. That denies early.
//!
//! # What this module does not do
//!
//! It is not for quotas of more than a cell a nanosecond, nor for bursts above 2^24.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use env::clock::{Clock, FastClock, Timestamp};
use foldhash::quality::RandomState;

use super::{BATCH, CapacityError, KeyedStats, WhenFull, prefetch};
use crate::decision::{Decision, Denial};
use crate::quota::{Quota, Scale};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Bits of a TAT.
const TAT_BITS: u32 = 40;
const TAT_MASK: u64 = (1 << TAT_BITS) - 1;

/// Most parts of a burst.
const TOLERANCE_MAX: u64 = 1 << 24;

/// Parts by which the remembered moment may be behind.
const SLACK: u64 = 1 << 16;

/// Slots in a line.
const SLOTS: usize = 8;

/// Lines that a key may be found in.
const WINDOW: usize = 8;

/// Locks that insertions are spread over.
const LOCKS: usize = 64;

// A TAT in use and one that has passed are far apart.
const _: () = assert!(TOLERANCE_MAX + 2 * SLACK < 1 << (TAT_BITS - 8));

/// Why a quota or a number of keys has no compact table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    /// The quota needs finer time or more of it than eight bytes have.
    #[error("a burst above 2^24 or a rate above a cell a nanosecond needs a `KeyedLimiter`")]
    Quota,
    /// The table cannot be made.
    #[error(transparent)]
    Capacity(#[from] CapacityError),
}

/// A limiter with a bucket of eight bytes for each key: ten bytes a key in all.
///
/// ```
/// use rate_limiter::{CompactLimiter, Quota, WhenFull};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = CompactLimiter::new(Quota::per_minute(60)?, 1_000_000, WhenFull::Deny)?;
/// assert!(limiter.check("203.0.113.9").is_admitted());
/// # Ok(())
/// # }
/// ```
pub struct CompactLimiter<C = FastClock, S = RandomState> {
    /// Invariant: at least `WINDOW` lines.
    lines: Box<[Line]>,
    parts: Parts,
    /// Within `SLACK` of the latest moment that was seen, in parts. Never decreases.
    latest: AtomicU64,
    locks: Box<[Mutex<()>]>,
    inserted: AtomicU64,
    overwritten: AtomicU64,
    turned_away: AtomicU64,
    when_full: WhenFull,
    origin: Timestamp,
    clock: C,
    hasher: S,
}

#[derive(Debug)]
#[repr(align(64))]
struct Line {
    slots: [AtomicU64; SLOTS],
}

/// A quota in parts of a cell.
#[derive(Clone, Copy, Debug)]
struct Parts {
    /// `k`: a cell has `2^k`.
    bits: u32,
    /// Parts a nanosecond, times 2^64, rounded down. Below one, so that it fits.
    per_ns: u64,
    tolerance: u64,
    burst: u64,
}

impl Parts {
    fn new(quota: &Quota) -> Option<Self> {
        let scale = Scale::wide(quota);
        let burst = quota.burst();
        let fits = |bits: &u32| {
            burst.checked_mul(1 << bits).is_some_and(|parts| parts <= TOLERANCE_MAX)
                && scale.ticks_per_ns << bits < scale.ticks_per_cell
        };
        let bits = (0..=20).rev().find(fits)?;
        let per_ns = (scale.ticks_per_ns << bits << 64) / scale.ticks_per_cell;
        let per_ns = u64::try_from(per_ns).expect("less than a part a nanosecond");
        Some(Self { bits, per_ns, tolerance: burst << bits, burst })
    }

    /// At most two parts behind the true number, and never ahead of it.
    #[inline(always)]
    fn at(&self, elapsed_ns: u64) -> u64 {
        let product = u128::from(elapsed_ns) * u128::from(self.per_ns);
        (product >> 64) as u64
    }

    /// Nanoseconds after which `parts` more have passed for certain.
    fn nanos(&self, parts: u64) -> u64 {
        let nanos = ((u128::from(parts) + 1) << 64) / u128::from(self.per_ns.max(1)) + 1;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Parts that a TAT lies ahead of `now`; none where it has passed.
    #[inline(always)]
    fn debt(&self, slot: u64, now: u64) -> u64 {
        let ahead = (slot & TAT_MASK).wrapping_sub(now) & TAT_MASK;
        if ahead <= self.tolerance + 2 * SLACK { ahead } else { 0 }
    }
}

/// Where a request found the bucket of its key.
enum Step {
    Admitted,
    /// Denied until so many parts have passed.
    Denied(u64),
    /// The slot is another key's now.
    Lost,
}

impl CompactLimiter<FastClock, RandomState> {
    /// A limiter with room for `keys` buckets in use at once, on the machine's fastest sound clock.
    pub fn new(quota: Quota, keys: usize, when_full: WhenFull) -> Result<Self, CompactError> {
        Self::with_clock(quota, keys, when_full, FastClock::new())
    }
}

impl<C: Clock> CompactLimiter<C, RandomState> {
    /// The same on another clock.
    pub fn with_clock(
        quota: Quota,
        keys: usize,
        when_full: WhenFull,
        clock: C,
    ) -> Result<Self, CompactError> {
        let parts = Parts::new(&quota).ok_or(CompactError::Quota)?;
        let count = || AtomicU64::new(0);
        Ok(Self {
            lines: allocate(keys)?,
            parts,
            latest: count(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            inserted: count(),
            overwritten: count(),
            turned_away: count(),
            when_full,
            origin: clock.now(),
            clock,
            hasher: RandomState::default(),
        })
    }
}

/// Lines for `keys` keys, which fill four fifths of them.
fn allocate(keys: usize) -> Result<Box<[Line]>, CapacityError> {
    if keys == 0 {
        return Err(CapacityError::Zero);
    }
    let too_large = CapacityError::TooLarge { keys };
    let count = keys.checked_mul(5).ok_or(too_large)?.div_ceil(4 * SLOTS).max(WINDOW);
    let bytes = count.checked_mul(size_of::<Line>()).ok_or(too_large)?;
    if isize::try_from(bytes).is_err() {
        return Err(too_large);
    }
    let mut lines = Vec::new();
    lines.try_reserve_exact(count).map_err(|_| CapacityError::OutOfMemory { keys, bytes })?;
    lines.resize_with(count, || Line { slots: std::array::from_fn(|_| AtomicU64::new(0)) });
    Ok(lines.into_boxed_slice())
}

impl<C: Clock, S: BuildHasher> CompactLimiter<C, S> {
    /// Takes one cell from the bucket of `key`, now.
    #[inline]
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Decision {
        self.check_at(self.clock.now(), key, 1)
    }

    /// Takes `cells` cells from the bucket of `key`, all or none, at `now`, a reading of this
    /// limiter's clock.
    #[inline]
    pub fn check_at<K: Hash + ?Sized>(&self, now: Timestamp, key: &K, cells: u64) -> Decision {
        self.check_hashed(now, self.hasher.hash_one(key), cells)
    }

    /// As [`KeyedLimiter::check_many_at`](super::KeyedLimiter::check_many_at).
    pub fn check_many_at<K: Hash>(
        &self,
        now: Timestamp,
        keys: &[K],
        mut answer: impl FnMut(usize, Decision),
    ) {
        let mut hashes = [0; BATCH];
        for (batch, keys) in keys.chunks(BATCH).enumerate() {
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = self.hasher.hash_one(key);
                prefetch::line(&raw const self.lines[self.home(*hash)]);
            }
            for (index, &hash) in hashes[..keys.len()].iter().enumerate() {
                answer(batch * BATCH + index, self.check_hashed(now, hash, 1));
            }
        }
    }

    /// The clock that the limiter reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// What the table has been through.
    pub fn stats(&self) -> KeyedStats {
        KeyedStats {
            slots: self.lines.len() * SLOTS,
            bytes: size_of_val(&*self.lines),
            // Relaxed: counts, each for itself.
            inserted: self.inserted.load(Ordering::Relaxed),
            overwritten: self.overwritten.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }

    #[inline(always)]
    fn check_hashed(&self, now: Timestamp, hash: u64, cells: u64) -> Decision {
        match cells {
            0 => return Decision::Admitted,
            _ if cells > self.parts.burst => {
                return Decision::Impossible { burst: self.parts.burst };
            }
            _ => {}
        }
        let elapsed = now.as_nanos().saturating_sub(self.origin.as_nanos());
        let (parts, cost) = (self.present(self.parts.at(elapsed)), cells << self.parts.bits);
        match self.take(hash, parts, cost) {
            Ok(()) => Decision::Admitted,
            Err(wait) => self.deny(now, elapsed, parts, wait),
        }
    }

    /// The denial that ends when the table's time has come to `wait` parts after `parts`.
    #[cold]
    fn deny(&self, now: Timestamp, elapsed: u64, parts: u64, wait: u64) -> Decision {
        // Behind a clock that has jumped back lies how far it jumped.
        let behind = parts - self.parts.at(elapsed);
        let retry_at = now.as_nanos().saturating_add(self.parts.nanos(behind + wait));
        Decision::Denied(Denial::new(now, Timestamp::from_nanos(retry_at)))
    }

    /// `parts`, or the latest moment that is remembered where the clock has jumped back behind it.
    #[inline(always)]
    fn present(&self, parts: u64) -> u64 {
        // Relaxed, both: a bound on time, which publishes nothing.
        let latest = self.latest.load(Ordering::Relaxed);
        if parts.saturating_sub(latest) > SLACK {
            self.remember(parts);
        }
        parts.max(latest)
    }

    #[cold]
    fn remember(&self, parts: u64) {
        let mut latest = self.latest.load(Ordering::Relaxed);
        while parts > latest {
            let (order, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.latest.compare_exchange(latest, parts, order, failure) {
                Ok(_) => return,
                Err(found) => latest = found,
            }
        }
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below the number of lines")]
        let home = ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize;
        home
    }

    #[inline(always)]
    fn window(&self, home: usize) -> impl Iterator<Item = &AtomicU64> {
        let lines = (home..home + WINDOW).map(|index| {
            let index = if index < self.lines.len() { index } else { index - self.lines.len() };
            &self.lines[index]
        });
        lines.flat_map(|line| &line.slots)
    }

    /// Takes `cost` parts, or says how many must pass before it can.
    #[inline(always)]
    fn take(&self, hash: u64, now: u64, cost: u64) -> Result<(), u64> {
        // The low bits; the high ones decide the line. Zero is a slot never used.
        let tag = (hash & ((1 << (64 - TAT_BITS)) - 1)).max(1);
        let home = self.home(hash);
        loop {
            if let Some(slot) = self.find(tag, home) {
                match self.take_from(slot, tag, now, cost) {
                    Step::Admitted => return Ok(()),
                    Step::Denied(wait) => return Err(wait),
                    Step::Lost => continue,
                }
            }
            if let Some(inserted) = self.insert(tag, home, now, cost) {
                return inserted;
            }
        }
    }

    #[inline(always)]
    fn find(&self, tag: u64, home: usize) -> Option<&AtomicU64> {
        // Relaxed: a slot is one word, and `take_from` reads it again.
        self.window(home).find(|slot| slot.load(Ordering::Relaxed) >> TAT_BITS == tag)
    }

    #[inline(always)]
    fn take_from(&self, slot: &AtomicU64, tag: u64, now: u64, cost: u64) -> Step {
        // Relaxed, here and below: a slot is one word and publishes nothing else.
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            if seen >> TAT_BITS != tag {
                return Step::Lost;
            }
            let debt = self.parts.debt(seen, now) + cost;
            if debt > self.parts.tolerance {
                return Step::Denied(debt - self.parts.tolerance);
            }
            let new = word(tag, now.wrapping_add(debt));
            match slot.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Step::Admitted,
                Err(found) => seen = found,
            }
        }
    }

    /// Gives a key a slot and takes from it; `None` where it turns out to have one.
    #[cold]
    fn insert(&self, tag: u64, home: usize, now: u64, cost: u64) -> Option<Result<(), u64>> {
        let _guard = self.locks[home % LOCKS].lock().expect("no holder of this lock panics");
        if self.find(tag, home).is_some() {
            return None;
        }
        let mut first_expiry = u64::MAX;
        for slot in self.window(home) {
            // Relaxed, all: as in `take_from`; the lock orders insertions of one key.
            let seen = slot.load(Ordering::Relaxed);
            let debt = self.parts.debt(seen, now);
            first_expiry = first_expiry.min(debt);
            let new = word(tag, now.wrapping_add(cost));
            let (order, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            if debt == 0 && slot.compare_exchange(seen, new, order, failure).is_ok() {
                self.inserted.fetch_add(1, Ordering::Relaxed);
                self.overwritten.fetch_add(u64::from(seen != 0), Ordering::Relaxed);
                return Some(Ok(()));
            }
        }
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        Some(match self.when_full {
            WhenFull::Admit => Ok(()),
            WhenFull::Deny => Err(first_expiry.max(1)),
        })
    }
}

fn word(tag: u64, tat: u64) -> u64 {
    tag << TAT_BITS | tat & TAT_MASK
}

impl<C, S> fmt::Debug for CompactLimiter<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactLimiter")
            .field("slots", &(self.lines.len() * SLOTS))
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
