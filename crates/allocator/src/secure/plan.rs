//! Where tables and slots lie: pure arithmetic between an address and a class, a slab, and a slot.
//!
//! ```text
//!                                    base      base + region
//!   | unused, 1-2 | tables | unused | class 0 | class 1 | ... | class 86 | zero bytes | unused |
//!                                   | guard | slab 0 | guard | slab 1 | guard | ...
//! ```
//!
//! All of it is one reservation that cannot be accessed until a part of it is opened. It is tried
//! large, so that no class ever runs out, and smaller where a process may have fewer addresses.
//!
//! Each unused stretch is as long as a region: so far must a write miss its block to reach a table.
//! The first one is longer by a random length, so that whoever knows where a library lies does not
//! know where blocks do.

#![expect(unsafe_code, reason = "tables are opened by address")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::os::{guarded, random};
use crate::size_class::{
    CLASSES, LARGEST, SLICE, aligned_size, class_of, size_of_class, slices_of_class,
};

/// Classes, and one for blocks of no bytes.
pub(super) const ALL: usize = CLASSES + 1;
/// The class of blocks of no bytes; its slabs are never opened for access.
pub(super) const ZERO: usize = CLASSES;
/// Bytes behind a block that must stay as they are.
pub(super) const CANARY: usize = 8;
/// A page of the system, and a guard.
pub(super) const PAGE: usize = 4096;

/// Alignment of blocks of no bytes.
const ZERO_SIZE: usize = 16;
/// Regions are tried from this size on down, by halves.
const REGION_MOST: usize = 32 << 30;
const REGION_LEAST: usize = 32 << 20;
/// Room for the tables, in regions. Those of slots take three and a half, of slabs a half.
const TABLES: usize = 5;
/// All of the reservation, in regions: the tables, the classes, and what is unused.
const RESERVED: usize = 2 + TABLES + 1 + ALL + 1;

/// Size of the slots of a class.
pub(super) const fn slot_size(class: usize) -> usize {
    if class == ZERO { ZERO_SIZE } else { size_of_class(class) }
}

/// Bytes of a slab.
pub(super) const fn slab_size(class: usize) -> usize {
    if class == ZERO { SLICE } else { slices_of_class(class) * SLICE }
}

/// Slots of a slab.
pub(super) const fn slots_in_slab(class: usize) -> usize {
    slab_size(class) / slot_size(class)
}

/// The class of a request; `None` for one that gets a mapping of its own.
pub(super) fn class_for(size: usize, align: usize) -> Option<usize> {
    if size == 0 && align <= ZERO_SIZE {
        return Some(ZERO);
    }
    if size > LARGEST || align > PAGE {
        return None;
    }
    let needed = aligned_size(size + CANARY, align);
    (needed <= LARGEST).then(|| class_of(needed))
}

/// The reservation.
#[derive(Debug)]
pub(super) struct Plan {
    base: AtomicUsize,
    region: AtomicUsize,
    /// The next table begins here.
    tables: AtomicUsize,
}

/// What lies at an address of the reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) class: usize,
    pub(super) slab: usize,
    /// Equal to the number of slots in the guard behind the slab.
    pub(super) slot: usize,
    /// Bytes from the beginning of the slot.
    pub(super) inside: usize,
}

impl Plan {
    pub(super) const fn new() -> Self {
        Self { base: AtomicUsize::new(0), region: AtomicUsize::new(0), tables: AtomicUsize::new(0) }
    }

    /// Reserves the addresses; false where there are none.
    pub(super) fn reserve(&self) -> bool {
        let mut region = REGION_MOST;
        while region >= REGION_LEAST {
            let start = guarded::reserve(region * RESERVED);
            if !start.is_null() {
                self.lay_out(start.expose_provenance(), region, random());
                return true;
            }
            region /= 2;
        }
        false
    }

    fn lay_out(&self, start: usize, region: usize, random: u64) {
        let pages = (region / PAGE) as u64;
        let shift = usize::try_from(random % pages).expect("less than a region") * PAGE;
        let tables = start + region + shift;
        // Relaxed: written before a second thread has a block to look up, as are the others.
        self.region.store(region, Ordering::Relaxed);
        self.tables.store(tables, Ordering::Relaxed);
        self.base.store(tables + (TABLES + 1) * region, Ordering::Relaxed);
    }

