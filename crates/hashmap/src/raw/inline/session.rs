//! A thread at work on a map: the epoch guard, the seat, and the operations.
//!
//! A session may last as long as its thread likes. It holds back the freeing of tables only while
//! it stands still: when it finds that the current table has changed, it pins anew. It may, since
//! no operation hands out a reference into a table.

#![expect(unsafe_code, reason = "the current table is looked at under the session's guard")]

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::rc::Rc;

use crossbeam_epoch::{self as epoch, Guard};

use super::core::Core;
use super::edit::{Edit, Edited};
use super::table::{Table, bins_for};
use crate::counter::Seat;

/// One write in so many looks whether there are chores, and one removal whether the table is too
/// large.
const CHORES_PERIOD: u32 = 32;

/// A thread at work on a map.
#[derive(Debug)]
pub(crate) struct Session<'m, S> {
    core: &'m Core<S>,
    guard: RefCell<Guard>,
    /// The current table when the guard was pinned.
    pinned: Cell<*const Table>,
    seat: Rc<Seat>,
}

impl<'m, S> Session<'m, S> {
    #[inline]
    pub(crate) fn new(core: &'m Core<S>) -> Self {
        let guard = epoch::pin();
        Self {
            core,
            pinned: Cell::new(core.address()),
            guard: RefCell::new(guard),
            seat: Seat::current(),
        }
    }

    pub(crate) fn core(&self) -> &'m Core<S> {
        self.core
    }

    /// Calls `work` with the current table.
    #[inline(always)]
    pub(super) fn with_table<R>(&self, work: impl FnOnce(&Table) -> R) -> R {
        let mut table = self.core.address();
        if table != self.pinned.get() {
            table = self.pin_anew();
        }
        // SAFETY: the address was read under the guard, or one that was read under it before is
        // still the current one. The guard is not pinned anew while `work` runs: operations that
        // call foreign code hold a second guard meanwhile, which makes that a no-op.
        work(unsafe { &*table })
    }

    #[cold]
    fn pin_anew(&self) -> *const Table {
        self.guard.borrow_mut().repin();
        let table = self.core.address();
        self.pinned.set(table);
        table
    }
}

impl<S: BuildHasher> Session<'_, S> {
    /// The hash of a key.
    #[inline(always)]
    pub(super) fn hash(&self, key: u64) -> u64 {
        self.core.hash(key)
    }

    /// The value of a key.
    #[inline(always)]
    pub(crate) fn get(&self, key: u64) -> Option<u64> {
        let hash = self.hash(key);
        self.with_table(|table| table.get(hash, key))
    }

    /// Does with a key what `decide`, which is not foreign code, says to its value; the value
    /// before.
    #[inline(always)]
    pub(super) fn edit_hashed(
        &self,
        hash: u64,
        key: u64,
        decide: impl FnMut(Option<u64>) -> Edit,
    ) -> Option<u64> {
        self.with_table(|table| {
            let edited = table.edit(hash, key, decide);
            self.after_edit(table, hash, edited);
            edited.former
        })
    }

    /// The same where `decide` calls foreign code, which may use the map, through this very
    /// session.
    #[inline(always)]
    pub(super) fn edit_by_caller(
        &self,
        key: u64,
        decide: impl FnMut(Option<u64>) -> Edit,
    ) -> Option<u64> {
        let _guard = epoch::pin();
        self.edit_hashed(self.hash(key), key, decide)
    }

    /// Counts, and does what a write owes.
    #[inline(always)]
    fn after_edit(&self, table: &Table, hash: u64, edited: Edited) {
        if edited.change != 0 {
            self.core.count.add_at(&self.seat, edited.change);
        }
        let chores = self.seat.tick(CHORES_PERIOD);
        if edited.crowded || chores || table.next().is_some() {
            self.do_chores(table, hash, edited);
        }
    }

    #[cold]
    fn do_chores(&self, table: &Table, hash: u64, edited: Edited) {
        if edited.crowded {
            self.core.grow_if_full(table, hash);
        }
        self.core.help(table);
        if self.core.yard.has_waiting() {
            self.core.yard.sweep();
        }
        if edited.change < 0 {
            self.core.shrink_if_sparse(table);
        }
    }

    /// Lets the table be one for `capacity` entries at least, and waits until it is, or until other
    /// threads have the last bins to move in hand.
    pub(crate) fn reserve(&self, bins: usize) {
        self.core.raise_floor(bins);
        self.resize(|len| (len < bins).then_some(bins));
    }

    /// Lets the table be as small as its entries allow.
    pub(crate) fn shrink_to_fit(&self) {
        self.core.lower_floor();
        self.resize(|len| {
            let bins = bins_for(self.core.len()).unwrap_or(len);
            (bins < len).then_some(bins)
        });
        self.core.yard.sweep();
    }

    fn resize(&self, wanted: impl Fn(usize) -> Option<usize>) {
        let mut goes_on = true;
        while goes_on {
            goes_on = self.with_table(|table| {
                let Some(bins) = wanted(table.len()) else { return false };
                table.begin_resize(bins);
                self.core.help(table)
            });
        }
    }
}
