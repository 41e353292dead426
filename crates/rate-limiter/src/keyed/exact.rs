//! A slot of two words: a fingerprint of the key and an exact theoretical arrival time (TAT).
//!
//! A line is four slots, for 64-bit words exactly one cache line: four fingerprints, then four
//! TATs. In each line a key begins at the slot that its hash names, so that it is mostly there: a
//! processor that guesses so reads the fingerprint and the TAT at once.
//!
//! ```text
//!   | f f f f t t t t |
//!     ^ fingerprint     the key's hash; 0: never used
//!             ^ TAT     before now: expired; MARK: changing hands
//! ```
//!
//! # States of a slot
//!
//! | fingerprint | TAT      | state      | who may change it                                    |
//! |-------------|----------|------------|------------------------------------------------------|
//! | 0           | 0        | never used | an inserter, by exchanging the TAT for `MARK`        |
//! | key         | >= now   | in use     | any request of the key, by exchanging the TAT        |
//! | key         | < now    | expired    | the same, or an inserter as above: first one wins    |
//! | key         | < base   | older      | the same, and who changes the quota; see `change`    |
//! | any         | `MARK`   | changing   | the inserter that exchanged it, nobody else          |
//!
//! A fingerprint, once set, never becomes 0 again.
//!
//! # A request of a key that has its slot
//!
//! It reads the TAT, then the fingerprint *again*, then exchanges the TAT. Three facts make that
//! safe against the slot changing hands in between:
//!
//! 1. A slot never holds under one owner a TAT that it held under an earlier one: an inserter needs
//!    a TAT before now, a request adds to `max(TAT, now)`, who gives cells back goes no lower than
//!    the moment at which the slot was taken, and the ticks of another quota begin above all that
//!    were used. So an exchange that succeeds proves that the slot has not changed hands since the
//!    TAT was read.
//! 2. An inserter writes the fingerprint before the new TAT; a request that reads the new TAT
//!    reads the new fingerprint after it, and knows that the slot is lost.
//! 3. An inserter writes the mark before the fingerprint; a request that read an old TAT and then
//!    the new fingerprint fails in its exchange, and before it denies, it looks whether the TAT is
//!    still the one it judged.

use super::TableError;
use super::line::{Held, Line, Place};
use crate::bucket::AtomicWord;
use crate::gcra::{Word, debt};
use crate::quota::{Quota, Scale};
use crate::setting::Setting;
use crate::sync::{AtomicU64, AtomicU128, Ordering, hint};

/// Slots in a line.
pub(super) const SLOTS: usize = 4;

/// The fingerprint of a slot never used.
pub(super) const NEVER_USED: u64 = 0;

/// How far a reading of the clock may be ahead of the moment at which the quota changes: a minute.
/// A check with such a reading that knows only the old quota writes a TAT that far ahead.
const AHEAD_NS: u64 = 60_000_000_000;

/// Four slots.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slots<A> {
    fingerprints: [AtomicU64; SLOTS],
    tats: [A; SLOTS],
}

// The point of the layout: a key that is at home costs one cache miss.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Slots<AtomicU64>>() == 64);

/// Words that keep a quota, or not.
pub(super) trait Keeps: AtomicWord {
    /// `quota` in ticks, of which `base` are used up; `None` where they do not last.
    fn keep(quota: &Quota, base: Self::Word) -> Option<Scale<Self::Word>>;
}

impl Keeps for AtomicU64 {
    fn keep(quota: &Quota, base: u64) -> Option<Scale<u64>> {
        Scale::narrow_after(quota, base)
    }
}

impl Keeps for AtomicU128 {
    fn keep(quota: &Quota, base: u128) -> Option<Scale<u128>> {
        Scale::wide_after(quota, base)
    }
}

impl<A: AtomicWord> Slots<A> {
    /// Reads a TAT; waits for a slot that is changing hands, which takes two stores.
    #[inline(always)]
    fn tat(&self, slot: usize) -> A::Word {
        loop {
            // Acquire: pairs with the Release in `hand_over`; behind a TAT of the next owner we
            // see the fingerprint of the next owner.
            let seen = self.tats[slot].load(Ordering::Acquire);
            if seen != A::Word::MARK {
                return seen;
            }
            hint::spin_loop();
        }
    }
}

impl<A: Keeps> Line for Slots<A> {
    type Word = A::Word;
    type Seen = A::Word;

    const SLOTS: usize = SLOTS;

    /// In a table half full none of three million random keys found no room in as many; of eight
    /// lines, 7 in a million did; at three quarters full, 300 in a million.
    const WINDOW: usize = 16;

    const BEHIND: u64 = 0;

