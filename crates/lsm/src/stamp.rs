//! Stamps: the order of writes.
//!
//! Every change has a sequence number, one above the change before it. A reader takes the number of
//! the last finished write and does not see what is above it: that is its snapshot. A stamp is that
//! number and what kind of change it is, in one word that sorts by the number.

use std::fmt;

/// The number of a change. The first one is 1; 0 is older than all.
pub(crate) type Sequence = u64;

/// Largest sequence number: a stamp keeps eight bits for the kind.
pub(crate) const SEQUENCE_MAX: Sequence = (1 << 56) - 1;

/// What a change does to its key. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// It removes the key.
    Tombstone = 0,
    /// It sets the value.
    Value = 1,
    /// It removes a range of keys. Only in batches: memtables and tables keep removals apart.
    Removal = 2,
}

impl Kind {
    /// The kind of this number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        [Self::Tombstone, Self::Value, Self::Removal].get(usize::from(number)).copied()
    }
}

/// A sequence number and a kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp(u64);

impl Stamp {
    pub(crate) fn new(sequence: Sequence, kind: Kind) -> Self {
        debug_assert!(sequence <= SEQUENCE_MAX, "{sequence} is above {SEQUENCE_MAX}");
        Self((sequence << 8) | kind as u64)
    }

    /// A stamp as it was stored; `None` where an entry cannot be of its kind.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        (bits & 0xff <= Kind::Value as u64).then_some(Self(bits))
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn sequence(self) -> Sequence {
        self.0 >> 8
    }

    pub(crate) fn kind(self) -> Kind {
        if self.0 & 0xff == Kind::Value as u64 { Kind::Value } else { Kind::Tombstone }
    }

    pub(crate) fn is_tombstone(self) -> bool {
        self.kind() == Kind::Tombstone
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.kind(), self.sequence())
    }
}
