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
//! ever gets longer; its spills live as long as the table.
//!
//! Nothing here is large. Bins come in segments of [`SEGMENT`], spills in blocks of [`BLOCK`]; each
//! is allocated when it is first touched, by whoever touches it, and given back one by one
//! ([`Table::dismantle`]). So no operation pays for a whole table, neither when it begins nor when
//! it ends. Zero bytes are an empty table: nothing is filled either. Only the table that a map is
//! made with has all its segments in one piece from the start, of huge pages where it is large:
//! who asked for it knows what it costs.
//!
//! # What this module does not do
//!
//! It does not know what a slot means, and it does not free entries.
#![expect(unsafe_code, reason = "tables and spills are raw memory, shared and freed by hand")]

use std::alloc::{self, Layout, handle_alloc_error};
use std::ptr::{self, NonNull};

use super::word::{base_of, tail_of};
use crate::raw::hook::{Point, reach};
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::zeroed::{Pages, Zeroable, Zeroed};

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
    /// Not used: it keeps the row where a bin has it.
    _header: AtomicU64,
    pub(super) row: Row,
}

// The point of the layout: a bin is one cache line.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Bin>() == 64 && size_of::<Spill>() == 64);

// SAFETY: atomics of zero bits are zeroes and null pointers, and so is the default; no destructor.
unsafe impl Zeroable for Bin {}

/// Bins of a segment: 128 KiB, which the operating system maps or unmaps in a few microseconds.
const SEGMENT_BITS: u32 = 11;
const SEGMENT: usize = 1 << SEGMENT_BITS;

/// Spills of a block: 4 KiB with its head.
const BLOCK: usize = 63;

/// Blocks that are given back together with a segment.
const BLOCKS_PER_STEP: usize = 32;

/// Spills, claimed one after the other.
#[repr(C, align(64))]
struct Block {
    /// The block before this one. Written before this one is shared.
    former: AtomicPtr<Block>,
    /// Spills that were claimed; runs on past the end.
    claimed: AtomicUsize,
    spills: [Spill; BLOCK],
}

/// A table, and the way to the one that replaces it.
#[derive(Debug)]
pub(super) struct Table {
    /// Null where nobody was yet. Each is set once.
    segments: Vec<AtomicPtr<Bin>>,
    /// The memory of all segments, where they are one piece.
    whole: Option<Zeroed<Bin>>,
    /// The bin of a hash is its first `bits` bits.
    bits: u32,
    /// The table that the entries move to; null while they stay. Set once.
    pub(super) next: AtomicPtr<Table>,
    /// Where the next helper starts. Runs on past the end and counts modulo the units.
    pub(super) cursor: AtomicUsize,
    /// Units whose entries are all in the next table.
    pub(super) units_moved: AtomicUsize,
    /// The block from which spills are claimed; it leads to the older ones.
    blocks: AtomicPtr<Block>,
}

/// The greatest number of bits that a table may have: a terabyte of bins, and 64 MiB of pointers to
/// their segments, which must not take long to clear.
pub(super) const BITS_MAX: u32 = 34;

/// Why there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTable {
    /// More bytes than an address space has.
    TooLarge,
    /// The allocator has none.
    OutOfMemory,
}

impl Table {
    /// An empty table of 2^`bits` bins, on the heap.
    pub(super) fn new(bits: u32) -> Result<Box<Self>, NoTable> {
        if bits > BITS_MAX {
            return Err(NoTable::TooLarge);
        }
        let count = 1_usize << bits.saturating_sub(SEGMENT_BITS);
        let mut segments = Vec::new();
        segments.try_reserve_exact(count).map_err(|_| NoTable::OutOfMemory)?;
        segments.resize_with(count, AtomicPtr::default);
        Ok(Box::new(Self {
            segments,
            whole: None,
            bits,
            next: AtomicPtr::default(),
            cursor: AtomicUsize::new(0),
            units_moved: AtomicUsize::new(0),
            blocks: AtomicPtr::default(),
        }))
    }

