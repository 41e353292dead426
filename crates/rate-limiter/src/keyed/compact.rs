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

mod parts;

use super::lines::{Lines, Met, Seen};
use super::strangers::Strangers;
use super::{KeyedStats, Level, Outcome, Store, TableError};
use crate::quota::{Quota, Scale};
use crate::sync::{AtomicU64, Ordering};
use parts::Parts;

/// Bits of a TAT.
const TAT_BITS: u32 = 40;
const TAT_MASK: u64 = (1 << TAT_BITS) - 1;

/// Most parts of a burst.
const TOLERANCE_MAX: u64 = 1 << 24;

/// Parts by which the remembered moment may be behind.
const SLACK: u64 = 1 << 16;

/// The word of a slot never used.
const NEVER_USED: u64 = 0;

/// Slots in a line.
const SLOTS: usize = 8;

/// Lines that a key may be found in.
const WINDOW: usize = 8;

// A TAT in use and one that has passed are far apart.
const _: () = assert!(TOLERANCE_MAX + 2 * SLACK < 1 << (TAT_BITS - 8));

/// The table.
#[derive(Debug)]
pub(super) struct Compact {
    lines: Lines<Line, WINDOW>,
    parts: Parts,
    /// Within `SLACK` of the latest moment that was seen, in parts. Never decreases.
    latest: AtomicU64,
}

#[derive(Debug)]
#[repr(align(64))]
struct Line {
    slots: [AtomicU64; SLOTS],
}

impl Line {
    /// Looks at all slots and branches at none, as in `table`.
    #[inline(always)]
    fn search(&self, tag: u64) -> Seen {
        let mut found = Seen { equal: 0, never_used: 0 };
        for (slot, it) in self.slots.iter().enumerate() {
            // Relaxed: a slot is one word, and who takes from it reads it again.
            let seen = it.load(Ordering::Relaxed);
            found.equal |= u32::from(seen >> TAT_BITS == tag) << slot;
            found.never_used |= u32::from(seen == NEVER_USED) << slot;
        }
        found
    }
}

/// Why parts cannot be taken, and how many must pass before they can.
enum Refusal {
    /// The bucket has too few.
    Denied(u64),
    /// The key has no bucket, and there is no slot for it.
    NoRoom(u64),
}

/// Where a request found the bucket of its key.
enum Step {
    Admitted,
    /// Denied until so many parts have passed.
    Denied(u64),
    /// The slot is another key's now.
    Lost,
}

impl Compact {
    /// A table with room for `keys` keys; an error where `quota` needs finer time or more of it
    /// than eight bytes have.
    pub(super) fn new(quota: &Quota, keys: usize) -> Result<Self, TableError> {
        let parts = Parts::new(quota).ok_or(TableError::NotCompact)?;
        // Four fifths of eight slots are in use when the table holds what it was made for.
        let count = keys.checked_mul(5).map(|fifths| fifths.div_ceil(4 * SLOTS));
        let line = || Line { slots: std::array::from_fn(|_| AtomicU64::new(NEVER_USED)) };
        Ok(Self { lines: Lines::new(keys, count, line)?, parts, latest: AtomicU64::new(0) })
    }

    /// Keeps keys that come once out of the table.
    pub(super) fn keep_out(&mut self, strangers: Strangers) {
        self.lines.keep_out(strangers);
    }

    /// Whether keys that come once are kept out.
    pub(super) fn has_strangers(&self) -> bool {
        self.lines.has_strangers()
    }

    /// The same buckets under another quota, as those of `table`; `turn` speaks of wide ticks.
    pub(super) fn under(
        &self,
        old: &Quota,
        new: &Quota,
        elapsed_ns: u64,
        turn: impl Fn(u128) -> u128,
    ) -> Result<Self, TableError> {
        let parts = Parts::new(new).ok_or(TableError::NotCompact)?;
        let (now, then) = (self.present(self.parts.at(elapsed_ns)), parts.at(elapsed_ns));
        let cells = [old, new].map(|quota| Scale::wide(quota).ticks_per_cell);
        let line = || Line { slots: std::array::from_fn(|_| AtomicU64::new(NEVER_USED)) };
        let lines = self.lines.anew(line)?;
        for (from, to) in self.lines.iter().zip(lines.iter()) {
            for (from, to) in from.slots.iter().zip(&to.slots) {
                // Relaxed, all: nobody else has either table.
                let seen = from.load(Ordering::Relaxed);
                if seen != NEVER_USED {
                    let debt = match self.parts.debt(seen, now) {
                        0 => 0,
                        debt => parts.turned(debt, &self.parts, cells, &turn),
                    };
                    to.store(word(seen >> TAT_BITS, then.wrapping_add(debt)), Ordering::Relaxed);
                }
            }
        }
        Ok(Self { lines, parts, latest: AtomicU64::new(then) })
    }

