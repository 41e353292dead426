//! Memory: a table of bins, and the rows that hang on full ones.
//!
//! ```text
//!   table --> | bin 0 | bin 1 | bin 2 | ...            one cache line each
//!                 |
//!                 | header | link | slot 0 .. slot 5 |
//!                              |
//!                              v
//!                 | sibling | link | slot 6 .. slot 11 |     a spill, one cache line
//! ```
//!
//! A bin has a header and a *row*: six slots and a link to the next row. A spill is a row more. All
//! rows of a bin are its *chain*, and a slot's *place* is its number along the chain. A chain only
//! ever gets longer; its spills live as long as the table, which keeps them in a list.
//!
//! Zero bytes are an empty table. So a new one is memory that the operating system hands out zeroed,
//! page by page as it is touched: there is no pause in which it is filled.
//!
//! # What this module does not do
//!
//! It does not know what a slot means, and it does not free entries.
#![expect(unsafe_code, reason = "tables and spills are raw memory, shared and freed by hand")]

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use super::hook::{Point, reach};
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// Slots in a row.
pub(super) const ROW: usize = 6;

/// Six slots and what follows them.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Null where the chain ends. Set once.
    pub(super) link: AtomicPtr<Spill>,
    /// See `word`.
    pub(super) slots: [AtomicPtr<()>; ROW],
}

/// One bin.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Bin {
    /// See `word`.
    pub(super) header: AtomicU64,
    pub(super) row: Row,
}

/// A row that hangs on a full one.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Spill {
    /// The next in the table's list of all spills. Written before this one joins the list.
    sibling: AtomicPtr<Spill>,
    pub(super) row: Row,
}

// The point of the layout: a bin is one cache line.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Bin>() == 64 && size_of::<Spill>() == 64);

/// A table, and the way to the one that replaces it.
#[derive(Debug)]
pub(super) struct Table {
    bins: NonNull<Bin>,
    /// The bin of a hash is its first `bits` bits.
    bits: u32,
    /// The table that the entries move to; null while they stay. Set once.
    pub(super) next: AtomicPtr<Table>,
    /// Where the next helper starts. Runs on past the end and counts modulo the units.
    pub(super) cursor: AtomicUsize,
    /// Units whose entries are all in the next table.
    pub(super) units_moved: AtomicUsize,
    /// All spills of all bins.
    spills: AtomicPtr<Spill>,
}

// SAFETY: the memory behind `bins` is owned by the table and consists of atomics.
unsafe impl Send for Table {}
// SAFETY: as above; shared access goes through the atomics.
unsafe impl Sync for Table {}

/// The greatest number of bits that a table may have: its bytes still fit an `isize`.
pub(super) const BITS_MAX: u32 = 47;

/// Why there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTable {
    /// More bytes than an address space has.
    TooLarge,
    /// The allocator has none.
    OutOfMemory {
        /// What was asked for.
        bytes: usize,
    },
}

impl Table {
    /// An empty table of 2^`bits` bins, on the heap.
    pub(super) fn new(bits: u32) -> Result<Box<Self>, NoTable> {
        if bits > BITS_MAX {
            return Err(NoTable::TooLarge);
        }
        let layout = Self::layout(bits)?;
        let bins =
            allocate(layout, 1 << bits).ok_or(NoTable::OutOfMemory { bytes: layout.size() })?;
        Ok(Box::new(Self {
            bins,
            bits,
            next: AtomicPtr::default(),
            cursor: AtomicUsize::new(0),
            units_moved: AtomicUsize::new(0),
            spills: AtomicPtr::default(),
        }))
    }

    fn layout(bits: u32) -> Result<Layout, NoTable> {
        Layout::array::<Bin>(1 << bits).map_err(|_| NoTable::TooLarge)
    }

