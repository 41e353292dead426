//! Growing and shrinking, a little with each write.
//!
//! ```text
//!   old    | 0      | 1      | 2      | 3      |      MOVED: 0, 1
//!            |  \     |  \
//!            v   v    v   v
//!   next   | 0 | 1  | 2 | 3  | 4 | 5  | 6 | 7  |      4 to 7: empty, and nobody comes here
//! ```
//!
//! A bin is moved by the owner of its lock: it copies the entries to the next table, where nobody
//! can see them yet, and sets `MOVED`, all in one store for whoever looks. Until then the old bin
//! is the place to read *and write*; no operation moves a bin in order to use it. Each write moves
//! one [chunk](super::migration) of bins besides, until all have moved. In the other direction two
//! bins or more become one; their mover holds all their locks.
//!
//! The slots of the next table are cleared bin by bin, by who moves entries into them (see
//! [`Table::open`]): memory that the allocator had at hand need not be written twice.
//!
//! The slots of moved bins are given back to the system as it goes on. The next table takes its
//! pages as fast, and a system that is given some meanwhile hands those on, instead of fetching two
//! thousand new ones at a time for whoever needs the first of them. Who is late and still looks at
//! such slots sees zeroes, and then that the bin has moved.
//!
//! The table after the next is not begun before the old one has gone. If its last chunk waits for
//! a thread that the system has suspended, entries go on into annexes.

use std::hash::BuildHasher;

use crossbeam_epoch as epoch;

use super::annex::{Annex, is_block};
use super::bin::{Bin, Slot};
use super::core::Core;
use super::reclaim::retire_block;
use super::split::WAYS_MAX;
use super::state::State;
use super::table::{BINS_MIN, Table, capacity_of};
use crate::raw::hook::{Bug, planted};
use crate::sync::Ordering;
use crate::zeroed::Pages;

/// A table is too large when it holds less than this fraction of what fills it.
const SPARSE_DIVISOR: usize = 8;

/// A small table is followed by one four times as large: then n/3 to 4n/3 entries are moved on the
/// way to n of them, not n to 2n. The price is room for up to four times as many entries as there
/// are. A large table is followed by one of twice its size, for the sake of memory.
const FACTOR_SMALL: usize = 4;
const FACTOR_LARGE: usize = 2;

/// Bins of the smallest table that is large: of a megabyte.
const LARGE_BINS: usize = 4_096;

/// How often a mover tries to lock a bin that others write.
const ATTEMPTS: usize = 8;

/// Below this many bins a table that may be full is counted at once; above it one in
/// `COUNT_PERIOD` times.
const COUNT_ALWAYS_BINS: usize = 1_024;
const COUNT_PERIOD: u64 = 8;

/// The entries of bins that are about to move, with their hashes.
#[derive(Default)]
struct Movers<'t> {
    bins: Vec<(Bin<'t>, State)>,
    entries: Vec<(&'t Slot, u64)>,
}

impl<S: BuildHasher> Core<S> {
    /// A bin was crowded: grows the table if it is full.
    #[cold]
    pub(super) fn grow_if_full(&self, table: &Table, hash: u64) {
        let bins = table.len();
        if bins >= COUNT_ALWAYS_BINS && !hash.is_multiple_of(COUNT_PERIOD) {
            return;
        }
        if self.is_current(table) && self.is_full(table) {
            let factor = if bins < LARGE_BINS { FACTOR_SMALL } else { FACTOR_LARGE };
            table.begin_resize(bins.saturating_mul(factor), Pages::Small);
        }
    }

    /// Shrinks the table to half if it holds few entries.
    #[cold]
    pub(super) fn shrink_if_sparse(&self, table: &Table) {
        let bins = table.len();
        // Relaxed: a wish.
        let floor = self.bins_floor.load(Ordering::Relaxed);
        let fits = bins / 2 >= floor.max(BINS_MIN);
        if fits && self.is_current(table) && self.len() < capacity_of(bins) / SPARSE_DIVISOR {
            table.begin_resize(bins / 2, Pages::Small);
        }
    }

    /// Keeps the map from shrinking below `bins` bins by itself.
    pub(super) fn raise_floor(&self, bins: usize) {
        // Relaxed: a wish.
        self.bins_floor.fetch_max(bins, Ordering::Relaxed);
    }

    /// Lets the map shrink as far as it can.
    pub(super) fn lower_floor(&self) {
        // Relaxed: a wish.
        self.bins_floor.store(BINS_MIN, Ordering::Relaxed);
    }

    /// Whether the table holds as many entries as it should, or nearly, if its pool is used up.
    fn is_full(&self, table: &Table) -> bool {
        let capacity = capacity_of(table.len());
        let enough = if table.pool.is_used_up() { capacity / 4 * 3 } else { capacity };
        self.len() > enough
    }

    fn is_current(&self, table: &Table) -> bool {
        std::ptr::eq(self.address(), table)
    }

    /// Moves a chunk of bins, if any are left to move; false where that did not succeed.
    #[cold]
    pub(super) fn help(&self, table: &Table) -> bool {
        // The hasher may use the map, through the very session that calls us: this guard keeps that
        // from pinning its own anew, under our feet.
        let _guard = epoch::pin();
        let Some(next) = table.next() else { return false };
        let Some(chunk) = next.arrivals.claim() else { return false };
        let mut movers = Movers::default();
        let mut complete = true;
        for unit in next.arrivals.units(chunk) {
            complete &= self.move_unit(table, next, unit, &mut movers);
        }
        if complete {
            let finish = next.arrivals.finish(chunk);
            if let Some(units) = finish.stretch {
                table.give_up(units, width(table, next));
            }
            if finish.is_last {
                self.replace(table);
            }
        }
        complete
    }

    /// Moves the bins of a unit; false where others were at work on one of them.
    fn move_unit<'t>(
        &self,
        table: &'t Table,
        next: &Table,
        unit: usize,
        movers: &mut Movers<'t>,
    ) -> bool {
        let (width, ways) = (width(table, next), ways(table, next));
        for _ in 0..ATTEMPTS {
            movers.clear();
            for bin in unit * width..(unit + 1) * width {
                movers.add(table, table.bin_at(bin), |key| self.hash(key));
            }
            // They are said to have moved in order, so the last one speaks for all.
            if movers.bins.last().is_some_and(|(_, state)| state.is_moved()) {
                return true;
            }
            if planted(Bug::MovesUnlocked) || movers.lock() {
                movers.settle_in(next, unit * ways, ways);
                return true;
            }
        }
        false
    }
}

