//! Blocks of other heaps that this thread freed, by slab, until there are enough for a parcel.
//!
//! Posting costs an exchange on a line that another processor holds; a block alone would pay for
//! all of it. Some slabs are remembered at once; one that comes to the place of another sends that
//! off. Nothing is held for long: a parcel goes when it is large enough, and all of them go when
//! the thread runs out of blocks of some class, and when it ends.

use std::cell::Cell;

use super::guests::CLASSES;
use super::ownership::post;
use crate::block::Block;
use crate::size_class::{self, size_of_class};
use crate::slab::Slab;

/// Slabs that are remembered.
const PLACES: usize = 128;
/// A parcel goes when it has this many blocks,
const BLOCKS_MAX: usize = 64;
/// or this many bytes.
const BYTES_MAX: usize = 16 << 10;

/// Blocks with which a parcel goes, by class: to work it out takes a division, and programs whose
/// threads free at random begin a parcel for every few blocks.
#[expect(clippy::cast_possible_truncation, reason = "at most `BLOCKS_MAX`")]
static MOST: [u16; 256] = {
    let mut most = [0; 256];
    let mut class = 0;
    while class < size_class::CLASSES {
        let blocks = BYTES_MAX.div_ceil(size_of_class(class));
        most[class] = if blocks < BLOCKS_MAX { blocks } else { BLOCKS_MAX } as u16;
        class += 1;
    }
    most
};

pub(super) struct Outgoing {
    places: [Place; PLACES],
    /// Where the parcel of each class was begun last.
    latest: [Cell<u8>; CLASSES],
    /// Whether a place may be taken.
    any: Cell<bool>,
}

pub(super) struct Place {
    slab: Cell<Option<&'static Slab>>,
    /// The last block of the ring.
    last: Cell<Option<Block>>,
    count: Cell<u32>,
    /// Blocks with which it goes.
    most: Cell<u16>,
    class: Cell<u8>,
}

/// What became of a block.
pub(super) enum Added<'a> {
    /// Nothing: its slab has no parcel.
    Not,
    /// It waits for more.
    Waits,
    /// The parcel is large enough.
    Goes(&'a Place),
}

/// Blocks of one slab, closed to a ring.
pub(super) struct Chain {
    pub(super) slab: &'static Slab,
    pub(super) last: Block,
    pub(super) count: u32,
    pub(super) class: u8,
}

impl Chain {
    /// Sends it to the owner.
    pub(super) fn post(self) {
        self.last.set_count(self.count);
        post(self.slab, self.last);
    }
}

impl Outgoing {
    pub(super) const fn new() -> Self {
        Self {
            places: [const { Place::new() }; PLACES],
            latest: [const { Cell::new(0) }; CLASSES],
            any: Cell::new(false),
        }
    }

    fn index(slab: &'static Slab) -> usize {
        std::ptr::from_ref(slab).addr() / size_of::<Slab>() % PLACES
    }

    /// Adds a block to the parcel of its slab.
    #[inline(always)]
    pub(super) fn add(&self, slab: &'static Slab, block: Block) -> Added<'_> {
        let place = &self.places[Self::index(slab)];
        if !place.slab.get().is_some_and(|held| std::ptr::eq(held, slab)) {
            return Added::Not;
        }
        let last = place.last.get().expect("a parcel that was begun has a block");
        block.set_next(last.next());
        last.set_next(Some(block));
        place.count.set(place.count.get() + 1);
        if place.count.get() < u32::from(place.most.get()) {
            Added::Waits
        } else {
            Added::Goes(place)
        }
    }

    /// Begins a parcel with a block of another heap's slab.
    pub(super) fn begin(&self, slab: &'static Slab, block: Block) {
        let place = &self.places[Self::index(slab)];
        place.send();
        block.set_next(Some(block));
        place.slab.set(Some(slab));
        place.last.set(Some(block));
        place.count.set(1);
        let class = slab.told_class();
        let most = MOST[usize::from(class)];
        place.most.set(most);
        place.class.set(class);
        if most == 1 {
            place.send();
        } else {
            if let Some(latest) = self.latest.get(usize::from(class)) {
                latest.set(u8::try_from(Self::index(slab)).expect("128 places"));
            }
            self.any.set(true);
        }
    }

    /// Takes a parcel of this class that has `least` blocks, for whoever began it to use.
    #[inline(always)]
    pub(super) fn take(&self, class: usize, least: u16) -> Option<Chain> {
        if !self.any.get() {
            return None;
        }
        let place = &self.places[usize::from(self.latest.get(class)?.get())];
        let fits = usize::from(place.class.get()) == class && place.count.get() >= u32::from(least);
        if fits { place.take() } else { None }
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
            class: Cell::new(0),
        }
    }

    pub(super) fn class(&self) -> usize {
        usize::from(self.class.get())
    }

    #[inline(always)]
    pub(super) fn take(&self) -> Option<Chain> {
        let (last, slab) = (self.last.take()?, self.slab.take()?);
        Some(Chain { slab, last, count: self.count.get(), class: self.class.get() })
    }

    pub(super) fn send(&self) {
        if let Some(chain) = self.take() {
            chain.post();
        }
    }
}
