//! The log of a node: on disk where it has a folder, else in memory.
//!
//! # What this module does not do
//!
//! A node in memory must not come back under its name: it would have forgotten what it promised.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use env::fs::{Fs, OsFs};
use raft::{
    Configuration, DiskError, DiskLog, DiskStorage, Entries, HardState, Incarnation, Index,
    MemoryStorage, Snapshot, SnapshotMeta, Storage, StorageError, Term, Write,
};

use crate::server::GROUP;

/// Either.
#[derive(Debug)]
pub(super) enum Store {
    Memory(Box<MemoryStorage>),
    Disk(Box<DiskStorage>, DiskLog),
}

impl Store {
    /// The log of a folder, which is begun where there is none, or one in memory.
    pub(super) fn open(folder: Option<&Path>, founders: Configuration) -> Result<Self, DiskError> {
        let Some(folder) = folder else {
            return Ok(Self::Memory(Box::new(MemoryStorage::founding(founders))));
        };
        OsFs.create_dir_all(folder)?;
        let log = DiskLog::open(Arc::new(OsFs), &folder.join("raft"), wal::Options::SYNCED)?;
        let storage = if log.groups().contains(&GROUP) {
            log.group(GROUP)?
        } else {
            log.create(GROUP, Incarnation(0), founders)?
        };
        Ok(Self::Disk(Box::new(storage), log))
    }

    pub(super) fn write(&mut self, write: &Write) -> Result<(), DiskError> {
        match self {
            Self::Memory(it) => {
                it.write(write);
                Ok(())
            }
            Self::Disk(it, _) => it.write(write),
        }
    }

    /// Makes durable what was written.
    pub(super) fn sync(&self) -> Result<(), DiskError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Disk(_, log) => log.sync(),
        }
    }

    pub(super) fn compact(&mut self, snapshot: Snapshot, keep: Index) -> Result<(), DiskError> {
        match self {
            Self::Memory(it) => {
                it.compact(snapshot, keep);
                Ok(())
            }
            Self::Disk(it, _) => it.compact(&snapshot, keep),
        }
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, DiskError> {
        match self {
            Self::Memory(it) => Ok(it.snapshot().clone()),
            Self::Disk(it, _) => it.snapshot(),
        }
    }

    fn inner(&self) -> &dyn Storage {
        match self {
            Self::Memory(it) => &**it,
            Self::Disk(it, _) => &**it,
        }
    }
}

impl Storage for Store {
    fn hard_state(&self) -> HardState {
        self.inner().hard_state()
    }

    fn snapshot_meta(&self) -> &SnapshotMeta {
        self.inner().snapshot_meta()
    }

    fn snapshot_chunk(&self, offset: u64, len: u64) -> Result<Bytes, StorageError> {
        self.inner().snapshot_chunk(offset, len)
    }

    fn first_index(&self) -> Index {
        self.inner().first_index()
    }

    fn last_index(&self) -> Index {
        self.inner().last_index()
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.inner().term(index)
    }

    fn entries(&self, range: Range<Index>, bytes_max: u64) -> Result<Entries, StorageError> {
        self.inner().entries(range, bytes_max)
    }
}
