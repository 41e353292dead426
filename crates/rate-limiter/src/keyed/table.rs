//! A flat table of buckets that overwrites those that have expired.
//!
//! # Layout
//!
//! A *line* is four slots, for 64-bit words exactly one cache line: four fingerprints, then four
//! TATs. A key's hash names its *home* line; its slot is in the home line or one of the next
//! [`WINDOW`]` - 1`, the first that was free when the key came.
//!
//! ```text
//!   home = hash * lines / 2^64
//!
//!      line home            home + 1                     home + WINDOW - 1
//!   | f f f f t t t t | f f f f t t t t |   ...   | f f f f t t t t |
//!     ^ fingerprint     (the key's hash; 0: never used)
//!             ^ TAT     (at or before now: expired; MARK: changing hands)
//! ```
//!
//! # States of a slot
//!
//! | fingerprint | TAT      | state      | who may change it                                    |
//! |-------------|----------|------------|------------------------------------------------------|
//! | 0           | 0        | never used | an inserter, by exchanging the TAT for `MARK`        |
//! | key         | > now    | in use     | any request of the key, by exchanging the TAT        |
//! | key         | <= now   | expired    | the same, or an inserter as above: first one wins    |
//! | any         | `MARK`   | changing   | the inserter that exchanged it, nobody else          |
//!
//! A fingerprint, once set, never becomes 0 again. That is why a search may stop at a slot never
//! used: an insertion takes the first slot it can, so that nothing of this key lies behind.
//!
//! # A request of a key that has its slot
//!
//! It reads the TAT, then the fingerprint *again*, then exchanges the TAT. Three facts make that
//! safe against the slot changing hands in between:
//!
//! 1. The TAT of a slot only grows, over all its owners: a request adds to `max(TAT, now)`, and an
//!    inserter needs an expired TAT and writes one later than now. So an exchange that succeeds
//!    proves that nothing happened to the slot since the TAT was read.
//! 2. An inserter writes the fingerprint before the new TAT; a request that reads the new TAT
//!    reads the new fingerprint after it, and knows that the slot is lost.
//! 3. An inserter writes the mark before the fingerprint; a request that read an old TAT and then
//!    the new fingerprint fails in its exchange, and before it denies, it looks whether the TAT is
//!    still the one it judged.
//!
//! # Insertion
//!
//! Two inserters of one key must not give it two buckets, so an insertion holds one of
//! [`LOCKS`] locks, chosen by the home line, and searches again before it takes a slot. Inserters
//! of different homes may still want the same slot; the exchange to `MARK` decides. Requests of
//! keys that have their slot never take a lock; one that meets `MARK` waits out two stores, as
//! does an inserter.
//!
//! # What this module does not do
//!
//! It never grows, moves or sweeps. It does not know what a quota is, only ticks.

use crate::bucket::AtomicWord;
use crate::gcra::{Step, Word, step};
use crate::keyed::{CapacityError, KeyedStats, prefetch};
use crate::quota::Scale;
use crate::sync::{AtomicU64, Mutex, Ordering, hint};

/// Slots in a line.
const SLOTS: usize = 4;

/// Lines that a key may be found in. In a table half full none of three million random keys found
/// no room in as many; of eight lines, 7 in a million did; at three quarters full, 300 in a
/// million.
const WINDOW: usize = 16;

/// How much of a table is filled when it holds as many keys as it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    /// Half: of three million random keys none finds no room.
    Half,
    /// Four fifths: of a thousand random keys, a few find no room while the table is full.
    Dense,
}

impl Filling {
    /// Lines for `keys` keys; `None` where there is no such number.
    fn lines(self, keys: usize) -> Option<usize> {
        match self {
            Self::Half => Some(keys.div_ceil(2)),
            // A line of four slots for 3.2 keys.
            Self::Dense => keys.checked_mul(5).map(|fifths| fifths.div_ceil(16)),
        }
    }
}

/// Locks that insertions are spread over.
const LOCKS: usize = 64;

/// The fingerprint of a slot never used.
const NEVER_USED: u64 = 0;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome<W> {
    /// The ticks were taken.
    Admitted,
    /// The bucket has too few; this is the first tick at which it will not.
    Denied(W),
    /// The key has no bucket, and the window holds no slot for it; this is the first tick at which
    /// it does if nobody asks meanwhile.
    NoRoom(W),
}