    fn empty() -> Self {
        Self {
            fingerprints: std::array::from_fn(|_| AtomicU64::new(NEVER_USED)),
            tats: std::array::from_fn(|_| A::new(A::Word::ZERO)),
        }
    }

    #[inline(always)]
    fn tag(hash: u64) -> u64 {
        hash.max(NEVER_USED + 1)
    }

    #[inline(always)]
    fn first_slot(tag: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are asked for")]
        let first = tag as usize % SLOTS;
        first
    }

    /// Looks at the first slot; then at all of them, and branches at none: which of them a key has
    /// that is not at its first one is what no processor can predict.
    #[inline(always)]
    fn find(&self, tag: u64) -> Place {
        let first = Self::first_slot(tag);
        // Relaxed, here and below: a hint; who takes from the slot reads it again behind the TAT.
        if self.fingerprints[first].load(Ordering::Relaxed) == tag {
            return Place::Slot(first);
        }
        let (mut equal, mut never_used) = (0_u32, 0_u32);
        for (slot, it) in self.fingerprints.iter().enumerate() {
            let seen = it.load(Ordering::Relaxed);
            equal |= u32::from(seen == tag) << slot;
            never_used |= u32::from(seen == NEVER_USED) << slot;
        }
        match (equal, never_used) {
            (0, 0) => Place::Behind,
            (0, _) => Place::Nowhere,
            _ => Place::Slot(equal.trailing_zeros() as usize % SLOTS),
        }
    }

    #[inline(always)]
    fn look(&self, slot: usize, tag: u64) -> Option<A::Word> {
        let seen = self.tat(slot);
        // Acquire: pairs with the Release in `hand_over`; if this owner came after `seen` was
        // read, the TAT that is read next is another one.
        (self.fingerprints[slot].load(Ordering::Acquire) == tag).then_some(seen)
    }

    fn held(&self, slot: usize) -> Held<A::Word> {
        let seen = self.tat(slot);
        // Acquire: as in `look`.
        let owner = self.fingerprints[slot].load(Ordering::Acquire);
        Held { seen, owner: (owner != NEVER_USED).then_some(owner) }
    }

    #[inline(always)]
    fn still(&self, slot: usize, seen: A::Word) -> bool {
        // Relaxed: only whether it moved; see fact 3 in the header.
        self.tats[slot].load(Ordering::Relaxed) == seen
    }

    #[inline(always)]
    fn exchange(
        &self,
        slot: usize,
        seen: A::Word,
        _: &Setting<A::Word>,
        _: u64,
        tat: A::Word,
    ) -> bool {
        // Release: who sees a TAT of a setting sees that the one before is over.
        self.tats[slot].exchange(seen, tat, Ordering::Release).is_ok()
    }

    fn hand_over(
        &self,
        slot: usize,
        seen: A::Word,
        _: &Setting<A::Word>,
        tag: u64,
        tat: A::Word,
    ) -> bool {
        // Acquire: the fingerprint is written after it.
        if self.tats[slot].exchange(seen, A::Word::MARK, Ordering::Acquire).is_err() {
            return false;
        }
        // Release: who sees the new owner sees the mark, so that an old TAT is known as old.
        self.fingerprints[slot].store(tag, Ordering::Release);
        // Release: who sees the new TAT sees the new owner.
        self.tats[slot].store(tat, Ordering::Release);
        true
    }

    fn scale(quota: &Quota, base: A::Word) -> Result<Scale<A::Word>, TableError> {
        A::keep(quota, base).ok_or(TableError::TooFine)
    }

    fn base_after(setting: &Setting<A::Word>, now: A::Word) -> Option<A::Word> {
        let Setting { scale, .. } = setting;
        let ahead = A::Word::from(AHEAD_NS).checked_mul(scale.ticks_per_ns)?;
        now.checked_add(scale.tolerance)?.checked_add(ahead)?.checked_add(A::Word::ONE)
    }

    #[inline(always)]
    fn ticks_at(setting: &Setting<A::Word>, now_ns: u64) -> A::Word {
        setting.ticks_at(now_ns)
    }

    #[inline(always)]
    fn present(_: &AtomicU64, ticks: A::Word) -> A::Word {
        ticks
    }

    #[inline(always)]
    fn missing(setting: &Setting<A::Word>, seen: A::Word, now: A::Word) -> Option<A::Word> {
        (seen >= setting.base).then(|| debt(seen, now))
    }

    #[inline(always)]
    fn moment_ns(setting: &Setting<A::Word>, _: u64, now: A::Word, wait: A::Word) -> u64 {
        setting.moment_ns(now + wait)
    }
}
