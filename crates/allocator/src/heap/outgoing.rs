//! Blocks of other heaps that this thread freed, by slab, until there are enough for a parcel.
//!
//! Posting costs an exchange on a line that another processor holds; a block alone would pay for
//! all of it. Some slabs are remembered at once; one that comes to the place of another sends that
//! off. Nothing is held for long: a parcel goes when it is large enough, and all of them go when
//! the thread runs out of blocks of some class, and when it ends.

use std::cell::Cell;

use super::ownership::post;
use crate::block::Block;
use crate::slab::Slab;

/// Slabs that are remembered.
const PLACES: usize = 128;
/// A parcel goes when it has this many blocks,
const BLOCKS_MAX: u32 = 64;
/// or this many bytes.
const BYTES_MAX: usize = 16 << 10;

pub(super) struct Outgoing {
    places: [Place; PLACES],
    /// Whether a place may be taken.
    any: Cell<bool>,
}

struct Place {
    slab: Cell<Option<&'static Slab>>,
    /// The last block of the ring.
    last: Cell<Option<Block>>,
    count: Cell<u32>,
    /// Blocks with which it goes.
    most: Cell<u32>,
}

impl Outgoing {
    pub(super) const fn new() -> Self {
        Self { places: [const { Place::new() }; PLACES], any: Cell::new(false) }
    }

    fn place(&self, slab: &'static Slab) -> &Place {
        &self.places[std::ptr::from_ref(slab).addr() / size_of::<Slab>() % PLACES]
    }

    /// Adds a block to the parcel of its slab; false where none has been begun.
    #[inline(always)]
    pub(super) fn add(&self, slab: &'static Slab, block: Block) -> bool {
        let place = self.place(slab);
        if !place.slab.get().is_some_and(|held| std::ptr::eq(held, slab)) {
            return false;
        }
        let last = place.last.get().expect("a parcel that was begun has a block");
        block.set_next(last.next());
        last.set_next(Some(block));
        place.count.set(place.count.get() + 1);
        if place.count.get() >= place.most.get() {
            place.send();
        }
        true
    }

    /// Begins a parcel with a block of another heap's slab.
    pub(super) fn begin(&self, slab: &'static Slab, block: Block) {
        let place = self.place(slab);
        place.send();
        block.set_next(Some(block));
        place.slab.set(Some(slab));
        place.last.set(Some(block));
        place.count.set(1);
        let most = u32::try_from(BYTES_MAX.div_ceil(slab.block_size())).unwrap_or(BLOCKS_MAX);
        place.most.set(most.min(BLOCKS_MAX));
        if most == 1 {
            place.send();
        } else {
            self.any.set(true);
        }
    }

    /// Posts everything.
    pub(super) fn flush(&self) {
        if self.any.replace(false) {
            self.places.iter().for_each(Place::send);
        }
    }
}

impl Place {
    const fn new() -> Self {
        Self {
            slab: Cell::new(None),
            last: Cell::new(None),
            count: Cell::new(0),
            most: Cell::new(0),
        }
    }

    fn send(&self) {
        if let (Some(last), Some(slab)) = (self.last.take(), self.slab.take()) {
            last.set_count(self.count.get());
            post(slab, last);
        }
    }
}
