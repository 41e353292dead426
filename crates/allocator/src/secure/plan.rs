//! Where slots lie: pure arithmetic between an address and a class, a slab, and a slot of it.
//!
//! ```text
//!   base                base + region
//!   | class 0           | class 1           | ... | class 86 | zero bytes |
//!   | guard | slab 0 | guard | slab 1 | guard | ...
//! ```
//!
//! All of it is one reservation that cannot be accessed until a slab is opened. It is tried large,
//! so that no class ever runs out, and smaller where a process may have fewer addresses.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::os::guarded;
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
/// Regions are tried from this size on down, by factors of four.
const REGION_MOST: usize = 32 << 30;
const REGION_LEAST: usize = 128 << 20;

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
        Self { base: AtomicUsize::new(0), region: AtomicUsize::new(0) }
    }

    /// Reserves the addresses; false where there are none.
    pub(super) fn reserve(&self) -> bool {
        let mut region = REGION_MOST;
        while region >= REGION_LEAST {
            let start = guarded::reserve(region * ALL);
            if !start.is_null() {
                // Relaxed: written before a second thread has a block to look up.
                self.region.store(region, Ordering::Relaxed);
                self.base.store(start.expose_provenance(), Ordering::Relaxed); // Relaxed: as above.
                return true;
            }
            region /= 4;
        }
        false
    }

    fn region(&self) -> usize {
        self.region.load(Ordering::Relaxed) // Relaxed: see `reserve`.
    }

    /// Bytes that are reserved.
    pub(super) fn bytes(&self) -> usize {
        self.region() * ALL
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

    use super::{ALL, CANARY, PAGE, Place, Plan, class_for, slot_size, slots_in_slab};

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
            let plan = Plan { base: (1_usize << 40).into(), region: (1_usize << 30).into() };
            let address = plan.slab(class, slab) + slot * slot_size(class) + inside;
            prop_assert_eq!(plan.find(address), Some(Place { class, slab, slot, inside }));
            let align = 1 << slot_size(class).trailing_zeros();
            prop_assert!((address - inside).is_multiple_of(align.min(PAGE)));
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