/// Four slots; see the module's header.
#[derive(Debug)]
#[repr(align(64))]
struct Line<A> {
    fingerprints: [AtomicU64; SLOTS],
    tats: [A; SLOTS],
}

// The point of the layout: a key that is at home costs one cache miss.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Line<AtomicU64>>() == 64);

/// The table.
#[derive(Debug)]
pub(super) struct Table<A: AtomicWord> {
    /// Invariant: at least `WINDOW` lines, so that a window never meets itself.
    lines: Box<[Line<A>]>,
    scale: Scale<A::Word>,
    locks: Box<[Mutex<()>]>,
    inserted: AtomicU64,
    overwritten: AtomicU64,
    turned_away: AtomicU64,
}

impl<A: AtomicWord> Line<A> {
    /// Makes this slot the caller's if it is free at tick `now`; else says when it will be.
    ///
    /// Waits for a slot that is changing hands. Passing it by would let a key be put behind a
    /// slot that still looks never used, where a search would not find it.
    fn claim(&self, slot: usize, now: A::Word) -> Result<(), A::Word> {
        loop {
            // Acquire: pairs with the Release in `settle`; behind the TAT we see its owner.
            let seen = self.tats[slot].load(Ordering::Acquire);
            if seen == A::Word::MARK {
                hint::spin_loop();
            } else if seen > now {
                return Err(seen);
            } else if self.tats[slot].exchange(seen, A::Word::MARK, Ordering::Acquire).is_ok() {
                return Ok(());
            }
        }
    }
}

/// Where a search ended.
enum Found<'a, A> {
    /// The key has this slot.
    Slot(&'a Line<A>, usize),
    /// The key has no slot.
    Nothing,
}

