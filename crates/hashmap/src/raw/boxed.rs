//! The kernel of `HashMap`: boxed entries behind one-word slots, lock-free throughout.
//!
//! ```text
//!   root --> table --next--> table --next--> ...       more than one while entries move
//!              |
//!              bin = | header | link | s0 s1 s2 s3 s4 s5 | --link--> | s6 .. s11 | --> ...
//!                                       |
//!                                       v
//!                                     entry = | hash | key | value |
//! ```
//!
//! A bin is a cache line; a hit costs that line and the entry's. What the words hold is drawn in
//! `word`, how memory is laid out in `table`, how entries move in `transfer`.
//!
//! # States of a slot
//!
//! ```text
//!                     offer (2)              promote (4)
//!      .---------.  ------------>  .---------.  --->  .------.  --replace-.
//!      | vacant  |                 | offered |        | live | <----------'
//!      '---------'  <------------  '---------'        '------'
//!           ^          withdraw                        |    |
//!           |                                          |    | freeze
//!           '---------------- remove ------------------'    v
//!                                                        .--------.
//!                                                        | frozen |   for ever
//!                                                        '--------'
//! ```
//!
//! Every arrow is one compare-exchange of the slot (*withdraw* is a store by the only thread that
//! may change the slot). Readers see live and frozen slots; the others are empty to them.
//!
//! # States of a bin and of a table
//!
//! ```text
//!   bin (header):  open --freeze--> frozen --finish--> moved        in an open bin: commit (3)
//!   table:         alone --resize--> has a next --all units moved--> unlinked --epochs--> freed
//! ```
//!
//! # An insertion of a new key
//!
//! A slot is a word, but "the key is in no slot of this bin" is a statement about many words. The
//! header makes it one: its version counts insertions, and no slot of the bin becomes live except
//! by a commit that changes it.
//!
//! 1. Read the header. Search the bin. On the way, *promote* the slot that the header names as last
//!    placed, if that is still offered. The key is in no slot.
//! 2. *Offer*: exchange a vacant slot, which the header does not name, for the offered entry.
//! 3. *Commit*: exchange the header for one with the next version, which names this slot.
//! 4. *Promote*: exchange the offered word for the live one. Whoever does it, this is the
//!    linearisation point of the insertion.
//!
//! If the commit fails, another insertion went first (or the bin is frozen): withdraw, start again.
//!
//! **No duplicates.** A commit succeeds only if the header is the one that was read before the
//! search. Every commit up to that header was promoted before the search saw its slot: by the
//! thread that placed the next commit (step 1 precedes step 3), or, for the newest, by us. So the
//! search saw every key that was inserted, and none was committed since. Replacing keeps the set of
//! keys, removing makes it smaller; neither touches the header.
//!
//! **Only what is committed is promoted.** The rule is: *an offered slot that the header names is
//! committed*. The committer's own offer fits it. Could somebody offer a slot that the header
//! names? He read a header that does not name it, so it was an older or a newer one.
//! - Older: the slot has been live since, and was vacated at a version not below that of the
//!   commit. The stamp of the vacancy tells (`is_vacant_at`), and if he saw the vacancy of an
//!   earlier time, the word is another one and his exchange fails.
//! - Newer: then the header has moved on, and can name this slot again only through a commit of
//!   what is offered there now.
//!
//! A helper that read the header long ago reads it again after it read the slot (`Bin::promote`);
//! an offered word comes back to a slot only after a withdrawal, and a committed offer is not
//! withdrawn.
//!
//! # Progress
//!
//! A failed exchange means that another operation has succeeded, or that a bin froze, which happens
//! once in a table. A thread that meets a frozen bin moves it itself. A thread that meets a
//! committed offer promotes it itself. An offer that was not committed is passed by like an empty
//! slot. So a thread may stop anywhere, for ever, and the others go on: operations are lock-free.
//! What a stopped thread costs is memory: one slot, and what its pin keeps from being freed.
//!
//! Two locks are outside of this, in `counter` and `ledger`. Each guards a list, for the few
//! instructions in which something is taken from it or put back:
//!
//! | lock    | taken when                                                                   |
//! |---------|------------------------------------------------------------------------------|
//! | `SEATS` | a thread inserts or removes for the first time in the process, and when it ends |
//! | `POOL`  | a map is made, and when it is dropped                                        |
//!
//! (A thread whose locals are already gone takes `SEATS` each time.) Who stops while it holds one
//! stops others at these moments, and at no others. The allocator may have locks as well, and an
//! insertion allocates.
//!
//! # Linearisation points
//!
//! | operation            | point                                                                  |
//! |----------------------|------------------------------------------------------------------------|
//! | find, hit            | a moment since the header was read (not moved) at which the slot held it |
//! | find, miss           | the header's load, or the removal that hid the key from the search      |
//! | insert, new key      | promotion (4)                                                           |
//! | replace, compute     | the exchange live -> live                                               |
//! | remove               | the exchange live -> vacant                                             |
//!
//! A search loads the slots of a row one after the other and chooses among them by their tags. If
//! the word that it chose turns out not to be the key's, it starts again and walks through the
//! chain slot by slot: a search of its own, under the header that was read before. If the key was
//! there when the header was read and the search missed it, then it was removed meanwhile: a key
//! does not move between slots of one bin.
//! Spills that have not announced the key's tag are left out: who puts an entry there announces it
//! first, so at the moment at which the link was read the key was in none of them.
//! If the bin moves during a search, what the search finds in the old slots was current at some
//! moment since the header said *not moved*, since frozen slots do not change.
//!
//! # Growth
//!
//! A bin that needs a spill looks at the count; if the table holds more than [`LOAD`] entries for a
//! bin, it gets a next table with twice as many bins (four times while it is small). The count
//! decides, not the collision: keys that share a hash lengthen one chain and no table. Each
//! insertion and removal then moves one unit, and every writer its own bin. Searches follow a
//! moved bin; they never help.
//!
//! # What this module does not do
//!
//! It hashes nothing and compares no keys itself. It does not take pins; every function demands
//! one.
#![expect(unsafe_code, reason = "entries and tables are reached through raw words; see each block")]

