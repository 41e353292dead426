//! A flat table of buckets that overwrites those that have expired.
//!
//! # Layout
//!
//! A *line* is four slots, for 64-bit words exactly one cache line: four fingerprints, then four
//! TATs. A key's hash names its *home* line; its slot is in the home line or one of the next
//! [`WINDOW`]` - 1`, the first that was free when the key came. In each line a key begins at the
//! slot that its hash names, so that it is mostly there: a processor that guesses so reads the
//! fingerprint and the TAT at once.
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
//! | key         | >= now   | in use     | any request of the key, by exchanging the TAT        |
//! | key         | < now    | expired    | the same, or an inserter as above: first one wins    |
//! | any         | `MARK`   | changing   | the inserter that exchanged it, nobody else          |
//!
//! A fingerprint, once set, never becomes 0 again. That is why a search may stop at a line with a
//! slot never used: an insertion takes the first line it can, so that nothing of this key lies
//! behind.
//!
//! # A request of a key that has its slot
//!
//! It reads the TAT, then the fingerprint *again*, then exchanges the TAT. Three facts make that
//! safe against the slot changing hands in between:
//!
//! 1. A slot never holds under one owner a TAT that it held under an earlier one: an inserter needs
//!    a TAT before now, a request adds to `max(TAT, now)`, and who gives cells back goes no lower
//!    than the moment at which the slot was taken. So an exchange that succeeds proves that the
//!    slot has not changed hands since the TAT was read.
//! 2. An inserter writes the fingerprint before the new TAT; a request that reads the new TAT
//!    reads the new fingerprint after it, and knows that the slot is lost.
//! 3. An inserter writes the mark before the fingerprint; a request that read an old TAT and then
//!    the new fingerprint fails in its exchange, and before it denies, it looks whether the TAT is
//!    still the one it judged.
//!
//! # Insertion
//!
//! Two inserters of one key must not give it two buckets, so an insertion holds the lock of its
//! home line (see `lines`), and searches again before it takes a slot. Inserters of different homes
//! may still want the same slot; the exchange to `MARK` decides. Requests of keys that have their
//! slot never take a lock; one that meets `MARK` waits out two stores, as does an inserter.
//!
//! # What this module does not do
//!
//! It never grows, moves or sweeps. It does not know what a quota is, only ticks.

mod line;

use super::lines::{Lines, Met};
use super::strangers::Strangers;
use super::{KeyedStats, Level, Outcome, Store, TableError};
use crate::bucket::AtomicWord;
use crate::gcra::{Step, Word, debt, step};
use crate::quota::Scale;
use crate::sync::{AtomicU64, Ordering, hint};
use line::{Line, NEVER_USED, SLOTS};

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

/// The table.
#[derive(Debug)]
pub(super) struct Table<A: AtomicWord> {
    lines: Lines<Line<A>, WINDOW>,
    scale: Scale<A::Word>,
}

/// A slot of the table.
struct Slot<'a, A> {
    fingerprint: &'a AtomicU64,
    tat: &'a A,
}

impl<A: AtomicWord> Table<A> {
    /// A table with room for `keys` keys.
    pub(super) fn new(
        scale: Scale<A::Word>,
        keys: usize,
        filling: Filling,
    ) -> Result<Self, TableError> {
        Ok(Self { lines: Lines::new(keys, filling.lines(keys), Line::empty)?, scale })
    }

    /// Keeps keys that come once out of the table.
    pub(super) fn keep_out(&mut self, strangers: Strangers) {
        self.lines.keep_out(strangers);
    }

    /// Whether keys that come once are kept out.
    pub(super) fn has_strangers(&self) -> bool {
        self.lines.has_strangers()
    }

    /// The same buckets in ticks of another quota, of which each misses `turn` of what it misses
    /// now. Nobody else has the table.
    ///
    /// Every bucket keeps its place, also a full one: a search stops at a slot never used.
    pub(super) fn under<B: AtomicWord>(
        &self,
        scale: Scale<B::Word>,
        elapsed_ns: u64,
        turn: impl Fn(u128) -> u128,
    ) -> Result<Table<B>, TableError> {
        let (now, then) = (self.scale.ticks_at(elapsed_ns), scale.ticks_at(elapsed_ns));
        let table = Table { lines: self.lines.anew(Line::<B>::empty)?, scale };
        for (old, new) in self.lines.iter().zip(table.lines.iter()) {
            for slot in 0..SLOTS {
                // Relaxed, all: nobody else has either table.
                let owner = old.fingerprints[slot].load(Ordering::Relaxed);
                let missing = debt(old.tats[slot].load(Ordering::Relaxed), now);
                let tat = if missing == A::Word::ZERO {
                    B::Word::ZERO
                } else {
                    let missing = B::Word::try_from(turn(missing.into())).ok();
                    then + missing.expect("a debt is at most the tolerance, which fits")
                };
                new.fingerprints[slot].store(owner, Ordering::Relaxed);
                new.tats[slot].store(tat, Ordering::Relaxed);
            }
        }
        Ok(table)
    }