    /// The nanosecond at which the table's time has come to `wait` parts after `now` for certain.
    fn moment_ns(&self, elapsed_ns: u64, now: u64, wait: u64) -> u64 {
        // Behind a clock that has jumped back lies how far it jumped.
        let behind = now - self.parts.at(elapsed_ns);
        elapsed_ns.saturating_add(self.parts.nanos(behind + wait))
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

    /// Takes `cells` cells at `now`, in parts, or says how many parts must pass before it can.
    #[inline(always)]
    fn take_at(&self, hash: u64, elapsed_ns: u64, now: u64, cells: u64) -> Result<(), Refusal> {
        let (tag, home, cost) = (tag(hash), self.lines.home(hash), cells << self.parts.bits);
        loop {
            if let Some(slot) = self.find(tag, home) {
                match self.take_from(slot, tag, now, cost) {
                    Step::Admitted => return Ok(()),
                    Step::Denied(wait) => return Err(Refusal::Denied(wait)),
                    Step::Lost => continue,
                }
            }
            if let Some(inserted) = self.insert(hash, elapsed_ns, now, cells) {
                return inserted;
            }
        }
    }

    #[inline(always)]
    fn find(&self, tag: u64, home: usize) -> Option<&AtomicU64> {
        for line in self.lines.window(home) {
            let seen = line.search(tag);
            if seen.equal != 0 {
                return Some(&line.slots[seen.equal.trailing_zeros() as usize % SLOTS]);
            }
            // An insertion takes the first slot it can: nothing of this key lies behind.
            if seen.never_used != 0 {
                break;
            }
        }
        None
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
    fn insert(
        &self,
        hash: u64,
        elapsed_ns: u64,
        now: u64,
        cells: u64,
    ) -> Option<Result<(), Refusal>> {
        let (tag, home) = (tag(hash), self.lines.home(hash));
        let _guard = self.lines.lock(home);
        if self.find(tag, home).is_some() {
            return None;
        }
        let first = match self.lines.meet(hash, elapsed_ns, cells) {
            Met::Passes => return Some(Ok(())),
            Met::Begins { took_at_ns } => self.parts.first_debt(took_at_ns, now),
        };
        let debt = first + (cells << self.parts.bits);
        if debt > self.parts.tolerance {
            return Some(Err(Refusal::Denied(debt - self.parts.tolerance)));
        }
        Some(self.put(home, now, word(tag, now.wrapping_add(debt))))
    }

    /// Puts a bucket into the first slot of a window that is free at `now`. The caller holds the
    /// lock of the home.
    fn put(&self, home: usize, now: u64, new: u64) -> Result<(), Refusal> {
        let mut first_expiry = u64::MAX;
        for slot in self.lines.window(home).flat_map(|line| &line.slots) {
            match self.claim(slot, now, new) {
                Ok(()) => return Ok(()),
                Err(debt) => first_expiry = first_expiry.min(debt),
            }
        }
        self.lines.count_turned_away();
        Err(Refusal::NoRoom(first_expiry))
    }

    /// Writes `new` into this slot if it is free; else says how many parts it will not be.
    ///
    /// A slot never used is not passed by: a search would stop there.
    fn claim(&self, slot: &AtomicU64, now: u64, new: u64) -> Result<(), u64> {
        // Relaxed, all: as in `take_from`; the lock orders insertions of one key.
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let debt = if seen == NEVER_USED { 0 } else { self.parts.debt(seen, now) };
            if debt > 0 {
                return Err(debt);
            }
            match slot.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    self.lines.count_inserted(seen != NEVER_USED);
                    return Ok(());
                }
                Err(found) => seen = found,
            }
        }
    }
}

/// What tells a key from others in its window: the low bits of its hash, since the high ones
/// decide the line. Zero is a slot never used.
#[inline(always)]
fn tag(hash: u64) -> u64 {
    (hash & ((1 << (64 - TAT_BITS)) - 1)).max(1)
}

fn word(tag: u64, tat: u64) -> u64 {
    tag << TAT_BITS | tat & TAT_MASK
}

impl Store for Compact {
    #[inline(always)]
    fn take(&self, hash: u64, elapsed_ns: u64, cells: u64) -> Outcome {
        let now = self.present(self.parts.at(elapsed_ns));
        match self.take_at(hash, elapsed_ns, now, cells) {
            Ok(()) => Outcome::Admitted,
            Err(Refusal::Denied(wait)) => Outcome::Denied(self.moment_ns(elapsed_ns, now, wait)),
            Err(Refusal::NoRoom(wait)) => Outcome::NoRoom(self.moment_ns(elapsed_ns, now, wait)),
        }
    }

    fn give_back(&self, hash: u64, elapsed_ns: u64, cells: u64) {
        let now = self.present(self.parts.at(elapsed_ns));
        let (tag, cost) = (tag(hash), cells << self.parts.bits);
        while let Some(slot) = self.find(tag, self.lines.home(hash)) {
            // Relaxed, all: as in `take_from`.
            let seen = slot.load(Ordering::Relaxed);
            let left = self.parts.debt(seen, now).saturating_sub(cost);
            let new = word(tag, now.wrapping_add(left));
            let (order, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            let done =
                seen >> TAT_BITS == tag && slot.compare_exchange(seen, new, order, failure).is_ok();
            if done {
                return;
            }
        }
    }

    fn look(&self, hash: u64, elapsed_ns: u64, cells: u64) -> Level {
        let now = self.present(self.parts.at(elapsed_ns));
        let slot = self.find(tag(hash), self.lines.home(hash));
        // Relaxed: as in `take_from`. A slot that was lost meanwhile says what its owner misses,
        // as one with the same tag would.
        let debt = match slot {
            Some(slot) => self.parts.debt(slot.load(Ordering::Relaxed), now),
            None => self.parts.first_debt(self.lines.took_at_ns(hash, elapsed_ns), now),
        };
        let wanted = debt + (cells << self.parts.bits);
        let wait = wanted.checked_sub(self.parts.tolerance).filter(|&wait| wait > 0);
        let stored = self.parts.tolerance.saturating_sub(debt);
        let at = |wait| self.moment_ns(elapsed_ns, now, wait);
        Level {
            remaining: stored >> self.parts.bits,
            full_at_ns: if debt == 0 { elapsed_ns } else { at(debt) },
            ready_at_ns: wait.map(at),
        }
    }

    #[inline(always)]
    fn prefetch(&self, hash: u64) {
        self.lines.prefetch(hash);
    }

    fn stats(&self) -> KeyedStats {
        self.lines.stats(SLOTS)
    }
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
