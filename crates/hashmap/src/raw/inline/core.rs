//! The map itself: the current table, the hasher, the count.

#![expect(unsafe_code, reason = "the current table is reached through an atomic pointer")]

use std::hash::BuildHasher;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use super::reclaim::Yard;
use super::table::{BINS_MIN, Table, capacity_of};
use crate::counter::Counter;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering};
use crate::zeroed::Pages;

/// An odd number near 2^64 divided by the golden ratio: what Fibonacci hashing (Knuth) multiplies
/// by.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map of words.
#[derive(Debug)]
pub(crate) struct Core<S> {
    /// The oldest table that is not moved. Those after it are reached from it.
    table: AtomicPtr<Table>,
    /// Counts the moments at which sessions should pin anew; beside `table`, which they read too.
    turn: AtomicUsize,
    hasher: S,
    pub(super) yard: Arc<Yard>,
    /// Bins below which the map does not shrink by itself.
    pub(super) bins_floor: AtomicUsize,
    pub(super) count: Counter,
}

impl<S> Core<S> {
    /// A map whose first table has this many bins; `None` where the memory cannot be had.
    pub(crate) fn new(bins: usize, hasher: S) -> Option<Self> {
        debug_assert!(bins >= BINS_MIN, "a table has at least {BINS_MIN} bins");
        Some(Self {
            table: AtomicPtr::new(Box::into_raw(Table::new(bins, None, Pages::Huge)?)),
            turn: AtomicUsize::new(0),
            hasher,
            yard: Arc::default(),
            bins_floor: AtomicUsize::new(bins),
            count: Counter::new(),
        })
    }

    /// The current table.
    #[inline(always)]
    pub(super) fn table<'g>(&self, _guard: &'g Guard) -> &'g Table {
        // SAFETY: the pointer is never null, and what it was is retired only after it changed, so
        // that a table read under a guard lives as long as the guard.
        unsafe { &*self.address() }
    }

    /// The address of the current table.
    #[inline(always)]
    pub(super) fn address(&self) -> *const Table {
        // Acquire: pairs with the Release in `replace`; we see the table made and filled.
        self.table.load(Ordering::Acquire)
    }

    /// Lets the table after `former`, whose bins have all moved, be the current one.
    pub(super) fn replace(&self, former: &Table) {
        former.successor().use_huge_pages();
        let next = std::ptr::from_ref(former.successor()).cast_mut();
        let former = std::ptr::from_ref(former).cast_mut();
        // Release: pairs with the Acquire in `address`. Relaxed: a failure tells nothing.
        let won = self.table.compare_exchange(former, next, Ordering::Release, Ordering::Relaxed);
        assert!(won.is_ok(), "only the end of its migration replaces a table, and that comes once");
        // SAFETY: it came from a box, and no pointer of the map leads to it any more.
        self.yard.retire(unsafe { Box::from_raw(former) });
    }

    /// Changes when sessions should pin anew.
    #[inline(always)]
    pub(super) fn turn(&self) -> usize {
        // Relaxed: a wish.
        self.turn.load(Ordering::Relaxed)
    }

    /// Frees a little of what nobody can look at any more, and asks the sessions to pin anew, so
    /// that soon nobody can look at the rest.
    #[cold]
    pub(super) fn sweep(&self) {
        self.yard.sweep();
        // Relaxed: a wish.
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Entries that the current table takes before it grows.
    pub(crate) fn capacity(&self, guard: &Guard) -> usize {
        capacity_of(self.table(guard).len())
    }

    /// Bytes of the current table and the one that takes over from it.
    pub(crate) fn table_bytes(&self, guard: &Guard) -> usize {
        let table = self.table(guard);
        table.bytes() + table.next().map_or(0, Table::bytes)
    }

    /// Tables that are not used any more and not freed yet.
    pub(crate) fn retired_tables(&self) -> usize {
        self.yard.waiting()
    }

    /// Whether entries are on their way to another table.
    pub(crate) fn is_resizing(&self, guard: &Guard) -> bool {
        self.table(guard).next().is_some()
    }

    /// The hasher.
    pub(crate) fn hasher(&self) -> &S {
        &self.hasher
    }

    /// Entries, counted; see [`Counter::sum`].
    pub(crate) fn len(&self) -> usize {
        self.count.sum()
    }
}

impl<S: BuildHasher> Core<S> {
    /// The hash of a key. The multiplication carries what low bits a weak hasher has set to the
    /// high bits, which choose the bin.
    #[inline(always)]
    pub(super) fn hash(&self, key: u64) -> u64 {
        self.hasher.hash_one(key).wrapping_mul(GOLDEN)
    }
}

impl<S> Drop for Core<S> {
    fn drop(&mut self) {
        // Relaxed: nobody else has the map.
        let mut table = self.table.load(Ordering::Relaxed);
        while !table.is_null() {
            // SAFETY: it came from a box, and nobody else has the map.
            let owned = unsafe { Box::from_raw(table) };
            table =
                owned.next().map_or(std::ptr::null_mut(), |it| std::ptr::from_ref(it).cast_mut());
        }
    }
}
