//! One size of the map: its bins, its pool, and the way to the table after it.
//!
//! The highest bits of a hash are the number of its bin. So bins are in the order of hashes in
//! every table, and the entries of one bin come to lie next to each other in a larger table: both
//! are moved from end to end, as memory likes it.

#![expect(unsafe_code, reason = "tables are reached through atomic pointers under an epoch guard")]

use std::ops::Range;

use super::annex::{Annex, free_block};
use super::bin::{Bin, HOME, Head, Home, SLOTS_A_LINE, Slot};
use super::migration::Migration;
use super::pool::Pool;
use crate::prefetch;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering};
use crate::zeroed::{Blank, Pages, Zeroed};

/// Bins of the smallest table.
pub(super) const BINS_MIN: usize = 2;

/// Entries a bin, as a fraction, at which a table is full. More of them fit, in annexes; at this
/// many one bin in nine has one, and one hit in fifty ends there.
const FULL_NUMERATOR: usize = 21;
const FULL_DENOMINATOR: usize = 2;

/// Bins of the largest table that memory could be asked for.
const BINS_MAX: usize = isize::MAX as usize / (size_of::<Head>() + size_of::<Home>());

/// Bytes of an outgrown table that are freed at once: some ten microseconds for the system.
const PART: usize = 1 << 17;

/// One size of the map.
#[derive(Debug)]
pub(super) struct Table {
    heads: Zeroed<Head>,
    /// Those of a bin are cleared before anyone comes there: by whoever moves its entries in.
    slots: Blank<Home>,
    /// How far a hash is shifted to give a bin.
    shift: u32,
    pub(super) pool: Pool,
    /// The table that takes over from this one, once there is one. Never changes again.
    next: AtomicPtr<Table>,
    /// How far the entries of the table before this one have come.
    pub(super) arrivals: Migration,
    /// Blocks that bins of this table were given.
    pub(super) crowded: AtomicUsize,
}

/// Entries that a table of `bins` bins takes before it is full.
pub(super) fn capacity_of(bins: usize) -> usize {
    bins.saturating_mul(FULL_NUMERATOR) / FULL_DENOMINATOR
}

/// Bins of a table for `entries` entries, a power of two; `None` where no machine has that many.
pub(crate) fn bins_for(entries: usize) -> Option<usize> {
    let bins = entries.checked_mul(FULL_DENOMINATOR)?.div_ceil(FULL_NUMERATOR);
    bins.max(BINS_MIN).checked_next_power_of_two().filter(|&bins| bins <= BINS_MAX)
}

impl Table {
    /// An empty table of `bins` bins that takes over from one of `former` bins, if any; `None`
    /// where the memory cannot be had.
    pub(super) fn new(bins: usize, former: Option<usize>, pages: Pages) -> Option<Box<Self>> {
        debug_assert!(bins.is_power_of_two() && bins >= BINS_MIN, "{bins} is no number of bins");
        let units = former.map_or(0, |former| former.min(bins));
        let largest = bins.checked_mul(size_of::<Home>())?;
        Some(Box::new(Self {
            heads: Zeroed::new(bins, largest, pages)?,
            slots: Blank::new(bins, largest, pages, former.is_none())?,
            shift: u64::BITS - bins.ilog2(),
            pool: Pool::new(bins, largest, pages)?,
            next: AtomicPtr::new(std::ptr::null_mut()),
            arrivals: Migration::new(units),
            crowded: AtomicUsize::new(0),
        }))
    }

    /// Number of bins.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// The number of the bin of a hash.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "there are no more bins than addresses")]
    pub(super) fn index(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// The bin of a hash.
    #[inline(always)]
    pub(super) fn bin(&self, hash: u64) -> Bin<'_> {
        let index = self.index(hash);
        // SAFETY: there are as many heads as values that the shift leaves.
        let head = unsafe { self.heads.get_unchecked(index) };
        // SAFETY: there are as many homes as heads; see `open` for who has cleared it.
        let slots = unsafe { self.slots.get(index) };
        Bin { head, slots }
    }

