//! The word that says who may change a bin, and whether it changed.
//!
//! ```text
//!   63                                            2    1       0
//!   |                   version                   | MOVED | LOCKED |
//! ```
//!
//! | part     | meaning                                     | set by           |
//! |----------|---------------------------------------------|------------------|
//! | `LOCKED` | a writer is at work; nobody else writes     | a writer, by CAS |
//! | `MOVED`  | the entries are in the next table, for ever | the lock's owner |
//! | version  | grows with each entry that came or went     | the lock's owner |
//!
//! The version has 62 bits. At a change every ten nanoseconds it repeats after a thousand years,
//! and it would have to do that within one read.

/// A state as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(pub(super) u64);

const LOCKED: u64 = 1 << 0;
const MOVED: u64 = 1 << 1;
const VERSION_ONE: u64 = 1 << 2;

impl State {
    #[inline(always)]
    pub(super) fn is_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    #[inline(always)]
    pub(super) fn is_moved(self) -> bool {
        self.0 & MOVED != 0
    }

    /// Whether no entry came, went or moved between two readings. A lock taken or released between
    /// them does not count: until its owner has changed something, it has changed nothing.
    #[inline(always)]
    pub(super) fn same_entries(self, other: Self) -> bool {
        (self.0 ^ other.0) & !LOCKED == 0
    }

    #[inline(always)]
    pub(super) fn locked(self) -> Self {
        Self(self.0 | LOCKED)
    }

    /// With the next version.
    #[inline(always)]
    pub(super) fn changed(self) -> Self {
        Self(self.0.wrapping_add(VERSION_ONE))
    }

    /// Of a bin whose entries have gone to the next table.
    #[inline(always)]
    pub(super) fn moved(self) -> Self {
        Self(self.0 | MOVED).changed()
    }
}
