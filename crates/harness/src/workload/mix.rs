//! Which operation comes next: shares in percent.
//!
//! The mixes of YCSB are those of its core workloads A to F. The mixes for maps come from two
//! programs that share an ancestor, libcuckoo's universal benchmark: `conc-map-bench` gave
//! read-heavy, exchange and rapid-grow their shares, `bustle` the update-heavy and uniform ones.

use super::WorkloadError;
use crate::rng::SplitMix64;

/// What an operation does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Reads the value.
    Read,
    /// Sets the value of a key that should be absent.
    Insert,
    /// Removes the key.
    Remove,
    /// Sets or changes the value of a key that should be present.
    Update,
    /// Sets the value whether the key is present or not.
    Upsert,
    /// Reads a number of records in key order.
    Scan,
    /// Reads the value, changes it and writes it back.
    ReadModifyWrite,
}

impl OperationKind {
    /// Every kind, in the order of the fields of [`Mix`].
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Insert,
        Self::Remove,
        Self::Update,
        Self::Upsert,
        Self::Scan,
        Self::ReadModifyWrite,
    ];
}

/// Shares of the operations in percent; they add up to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mix {
    /// Share of [`OperationKind::Read`].
    pub read: u8,
    /// Share of [`OperationKind::Insert`].
    pub insert: u8,
    /// Share of [`OperationKind::Remove`].
    pub remove: u8,
    /// Share of [`OperationKind::Update`].
    pub update: u8,
    /// Share of [`OperationKind::Upsert`].
    pub upsert: u8,
    /// Share of [`OperationKind::Scan`].
    pub scan: u8,
    /// Share of [`OperationKind::ReadModifyWrite`].
    pub read_modify_write: u8,
}

/// Base for the constants below: nothing of anything.
const NONE: Mix =
    Mix { read: 0, insert: 0, remove: 0, update: 0, upsert: 0, scan: 0, read_modify_write: 0 };

impl Mix {
    /// Nothing but reads.
    pub const READ_ONLY: Self = Self { read: 100, ..NONE };
    /// A cache: reads with a few inserts and removals.
    pub const READ_HEAVY: Self = Self { read: 98, insert: 1, remove: 1, ..NONE };
    /// A hand-over point: what comes in goes out.
    pub const EXCHANGE: Self = Self { read: 10, insert: 40, remove: 40, update: 10, ..NONE };
    /// A burst of new entries.
    pub const RAPID_GROW: Self = Self { read: 5, insert: 80, remove: 5, update: 10, ..NONE };
    /// Counters: as many changes as reads, nothing comes or goes.
    pub const UPDATE: Self = Self { read: 50, update: 50, ..NONE };
    /// `bustle`'s update-heavy mix.
    pub const UPDATE_HEAVY: Self =
        Self { read: 35, insert: 5, remove: 5, update: 50, upsert: 5, ..NONE };
    /// `bustle`'s uniform mix: a fifth of each.
    pub const UNIFORM: Self =
        Self { read: 20, insert: 20, remove: 20, update: 20, upsert: 20, ..NONE };

    /// YCSB A, update-heavy.
    pub const YCSB_A: Self = Self { read: 50, update: 50, ..NONE };
    /// YCSB B, mostly reads.
    pub const YCSB_B: Self = Self { read: 95, update: 5, ..NONE };
    /// YCSB C, reads only.
    pub const YCSB_C: Self = Self::READ_ONLY;
    /// YCSB D, reads of what was inserted last.
    pub const YCSB_D: Self = Self { read: 95, insert: 5, ..NONE };
    /// YCSB E, short scans.
    pub const YCSB_E: Self = Self { scan: 95, insert: 5, ..NONE };
    /// YCSB F, read-modify-write.
    pub const YCSB_F: Self = Self { read: 50, read_modify_write: 50, ..NONE };

    /// The shares in the order of [`OperationKind::ALL`].
    pub const fn shares(self) -> [u8; 7] {
        let Self { read, insert, remove, update, upsert, scan, read_modify_write } = self;
        [read, insert, remove, update, upsert, scan, read_modify_write]
    }

    /// Refuses shares that do not add up to 100.
    pub fn check(self) -> Result<(), WorkloadError> {
        let total: u32 = self.shares().iter().copied().map(u32::from).sum();
        if total == 100 { Ok(()) } else { Err(WorkloadError::MixTotal(total)) }
    }

    /// Draws the kind of the next operation.
    pub(super) fn draw(self, rng: &mut SplitMix64) -> OperationKind {
        let mut left = rng.below(100);
        for (kind, share) in OperationKind::ALL.into_iter().zip(self.shares()) {
            if left < u64::from(share) {
                return kind;
            }
            left -= u64::from(share);
        }
        unreachable!("a checked mix adds up to 100, but {self:?} does not")
    }
}