    /// The bin of a number.
    #[inline(always)]
    pub(super) fn bin_at(&self, index: usize) -> Bin<'_> {
        let head = &self.heads[index];
        // SAFETY: as in `bin`.
        let slots = unsafe { self.slots.get(index) };
        Bin { head, slots }
    }

    /// Clears the slots of bins that entries are about to move into, and asks for those of as many
    /// bins behind, which are likely to be next. Returns the heads and the slots.
    ///
    /// Only after that does anyone come here: who moves entries in holds the locks of the bins that
    /// they come from, none of which has moved, and `MOVED` there is the way to these. The first
    /// table of a map is made with its slots cleared.
    #[inline(always)]
    pub(super) fn open(&self, bins: Range<usize>) -> (&[Head], &[Home]) {
        let heads = &self.heads[bins.clone()];
        for home in bins.end..(bins.end + bins.len()).min(self.len()) {
            let start = self.slots.address(home).cast::<Slot>();
            (0..HOME).step_by(SLOTS_A_LINE).for_each(|slot| {
                prefetch::write(start.wrapping_add(slot));
            });
        }
        // SAFETY: there are as many homes as heads, and nobody else can reach them yet.
        unsafe { self.slots.clear(bins.clone()) };
        // SAFETY: they have just been cleared.
        let homes = unsafe { self.slots.slice(bins) };
        (heads, homes)
    }

    /// The table that takes over from this one.
    #[inline(always)]
    pub(super) fn next(&self) -> Option<&Self> {
        // Acquire: pairs with the Release in `set_next`; we see the table made.
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: a table is retired after its predecessor, by way of the epoch, so that who may
        // look at this table may look at the next one as long.
        unsafe { next.as_ref() }
    }

    /// Makes `next` the table that takes over from this one, unless there is one already.
    pub(super) fn set_next(&self, next: Box<Self>) {
        let next = Box::into_raw(next);
        let none = std::ptr::null_mut();
        // Release: pairs with the Acquire in `next`. Relaxed: a failure tells nothing.
        let won = self.next.compare_exchange(none, next, Ordering::Release, Ordering::Relaxed);
        if won.is_err() {
            // SAFETY: it came from a box above, and nobody has seen it.
            drop(unsafe { Box::from_raw(next) });
        }
    }

    /// The annex that a word of one of this table's bins names.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the table is the proof that there is a guard")]
    pub(super) fn annex(&self, word: u64) -> Annex<'_> {
        // SAFETY: the caller read the word from a bin of this table, and who has a reference to
        // a table has the guard that keeps it.
        unsafe { Annex::from_word(word) }
    }

    /// Asks for huge pages, now that every page has been touched.
    pub(super) fn use_huge_pages(&self) {
        self.heads.use_huge_pages();
        self.slots.use_huge_pages();
        self.pool.use_huge_pages();
    }

    /// Bytes of the table, without the blocks of crowded bins.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.heads)
            + self.slots.bytes()
            + self.pool.bytes()
            + self.arrivals.bytes()
    }
}

impl Table {
    /// Gives the slots of moved bins back to the system. Their heads stay, and say so.
    pub(super) fn give_up(&self, units: Range<usize>, width: usize) {
        self.slots.discard(units.start * width..units.end * width);
    }

    /// Frees a part of a table whose bins have all moved; false when little is left, so that it may
    /// as well be dropped.
    pub(super) fn dismantle(&mut self) -> bool {
        // Moved bins have no annexes. Relaxed: nobody else has the table any more.
        self.crowded.store(0, Ordering::Relaxed);
        self.slots.shorten(PART) || self.heads.shorten(PART) || self.pool.shorten(PART)
    }
}

impl Drop for Table {
    /// Frees the blocks of crowded bins. The tables after this one are not its own.
    fn drop(&mut self) {
        // Relaxed: nobody else has the table any more.
        if self.crowded.load(Ordering::Relaxed) == 0 {
            return;
        }
        for head in &*self.heads {
            let word = head.annex();
            // SAFETY: nobody else has the table, so that the word is the last one of its bin; the
            // words of moved bins are zero.
            unsafe { free_block(word) };
        }
    }
}
