//! What becomes of tables and blocks that are no longer used.
//!
//! A reader may still look at them, so they wait for the epoch. Then a block is freed at once. A
//! table is laid out in the map's *yard*, and the map's writers free it part by part: to unmap a
//! hundred megabytes at once would take one of them milliseconds.

#![expect(unsafe_code, reason = "what the epoch has passed is freed")]

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_epoch as epoch;

use super::annex::free_block;
use super::table::Table;
use crate::pin;
use crate::sync::{AtomicUsize, Ordering};

/// Retired tables of a map.
#[derive(Debug, Default)]
pub(super) struct Yard {
    /// Tables that were retired and not yet freed.
    waiting: AtomicUsize,
    /// Those of them that nobody can look at any more.
    buried: Mutex<Vec<Table>>,
}

/// Frees the block that a word named when nobody can look at it any more.
pub(super) fn retire_block(word: u64) {
    let guard = epoch::pin();
    let free = move || {
        // SAFETY: it runs when all who could have read the word have gone.
        unsafe { free_block(word) };
    };
    // SAFETY: the closure owns all it uses; no line has the word any more, so that nobody who pins
    // from now on can reach the block.
    unsafe { guard.defer_unchecked(free) };
}

impl Yard {
    /// Takes a table that no pointer of the map leads to any more.
    pub(super) fn retire(self: &Arc<Self>, table: Box<Table>) {
        // Relaxed: a hint for those who do the chores.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let yard = Arc::clone(self);
        let guard = epoch::pin();
        let table = Box::into_raw(table);
        let bury = move || {
            // SAFETY: it came from the box above.
            let table = unsafe { Box::from_raw(table) };
            yard.bury(*table);
        };
        // SAFETY: the closure owns all it uses, and nobody who pins from now on can reach the
        // table.
        unsafe { guard.defer_unchecked(bury) };
        pin::flush(&guard, 1);
    }

    fn bury(&self, table: Table) {
        self.buried.lock().unwrap_or_else(PoisonError::into_inner).push(table);
    }

    /// Tables that wait to be freed.
    pub(super) fn waiting(&self) -> usize {
        // Relaxed: a hint.
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether tables wait to be freed.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting() != 0
    }

    /// Frees a little of what nobody can look at any more.
    #[cold]
    pub(super) fn sweep(&self) {
        pin::collect();
        let Ok(mut buried) = self.buried.try_lock() else { return };
        let Some(table) = buried.last_mut() else { return };
        if table.dismantle() {
            return;
        }
        let rest = buried.pop();
        // Relaxed: a hint.
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        drop(buried);
        drop(rest);
    }
}
