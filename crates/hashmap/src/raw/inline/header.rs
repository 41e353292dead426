//! The word that says what a bin holds, who may change it, and whether it changed.
//!
//! ```text
//!   63                                        5 4     2   1        0
//!   |                 version                  | home | MOVED | LOCKED |
//! ```
//!
//! | part     | meaning                                                      | set by          |
//! |----------|--------------------------------------------------------------|-----------------|
//! | `LOCKED` | a writer is at work; nobody else writes the bin              | a writer, by CAS |
//! | `MOVED`  | the entries are in the next table, for ever                  | the lock's owner |
//! | home     | which of the line's own slots hold entries                   | the lock's owner |
//! | version  | grows with each change that may let a slot be used anew      | the lock's owner |
//!
//! The version has 59 bits: at a change a nanosecond it repeats after 18 years, and it would have
//! to do that within one read.

use super::line::HOME;

/// A header as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header(pub(super) u64);

const LOCKED: u64 = 1 << 0;
const MOVED: u64 = 1 << 1;
const HOME_SHIFT: u32 = 2;
const HOME_MASK: u64 = (1 << HOME) - 1;
const VERSION_ONE: u64 = 1 << (HOME_SHIFT as usize + HOME);

impl Header {
    #[inline(always)]
    pub(super) fn is_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    #[inline(always)]
    pub(super) fn is_moved(self) -> bool {
        self.0 & MOVED != 0
    }

    /// The slots of the line that hold entries, one bit each.
    #[inline(always)]
    pub(super) fn home(self) -> u64 {
        self.0 >> HOME_SHIFT & HOME_MASK
    }

    /// The first slot of the line that holds no entry.
    #[inline(always)]
    pub(super) fn free_slot(self) -> Option<usize> {
        let slot = (!self.home()).trailing_zeros() as usize;
        (slot < HOME).then_some(slot)
    }

    /// Whether nothing was moved, removed or added between two readings. A lock taken or released
    /// between them does not count: until its owner has changed something, it has changed nothing.
    #[inline(always)]
    pub(super) fn same_entries(self, other: Self) -> bool {
        (self.0 ^ other.0) & !LOCKED == 0
    }

    #[inline(always)]
    pub(super) fn locked(self) -> Self {
        Self(self.0 | LOCKED)
    }

    /// With an entry in a slot of the line that had none.
    #[inline(always)]
    pub(super) fn with(self, slot: usize) -> Self {
        debug_assert!(self.home() & 1 << slot == 0, "the slot holds an entry");
        Self(self.0 | 1 << (HOME_SHIFT as usize + slot))
    }

    /// Without the entry in a slot of the line, and with the next version.
    #[inline(always)]
    pub(super) fn without(self, slot: usize) -> Self {
        debug_assert!(self.home() & 1 << slot != 0, "the slot holds no entry");
        Self(self.0 & !(1 << (HOME_SHIFT as usize + slot))).bumped()
    }

    /// With the next version.
    #[inline(always)]
    pub(super) fn bumped(self) -> Self {
        Self(self.0.wrapping_add(VERSION_ONE))
    }

    /// Of a bin whose entries have gone to the next table.
    #[inline(always)]
    pub(super) fn moved(self) -> Self {
        Self(self.0 | MOVED).bumped()
    }
}