impl<A: AtomicWord> Table<A> {
    /// A table with room for `keys` keys.
    pub(super) fn new(
        scale: Scale<A::Word>,
        keys: usize,
        filling: Filling,
    ) -> Result<Self, CapacityError> {
        if keys == 0 {
            return Err(CapacityError::Zero);
        }
        let too_large = CapacityError::TooLarge { keys };
        let count = filling.lines(keys).ok_or(too_large)?.max(WINDOW);
        let bytes = count.checked_mul(size_of::<Line<A>>()).ok_or(too_large)?;
        if isize::try_from(bytes).is_err() {
            return Err(too_large);
        }
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).map_err(|_| CapacityError::OutOfMemory { keys, bytes })?;
        lines.resize_with(count, || Line {
            fingerprints: std::array::from_fn(|_| AtomicU64::new(NEVER_USED)),
            tats: std::array::from_fn(|_| A::new(A::Word::ZERO)),
        });
        Ok(Self {
            lines: lines.into_boxed_slice(),
            scale,
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            inserted: AtomicU64::new(0),
            overwritten: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        })
    }

    /// The ticks of this table.
    #[inline(always)]
    pub(super) fn scale(&self) -> &Scale<A::Word> {
        &self.scale
    }

    /// Takes `cost` ticks at tick `now` from the bucket of the key with this hash.
    #[inline]
    pub(super) fn take(&self, hash: u64, now: A::Word, cost: A::Word) -> Outcome<A::Word> {
        let fingerprint = hash.max(NEVER_USED + 1);
        let home = self.home(hash);
        loop {
            let Found::Slot(line, slot) = self.find(fingerprint, home) else {
                if let Some(outcome) = self.insert(fingerprint, home, now, cost) {
                    return outcome;
                }
                continue;
            };
            if let Some(outcome) = self.take_from(line, slot, fingerprint, now, cost) {
                return outcome;
            }
        }
    }

    /// Asks for the home line of a key that will be taken from soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch::line(&raw const self.lines[self.home(hash)]);
    }

    /// The TAT of a key; zero where it has no bucket, which is full then. Writes nothing.
    pub(super) fn look(&self, hash: u64) -> A::Word {
        let fingerprint = hash.max(NEVER_USED + 1);
        loop {
            let Found::Slot(line, slot) = self.find(fingerprint, self.home(hash)) else {
                return A::Word::ZERO;
            };
            // Acquire, both: as in `take_from`.
            let seen = line.tats[slot].load(Ordering::Acquire);
            let owner = line.fingerprints[slot].load(Ordering::Acquire);
            if seen == A::Word::MARK {
                hint::spin_loop();
            } else if owner == fingerprint {
                return seen;
            }
        }
    }

    /// The line at which the window of a key begins. The high bits of the hash decide; the
    /// multiplication maps them evenly to any number of lines (Lemire 2019).
    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below the number of lines")]
        let home = ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize;
        home
    }

    /// The lines of a window, in order.
    #[inline(always)]
    fn window(&self, home: usize) -> impl Iterator<Item = &Line<A>> {
        (home..home + WINDOW).map(|index| {
            let index = if index < self.lines.len() { index } else { index - self.lines.len() };
            &self.lines[index]
        })
    }

    #[inline(always)]
    fn find(&self, fingerprint: u64, home: usize) -> Found<'_, A> {
        for line in self.window(home) {
            let mut end = false;
            for slot in 0..SLOTS {
                // Relaxed: a hint; `take_from` reads it again behind the TAT.
                let seen = line.fingerprints[slot].load(Ordering::Relaxed);
                if seen == fingerprint {
                    return Found::Slot(line, slot);
                }
                end |= seen == NEVER_USED;
            }
            if end {
                break;
            }
        }
        Found::Nothing
    }

    /// A request of a key that has this slot; `None` where the slot has changed hands.
    #[inline(always)]
    fn take_from(
        &self,
        line: &Line<A>,
        slot: usize,
        fingerprint: u64,
        now: A::Word,
        cost: A::Word,
    ) -> Option<Outcome<A::Word>> {
        loop {
            // Acquire: pairs with the Release in `settle`; behind a TAT of the next owner we see
            // the fingerprint of the next owner.
            let seen = line.tats[slot].load(Ordering::Acquire);
            if seen == A::Word::MARK {
                hint::spin_loop();
                continue;
            }
            // Acquire: pairs with the Release in `settle`; if this owner came after `seen` was
            // read, the TAT that is read below is another one.
            if line.fingerprints[slot].load(Ordering::Acquire) != fingerprint {
                return None;
            }
            match step(&self.scale, seen, now, cost) {
                Step::Admit(new_tat) => {
                    // Relaxed: a request publishes nothing but the TAT itself.
                    if line.tats[slot].exchange(seen, new_tat, Ordering::Relaxed).is_ok() {
                        return Some(Outcome::Admitted);
                    }
                }
                Step::Deny(ready) => {
                    // Relaxed: only whether it moved; see fact 3 in the header.
                    if line.tats[slot].load(Ordering::Relaxed) == seen {
                        return Some(Outcome::Denied(ready));
                    }
                }
            }
        }
    }

    /// Gives a key without a bucket a slot and takes `cost` ticks from it; `None` where the key
    /// turns out to have a slot.
    #[cold]
    fn insert(
        &self,
        fingerprint: u64,
        home: usize,
        now: A::Word,
        cost: A::Word,
    ) -> Option<Outcome<A::Word>> {
        let _guard = self.locks[home % LOCKS].lock().expect("no holder of this lock panics");
        if matches!(self.find(fingerprint, home), Found::Slot(..)) {
            return None;
        }
        let mut first_expiry = A::Word::MARK;
        for line in self.window(home) {
            for slot in 0..SLOTS {
                match line.claim(slot, now) {
                    Ok(()) => {
                        self.settle(line, slot, fingerprint, now + cost);
                        return Some(Outcome::Admitted);
                    }
                    Err(expiry) => first_expiry = first_expiry.min(expiry),
                }
            }
        }
        // Relaxed: a count.
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        Some(Outcome::NoRoom(first_expiry))
    }

    /// Hands a claimed slot to its new owner.
    fn settle(&self, line: &Line<A>, slot: usize, fingerprint: u64, tat: A::Word) {
        // Relaxed: nobody else writes it while the mark stands.
        if line.fingerprints[slot].load(Ordering::Relaxed) != NEVER_USED {
            // Relaxed, here and below: counts.
            self.overwritten.fetch_add(1, Ordering::Relaxed);
        }
        self.inserted.fetch_add(1, Ordering::Relaxed);
        // Release: who sees the new owner sees the mark, so that an old TAT is known as old.
        line.fingerprints[slot].store(fingerprint, Ordering::Release);
        // Release: who sees the new TAT sees the new owner.
        line.tats[slot].store(tat, Ordering::Release);
    }

    /// What the table has been through.
    pub(super) fn stats(&self) -> KeyedStats {
        KeyedStats {
            slots: self.lines.len() * SLOTS,
            bytes: size_of_val(&*self.lines),
            // Relaxed: counts, each for itself.
            inserted: self.inserted.load(Ordering::Relaxed),
            overwritten: self.overwritten.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
