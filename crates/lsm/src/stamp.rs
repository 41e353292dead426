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
    /// It changes the value by an operand.
    Operand = 3,
    /// It sets the value until a date.
    Dated = 4,
    /// It sets the value, which lies elsewhere. Only in memtables and tables: the log is elsewhere.
    Pointer = 5,
}

impl Kind {
    /// The kind of this number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        const KINDS: [Kind; 6] = [
            Kind::Tombstone,
            Kind::Value,
            Kind::Removal,
            Kind::Operand,
            Kind::Dated,
            Kind::Pointer,
        ];
        KINDS.get(usize::from(number)).copied()
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
        let kind = Kind::of(bits.to_le_bytes()[0])?;
        (kind != Kind::Removal).then_some(Self(bits))
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn sequence(self) -> Sequence {
        self.0 >> 8
    }

    pub(crate) fn kind(self) -> Kind {
        Kind::of(self.0.to_le_bytes()[0]).expect("stamps are made of kinds")
    }

    #[inline]
    pub(crate) fn is(self, kind: Kind) -> bool {
        self.0 & 0xff == kind as u64
    }

    pub(crate) fn is_tombstone(self) -> bool {
        self.is(Kind::Tombstone)
    }

    /// The stamp of the same kind of change, so much later.
    #[inline]
    pub(crate) fn later(self, by: Sequence) -> Self {
        Self(self.0 + (by << 8))
    }

    /// The stamp of another kind of change in the same place.
    pub(crate) fn as_kind(self, kind: Kind) -> Self {
        Self::new(self.sequence(), kind)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.kind(), self.sequence())
    }
}
