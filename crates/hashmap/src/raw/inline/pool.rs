//! The slots of a table that annexes are made of.
//!
//! # How
//!
//! The pool is cut into *shelves*, one for each stretch of bins, so that writers of different bins
//! seldom meet. A shelf hands out *units* of two slots: from the lists of annexes that were given
//! back, one for each class, or else from where nothing has been taken yet.
//!
//! ```text
//!   shelf 0                          shelf 1
//!   | 2 | 2 | 4     | 2 | ...free    | 2 | 8             | ...free
//!                        ^ next
//!   given back, class 1:  unit 7 -> unit 0 -> end     (a stack; the link is in the slot's key)
//! ```
//!
//! The stacks are those of Treiber (1986), with a count in the head against the ABA problem. No
//! operation waits for another.
//!
//! # What this module does not do
//!
//! It does not put neighbours together again: an annex stays as large as it was first made.

#![expect(
    clippy::cast_possible_truncation,
    reason = "units are below 2^30, shares below their whole"
)]

use super::annex::{POOL_CLASS_MAX, UNITS_MAX};
use super::bin::Slot;
use crate::sync::{AtomicU64, Ordering};
use crate::zeroed::{Pages, Zeroed};

/// Slots of a unit.
const UNIT_SLOTS: usize = 2;

/// Bins that share a shelf, at least, so that chance evens out.
const SHELF_BINS_MIN: usize = 2_048;
const SHELVES_MAX: usize = 64;

/// Bins for each unit: a full table needs about 6 bytes a bin, and some of it is on the wrong list.
/// Where chance asks for more, the table grows a little early. Small tables have more, since chance
/// does not even out there.
const BINS_PER_UNIT: usize = 4;
const BINS_PER_UNIT_SMALL: usize = 1;
const SMALL_TABLE_BINS: usize = 512;

/// The slots.
#[derive(Debug)]
pub(super) struct Pool {
    slots: Zeroed<Slot>,
    shelves: Box<[Shelf]>,
}

/// A part of the pool.
#[derive(Debug)]
#[repr(align(64))]
struct Shelf {
    /// The first unit that was never taken.
    next: AtomicU64,
    end: u64,
    /// For each class the last annex that was given back: a count, then its unit plus one.
    free: [AtomicU64; POOL_CLASS_MAX as usize],
}

impl Pool {
    /// A pool for a table of `bins` bins, whose largest slice has `largest` bytes; `None` where the
    /// memory cannot be had.
    pub(super) fn new(bins: usize, largest: usize, pages: Pages) -> Option<Self> {
        let per_unit = if bins < SMALL_TABLE_BINS { BINS_PER_UNIT_SMALL } else { BINS_PER_UNIT };
        let units = (bins / per_unit).next_multiple_of(8).min(UNITS_MAX);
        let count = (bins / SHELF_BINS_MIN).clamp(1, SHELVES_MAX);
        // Shelves begin at even units, so that an annex of two units is one cache line.
        let bound =
            |shelf: usize| if shelf == count { units } else { (units / count * shelf) & !3 };
        let shelf = |index| Shelf {
            next: AtomicU64::new(bound(index) as u64),
            end: bound(index + 1) as u64,
            free: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        Some(Self {
            slots: Zeroed::new(units * UNIT_SLOTS, largest, pages)?,
            shelves: (0..count).map(shelf).collect(),
        })
    }

    /// The unit of a free annex for a bin whose keys hash like `hash`; `None` where its shelf has
    /// none left.
    pub(super) fn take(&self, class: u32, hash: u64) -> Option<u32> {
        let shelf = self.shelf(hash);
        self.pop(shelf, class).or_else(|| self.carve(shelf, class))
    }

    /// Gives an annex back to the shelf of its bin. The bin's version has moved on, so that no
    /// reader believes what it reads there from now on.
    pub(super) fn give_back(&self, class: u32, unit: u32, hash: u64) {
        self.push(self.shelf(hash), class, unit);
    }

    /// Whether some shelf has nothing left that was never taken.
    pub(super) fn is_used_up(&self) -> bool {
        // Relaxed: a hint.
        self.shelves.iter().any(|shelf| shelf.next.load(Ordering::Relaxed) + 1 >= shelf.end)
    }

    /// The slots of an annex.
    #[inline(always)]
    pub(super) fn slots(&self, class: u32, unit: u32) -> &[Slot] {
        let start = unit as usize * UNIT_SLOTS;
        &self.slots[start..start + (1 << class)]
    }

    /// Frees a part of a pool that nobody uses any more; false when little is left.
    pub(super) fn shorten(&mut self, bytes: usize) -> bool {
        self.slots.shorten(bytes)
    }

    /// Asks for huge pages.
    pub(super) fn use_huge_pages(&self) {
        self.slots.use_huge_pages();
    }

    /// Bytes of the pool.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots) + size_of_val(&*self.shelves)
    }

    #[inline(always)]
    fn shelf(&self, hash: u64) -> &Shelf {
        &self.shelves[((u128::from(hash) * self.shelves.len() as u128) >> 64) as usize]
    }

    fn pop(&self, shelf: &Shelf, class: u32) -> Option<u32> {
        let head = &shelf.free[class as usize - 1];
        // Acquire: pairs with the Release in `push`; we see the link, and the versions that ended
        // the former use.
        let mut seen = head.load(Ordering::Acquire);
        loop {
            let unit = (seen as u32).checked_sub(1)?;
            // Relaxed: read behind the head; if it is stale, the exchange fails.
            let next = self.slots(class, unit)[0].key.load(Ordering::Relaxed) as u32;
            let popped = count_on(seen, next);
            // Acquire, twice: as above.
            match head.compare_exchange(seen, popped, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(unit),
                Err(now) => seen = now,
            }
        }
    }

    fn push(&self, shelf: &Shelf, class: u32, unit: u32) {
        let head = &shelf.free[class as usize - 1];
        let link = &self.slots(class, unit)[0].key;
        // Relaxed: only a part of the value that is exchanged.
        let mut seen = head.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the exchange.
            link.store(seen & u64::from(u32::MAX), Ordering::Relaxed);
            let pushed = count_on(seen, unit + 1);
            // Release: pairs with the Acquire in `pop`. Relaxed: as above.
            match head.compare_exchange(seen, pushed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Takes units that were never taken, at a multiple of their number; those skipped are given
    /// to the lists.
    fn carve(&self, shelf: &Shelf, class: u32) -> Option<u32> {
        let size = 1 << (class - 1);
        // Relaxed, in the whole loop: it only decides who gets which units, and they are zero.
        let mut seen = shelf.next.load(Ordering::Relaxed);
        loop {
            let start = seen.next_multiple_of(size);
            if start + size > shelf.end {
                return None;
            }
            let end = start + size;
            match shelf.next.compare_exchange(seen, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    for unit in seen..start {
                        self.push(shelf, 1, unit as u32);
                    }
                    return Some(start as u32);
                }
                Err(now) => seen = now,
            }
        }
    }
}

/// A head with this unit and the next count.
fn count_on(head: u64, unit: u32) -> u64 {
    ((head >> 32).wrapping_add(1) << 32) | u64::from(unit)
}
