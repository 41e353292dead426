//! Moving a unit of bins to the next table, by any number of threads at once.
//!
//! ```text
//!   growth: a unit is one old bin            shrinkage: a unit is one new bin
//!
//!      old      | b |                           old   | 2b | 2b+1 |
//!              /     \                                  \    /
//!      new  | 2b | 2b+1 |                       new     |  b  |
//! ```
//!
//! 1. *Freeze* each old bin. After that the set of its live entries, and their order along the
//!    chain, is the same for whoever looks.
//! 2. *Fill*: walk the frozen entries in that order and put each into the next place of its new
//!    bin. Every helper computes the same place for the same entry. A place is filled by exchanging
//!    the zero word, *never used*, and a slot that was filled is never zero again. So a helper that
//!    comes late, however late, changes nothing.
//! 3. *Finish*: mark the old bins as moved. Only then does any operation look at the new ones, so
//!    their free places are not touched while they are filled.
//!
//! No step waits: a thread that finds a frozen bin does all three itself.
//!
//! # What this module does not do
//!
//! It runs no code of the user: entries carry their hash.
#![expect(unsafe_code, reason = "the hash of an entry is read behind its address")]

use std::ptr;

use super::table::{ROW, Row, Table};
use super::word::{TAG_BITS, Word};
use crate::prefetch;
use crate::raw::hook::{Bug, Point, planted, reach};
use crate::sync::Ordering;

/// The greatest difference between the bits of two tables in a row: eight new bins for an old one,
/// or the reverse. More is done in several steps.
pub(super) const BITS_STEP_MAX: u32 = 3;

/// New bins that a unit may have.
const FAN_OUT_MAX: usize = 1 << BITS_STEP_MAX;

/// How a table and the next one divide into units.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Old bins in a unit, as bits.
    source_bits: u32,
    /// New bins in a unit, as bits.
    target_bits: u32,
}

impl Plan {
    fn new(old: &Table, new: &Table) -> Self {
        Self {
            source_bits: old.bits().saturating_sub(new.bits()),
            target_bits: new.bits().saturating_sub(old.bits()),
        }
    }
}

/// Number of units between a table and its next one.
#[inline]
pub(super) fn units(old: &Table, new: &Table) -> usize {
    old.len().min(new.len())
}

/// The unit of the old bin with this number.
#[inline]
pub(super) fn unit_of(old: &Table, new: &Table, bin: usize) -> usize {
    bin >> Plan::new(old, new).source_bits
}

/// Whether all of a unit is in the new table.
pub(super) fn is_moved(old: &Table, new: &Table, unit: usize) -> bool {
    let Plan { source_bits, .. } = Plan::new(old, new);
    // The last bin of a unit is marked last.
    old.bin(((unit + 1) << source_bits) - 1).header().is_moved()
}

/// Moves a unit. True for the one call, of all for this unit, that completed it.
pub(super) fn run(old: &Table, new: &Table, unit: usize) -> bool {
    let Plan { source_bits, target_bits } = Plan::new(old, new);
    let sources = (unit << source_bits)..((unit + 1) << source_bits);
    let first_target = unit << target_bits;
    for target in first_target..first_target + (1 << target_bits) {
        prefetch::read(new.bin(target));
    }
    for source in sources.clone() {
        let bin = old.bin(source);
        if bin.freeze(old).is_moved() {
            continue;
        }
        if old.base() != new.base() {
            let _ = bin.walk(old, |seen| {
                if seen.word.is_live() {
                    prefetch::read(seen.word.entry());
                }
                None::<()>
            });
        }
    }
    if is_moved(old, new, unit) {
        return false;
    }
    if planted(Bug::FinishesEarly) {
        sources.clone().for_each(|source| {
            old.bin(source).finish();
        });
    }
    let mut writers: [Option<Writer<'_>>; FAN_OUT_MAX] = [const { None }; FAN_OUT_MAX];
    for source in sources.clone() {
        let _ = old.bin(source).walk(old, |seen| {
            let is_to_move =
                seen.word.is_frozen() || planted(Bug::SkipsFreeze) && seen.word.is_live();
            if is_to_move && !(planted(Bug::SkipsCopy) && seen.place == ROW - 1) {
                let (target, word) = destination(old, source, new, seen.word);
                writers[target - first_target]
                    .get_or_insert_with(|| Writer::new(&new.bin(target).row))
                    .put(new, word);
            }
            None::<()>
        });
    }
    // In order, so that the last bin of a unit is marked last; whoever marks it completes the unit.
    let mut completed = false;
    for source in sources {
        completed = old.bin(source).finish();
    }
    completed
}

/// The new bin of a frozen entry, and its word there.
#[inline]
fn destination(old: &Table, source: usize, new: &Table, word: Word) -> (usize, Word) {
    if old.base() != new.base() {
        let hash = hash_of(word);
        return (new.index(hash), Word::live(word.entry(), hash, new.tail()));
    }
    // The first bits of the hash: of the bin's number those before the base, then the tag.
    let prefix = source >> (old.bits() - old.base()) << TAG_BITS | word.tag();
    (prefix >> (new.base() + TAG_BITS - new.bits()), word.as_live())
}

/// The hash of a frozen entry.
#[inline(always)]
pub(super) fn hash_of(word: Word) -> u64 {
    debug_assert!(word.is_live(), "a vacancy has no hash");
    // SAFETY: a live word leads to an entry that is not freed while we are pinned, and an entry
    // begins with its hash.
    unsafe { word.entry().cast::<u64>().read() }
}

/// Fills the places of one new bin in order.
struct Writer<'a> {
    first: &'a Row,
    row: &'a Row,
    index: usize,
}

impl<'a> Writer<'a> {
    fn new(first: &'a Row) -> Self {
        Self { first, row: first, index: 0 }
    }

    #[inline]
    fn put(&mut self, table: &'a Table, word: Word) {
        if self.index == ROW {
            (self.row, _) = table.extend(self.row);
            self.index = 0;
        }
        if !ptr::eq(self.row, self.first) {
            self.first.announce(word.probe());
        }
        // Release: who finds the entry in the new table sees what is in it. The Acquire by which we
        // found it in the old one makes that transitive. Failure: another helper was here, with the
        // same word.
        let _ = self.row.slots[self.index].compare_exchange(
            Word::VIRGIN.raw(),
            word.raw(),
            Ordering::Release,
            Ordering::Relaxed,
        );
        self.index += 1;
        reach(Point::Filled);
    }
}
