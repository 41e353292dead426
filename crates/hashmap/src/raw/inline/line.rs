//! A bin's own cache line.
//!
//! ```text
//!   0        8        16       24       32       40       48       56       64
//!   | header | annex  | key    | value  | key    | value  | key    | value  |
//!                     '---- slot 0 -----'---- slot 1 -----'---- slot 2 -----'
//! ```
//!
//! What does not fit is in the bin's [annex](super::annex), which the second word names.

#![expect(unsafe_code, reason = "says that zero bits are a valid line and a valid slot")]

use super::header::Header;
use super::zeroed::Zeroable;
use crate::sync::{AtomicU64, Ordering, fence};

/// Slots of a line.
pub(super) const HOME: usize = 3;

/// A place for an entry. Whether it holds one is said elsewhere: in the header for the slots of a
/// line, in the annex for those of an annex.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Slot {
    pub(super) key: AtomicU64,
    pub(super) value: AtomicU64,
}

/// A bin's own line.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Line {
    header: AtomicU64,
    annex: AtomicU64,
    pub(super) slots: [Slot; HOME],
}

// The point of the layout: a key that is at home costs one cache miss.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Line>() == 64);

// SAFETY: atomics of zero bits are zeroes and so is the default; neither type has a destructor.
unsafe impl Zeroable for Slot {}
// SAFETY: as above.
unsafe impl Zeroable for Line {}

impl Slot {
    /// Writes an entry into a slot that holds none.
    ///
    /// The caller has the bin's lock and has made a `Release` fence since.
    #[inline(always)]
    pub(super) fn fill(&self, key: u64, value: u64) {
        // Relaxed: the store that says that the slot holds an entry is a Release.
        self.key.store(key, Ordering::Relaxed);
        // Relaxed: as above.
        self.value.store(value, Ordering::Relaxed);
    }
}

impl Slot {
    /// Copies an entry into this slot, which holds none; under the same conditions.
    #[inline(always)]
    pub(super) fn copy(&self, other: &Self) {
        // Relaxed, twice: the lock keeps both from changing.
        self.fill(other.key.load(Ordering::Relaxed), other.value.load(Ordering::Relaxed));
    }
}

impl Line {
    #[inline(always)]
    pub(super) fn header(&self) -> Header {
        // Acquire: pairs with the Release in `publish`; who sees that a slot holds an entry sees
        // the entry, and who sees MOVED sees the bin's new place.
        Header(self.header.load(Ordering::Acquire))
    }

    /// Whether the entries are still those of `header`, which was read before them.
    #[inline(always)]
    pub(super) fn is_still(&self, header: Header) -> bool {
        // Acquire: pairs with the Release fence of a writer that uses a slot anew. If one of the
        // reads before this fence saw what it wrote, the load below sees a newer version.
        fence(Ordering::Acquire);
        // Relaxed: ordered by the fence.
        header.same_entries(Header(self.header.load(Ordering::Relaxed)))
    }

    /// Takes the lock if nothing has happened to the bin since `header` was read.
    #[inline(always)]
    pub(super) fn try_lock(&self, header: Header) -> bool {
        debug_assert!(!header.is_locked() && !header.is_moved(), "{header:?} cannot be locked");
        // Acquire: pairs with the Release in `publish`: we see what the last owner wrote.
        // Relaxed: a failure tells nothing.
        let locked = self.header.compare_exchange(
            header.0,
            header.locked().0,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        // Release: pairs with the Acquire fence in `is_still`; what is written into a slot from
        // here on is seen together with the version that freed the slot.
        fence(Ordering::Release);
        locked.is_ok()
    }

    /// Writes the header as the lock's owner; without `LOCKED` it gives up the lock.
    #[inline(always)]
    pub(super) fn publish(&self, header: Header) {
        // Release: pairs with the Acquire in `header` and `try_lock`.
        self.header.store(header.0, Ordering::Release);
    }

    /// The word of the annex.
    #[inline(always)]
    pub(super) fn annex(&self) -> u64 {
        // Acquire: pairs with the Release in `set_annex`; behind a tag we see its entry.
        self.annex.load(Ordering::Acquire)
    }

    /// Writes the word of the annex, as the lock's owner.
    #[inline(always)]
    pub(super) fn set_annex(&self, word: u64) {
        // Release: pairs with the Acquire in `annex`.
        self.annex.store(word, Ordering::Release);
    }
}