    /// The same, all of it in one piece. Where there is no memory for that, in segments.
    pub(super) fn whole(bits: u32) -> Result<Box<Self>, NoTable> {
        let mut table = Self::new(bits)?;
        let bytes = table.len().saturating_mul(size_of::<Bin>());
        if let Some(bins) = Zeroed::<Bin>::new(table.len(), bytes, Pages::Huge) {
            for (segment, bins) in table.segments.iter_mut().zip(bins.chunks(SEGMENT)) {
                *segment = AtomicPtr::new(bins.as_ptr().cast_mut());
            }
            table.whole = Some(bins);
        }
        Ok(table)
    }

    /// log2 of the number of bins.
    #[inline(always)]
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    /// Where the tags of this table begin in a hash; see `word`.
    #[inline(always)]
    pub(super) fn base(&self) -> u32 {
        base_of(self.bits)
    }

    /// How many bits of a hash follow on its tag.
    #[inline(always)]
    pub(super) fn tail(&self) -> u32 {
        tail_of(self.bits)
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
        // SAFETY: there is a segment for every `SEGMENT` bins.
        let segment = unsafe { self.segments.get_unchecked(index >> SEGMENT_BITS) };
        // Acquire: pairs with the Release in `touch`; we see the bins behind the pointer.
        let mut bins = segment.load(Ordering::Acquire);
        if bins.is_null() {
            bins = self.touch(segment);
        }
        // SAFETY: in bounds: a segment has `SEGMENT` bins, or all of a smaller table.
        let bin = unsafe { bins.add(index & (SEGMENT - 1)) };
        // SAFETY: `allocate` made a valid bin of it, which lives as long as the table.
        unsafe { &*bin }
    }

    /// Bins of each segment.
    fn segment_len(&self) -> usize {
        self.len().min(SEGMENT)
    }

    /// Makes a segment, if no other thread is faster.
    #[cold]
    fn touch(&self, segment: &AtomicPtr<Bin>) -> *mut Bin {
        let bins = allocate(self.segment_len()).as_ptr();
        // Release: who finds the segment sees its bins. Acquire: so do we, if another was faster.
        let set =
            segment.compare_exchange(ptr::null_mut(), bins, Ordering::AcqRel, Ordering::Acquire);
        match set {
            Ok(_) => bins,
            Err(other) => {
                // SAFETY: nobody else has seen it.
                unsafe { free(bins, self.segment_len()) };
                other
            }
        }
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
        let spill = self.claim_spill();
        // Release: who follows the link sees a spill. Acquire: so do we, if another was faster; the
        // spill that was claimed is then lost until the table ends.
        let linked = row.link.compare_exchange(
            ptr::null_mut(),
            ptr::from_ref(spill).cast_mut(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match linked {
            Ok(_) => {
                reach(Point::Extended);
                (&spill.row, true)
            }
            // SAFETY: a link, once set, leads to a spill that lives as long as the table.
            Err(other) => (unsafe { &(*other).row }, false),
        }
    }

    /// A spill that nobody else has.
    fn claim_spill(&self) -> &Spill {
        loop {
            // Acquire: pairs with the Release below; we see the block behind the pointer.
            let newest = self.blocks.load(Ordering::Acquire);
            // SAFETY: blocks live as long as the table.
            if let Some(block) = unsafe { newest.as_ref() } {
                // Relaxed: it only elects who has which; a spill is published by its link.
                let index = block.claimed.fetch_add(1, Ordering::Relaxed);
                if let Some(spill) = block.spills.get(index) {
                    return spill;
                }
            }
            self.add_block(newest);
        }
    }

    #[cold]
    fn add_block(&self, newest: *mut Block) {
        let block = Box::into_raw(Block::new(newest));
        // Release: who finds the block sees it. Relaxed on failure: we look again.
        let added =
            self.blocks.compare_exchange(newest, block, Ordering::Release, Ordering::Relaxed);
        if added.is_err() {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(block) });
        }
    }