    /// Opens zeroed memory for a table, which is never used for another; `None` where the system
    /// has none, and where there is no room left.
    pub(super) fn table(&self, bytes: usize) -> Option<NonNull<u8>> {
        let bytes = bytes.next_multiple_of(PAGE);
        // Relaxed: an address, and whose the memory is follows from it alone.
        let end = self.base.load(Ordering::Relaxed) - self.region();
        let start = self.tables.fetch_add(bytes, Ordering::Relaxed);
        if start + bytes > end {
            return None;
        }
        let place = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: it lies in the room for tables, and nobody else was given it.
        let opened = unsafe { guarded::open(place, bytes) };
        NonNull::new(place).filter(|_| opened)
    }

    /// Bytes that nobody may access before and behind a block with a mapping of its own: 16 MiB,
    /// and less where the process has few addresses.
    pub(super) fn margin(&self) -> usize {
        (self.region() / 2048).max(PAGE)
    }

    fn region(&self) -> usize {
        self.region.load(Ordering::Relaxed) // Relaxed: see `reserve`.
    }

    /// Bytes that are reserved.
    pub(super) fn bytes(&self) -> usize {
        self.region() * RESERVED
    }

    /// Slabs that a class may have.
    pub(super) fn slabs(&self, class: usize) -> usize {
        (self.region() - PAGE) / (slab_size(class) + PAGE)
    }

    /// Address of a slab; a guard lies before it and behind it.
    pub(super) fn slab(&self, class: usize, slab: usize) -> usize {
        let base = self.base.load(Ordering::Relaxed); // Relaxed: see `reserve`.
        base + class * self.region() + PAGE + slab * (slab_size(class) + PAGE)
    }

    /// What lies at an address; `None` where it is none of the reservation's.
    pub(super) fn find(&self, address: usize) -> Option<Place> {
        let base = self.base.load(Ordering::Relaxed); // Relaxed: see `reserve`.
        let (region, offset) = (self.region(), address.checked_sub(base)?);
        let class = offset / region;
        if class >= ALL {
            return None;
        }
        // The first guard counts as one behind a slab that there is not.
        let within = (offset % region).checked_sub(PAGE)?;
        let (slab, in_slab) =
            (within / (slab_size(class) + PAGE), within % (slab_size(class) + PAGE));
        let slot = (in_slab / slot_size(class)).min(slots_in_slab(class));
        Some(Place { class, slab, slot, inside: in_slab - slot * slot_size(class) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        ALL, CANARY, PAGE, Place, Plan, RESERVED, TABLES, class_for, slot_size, slots_in_slab,
    };

    proptest! {
        /// Every address of a slot leads back to it, and slots are aligned as their size is.
        #[test]
        fn addresses_and_slots_are_the_same(
            class in 0..ALL,
            slab in 0_usize..1_000,
            slot in 0_usize..4_096,
            inside in 0_usize..65_536,
        ) {
            let (slot, inside) = (slot % slots_in_slab(class), inside % slot_size(class));
            let plan = Plan::new();
            plan.lay_out(1 << 40, 1 << 30, 12_345);
            let address = plan.slab(class, slab) + slot * slot_size(class) + inside;
            prop_assert_eq!(plan.find(address), Some(Place { class, slab, slot, inside }));
            let align = 1 << slot_size(class).trailing_zeros();
            prop_assert!((address - inside).is_multiple_of(align.min(PAGE)));
        }

        /// All that is used lies as far from the ends as is promised, and tables as far from slots.
        #[test]
        fn unused_stretches_are_as_long_as_a_region(random in any::<u64>(), log2 in 25_u32..36) {
            let (plan, start, region) = (Plan::new(), 1_usize << 40, 1_usize << log2);
            plan.lay_out(start, region, random);
            let (tables, slots) = (plan.tables.into_inner(), plan.base.into_inner());
            prop_assert!(tables - start >= region && tables - start < 2 * region);
            prop_assert!(tables.is_multiple_of(PAGE));
            prop_assert_eq!(slots - tables, (TABLES + 1) * region);
            prop_assert!(slots + (ALL + 1) * region <= start + RESERVED * region);
        }

        #[test]
        fn a_slot_has_room_for_a_canary(size in 1_usize..70_000, align in 0_u32..13) {
            if let Some(class) = class_for(size, 1 << align) {
                prop_assert!(slot_size(class) >= size + CANARY);
                prop_assert!(slot_size(class).is_multiple_of(1 << align));
            }
        }
    }
}
