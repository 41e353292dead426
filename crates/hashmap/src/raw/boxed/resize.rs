//! When a table gets a next one, and who moves the units.
#![expect(unsafe_code, reason = "tables change hands through raw pointers")]

use super::table::{BITS_MAX, NoTable, Table};
use super::transfer::{self, BITS_STEP_MAX};
use super::{LOAD, Raw, capacity_error, next};
use crate::error::CapacityError;
use crate::pin::Pin;
use crate::raw::hook::{Point, reach, stride};
use crate::sync::Ordering;
use crate::zeroed::Pages;

/// Tables of fewer bits than this grow by four at a time: they are cheap, and it saves moves.
const SMALL_BITS: u32 = 12;

/// A table is too large when it holds less than one eighth of what makes it grow.
const SPARSE: usize = 8;

/// Moved units that one operation passes on its way to one that is not.
const LOOK_AHEAD: usize = 4;

impl<K, V> Raw<K, V> {
    /// Leaves a bin that is frozen in this table: moves it if need be, and returns the next table.
    #[cold]
    pub(super) fn move_on<'g>(&self, table: &'g Table, hash: u64, pin: &'g Pin) -> &'g Table {
        let next = next(table).expect("a bin freezes when there is a next table");
        let unit = transfer::unit_of(table, next, table.index(hash));
        self.move_unit(table, next, unit, pin);
        next
    }

    fn move_unit(&self, table: &Table, next: &Table, unit: usize, pin: &Pin) {
        if transfer::is_moved(table, next, unit) || !transfer::run(table, next, unit) {
            return;
        }
        reach(Point::Finished);
        // SeqCst: one total order with the exchange of the root in `unlink_moved`: either that
        // thread sees the last unit of the next table moved, or ours sees that table as the root.
        let moved = table.units_moved.fetch_add(1, Ordering::SeqCst) + 1;
        if moved == transfer::units(table, next) {
            reach(Point::Counted);
            self.unlink_moved(pin);
        }
    }

    /// Moves a unit of the oldest table, if entries are moving.
    #[inline]
    pub(super) fn help(&self, pin: &Pin) {
        let root = self.root(pin);
        if let Some(next) = next(root) {
            self.help_to(root, next, pin);
        }
    }

    #[cold]
    fn help_to(&self, root: &Table, next: &Table, pin: &Pin) {
        let units = transfer::units(root, next);
        for _ in 0..stride(1).min(units) {
            let unmoved = (0..LOOK_AHEAD).find_map(|_| {
                // Relaxed: it only spreads helpers. It runs past the end and starts again, since a
                // helper may have stopped half-way: no unit is left to one thread.
                let unit = root.cursor.fetch_add(1, Ordering::Relaxed) & (units - 1);
                (!transfer::is_moved(root, next, unit)).then_some(unit)
            });
            if let Some(unit) = unmoved {
                self.move_unit(root, next, unit, pin);
            }
        }
    }

    /// Makes the next table the root, for as long as all units of the root are moved.
    fn unlink_moved(&self, pin: &Pin) {
        loop {
            let root = self.root(pin);
            let Some(next) = next(root) else { return };
            // SeqCst: see `move_unit`.
            if root.units_moved.load(Ordering::SeqCst) < transfer::units(root, next) {
                return;
            }
            let (old, new) = (std::ptr::from_ref(root), std::ptr::from_ref(next));
            // SeqCst: see `move_unit`. It is a Release as well: who sees the new root sees the
            // table.
            let unlinked = self.root.compare_exchange(
                old.cast_mut(),
                new.cast_mut(),
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            if let Ok(unlinked) = unlinked {
                next.use_huge_pages();
                reach(Point::TableUnlinked);
                // SAFETY: tables come from boxes, and the one that unlinks it owns it.
                let mut owned = unsafe { Box::from_raw(unlinked) };
                let bytes = owned.bytes();
                pin.retire_large(bytes, move || owned.dismantle());
            }
        }
    }

    /// Gives a nearly empty table a smaller next one.
    pub(super) fn shrink_if_sparse(&self, pin: &Pin) {
        let root = self.root(pin);
        if next(root).is_none() && root.bits() > self.floor_bits {
            let len = self.count.sum();
            if len * SPARSE < root.len() * LOAD {
                let bits = root.bits().saturating_sub(2).max(self.floor_bits);
                // Failure: no memory; the large table will do.
                let _ = resize(root, bits);
            }
        }
    }

    /// Grows until `capacity` entries fit.
    pub(crate) fn reserve(&self, capacity: usize, pin: &mut Pin) -> Result<(), CapacityError> {
        self.resize_to(super::bits_for(capacity), |now, wanted| now < wanted, pin)
            .map_err(|cause| capacity_error(capacity, cause))
    }

    /// Shrinks to what the entries need.
    pub(crate) fn shrink_to_fit(&self, pin: &mut Pin) -> Result<(), CapacityError> {
        let len = self.len();
        self.resize_to(super::bits_for(len), |now, wanted| now > wanted, pin)
            .map_err(|cause| capacity_error(len, cause))
    }

    /// Takes steps towards a table of `bits` for as long as `must_go_on`.
    fn resize_to(
        &self,
        bits: u32,
        must_go_on: impl Fn(u32, u32) -> bool,
        pin: &mut Pin,
    ) -> Result<(), NoTable> {
        if bits > BITS_MAX {
            return Err(NoTable::TooLarge);
        }
        loop {
            self.finish_moves(pin);
            pin.renew();
            let root = self.root(pin);
            if next(root).is_some() || !must_go_on(root.bits(), bits) {
                return Ok(());
            }
            let step = root.bits().abs_diff(bits).min(BITS_STEP_MAX);
            let step_bits =
                if bits > root.bits() { root.bits() + step } else { root.bits() - step };
            resize(root, step_bits)?;
        }
    }

    /// Moves all units that are left. Gives up where another thread has stopped between the last
    /// two instructions of a move: then the table stays until that thread goes on.
    fn finish_moves(&self, pin: &Pin) {
        let root = self.root(pin);
        if let Some(next) = next(root) {
            (0..transfer::units(root, next)).for_each(|unit| self.move_unit(root, next, unit, pin));
        }
    }
}

/// Gives a full table a larger next one.
#[cold]
pub(super) fn grow(table: &Table) {
    let step = if table.bits() < SMALL_BITS { 2 } else { 1 };
    let bits = (table.bits() + step).min(BITS_MAX);
    // Failure: no memory for it. The map goes on with longer chains, and the next bin that needs a
    // spill tries again.
    let _ = resize(table, bits);
}

/// Gives a table a next one of 2^`bits` bins, unless it has one.
fn resize(table: &Table, bits: u32) -> Result<(), NoTable> {
    if next(table).is_some() {
        return Ok(());
    }
    debug_assert!(table.bits().abs_diff(bits) <= BITS_STEP_MAX, "too large a step");
    let new = Box::into_raw(Table::new(bits, Pages::Small)?);
    // Release: who finds the next table sees it. Relaxed on failure: we do not use the other one.
    let linked = table.next.compare_exchange(
        std::ptr::null_mut(),
        new,
        Ordering::Release,
        Ordering::Relaxed,
    );
    if linked.is_err() {
        // SAFETY: nobody else has seen it.
        drop(unsafe { Box::from_raw(new) });
    }
    reach(Point::Resized);
    Ok(())
}