    /// The slot that a key has.
    #[inline(always)]
    fn find(&self, fingerprint: u64, home: usize) -> Option<Slot<'_, A>> {
        for line in self.lines.window(home) {
            let first = first_slot(fingerprint);
            // Relaxed: as in `search`.
            if line.fingerprints[first].load(Ordering::Relaxed) == fingerprint {
                let (fingerprint, tat) = (&line.fingerprints[first], &line.tats[first]);
                return Some(Slot { fingerprint, tat });
            }
            let seen = line.search(fingerprint);
            if seen.equal != 0 {
                let slot = seen.equal.trailing_zeros() as usize % SLOTS;
                let (fingerprint, tat) = (&line.fingerprints[slot], &line.tats[slot]);
                return Some(Slot { fingerprint, tat });
            }
            if seen.never_used != 0 {
                break;
            }
        }
        None
    }

    /// A request of a key that has this slot; `None` where the slot has changed hands.
    #[inline(always)]
    fn take_from(
        &self,
        slot: &Slot<'_, A>,
        fingerprint: u64,
        now: A::Word,
        cost: A::Word,
    ) -> Option<Outcome> {
        loop {
            // Acquire: pairs with the Release in `settle`; behind a TAT of the next owner we see
            // the fingerprint of the next owner.
            let seen = slot.tat.load(Ordering::Acquire);
            if seen == A::Word::MARK {
                hint::spin_loop();
                continue;
            }
            // Acquire: pairs with the Release in `settle`; if this owner came after `seen` was
            // read, the TAT that is read below is another one.
            if slot.fingerprint.load(Ordering::Acquire) != fingerprint {
                return None;
            }
            match step(&self.scale, seen, now, cost) {
                Step::Admit(new_tat) => {
                    // Relaxed: a request publishes nothing but the TAT itself.
                    if slot.tat.exchange(seen, new_tat, Ordering::Relaxed).is_ok() {
                        return Some(Outcome::Admitted);
                    }
                }
                Step::Deny(ready) => {
                    // Relaxed: only whether it moved; see fact 3 in the header.
                    if slot.tat.load(Ordering::Relaxed) == seen {
                        return Some(Outcome::Denied(self.scale.moment_ns(ready)));
                    }
                }
            }
        }
    }

    /// Gives a key without a bucket a slot and takes `cells` cells from it; `None` where the key
    /// turns out to have a slot.
    #[cold]
    fn insert(&self, hash: u64, elapsed_ns: u64, cells: u64) -> Option<Outcome> {
        let (fingerprint, home) = (fingerprint(hash), self.lines.home(hash));
        let now = self.scale.ticks_at(elapsed_ns);
        let _guard = self.lines.lock(home);
        if self.find(fingerprint, home).is_some() {
            return None;
        }
        let tat = match self.lines.meet(hash, elapsed_ns, cells) {
            Met::Passes => return Some(Outcome::Admitted),
            Met::Begins { took_at_ns } => self.first_tat(took_at_ns),
        };
        match step(&self.scale, tat, now, self.scale.cost(cells)) {
            Step::Admit(tat) => Some(self.put(fingerprint, home, now, tat)),
            Step::Deny(ready) => Some(Outcome::Denied(self.scale.moment_ns(ready))),
        }
    }

    /// The TAT of a bucket that is full, or from which a cell was taken at `took_at_ns`.
    fn first_tat(&self, took_at_ns: Option<u64>) -> A::Word {
        took_at_ns
            .map_or(A::Word::ZERO, |nanos| self.scale.ticks_at(nanos) + self.scale.ticks_per_cell)
    }

    /// Puts a bucket into the first slot of a window that is free at `now`. The caller holds the
    /// lock of the home.
    fn put(&self, fingerprint: u64, home: usize, now: A::Word, tat: A::Word) -> Outcome {
        let mut first_expiry = A::Word::MARK;
        for line in self.lines.window(home) {
            for slot in 0..SLOTS {
                let slot = (first_slot(fingerprint) + slot) % SLOTS;
                match line.claim(slot, now) {
                    Ok(()) => {
                        self.settle(line, slot, fingerprint, tat);
                        return Outcome::Admitted;
                    }
                    Err(expiry) => first_expiry = first_expiry.min(expiry),
                }
            }
        }
        self.lines.count_turned_away();
        Outcome::NoRoom(self.scale.moment_ns(first_expiry))
    }

    /// Hands a claimed slot to its new owner.
    fn settle(&self, line: &Line<A>, slot: usize, fingerprint: u64, tat: A::Word) {
        // Relaxed: nobody else writes it while the mark stands.
        let overwrote = line.fingerprints[slot].load(Ordering::Relaxed) != NEVER_USED;
        self.lines.count_inserted(overwrote);
        // Release: who sees the new owner sees the mark, so that an old TAT is known as old.
        line.fingerprints[slot].store(fingerprint, Ordering::Release);
        // Release: who sees the new TAT sees the new owner.
        line.tats[slot].store(tat, Ordering::Release);
    }

    /// The TAT of a key; what is known of it where it has no bucket. Writes nothing.
    fn tat(&self, hash: u64, elapsed_ns: u64) -> A::Word {
        let fingerprint = fingerprint(hash);
        loop {
            let Some(slot) = self.find(fingerprint, self.lines.home(hash)) else {
                return self.first_tat(self.lines.took_at_ns(hash, elapsed_ns));
            };
            // Acquire, both: as in `take_from`.
            let seen = slot.tat.load(Ordering::Acquire);
            let owner = slot.fingerprint.load(Ordering::Acquire);
            if seen == A::Word::MARK {
                hint::spin_loop();
            } else if owner == fingerprint {
                return seen;
            }
        }
    }
}