mod bin;
mod entry;
mod find;
mod insert;
mod iterate;
mod remove;
mod resize;
mod table;
mod transfer;
mod update;
mod word;

use std::marker::PhantomData;
use std::ptr;

pub(crate) use entry::{Entry, Owned};
pub(crate) use iterate::Sweep;
pub(crate) use update::{Change, Outcome};

use crate::counter::Counter;
use crate::error::CapacityError;
use crate::ledger::Ledger;
use crate::pin::{Disposal, Pin};
use crate::sync::{AtomicPtr, Ordering};
use crate::zeroed::Pages;
use table::{NoTable, Table};

/// Entries for each bin, on average, beyond which a table grows. With five in bins of six, one bin
/// in four has a spill, and an entry costs 13 bytes of table, 16 with the spills.
const LOAD: usize = 5;

/// The map without its hasher.
#[derive(Debug)]
pub(crate) struct Raw<K, V> {
    /// The oldest table that is not moved.
    root: AtomicPtr<Table>,
    count: Counter,
    ledger: &'static Ledger,
    /// Bits of the smallest table to shrink to.
    floor_bits: u32,
    /// The map owns entries: it drops them.
    entries: PhantomData<Box<Entry<K, V>>>,
}

// SAFETY: a map owns its entries and hands out references to them; its own state is atomics.
unsafe impl<K: Send, V: Send> Send for Raw<K, V> {}
// SAFETY: as above. Sharing the map shares entries (`Sync`) and lets any thread drop them (`Send`).
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Raw<K, V> {}

impl<K, V> Raw<K, V> {
    /// An empty map in which `capacity` entries fit before it grows.
    pub(crate) fn with_capacity(capacity: usize) -> Result<Self, CapacityError> {
        let bits = bits_for(capacity);
        let table =
            Table::new(bits, Pages::Huge).map_err(|cause| capacity_error(capacity, cause))?;
        Ok(Self {
            root: AtomicPtr::new(Box::into_raw(table)),
            count: Counter::new(),
            ledger: Ledger::borrow(),
            floor_bits: bits,
            entries: PhantomData,
        })
    }

    /// How entries of this map are freed.
    #[inline]
    pub(crate) fn disposal(&self) -> Disposal {
        Disposal { free: free_entry::<K, V>, size: size_of::<Entry<K, V>>(), ledger: self.ledger }
    }

