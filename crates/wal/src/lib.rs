//! A write-ahead log: checksummed records in preallocated segments, one sync for all who wait.
//!
//! A log is a directory of segments. A record goes behind the one before it and is found again by
//! its [`Position`]. [`Log::append`] alone survives a kill of the process, and [`Log::sync`] makes
//! everything appended so far survive a power cut.
//!
//! ```text
//!   segment 7 (full, synced)            segment 8 (the last)
//!   +------+-----+-----+-----+------+   +------+-----+-----+---------------------+
//!   | head | rec | rec | rec | 0... |   | head | rec | rec | zeros, preallocated |
//!   +------+-----+-----+-----+------+   +------+-----+-----+---------------------+
//!                            ^             |         ^ durable   ^ written
//!                            +-- its end --+
//! ```
//!
//! The next segment's head says where a full one ends, so that a damaged full segment is never
//! taken for a short one. In the last segment a record that does not check is the torn end, unless
//! a later record says that it was written when the damaged bytes were already durable: then it is
//! corruption, and [`Log::open`] refuses. `docs/wal/format.md` draws every byte.
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
//! It does not map its files, reuse released segments or share a sync between logs. It cannot see
//! damage to the very last records of a log, which looks like a torn end. It does not lock its
//! directory: the store above holds one lock for all of its files.

mod error;
mod format;
mod log;
mod recovery;

pub use error::{Error, Result};
pub use format::Position;
pub use log::{Log, Options};

#[cfg(test)]
mod tests;
