//! What is known of a run of slices: a slab of equal blocks, or a span that is one large block.
//!
//! The descriptors lie in the segment's head, not in the slabs: so blocks fill whole pages, and the
//! descriptors of a thousand slabs do not compete for the same lines of the cache.
//!
//! ```text
//!   carved                 used + free list = carved <= capacity
//!   |  #  .  #  #  .  . | untouched ........... |
//!      used   '-> free list                     capacity
//! ```
//!
//! # Who may touch what
//!
//! | field                         | who                                                       |
//! |-------------------------------|-----------------------------------------------------------|
//! | `shape`: class, kind, size    | written while no block is out, read by holders of blocks  |
//! | all others                    | the owner                                                 |
//!
//! [`Stats`](crate::Stats) looks at both at any time, and at no more than is `Shown`.
//!
//! Who the owner is stands elsewhere, in a word of its own, and so does the class a second time
//! (`segment`): whoever frees a block of another thread reads those, and would otherwise wait for a
//! line of the cache that the owner writes to all the time.

#![expect(unsafe_code, reason = "descriptors are shared between threads by the rules above")]

mod counts;
mod shown;

use std::cell::Cell;
use std::ptr::NonNull;

pub(crate) use self::counts::Counts;
use self::shown::{ShownClass, ShownCounts, ShownFlag, ShownKind, ShownNumber};
use crate::block::Block;
use crate::planted::{self, Bug};
use crate::size_class::{SLICE, size_of_class, slices_of_class, told_size};

/// A span.
pub(crate) const SPAN: usize = 1;
/// The bits of `owner` that are no address.
pub(crate) const FLAGS: usize = 63;

/// What a descriptor describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Slices that nobody uses. A segment is zeroed memory, so this is what it begins with.
    Unused = 0,
    /// Equal blocks.
    Slab = 1,
    /// One block of whole slices in a segment.
    Span = 2,
    /// One block with a mapping of its own.
    Huge = 3,
    /// A slice that is not the first of its slab.
    Inside = 4,
}

impl Kind {
    /// The kind that a byte stands for.
    #[inline(always)]
    const fn of(byte: u8) -> Self {
        match byte {
            1 => Self::Slab,
            2 => Self::Span,
            3 => Self::Huge,
            4 => Self::Inside,
            _ => Self::Unused,
        }
    }
}

/// A descriptor: one line of the cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Slab {
    pub(crate) free: Cell<Option<Block>>,
    /// Blocks that are out, one more while the slab is `kept`, and one in all while it is `full`;
    /// allocations until the next sample.
    pub(crate) counts: ShownCounts,
    /// Blocks that have ever been handed out: the others were never touched.
    pub(crate) carved: Cell<u32>,
    pub(crate) capacity: ShownNumber,
    /// Slices, for a slab or a span.
    pub(crate) slices: ShownNumber,
    /// For a span whose block is a sample of the heap profile, the number of its call stack, and
    /// one; else zero.
    sample: Cell<u32>,
    pub(crate) next: Cell<Option<&'static Slab>>,
    pub(crate) prev: Cell<Option<&'static Slab>>,
    pub(crate) kind: ShownKind,
    pub(crate) class: ShownClass,
    /// Slices from the first of the slab to this one.
    pub(crate) offset: Cell<u8>,
    /// Whether what was never handed out is zero; for a span, whether all of it is.
    pub(crate) zero: Cell<bool>,
    /// Empty, and kept all the same: see `heap`.
    pub(crate) kept: Cell<bool>,
    /// All blocks are used, so that it is on no list: one that comes back puts it on one.
    pub(crate) full: ShownFlag,
}

const _: () = assert!(size_of::<Slab>() == 64);

// SAFETY: the table in the module's header says who touches what, and when.
unsafe impl Sync for Slab {}

impl Slab {
    /// A slab without blocks that belongs to nobody: heaps begin with it in every place, so that
    /// the fast path needs no test for null.
    pub(crate) const fn none() -> Self {
        Self {
            free: Cell::new(None),
            counts: ShownCounts::new(Counts::new(0)),
            carved: Cell::new(0),
            capacity: ShownNumber::new(0),
            slices: ShownNumber::new(0),
            next: Cell::new(None),
            prev: Cell::new(None),
            kind: ShownKind::new(Kind::Unused),
            class: ShownClass::new(0),
            offset: Cell::new(0),
            zero: Cell::new(false),
            kept: Cell::new(false),
            full: ShownFlag::new(false),
            sample: Cell::new(0),
        }
    }

