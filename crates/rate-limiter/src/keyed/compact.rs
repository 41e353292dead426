//! A slot of one word: a tag of the key and a coarse theoretical arrival time (TAT).
//!
//! ```text
//!   63            40  39    38                              0
//!   | tag, 24 bits  | turn | TAT modulo 2^39, parts of a cell |      eight slots a cache line
//! ```
//!
//! Tag and TAT are one word, so that a slot changes hands by the same exchange that a request
//! makes: there is no state in between. The *turn* is another bit for every other quota that the
//! table has kept, so that a slot says which one its TAT is of.
//!
//! # Time
//!
//! A cell has `2^k` parts, so that the rate is exact and nothing drifts. The clock in parts is one
//! multiplication, at most two parts behind. `k` is the largest of `0 ..= 20` for which the burst
//! has at most 2^24 parts and a nanosecond at most one.
//!
//! A TAT is in use while it lies at most the burst ahead of the clock, modulo 2^39; a table that
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
//! 3. *Wrapping*: a bucket that nobody touched for 2^39 parts looks in use again, with a chance of
//!    2^-15 at a random moment, for at most the time of a burst. That denies early.
//!
//! # What this module does not do
//!
//! It is not for quotas of more than a cell a nanosecond, nor for bursts above 2^24.

mod parts;

use super::TableError;
use super::line::{Held, Line, Place};
use crate::quota::{Quota, Scale};
use crate::setting::Setting;
use crate::sync::{AtomicU64, Ordering};

/// Bits of a TAT.
const TAT_BITS: u32 = 39;
const TAT_MASK: u64 = (1 << TAT_BITS) - 1;

/// The bits above, which are the tag's.
const TAG_SHIFT: u32 = TAT_BITS + 1;

/// Most parts of a burst.
const TOLERANCE_MAX: u64 = 1 << 24;

/// Parts by which the remembered moment may be behind.
const SLACK: u64 = 1 << 16;

/// Parts at which the clock stands still, after 292 years at least.
const PARTS_MAX: u64 = u64::MAX >> 1;

/// The word of a slot never used.
const NEVER_USED: u64 = 0;

/// Slots in a line.
const SLOTS: usize = 8;

// A TAT in use and one that has passed are far apart.
const _: () = assert!(TOLERANCE_MAX + 2 * SLACK < 1 << (TAT_BITS - 8));

/// Eight slots.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Words([AtomicU64; SLOTS]);

/// The bit of `setting`'s buckets.
#[inline(always)]
fn turn(setting: &Setting<u64>) -> u64 {
    ((setting.version / 2) % 2) << TAT_BITS
}

#[inline(always)]
fn word(setting: &Setting<u64>, tag: u64, tat: u64) -> u64 {
    tag << TAG_SHIFT | turn(setting) | tat & TAT_MASK
}

impl Words {
    #[inline(always)]
    fn write(&self, slot: usize, seen: u64, word: u64) -> bool {
        // Release: who sees a TAT of a setting sees that the one before is over.
        self.0[slot].compare_exchange(seen, word, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}

impl Line for Words {
    type Word = u64;
    type Seen = u64;

    const SLOTS: usize = SLOTS;
    const WINDOW: usize = 8;
    const BEHIND: u64 = 2;

    fn empty() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(NEVER_USED)))
    }

    /// The low bits of the hash, since the high ones decide the line. Zero is a slot never used.
    #[inline(always)]
    fn tag(hash: u64) -> u64 {
        (hash & ((1 << (64 - TAG_SHIFT)) - 1)).max(1)
    }

    #[inline(always)]
    fn first_slot(_: u64) -> usize {
        0
    }

    /// Looks at all slots and branches at none, as in `exact`.
    #[inline(always)]
    fn find(&self, tag: u64) -> Place {
        let (mut equal, mut never_used) = (0_u32, 0_u32);
        for (slot, it) in self.0.iter().enumerate() {
            // Relaxed: a slot is one word, and who takes from it reads it again.
            let seen = it.load(Ordering::Relaxed);
            equal |= u32::from(seen >> TAG_SHIFT == tag) << slot;
            never_used |= u32::from(seen == NEVER_USED) << slot;
        }
        match (equal, never_used) {
            (0, 0) => Place::Behind,
            (0, _) => Place::Nowhere,
            _ => Place::Slot(equal.trailing_zeros() as usize % SLOTS),
        }
    }

    #[inline(always)]
    fn look(&self, slot: usize, tag: u64) -> Option<u64> {
        // Acquire: pairs with the Release in `write`.
        let seen = self.0[slot].load(Ordering::Acquire);
        (seen >> TAG_SHIFT == tag).then_some(seen)
    }

    fn held(&self, slot: usize) -> Held<u64> {
        // Acquire: as in `look`.
        let seen = self.0[slot].load(Ordering::Acquire);
        Held { seen, owner: (seen != NEVER_USED).then_some(seen >> TAG_SHIFT) }
    }

    /// Owner and TAT were read at once.
    #[inline(always)]
    fn still(&self, _: usize, _: u64) -> bool {
        true
    }

    #[inline(always)]
    fn exchange(&self, slot: usize, seen: u64, setting: &Setting<u64>, tag: u64, tat: u64) -> bool {
        self.write(slot, seen, word(setting, tag, tat))
    }

    fn hand_over(
        &self,
        slot: usize,
        seen: u64,
        setting: &Setting<u64>,
        tag: u64,
        tat: u64,
    ) -> bool {
        self.write(slot, seen, word(setting, tag, tat))
    }

    fn scale(quota: &Quota, _: u64) -> Result<Scale<u64>, TableError> {
        parts::scale(quota).ok_or(TableError::NotCompact)
    }

    fn base_after(_: &Setting<u64>, now: u64) -> Option<u64> {
        Some(now)
    }

    #[inline(always)]
    fn ticks_at(setting: &Setting<u64>, now_ns: u64) -> u64 {
        let passed = parts::within(&setting.scale, now_ns.saturating_sub(setting.start_ns));
        setting.base.saturating_add(passed).min(PARTS_MAX)
    }

    /// The latest moment that is remembered where the clock has jumped back behind it.
    #[inline(always)]
    fn present(latest: &AtomicU64, parts: u64) -> u64 {
        // Relaxed: a bound on time, which publishes nothing.
        let seen = latest.load(Ordering::Relaxed);
        if parts.saturating_sub(seen) > SLACK {
            remember(latest, parts);
        }
        parts.max(seen)
    }

    #[inline(always)]
    fn missing(setting: &Setting<u64>, seen: u64, now: u64) -> Option<u64> {
        let of_this = (seen ^ turn(setting)) >> TAT_BITS & 1 == 0;
        of_this.then(|| parts::ahead(&setting.scale, seen, now))
    }

    fn moment_ns(setting: &Setting<u64>, now_ns: u64, now: u64, wait: u64) -> u64 {
        // Behind a clock that has jumped back lies how far it jumped.
        let behind = now - Self::ticks_at(setting, now_ns);
        let from_ns = now_ns.max(setting.start_ns);
        from_ns.saturating_add(parts::nanos(&setting.scale, behind.saturating_add(wait)))
    }
}

#[cold]
fn remember(latest: &AtomicU64, parts: u64) {
    // Relaxed, all: as in `present`.
    let mut seen = latest.load(Ordering::Relaxed);
    while parts > seen {
        match latest.compare_exchange(seen, parts, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(found) => seen = found,
        }
    }
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
