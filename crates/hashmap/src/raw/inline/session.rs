//! A thread at work on a map: the epoch guard, the seat, and the operations.
//!
//! A session may last as long as its thread likes. It holds back the freeing of tables only while
//! it stands still: while outgrown tables wait, the map's *turn* changes, and a session that finds
//! another turn pins anew. It may, since
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
use crate::zeroed::Pages;

/// One write in so many looks whether there are chores, and one removal whether the table is too
/// large.
const CHORES_PERIOD: u32 = 32;

/// A thread at work on a map.
#[derive(Debug)]
pub(crate) struct Session<'m, S> {
    core: &'m Core<S>,
    guard: RefCell<Guard>,
    /// The map's turn when the guard was pinned.
    turn: Cell<usize>,
    seat: Rc<Seat>,
    /// Calls of foreign code that are under way and may come back to this session.
    calls: Cell<u32>,
}

/// A call of foreign code; ended by its drop, however the code returns.
struct ForeignCall<'c>(&'c Cell<u32>);

impl<'m, S> Session<'m, S> {
    #[inline]
    pub(crate) fn new(core: &'m Core<S>) -> Self {
        let guard = epoch::pin();
        Self {
            core,
            turn: Cell::new(core.turn()),
            guard: RefCell::new(guard),
            seat: Seat::current(),
            calls: Cell::new(0),
        }
    }

    pub(crate) fn core(&self) -> &'m Core<S> {
        self.core
    }

    /// Calls `work` with the current table.
    #[inline(always)]
    pub(super) fn with_table<R>(&self, work: impl FnOnce(&Table) -> R) -> R {
        if self.core.turn() != self.turn.get() {
            self.pin_anew();
        }
        // SAFETY: the address is read under the guard, which is not pinned anew while `work` runs:
        // foreign code that comes back to this session is counted, or runs under a guard of its
        // own, and either prevents it.
        work(unsafe { &*self.core.address() })
    }

    #[cold]
    fn pin_anew(&self) {
        self.turn.set(self.core.turn());
        if self.calls.get() == 0 {
            self.guard.borrow_mut().repin();
        }
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
        let _call = ForeignCall::begin(&self.calls);
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
            self.core.sweep();
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
        self.core.sweep();
    }

    fn resize(&self, wanted: impl Fn(usize) -> Option<usize>) {
        let mut goes_on = true;
        while goes_on {
            goes_on = self.with_table(|table| {
                let Some(bins) = wanted(table.len()) else { return false };
                table.begin_resize(bins, Pages::Huge);
                self.core.help(table)
            });
        }
    }
}

impl<'c> ForeignCall<'c> {
    #[inline(always)]
    fn begin(calls: &'c Cell<u32>) -> Self {
        calls.set(calls.get() + 1);
        Self(calls)
    }
}

impl Drop for ForeignCall<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