    /// Heap bytes: segments that were touched, and blocks.
    pub(super) fn bytes(&self) -> usize {
        // Relaxed: a count.
        let is_touched = |it: &&AtomicPtr<Bin>| !it.load(Ordering::Relaxed).is_null();
        let touched = self.segments.iter().filter(is_touched).count();
        let mut bytes = size_of::<Self>()
            + size_of_val(&*self.segments)
            + touched * self.segment_len() * size_of::<Bin>();
        // Acquire: see the block behind the pointer.
        let mut block = self.blocks.load(Ordering::Acquire);
        // SAFETY: blocks live as long as the table.
        while let Some(it) = unsafe { block.as_ref() } {
            bytes += size_of::<Block>();
            // Relaxed: written before the block was shared.
            block = it.former.load(Ordering::Relaxed);
        }
        bytes
    }

    /// Gives back a small part of a table that nobody uses. False when nothing is left.
    pub(super) fn dismantle(&mut self) -> bool {
        let segment = self.segments.pop();
        // Relaxed, here and below: nobody else is here.
        let bins = segment.as_ref().map_or(ptr::null_mut(), |it| it.load(Ordering::Relaxed));
        if let Some(whole) = &mut self.whole {
            let is_shorter = whole.shorten(SEGMENT * size_of::<Bin>());
            if !is_shorter && self.segments.is_empty() {
                self.whole = None;
            }
        } else if !bins.is_null() {
            // SAFETY: it was made by `touch`, and it is off the list.
            unsafe { free(bins, self.segment_len()) };
        }
        for _ in 0..BLOCKS_PER_STEP {
            let block = self.blocks.load(Ordering::Relaxed);
            if block.is_null() {
                return segment.is_some();
            }
            // SAFETY: the list owns its blocks, and nobody else is here.
            let owned = unsafe { Box::from_raw(block) };
            self.blocks.store(owned.former.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        true
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        while self.dismantle() {}
    }
}

impl Block {
    #[cfg(not(any(loom, shuttle)))]
    fn new(former: *mut Self) -> Box<Self> {
        // SAFETY: zero bytes are a block: nothing claimed, all spills empty.
        let mut block: Box<Self> = unsafe { Box::new_zeroed().assume_init() };
        *block.former.get_mut() = former;
        block
    }

    #[cfg(any(loom, shuttle))]
    fn new(former: *mut Self) -> Box<Self> {
        let spills = std::array::from_fn(|_| Spill::default());
        Box::new(Self { former: AtomicPtr::new(former), claimed: AtomicUsize::new(0), spills })
    }
}

fn layout(count: usize) -> Layout {
    Layout::array::<Bin>(count).expect("a segment is small")
}

/// Zeroed memory: atomics of the standard library are integers, and zero is an empty bin.
#[cfg(not(any(loom, shuttle)))]
fn allocate(count: usize) -> NonNull<Bin> {
    // SAFETY: a table has a bin at least, so the size is not zero.
    let bins = unsafe { alloc::alloc_zeroed(layout(count)) };
    NonNull::new(bins.cast()).unwrap_or_else(|| handle_alloc_error(layout(count)))
}

/// The explorers' atomics are objects: each is made, and dropped.
#[cfg(any(loom, shuttle))]
fn allocate(count: usize) -> NonNull<Bin> {
    // SAFETY: a table has a bin at least, so the size is not zero.
    let bins = unsafe { alloc::alloc(layout(count)) };
    let bins: NonNull<Bin> =
        NonNull::new(bins.cast()).unwrap_or_else(|| handle_alloc_error(layout(count)));
    for index in 0..count {
        // SAFETY: in bounds.
        let bin = unsafe { bins.add(index) };
        // SAFETY: ours and large enough.
        unsafe { bin.write(Bin::default()) };
    }
    bins
}

/// # Safety
///
/// `bins` is from `allocate` with the same count, and nobody uses it.
unsafe fn free(bins: *mut Bin, count: usize) {
    for index in 0..count {
        if !std::mem::needs_drop::<Bin>() {
            break;
        }
        // SAFETY: in bounds.
        let bin = unsafe { bins.add(index) };
        // SAFETY: `allocate` made one.
        unsafe { bin.drop_in_place() };
    }
    // SAFETY: as the caller promises.
    unsafe { alloc::dealloc(bins.cast(), layout(count)) };
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
