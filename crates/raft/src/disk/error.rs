//! What can go wrong with a log on disk.

use std::path::PathBuf;

use env::fs::FsError;
use thiserror::Error;

use super::GroupId;
use crate::codec::DecodeError;
use crate::storage::StorageError;

/// Why a log on disk could not do what it was asked. Where a write or a sync failed, the server
/// must end: only [`DiskLog::open`](super::DiskLog::open) can tell what is left.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The disk refused.
    #[error("the log could not use its files: {0}; mend the cause and start again")]
    Fs(#[from] FsError),

    /// The write-ahead log.
    #[error(transparent)]
    Wal(#[from] wal::Error),

    /// A write or a sync failed before.
    #[error("a write to the log failed earlier, so that its end is unknown; start again")]
    Failed,

    /// A record cannot be read, though its checksum is right.
    #[error("the record at {at:?} cannot be read: {cause}; use the version that wrote it")]
    Record {
        /// Where.
        at: wal::Position,
        /// Why.
        cause: DecodeError,
    },

    /// A record contradicts those before it.
    #[error("the record at {at:?} does not follow from those before it; remove this member")]
    Corrupt {
        /// Where.
        at: wal::Position,
    },

    /// A snapshot is damaged or missing.
    #[error("snapshot {} is damaged: {what}; restore it from a copy, or add this member \
             anew", path.display())]
    Snapshot {
        /// Its file.
        path: PathBuf,
        /// In words.
        what: &'static str,
    },

    /// There are writes of a group and not what they are to.
    #[error("the log has writes of group {group} and not its state; remove this member")]
    Stateless {
        /// Which.
        group: GroupId,
    },

    /// The group is not in the log.
    #[error("the log has no group {group}, or it was taken already; create it")]
    NoGroup {
        /// Which.
        group: GroupId,
    },

    /// The group is in the log.
    #[error("the log has group {group} already; take it")]
    Exists {
        /// Which.
        group: GroupId,
    },

    /// An entry that no record takes.
    #[error("an entry of {len} bytes does not fit into a record of {max}: make segments longer")]
    TooLarge {
        /// Its length.
        len: usize,
        /// The room.
        max: usize,
    },

    /// What was written cannot be read back.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
