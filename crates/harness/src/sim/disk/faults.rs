//! What can be made to go wrong with a disk.

use std::time::Duration;

use env::random::{Random, SeededRandom};

/// Something that a script or a test does to a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Syncs, of files, ranges and directories, report success and do nothing.
    LoseSync(Dose),
    /// Reads fail with `EIO`.
    ReadError(Dose),
    /// Writes fail with `EIO` and change nothing.
    WriteError(Dose),
    /// Syncs of files and ranges fail with `EIO`, and what they were to write is never written.
    SyncError(Dose),
    /// Reads return less than they could.
    ShortRead(Dose),
    /// Files may grow by so many bytes together, then `ENOSPC`.
    Full {
        /// What is left.
        room: u64,
    },
    /// One bit of a file changes, in the cache and on the disk: of any file, or of one whose path
    /// contains `file`.
    FlipBit {
        /// A part of the path.
        file: Option<String>,
    },
    /// Each I/O takes a time between these two.
    Slow {
        /// At least.
        min: Duration,
        /// At most.
        max: Duration,
    },
    /// All of the above is over. What is lost stays lost.
    Heal,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dose {
    /// So many times, beginning with the next occasion.
    Times(u32),
    /// Once, when so many occasions have passed.
    After(u32),
    /// At each occasion with this chance, in parts per million.
    Chance(u32),
}

/// Parts of a whole chance.
pub(crate) const CERTAIN: u32 = 1_000_000;

impl Dose {
    /// It does not strike.
    pub const NEVER: Self = Self::Times(0);

    /// Whether it strikes at this occasion.
    pub(super) fn strikes(&mut self, random: &mut SeededRandom) -> bool {
        match self {
            Self::Times(0) => false,
            Self::Times(left) => {
                *left -= 1;
                true
            }
            Self::After(0) => {
                *self = Self::NEVER;
                true
            }
            Self::After(left) => {
                *left -= 1;
                false
            }
            Self::Chance(chance) => random.below(u64::from(CERTAIN)) < u64::from(*chance),
        }
    }
}

/// The faults that are in force on a disk.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) lose_sync: Dose,
    pub(super) read_error: Dose,
    pub(super) write_error: Dose,
    pub(super) sync_error: Dose,
    pub(super) short_read: Dose,
    /// Most bytes that all files may hold together.
    pub(super) capacity: Option<u64>,
    pub(super) latency: Option<(Duration, Duration)>,
}

impl Faults {
    pub(super) const NONE: Self = Self {
        lose_sync: Dose::NEVER,
        read_error: Dose::NEVER,
        write_error: Dose::NEVER,
        sync_error: Dose::NEVER,
        short_read: Dose::NEVER,
        capacity: None,
        latency: None,
    };
}