/// The slot of each line that a key takes if it can.
#[inline(always)]
fn first_slot(fingerprint: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "only the low bits are asked for")]
    let first = fingerprint as usize % SLOTS;
    first
}

/// What tells a key from others in its window.
#[inline(always)]
fn fingerprint(hash: u64) -> u64 {
    hash.max(NEVER_USED + 1)
}

impl<A: AtomicWord> Store for Table<A> {
    #[inline(always)]
    fn take(&self, hash: u64, elapsed_ns: u64, cells: u64) -> Outcome {
        let (now, cost) = (self.scale.ticks_at(elapsed_ns), self.scale.cost(cells));
        let (fingerprint, home) = (fingerprint(hash), self.lines.home(hash));
        loop {
            let outcome = match self.find(fingerprint, home) {
                Some(slot) => self.take_from(&slot, fingerprint, now, cost),
                None => self.insert(hash, elapsed_ns, cells),
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    fn give_back(&self, hash: u64, elapsed_ns: u64, cells: u64) {
        let (now, cost) = (self.scale.ticks_at(elapsed_ns), self.scale.cost(cells));
        let fingerprint = fingerprint(hash);
        while let Some(slot) = self.find(fingerprint, self.lines.home(hash)) {
            // Acquire, both: as in `take_from`.
            let seen = slot.tat.load(Ordering::Acquire);
            let owner = slot.fingerprint.load(Ordering::Acquire);
            if seen == A::Word::MARK {
                hint::spin_loop();
            } else if owner == fingerprint {
                // Full is full: no lower than now, which is after the slot was taken.
                let missing = debt(seen, now);
                let left = if missing > cost { missing - cost } else { A::Word::ZERO };
                // Relaxed: as in `take_from`.
                let done =
                    seen <= now || slot.tat.exchange(seen, now + left, Ordering::Relaxed).is_ok();
                if done {
                    return;
                }
            }
        }
    }

    fn look(&self, hash: u64, elapsed_ns: u64, cells: u64) -> Level {
        let (tat, now) = (self.tat(hash, elapsed_ns), self.scale.ticks_at(elapsed_ns));
        let ready = match step(&self.scale, tat, now, self.scale.cost(cells)) {
            Step::Admit(_) => None,
            Step::Deny(ready) => Some(self.scale.moment_ns(ready)),
        };
        let full_at_ns = if tat > now { self.scale.moment_ns(tat) } else { elapsed_ns };
        Level { remaining: self.scale.remaining(tat, now), full_at_ns, ready_at_ns: ready }
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
