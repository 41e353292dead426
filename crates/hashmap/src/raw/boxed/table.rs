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
//! One bin in ten or in four has a spill, and which one is up to chance. So that a search for what
//! is not there need not guess, the link of a bin tells whose entries the spills hold: a spill's
//! address leaves 16 bits, of which an entry sets one, chosen by its tag, before it comes to one
//! ([`Row::announce`]). It stays set when the entry goes.
//!
//! The bins are one piece, so that the way from a hash to its bin is a shift and an addition: how
//! many searches a processor has under way at once is a question of how short each is. Zero bytes
//! are an empty table, so that nothing is filled; a large table comes page by page, from whoever
//! touches it first, and is given back in small parts ([`Table::dismantle`]), as are the blocks of
//! [`BLOCK`] in which spills come. So no operation pays for a whole table, neither when it begins
//! nor when it ends. The table that a map is made with begins with huge pages (see `zeroed`): who
//! asked for it knows what it costs.
//!
//! # What this module does not do
//!
//! It does not know what a slot means, and it does not free entries.
#![expect(unsafe_code, reason = "tables and spills are raw memory, shared and freed by hand")]

use std::ptr;

use super::word::{MARKS, Probe, Word, base_of, tail_of};
use crate::raw::hook::{Bug, Point, planted, reach};
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::zeroed::{Pages, Zeroable, Zeroed};

/// log2 of the length of a bin.
const LINE_BITS: u32 = 6;

/// Slots in a row.
pub(super) const ROW: usize = 6;

/// Six slots and what follows them.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Null where the chain ends. Its address is set once; in the first row of a chain, bits for
    /// the entries of the spills are added to it.
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
const _: () = assert!(size_of::<Bin>() == 1 << LINE_BITS && size_of::<Spill>() == 1 << LINE_BITS);

// SAFETY: atomics of zero bits are zeroes and null pointers, and so is the default; no destructor.
unsafe impl Zeroable for Bin {}

/// Bytes of bins that are given back at once: so much takes a few microseconds.
const PART: usize = 128 << 10;

/// Spills of a block: 4 KiB with its head. The threads of explorers have small stacks.
const BLOCK: usize = if cfg!(any(loom, shuttle)) { 1 } else { 63 };

/// Blocks that are given back together with a part.
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
    bins: Zeroed<Bin>,
    /// The bin of a hash is what is left of it after a shift by so many, and by `LINE_BITS`.
    shift: u32,
    /// Bits of a hash that follow on its tag.
    tail: u32,
    /// The table that the entries move to; null while they stay. Set once.
    pub(super) next: AtomicPtr<Table>,
    /// Where the next helper starts. Runs on past the end and counts modulo the units.
    pub(super) cursor: AtomicUsize,
    /// Units whose entries are all in the next table.
    pub(super) units_moved: AtomicUsize,
    /// The block from which spills are claimed; it leads to the older ones.
    blocks: AtomicPtr<Block>,
}

