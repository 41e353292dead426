//! Where the peers' nodes write what must survive: each record, then one sync.
//!
//! The peers keep what they read back in memory, as ours does, so that a journal is only written.
//!
//! # What this module does not do
//!
//! It recovers nothing: it costs what durability costs.

use std::sync::Arc;

use env::fs::{File, Fs, OpenMode, OsFs};
use harness::contract::StoreError;
use tempfile::TempDir;

use super::Log;

/// A file grows to this length before another one takes its place.
const FILE_MAX: u64 = 64 << 20;

/// A log that is compacted needs no older segments than so many.
const SEGMENTS_KEPT: u64 = 3;

/// One node's journal.
pub struct Journal {
    kind: Kind,
    syncs: u64,
}

enum Kind {
    Memory,
    Wal { log: Box<wal::Log>, segment: u64, _folder: TempDir },
    File { file: Box<dyn File>, len: u64, number: u64, folder: TempDir },
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("syncs", &self.syncs).finish_non_exhaustive()
    }
}

fn create(folder: &TempDir, number: u64) -> Result<Box<dyn File>, StoreError> {
    let path = folder.path().join(format!("{number}.log"));
    Ok(OsFs.open(&path, OpenMode::APPEND)?)
}

impl Journal {
    /// An empty journal in a folder of its own.
    pub fn new(log: Log) -> Result<Self, StoreError> {
        let kind = match log {
            Log::Memory => Kind::Memory,
            Log::Wal => {
                let folder = tempfile::tempdir()?;
                let options = wal::Options::SYNCED;
                let log = wal::Log::open(Arc::new(OsFs), &folder.path().join("log"), options)?;
                let segment = log.end().segment;
                Kind::Wal { log: Box::new(log), segment, _folder: folder }
            }
            Log::File => {
                let folder = tempfile::tempdir()?;
                Kind::File { file: create(&folder, 0)?, len: 0, number: 0, folder }
            }
        };
        Ok(Self { kind, syncs: 0 })
    }

    /// Whether anything is written.
    pub const fn is_durable(&self) -> bool {
        !matches!(self.kind, Kind::Memory)
    }

    /// Appends one record; what is old goes.
    pub fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        match &mut self.kind {
            Kind::Memory => {}
            Kind::Wal { log, segment, .. } => {
                let at = log.append(record)?;
                if at.segment > *segment {
                    *segment = at.segment;
                    let oldest = at.segment.saturating_sub(SEGMENTS_KEPT);
                    log.release(wal::Position { segment: oldest, offset: 0 })?;
                }
            }
            Kind::File { file, len, number, folder } => {
                if *len > FILE_MAX {
                    *number += 1;
                    *file = create(folder, *number)?;
                    *len = 0;
                    OsFs.remove_file(&folder.path().join(format!("{}.log", *number - 1)))?;
                }
                file.append(record)?;
                *len += record.len() as u64;
            }
        }
        Ok(())
    }

    /// Makes all of it durable.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        match &mut self.kind {
            Kind::Memory => return Ok(()),
            Kind::Wal { log, .. } => log.sync()?,
            Kind::File { file, .. } => file.sync_data()?,
        }
        self.syncs += 1;
        Ok(())
    }

    /// Makes room where that is better done before it is needed.
    pub fn prepare(&self) {
        if let Kind::Wal { log, .. } = &self.kind {
            // A segment that is not ready makes a write slow; that is all.
            log.prepare().ok();
        }
    }
}
