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
}

impl Outgoing {
    pub(super) const fn new() -> Self {
        Self { places: [const { Place::new() }; PLACES], any: Cell::new(false) }
    }

    fn place(&self, slab: &'static Slab) -> &Place {
        &self.places[std::ptr::from_ref(slab).addr() / size_of::<Slab>() % PLACES]
    }

    /// Whether a parcel of this slab has been begun.
    pub(super) fn holds(&self, slab: &'static Slab) -> bool {
        self.place(slab).slab.get().is_some_and(|held| std::ptr::eq(held, slab))
    }

    /// Adds a block of a slab of another heap.
    pub(super) fn add(&self, slab: &'static Slab, block: Block) {
        let place = self.place(slab);
        let count = match place.last.get() {
            Some(last) if place.slab.get().is_some_and(|held| std::ptr::eq(held, slab)) => {
                block.set_next(last.next());
                last.set_next(Some(block));
                place.count.get() + 1
            }
            _ => {
                place.send();
                block.set_next(Some(block));
                place.slab.set(Some(slab));
                place.last.set(Some(block));
                self.any.set(true);
                1
            }
        };
        place.count.set(count);
        if count >= BLOCKS_MAX || count as usize * slab.block_size() >= BYTES_MAX {
            place.send();
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
        Self { slab: Cell::new(None), last: Cell::new(None), count: Cell::new(0) }
    }

    fn send(&self) {
        if let (Some(last), Some(slab)) = (self.last.take(), self.slab.take()) {
            last.set_count(self.count.get());
            post(slab, last);
        }
    }
}
