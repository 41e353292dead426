//! A write-ahead log: checksummed records in preallocated segments, one sync for all who wait.
//!
//! A log is a directory of segments. A record goes behind the one before it and is found again by
//! its [`Position`]. [`Log::append`] alone survives a kill of the process, and [`Log::sync`] makes
//! everything appended so far survive a power cut.
//!
//! ```text
//!   segment 7 (full)                    segment 8 (the last)
//!   +------+-----+-----+-----+------+   +------+-----+-----+---------------------+
//!   | head | rec | rec | rec | 0... |   | head | rec | rec | zeros or old bytes  |
//!   +------+-----+-----+-----+------+   +------+-----+-----+---------------------+
//!                            ^             |
//!                            +-- its end --+
//! ```
//!
//! A record is stored into mapped memory, which costs some ten nanoseconds; [`Backend::Written`]
//! pays a system call instead. Segments have their room before they are used, released ones are
//! used again, and an append never waits for a disk unless no segment is ready: see
//! [`Log::prepare`].
//!
//! After a power cut the log is what it was up to the first missing byte, and the rest is cut off.
//! Each record says how much of the log was durable when it was written. Where a later record
//! vouches for the missing byte it is corruption, and [`Log::open`] refuses. `docs/wal/format.md`
//! draws every byte.
//!
//! ```
//! use std::sync::Arc;
//! use env::fs::OsFs;
//! use wal::{Log, Options};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let log = Log::open(Arc::new(OsFs), folder, Options::default())?;
//! let at = log.append(b"put a 1")?;
//! log.sync()?;
//! assert_eq!(log.read(at)?, b"put a 1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this crate does not do
//!
//! It does not share a sync between logs: those who would are streams of one, see [`SharedLog`]. It
//! cannot see damage to the very last records of a log, which looks like a torn end. It does not
//! lock its directory: the store above holds one lock for all of its files.

mod company;
mod error;
mod format;
mod log;
mod peek;
mod recovery;
mod salvage;
mod segment;
mod shared;

pub use error::{Error, Result};
pub use format::{Position, number as segment_number, path as segment_path};
pub use log::{Backend, Fate, Log, Options};
pub use peek::peek;
pub use salvage::{Gap, Salvaged, salvage, salvage_segment};
pub use shared::{SharedLog, Stream, StreamId};

#[cfg(test)]
mod tests;