    /// Number of entries; exact while nobody writes.
    pub(crate) fn len(&self) -> usize {
        self.count.sum()
    }

    /// Bytes unlinked and not freed.
    pub(crate) fn garbage(&self) -> usize {
        self.ledger.bytes()
    }

    /// Heap bytes of tables and of entries, without what keys and values own.
    pub(crate) fn bytes(&self, pin: &Pin) -> usize {
        let mut bytes = self.len() * size_of::<Entry<K, V>>();
        let mut table = Some(self.root(pin));
        while let Some(it) = table {
            bytes += it.bytes();
            table = next(it);
        }
        bytes
    }

    /// Number of bins of the newest table, and of tables.
    pub(crate) fn shape(&self, pin: &Pin) -> (usize, usize) {
        let mut table = self.root(pin);
        let mut tables = 1;
        while let Some(next) = next(table) {
            table = next;
            tables += 1;
        }
        (table.len(), tables)
    }

    #[inline(always)]
    fn root<'g>(&self, _pin: &'g Pin) -> &'g Table {
        // Acquire: pairs with the Release in `unlink_moved`; we see the table behind the pointer.
        let root = self.root.load(Ordering::Acquire);
        // SAFETY: never null. A table is freed after it was unlinked from the root and all pins
        // from before that have ended; ours has not.
        unsafe { &*root }
    }
}

/// The table that this one moves to.
#[inline(always)]
fn next(table: &Table) -> Option<&Table> {
    // Acquire: pairs with the Release in `resize`; we see the table behind the pointer.
    let next = table.next.load(Ordering::Acquire);
    // SAFETY: a table is freed after the one that leads to it, and whoever has that one is pinned.
    unsafe { next.as_ref() }
}

/// Bits of a table in which so many entries fit.
fn bits_for(capacity: usize) -> u32 {
    capacity.div_ceil(LOAD).max(1).checked_next_power_of_two().map_or(usize::BITS, usize::ilog2)
}

fn capacity_error(capacity: usize, cause: NoTable) -> CapacityError {
    match cause {
        NoTable::TooLarge => CapacityError::TooLarge { capacity },
        NoTable::OutOfMemory => CapacityError::OutOfMemory { capacity },
    }
}

/// # Safety
///
/// As demanded by `Disposal::free`.
unsafe fn free_entry<K, V>(entry: *mut ()) {
    // SAFETY: the caller gives it up to us.
    drop(unsafe { Owned::<K, V>::from_address(entry) });
}

impl<K, V> Raw<K, V> {
    /// Takes all entries out of a map that is given up, or of an empty husk none.
    fn take_entries(&mut self) -> Vec<Owned<K, V>> {
        // Relaxed, here and below: we are alone.
        let root = self.root.swap(ptr::null_mut(), Ordering::Relaxed);
        let mut entries = Vec::new();
        // SAFETY: we are alone, so the tables live until we free them below.
        if let Some(root) = unsafe { root.as_ref() } {
            entries.reserve_exact(self.count.sum());
            let mut take = |entry| {
                // SAFETY: each entry comes once, and nobody else can reach it: those that others
                // may still read were unlinked before.
                entries.push(unsafe { Owned::from_address(entry) });
            };
            if next(root).is_none() {
                root.for_each_live(|word| take(word.entry()));
            } else {
                let mut sweep: Sweep<'_, K, V> = Sweep::over(root);
                while let Some(entry) = sweep.next_raw(|_, _| false) {
                    take(entry);
                }
            }
        }
        let mut table = root;
        while !table.is_null() {
            // SAFETY: the chain owns its tables, and we are alone.
            let owned = unsafe { Box::from_raw(table) };
            table = owned.next.load(Ordering::Relaxed);
        }
        entries
    }

    /// All entries of a map that is given up.
    pub(crate) fn into_entries(mut self) -> Vec<Owned<K, V>> {
        self.take_entries()
    }
}

impl<K, V> Drop for Raw<K, V> {
    fn drop(&mut self) {
        self.ledger.give_back();
        entry::drop_all(self.take_entries());
    }
}

#[cfg(test)]
pub(crate) mod tests;