/// Bins of a table that are one unit on the way to the next.
fn width(table: &Table, next: &Table) -> usize {
    (table.len() / next.len()).max(1)
}

/// Bins of the next table that are one unit on the way there.
fn ways(table: &Table, next: &Table) -> usize {
    (next.len() / table.len()).max(1)
}

impl<'t> Movers<'t> {
    fn clear(&mut self) {
        self.bins.clear();
        self.entries.clear();
    }

    /// Notes a bin, and its entries with their hashes. They are computed before any lock is taken:
    /// the hasher is foreign code.
    #[inline(always)]
    fn add(&mut self, table: &'t Table, bin: Bin<'t>, hash: impl Fn(u64) -> u64) {
        let state = bin.head.state();
        self.bins.push((bin, state));
        table.for_each_slot(bin, |slot| {
            // Relaxed: if it changes, the lock cannot be had.
            let hash = hash(slot.key.load(Ordering::Relaxed));
            self.entries.push((slot, hash));
        });
    }

    /// Takes the locks of all bins, or of none. It waits for nobody.
    fn lock(&self) -> bool {
        for (index, &(bin, state)) in self.bins.iter().enumerate() {
            if state.is_locked() || state.is_moved() || !bin.head.try_lock(state) {
                for &(bin, state) in &self.bins[..index] {
                    bin.head.publish(state);
                }
                return false;
            }
        }
        true
    }

    /// Copies the entries to the next table and says that they are there. `first` is the first of
    /// the bins that take over, and `ways` their number.
    fn settle_in(&self, next: &Table, first: usize, ways: usize) {
        if planted(Bug::MovesEarly) {
            self.bins.iter().for_each(|(bin, state)| bin.head.publish(state.moved()));
        }
        let entries = self.entries.iter().map(|&(slot, hash)| (hash, slot.entry()));
        if ways <= WAYS_MAX {
            next.settle_split(first, ways, entries);
        } else {
            next.settle_far(first, ways, entries);
        }
        for &(bin, state) in &self.bins {
            let word = bin.head.annex();
            bin.head.publish(state.moved());
            bin.head.set_annex(0);
            if is_block(word) {
                retire_block(word);
            }
        }
    }
}

impl Table {
    /// Makes a table of `bins` bins that takes over from this one, which is the current one, unless
    /// there is one already. Where there is no memory for it, the map stays as it is.
    pub(super) fn begin_resize(&self, bins: usize, pages: Pages) {
        if self.next().is_none()
            && let Some(next) = Self::new(bins, Some(self.len()), pages)
        {
            self.set_next(next);
        }
    }

    /// Calls `visit` with each slot that holds an entry, if the bin is still what it was.
    #[inline(always)]
    pub(super) fn for_each_slot<'t>(&'t self, bin: Bin<'t>, mut visit: impl FnMut(&'t Slot)) {
        bin.head.tags().occupied().for_each(|index| visit(&bin.slots[index]));
        match self.annex(bin.head.annex()) {
            Annex::None => {}
            Annex::Pool(_) if planted(Bug::ForgetsAnnex) => {}
            Annex::Pool(annex) => {
                let slots = self.pool.slots(annex.class, annex.unit);
                annex.occupied().for_each(|index| visit(&slots[index]));
            }
            Annex::Block(block) => block.occupied().for_each(|index| visit(block.slot(index))),
        }
    }
}