/// The greatest number of bits that a table may have: a terabyte of bins.
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
    pub(super) fn new(bits: u32, pages: Pages) -> Result<Box<Self>, NoTable> {
        if bits > BITS_MAX {
            return Err(NoTable::TooLarge);
        }
        let len = 1_usize << bits;
        let bins = Zeroed::new(len, len * size_of::<Bin>(), pages).ok_or(NoTable::OutOfMemory)?;
        Ok(Box::new(Self {
            bins,
            shift: u64::BITS - LINE_BITS - bits,
            tail: tail_of(bits),
            next: AtomicPtr::default(),
            cursor: AtomicUsize::new(0),
            units_moved: AtomicUsize::new(0),
            blocks: AtomicPtr::default(),
        }))
    }

    /// log2 of the number of bins.
    #[inline(always)]
    pub(super) fn bits(&self) -> u32 {
        u64::BITS - LINE_BITS - self.shift
    }

    /// Where the tags of this table begin in a hash; see `word`.
    #[inline(always)]
    pub(super) fn base(&self) -> u32 {
        base_of(self.bits())
    }

    /// How many bits of a hash follow on its tag.
    #[inline(always)]
    pub(super) fn tail(&self) -> u32 {
        self.tail
    }

    /// Number of bins.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.bins.len()
    }

    /// The number of the bin of a hash.
    #[inline(always)]
    pub(super) fn index(&self, hash: u64) -> usize {
        // In two steps, since a shift by all 64 bits is none; and these two, since the second and
        // the multiplication by the length of a bin are one instruction.
        (hash >> self.shift >> LINE_BITS) as usize
    }

    /// The bin of a hash.
    #[inline(always)]
    pub(super) fn bin_of(&self, hash: u64) -> &Bin {
        // SAFETY: `index` leaves as many bits of the hash as there are in a bin's number.
        unsafe { self.bins.get_unchecked(self.index(hash)) }
    }

    /// The bin of this number.
    #[inline(always)]
    pub(super) fn bin(&self, index: usize) -> &Bin {
        &self.bins[index]
    }

    /// Calls `visit` for each live word of a table that does not change.
    pub(super) fn for_each_live(&self, mut visit: impl FnMut(Word)) {
        for bin in &*self.bins {
            let _ = bin.walk(self, |seen| {
                if seen.word.is_live() {
                    visit(seen.word);
                }
                None::<()>
            });
        }
    }

    /// The next row of the chain, if there is one.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the table is what keeps the spill alive")]
    pub(super) fn after<'a>(&'a self, row: &'a Row) -> Option<&'a Row> {
        // Acquire: pairs with the Release in `extend`; behind the link we see a spill.
        let link = row.link.load(Ordering::Acquire);
        // SAFETY: it is a link of this table.
        unsafe { row_behind(link) }
    }

    /// The second row of a bin, if an entry that `probe` is for may be there or further on.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the table is what keeps the spill alive")]
    pub(super) fn spill_for<'a>(&'a self, bin: &'a Bin, probe: Probe) -> Option<&'a Row> {
        // Acquire: as in `after`; and the entries that were announced before are there to be seen.
        let link = bin.row.link.load(Ordering::Acquire);
        if link.addr() & probe.mark() == 0 {
            return None;
        }
        // SAFETY: it is a link of this table.
        unsafe { row_behind(link) }
    }

    /// The next row of the chain, made if there is none. Says whether it was made here.
    #[cold]
    pub(super) fn extend<'a>(&'a self, row: &'a Row) -> (&'a Row, bool) {
        if let Some(next) = self.after(row) {
            return (next, false);
        }
        let spill = self.claim_spill();
        assert!(ptr::from_ref(spill).addr() & MARKS == 0, "a spill lies above 48 bits");
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
            // SAFETY: it is a link of this table.
            Err(other) => (unsafe { row_behind(other) }.expect("it was not null"), false),
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

    /// Asks for huge pages, now that every page has been touched.
    pub(super) fn use_huge_pages(&self) {
        self.bins.use_huge_pages();
    }

    /// Bytes of bins and of blocks.
    pub(super) fn bytes(&self) -> usize {
        let mut bytes = size_of::<Self>() + size_of_val(&*self.bins);
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

    /// Gives back a small part of a table that nobody uses. False when little is left, so that it
    /// may as well be dropped.
    pub(super) fn dismantle(&mut self) -> bool {
        let is_shorter = self.bins.shorten(PART);
        let has_blocks = (0..BLOCKS_PER_STEP).all(|_| self.free_block());
        is_shorter || has_blocks
    }

    /// Gives back a block of a table that nobody uses. False when there is none.
    fn free_block(&mut self) -> bool {
        // Relaxed, here and below: nobody else is here.
        let block = self.blocks.load(Ordering::Relaxed);
        if block.is_null() {
            return false;
        }
        // SAFETY: the list owns its blocks, and nobody else is here.
        let owned = unsafe { Box::from_raw(block) };
        self.blocks.store(owned.former.load(Ordering::Relaxed), Ordering::Relaxed);
        true
    }
}

impl Row {
    /// Lets searches for `probe` look into the spills of the chain that begins with this row: for
    /// who is about to put an entry there.
    #[cold]
    pub(super) fn announce(&self, probe: Probe) {
        if planted(Bug::HidesSpills) {
            return;
        }
        // Relaxed: the exchange looks again; and who sees what we do next reads the link no earlier
        // than we did, so a mark that we see he sees as well.
        let mut link = self.link.load(Ordering::Relaxed);
        while link.addr() & probe.mark() == 0 {
            let marked = link.map_addr(|address| address | probe.mark());
            // Acquire, Release: who sees the mark sees the spill, whoever has linked it. Relaxed on
            // failure: as above.
            let result =
                self.link.compare_exchange(link, marked, Ordering::AcqRel, Ordering::Relaxed);
            match result {
                Ok(_) => return,
                Err(other) => link = other,
            }
        }
    }
}

/// The row that a link leads to.
///
/// # Safety
///
/// The link is of a table that lives for `'a`, and was acquired.
#[inline(always)]
unsafe fn row_behind<'a>(link: *mut Spill) -> Option<&'a Row> {
    let spill = link.map_addr(|address| address & !MARKS);
    // SAFETY: a link, once set, leads to a spill that lives as long as the table.
    unsafe { spill.as_ref() }.map(|it| &it.row)
}

impl Drop for Table {
    fn drop(&mut self) {
        while self.free_block() {}
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

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
