//! Visiting all entries.
//!
//! The bins of a table divide all hashes into ranges, in order. A walk takes the bins of the table
//! that was current when it began, one after the other, and reads all entries of a bin as of one
//! moment. Where a bin has moved, the walk reads the bins of the next table that have its hashes.
//! So each hash is looked at in one moment, and an entry that stays is seen once wherever it
//! lies.

use std::hash::BuildHasher;

use crossbeam_epoch::Guard;

use super::core::Core;
use super::table::Table;
use crate::sync::Ordering;

/// Which entries are left to visit.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The table that was current at the beginning.
    table: *const Table,
    /// The next bin of it.
    bin: usize,
}

impl Walk {
    /// A walk from the beginning.
    pub(crate) fn new<S>(core: &Core<S>, guard: &Guard) -> Self {
        Self { table: core.table(guard), bin: 0 }
    }
}

impl<S: BuildHasher> Core<S> {
    /// Fills `entries` with those of some bins; leaves it empty at the end of the walk.
    ///
    /// `guard` is the one that the walk began under.
    pub(crate) fn walk_on(&self, walk: &mut Walk, _guard: &Guard, entries: &mut Vec<(u64, u64)>) {
        #![expect(unsafe_code, reason = "a walk keeps the address of its table")]
        entries.clear();
        // SAFETY: the guard that the walk began under still keeps the table.
        let table = unsafe { &*walk.table };
        while entries.is_empty() && walk.bin < table.len() {
            self.read_bin(table, walk.bin, entries);
            walk.bin += 1;
        }
    }

    /// Adds the entries of a bin.
    fn read_bin(&self, table: &Table, bin: usize, entries: &mut Vec<(u64, u64)>) {
        let found = table.bin_at(bin);
        let start = entries.len();
        loop {
            entries.truncate(start);
            let state = found.head.state();
            if state.is_moved() {
                return self.read_moved_bin(table, bin, entries);
            }
            table.for_each_slot(found, |slot| {
                // Relaxed: judged below. Acquire: as in `get`.
                let key = slot.key.load(Ordering::Relaxed);
                entries.push((key, slot.value.load(Ordering::Acquire)));
            });
            if found.head.is_still(state) {
                return;
            }
        }
    }

    /// Adds the entries of a bin that has moved to the next table.
    fn read_moved_bin(&self, table: &Table, bin: usize, entries: &mut Vec<(u64, u64)>) {
        let next = table.successor();
        let start = entries.len();
        if next.len() >= table.len() {
            let width = next.len() / table.len();
            for bin in bin * width..(bin + 1) * width {
                self.read_bin(next, bin, entries);
            }
            return;
        }
        self.read_bin(next, bin * next.len() / table.len(), entries);
        let mut kept = start;
        for index in start..entries.len() {
            let entry = entries[index];
            if table.index(self.hash(entry.0)) == bin {
                entries[kept] = entry;
                kept += 1;
            }
        }
        entries.truncate(kept);
    }
}