    /// log2 of the number of bins.
    #[inline(always)]
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    /// Number of bins.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        1 << self.bits
    }

    /// The number of the bin of a hash.
    #[inline(always)]
    pub(super) fn index(&self, hash: u64) -> usize {
        // In two steps, since a shift by all 64 bits is none.
        (hash >> 1 >> (63 - self.bits)) as usize
    }

    /// The bin of a hash.
    #[inline(always)]
    pub(super) fn bin_of(&self, hash: u64) -> &Bin {
        // SAFETY: `index` has `bits` bits, so it is below the number of bins.
        unsafe { self.bin_unchecked(self.index(hash)) }
    }

    /// The bin of this number.
    #[inline(always)]
    pub(super) fn bin(&self, index: usize) -> &Bin {
        assert!(index < self.len(), "bin {index} of {}", self.len());
        // SAFETY: just checked.
        unsafe { self.bin_unchecked(index) }
    }

    /// # Safety
    ///
    /// `index` is below the number of bins.
    #[inline(always)]
    unsafe fn bin_unchecked(&self, index: usize) -> &Bin {
        // SAFETY: in bounds of the allocation, as the caller promises.
        let bin = unsafe { self.bins.add(index) };
        // SAFETY: `allocate` made a valid bin of it, which lives as long as the table.
        unsafe { bin.as_ref() }
    }

    /// The next row of the chain, if there is one.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the table is what keeps the spill alive")]
    pub(super) fn after<'a>(&'a self, row: &'a Row) -> Option<&'a Row> {
        // Acquire: pairs with the Release in `extend`; behind the link we see a spill.
        let spill = row.link.load(Ordering::Acquire);
        // SAFETY: a link, once set, leads to a spill that lives as long as the table.
        unsafe { spill.as_ref() }.map(|it| &it.row)
    }

    /// The next row of the chain, made if there is none. Says whether it was made here.
    #[cold]
    pub(super) fn extend<'a>(&'a self, row: &'a Row) -> (&'a Row, bool) {
        if let Some(next) = self.after(row) {
            return (next, false);
        }
        let spill = Box::into_raw(Box::<Spill>::default());
        // Release: who follows the link sees a spill. Acquire: so do we, if another was faster.
        let linked = row.link.compare_exchange(
            std::ptr::null_mut(),
            spill,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match linked {
            Ok(_) => {
                // SAFETY: ours, and it lives as long as the table.
                let linked = unsafe { &*spill };
                reach(Point::Extended);
                self.enlist(linked, spill);
                (&linked.row, true)
            }
            Err(other) => {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(spill) });
                // SAFETY: a link, once set, leads to a spill that lives as long as the table.
                (unsafe { &(*other).row }, false)
            }
        }
    }

    /// Puts a spill on the list of all. A thread that has linked it and not come here yet is pinned,
    /// so the table is not freed before.
    fn enlist(&self, spill: &Spill, address: *mut Spill) {
        // Relaxed: nobody follows the list before the table is freed.
        let mut first = self.spills.load(Ordering::Relaxed);
        loop {
            spill.sibling.store(first, Ordering::Relaxed);
            // Relaxed: as above.
            match self.spills.compare_exchange_weak(
                first,
                address,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Heap bytes, spills included. Walks the list of spills.
    pub(super) fn bytes(&self) -> usize {
        let mut bytes = size_of::<Self>() + self.len() * size_of::<Bin>();
        // Acquire: see the spills behind the pointer.
        let mut spill = self.spills.load(Ordering::Acquire);
        // SAFETY: spills live as long as the table.
        while let Some(it) = unsafe { spill.as_ref() } {
            bytes += size_of::<Spill>();
            // Relaxed: written before the spill joined the list.
            spill = it.sibling.load(Ordering::Relaxed);
        }
        bytes
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // Relaxed: a table is dropped by one thread, after all others let go of it.
        let mut spill = self.spills.load(Ordering::Relaxed);
        while !spill.is_null() {
            // SAFETY: the list owns its spills, and nobody else is here.
            let owned = unsafe { Box::from_raw(spill) };
            // Relaxed: as above.
            spill = owned.sibling.load(Ordering::Relaxed);
        }
        let layout = Self::layout(self.bits).expect("the table was allocated with it");
        free(self.bins, layout, self.len());
    }
}

/// Zeroed memory: atomics of the standard library are integers, and zero is an empty bin.
#[cfg(not(any(loom, shuttle)))]
fn allocate(layout: Layout, _count: usize) -> Option<NonNull<Bin>> {
    // SAFETY: a table has a bin at least, so the size is not zero.
    NonNull::new(unsafe { alloc::alloc_zeroed(layout) }.cast())
}

#[cfg(not(any(loom, shuttle)))]
fn free(bins: NonNull<Bin>, layout: Layout, _count: usize) {
    // SAFETY: from `allocate`, with the same layout; bins have nothing to drop.
    unsafe { alloc::dealloc(bins.as_ptr().cast(), layout) };
}

/// The explorers' atomics are objects: each is made and dropped.
#[cfg(any(loom, shuttle))]
fn allocate(layout: Layout, count: usize) -> Option<NonNull<Bin>> {
    // SAFETY: a table has a bin at least, so the size is not zero.
    let bins: NonNull<Bin> = NonNull::new(unsafe { alloc::alloc(layout) }.cast())?;
    for index in 0..count {
        // SAFETY: in bounds.
        let bin = unsafe { bins.add(index) };
        // SAFETY: ours and large enough.
        unsafe { bin.write(Bin::default()) };
    }
    Some(bins)
}

#[cfg(any(loom, shuttle))]
fn free(bins: NonNull<Bin>, layout: Layout, count: usize) {
    for index in 0..count {
        // SAFETY: in bounds.
        let bin = unsafe { bins.add(index) };
        // SAFETY: `allocate` made one, and nobody uses it any more.
        unsafe { bin.drop_in_place() };
    }
    // SAFETY: from `allocate`, with the same layout.
    unsafe { alloc::dealloc(bins.as_ptr().cast(), layout) };
}

#[cfg(test)]
mod tests;