    /// Makes a slab of this class of slices that nobody uses.
    pub(crate) fn format(&self, owner: usize, class: usize, zero: bool) {
        let slices = slices_of_class(class);
        let excess = usize::from(planted::is(Bug::SlabTooLong));
        let capacity = slices * SLICE / size_of_class(class) + excess;
        self.free.set(None);
        self.counts.set(Counts::new(Counts::LEFT_MAX));
        self.carved.set(0);
        self.capacity.set(u32::try_from(capacity).expect("at most 4096 blocks"));
        self.slices.set(u32::try_from(slices).expect("at most eight slices"));
        self.kind.set(Kind::Slab);
        let class = u8::try_from(class).expect("fewer than 256 classes");
        self.class.set(class);
        self.tell_class(class);
        self.offset.set(0);
        self.zero.set(zero);
        self.kept.set(false);
        self.full.set(false);
        self.set_owner(owner);
    }

    /// Makes one block of slices that nobody uses.
    pub(crate) fn format_span(&self, owner: usize, kind: Kind, slices: usize, zero: bool) {
        self.kind.set(kind);
        self.slices.set(u32::try_from(slices).expect("fewer than 2^32 slices"));
        self.offset.set(0);
        self.zero.set(zero);
        self.kept.set(false);
        self.sample.set(0);
        self.set_owner(owner | SPAN);
    }

    /// The block of this span is a sample: the number of its call stack, and the bytes that were
    /// asked for. A span has no blocks to count, so that there is room for them.
    pub(crate) fn set_sample(&self, stack: u32, bytes: usize) {
        self.sample.set(stack + 1);
        self.carved.set(u32::try_from(bytes >> 32).expect("addresses have fewer bits"));
        self.capacity.set(u32::try_from(bytes & 0xFFFF_FFFF).expect("32 bits"));
    }

    /// Whether it is one.
    #[inline(always)]
    pub(crate) fn is_sample(&self) -> bool {
        self.sample.get() != 0
    }

    /// Takes the mark off; what [`set_sample`](Self::set_sample) was told.
    pub(crate) fn take_sample(&self) -> Option<(u32, usize)> {
        let stack = self.sample.take().checked_sub(1)?;
        Some((stack, (self.carved.get() as usize) << 32 | self.capacity.get() as usize))
    }

    /// Size of the blocks.
    pub(crate) fn block_size(&self) -> usize {
        match self.kind.get() {
            Kind::Slab => told_size(self.class.get()),
            Kind::Span | Kind::Huge => self.slices.get() as usize * SLICE,
            Kind::Unused | Kind::Inside => 0,
        }
    }

    /// All blocks are out. One is counted, so that the next that comes back, the first one since,
    /// makes the count zero: what frees it looks at that alone.
    pub(crate) fn mark_full(&self) {
        debug_assert_eq!(self.counts.get().used(), self.capacity.get(), "not all blocks are out");
        self.counts.set(self.counts.get().with_used(1));
        self.full.set(true);
    }

    /// Blocks that are out, with the one that is counted of a slab that is kept.
    pub(crate) fn used(&self) -> u32 {
        if self.full.get() { self.capacity.get() } else { self.counts.get().used() }
    }

    /// Takes a free block; `None` where there is none, and where it is time for a sample.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<Block> {
        let block = self.free.get()?;
        let counts = self.counts.get().taken()?;
        self.free.set(block.next());
        self.counts.set(counts);
        Some(block)
    }

    /// Takes a block that was never handed out, and makes a list of some more where they are small:
    /// the page is about to be touched anyway. `start` is the first byte of the slab.
    pub(crate) fn carve(&self, start: NonNull<u8>) -> Option<Block> {
        /// Bytes that are carved at once.
        const PAGE: usize = 4096;
        let (carved, capacity) = (self.carved.get(), self.capacity.get());
        if carved == capacity {
            return None;
        }
        let counts = self.counts.get().taken()?;
        let size = self.block_size();
        let count = u32::try_from(PAGE / size).expect("small").clamp(1, capacity - carved);
        let block = |index: u32| {
            // SAFETY: blocks up to the capacity lie within the slab.
            let start = unsafe { start.add(index as usize * size) };
            // SAFETY: it was never handed out, and the slab is ours.
            unsafe { Block::new(start) }
        };
        let last = carved + count - 1;
        if count > 1 {
            (carved + 1..last).for_each(|index| block(index).set_next(Some(block(index + 1))));
            block(last).set_next(self.free.get());
            self.free.set(Some(block(carved + 1)));
        }
        self.carved.set(carved + count);
        self.counts.set(counts);
        Some(block(carved))
    }
}
