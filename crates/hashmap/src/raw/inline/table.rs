//! One size of the map: its lines, its pool, and the way to the table after it.
//!
//! A key's bin follows from its hash by a multiplication (Lemire 2019): bin `i` of `n` has the
//! hashes from `i / n` to `(i + 1) / n` of all. So bins are in the order of hashes in every table,
//! the entries of one bin come to lie next to each other in a larger table, and any number of bins
//! is as good as a power of two.

#![expect(unsafe_code, reason = "tables are reached through atomic pointers under an epoch guard")]

use super::annex::{Annex, free_block};
use super::line::{HOME, Line};
use super::migration::Migration;
use super::pool::Pool;
use super::zeroed::Zeroed;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering};

/// Bins of the smallest table.
pub(super) const BINS_MIN: usize = 3;

/// Entries a bin, as a fraction, at which a table is full. More of them fit, in annexes; at this
/// many a third of the bins have one, and of the hits a quarter end there.
const FULL_NUMERATOR: usize = 7;
const FULL_DENOMINATOR: usize = 2;

/// One size of the map.
#[derive(Debug)]
pub(super) struct Table {
    lines: Zeroed<Line>,
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
    bins / FULL_DENOMINATOR * FULL_NUMERATOR + bins % FULL_DENOMINATOR * HOME
}

/// Bins of a table for `entries` entries: three times a power of two, since with the sizes that
/// doubling reaches from there, the common round numbers of entries fill a table well.
///
/// `None` where no machine has that many.
pub(crate) fn bins_for(entries: usize) -> Option<usize> {
    let mut bins = BINS_MIN;
    while capacity_of(bins) < entries {
        bins = bins.checked_mul(2).filter(|&bins| bins <= isize::MAX as usize / 128)?;
    }
    Some(bins)
}

impl Table {
    /// An empty table of `bins` bins that takes over from one of `former` bins, if any; `None`
    /// where the memory cannot be had.
    pub(super) fn new(bins: usize, former: Option<usize>) -> Option<Box<Self>> {
        let units = former.map_or(0, |former| former.min(bins));
        Some(Box::new(Self {
            lines: Zeroed::new(bins)?,
            pool: Pool::new(bins)?,
            next: AtomicPtr::new(std::ptr::null_mut()),
            arrivals: Migration::new(units),
            crowded: AtomicUsize::new(0),
        }))
    }

    #[inline(always)]
    pub(super) fn bins(&self) -> usize {
        self.lines.len()
    }

    /// The bin of a hash.
    #[inline(always)]
    pub(super) fn bin(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize
    }

    /// The line of a hash.
    #[inline(always)]
    pub(super) fn line(&self, hash: u64) -> &Line {
        let bin = self.bin(hash);
        // SAFETY: the hash is below 2^64, so the bin is below the number of lines.
        unsafe { self.lines.get_unchecked(bin) }
    }

    /// The line of a bin.
    #[inline(always)]
    pub(super) fn line_at(&self, bin: usize) -> &Line {
        &self.lines[bin]
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

    /// The annex that a word of one of this table's lines names.
    #[inline(always)]
    pub(super) fn annex(&self, word: u64) -> Annex<'_> {
        // SAFETY: the caller read the word from a line of this table, and who has a reference to
        // a table has the guard that keeps it.
        unsafe { Annex::from_word(word) }
    }

    /// Bytes of the table, without the blocks of crowded bins.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.lines)
            + self.pool.bytes()
            + self.arrivals.bytes()
    }
}

impl Drop for Table {
    /// Frees the blocks of crowded bins. The tables after this one are not its own.
    fn drop(&mut self) {
        // Relaxed: nobody else has the table any more.
        if self.crowded.load(Ordering::Relaxed) == 0 {
            return;
        }
        for line in &*self.lines {
            let word = line.annex();
            // SAFETY: nobody else has the table, so that the word is the last one of its line; the
            // words of moved bins are zero.
            unsafe { free_block(word) };
        }
    }
}
