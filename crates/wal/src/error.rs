//! What can go wrong with a log.

use std::path::PathBuf;

use env::fs::FsError;
use thiserror::Error;

use crate::Position;

/// What an operation of a log returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a log could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refused, and nothing is lost by it.
    #[error("the log could not use its files: {0}; mend the cause and try again")]
    Fs(#[from] FsError),

    /// A write or sync failed before; what it was to write may be gone whatever is tried.
    #[error("a write or sync of the log failed earlier, so its end is unknown; open it again")]
    Failed,

    /// Bytes that were durable are damaged.
    #[error("{path} is damaged at byte {offset}; restore it from a copy")]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where the damage begins.
        offset: u32,
    },

    /// A segment was written by a newer version of this crate.
    #[error("{path} has format {version}, newer than this program reads; use a newer one")]
    Newer {
        /// The segment.
        path: PathBuf,
        /// The version that it states.
        version: u32,
    },

    /// The record does not fit into a segment.
    #[error("a record of {len} bytes is larger than a segment takes ({limit}); write it in parts")]
    TooLarge {
        /// The record's length.
        len: usize,
        /// The largest length.
        limit: usize,
    },

    /// No record begins there.
    #[error("no record begins at {0:?}; ask for positions that the log gave")]
    NotFound(Position),
}
