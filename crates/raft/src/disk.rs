//! Log, hard state and snapshots on disk: many groups in one write-ahead log, one sync for all.
//!
//! ```text
//!   group 1 --.  append                         snapshots/0000000000000007.snapshot
//!   group 2 ---+--------> log: | state 1 | write 1 | state 2 | write 1 | write 2 | ...
//!   group 3 --'             ^      '-- names a snapshot file, and what of the log is kept
//!              DiskLog::sync, once a round
//! ```
//!
//! A [`DiskStorage`] is a [`MemoryStorage`] whose changes were logged first. Each change is a
//! record, and one function, `Group::take`, does what a record says, when it is written and when
//! it is read again; so what a restart finds is what the last life had, up to the end of the log.
//!
//! * **Prefixes are safe.** A write that is too long for a record becomes several. Term and vote
//!   stand in the first of them, entries follow in order; what a power cut leaves is the state
//!   after a shorter append, of which nothing was acknowledged.
//! * **Truncated suffixes never come back.** Nothing is deleted: a record of entries replaces all
//!   from its first one on, whenever it is read. Copies, which compaction makes, only fill gaps.
//! * **Compaction** writes the group's whole *state* at the end of the log, then copies of the
//!   entries that stay. Once that is durable the group needs nothing before it, and what no group
//!   needs is released. A quiet group that holds the log back is written anew by
//!   [`DiskStorage::checkpoint`].
//! * **After a failure nothing is taken.** What a failed write or sync has left is known only to
//!   [`DiskLog::open`], so that all groups of the log end with it.
//!
//! `docs/raft/format.md` draws the bytes.
//!
//! # What this module does not do
//!
//! It keeps the entries behind the snapshot in memory as well: whoever compacts bounds both. It
//! cannot see damage to the very last records, which looks like a torn end (see `wal`).

mod error;
mod group;
mod record;
mod recovery;
mod snapshots;
mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use env::fs::{Fs, Lock};

pub use error::DiskError;
use group::Group;
use record::Record;
use recovery::Reader;
pub use snapshots::SnapshotWriter;
use snapshots::Snapshots;
pub use storage::{DiskStorage, Rewrite};

use crate::storage::{MemoryStorage, Storage};
use crate::types::{Configuration, Incarnation};

type Result<T> = std::result::Result<T, DiskError>;

/// Bytes of a segment that no record of ours can have.
const SEGMENT_OVERHEAD: u32 = 64;

/// As [`Shared::record_max`] where there are no segments.
const VOLATILE_RECORD_MAX: usize = 64 << 20;

/// Bytes of a snapshot that its reader holds.
const READ_AHEAD: u64 = 256 << 10;

/// Where a record is that is nowhere.
const NOWHERE: wal::Position = wal::Position { segment: 0, offset: 0 };

/// Names a group: one replicated log among those that share a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The log that groups share. Copies are the same log; see the module's header.
#[derive(Clone, Debug)]
pub struct DiskLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `None` where nothing is to survive.
    log: Option<wal::Log>,
    snapshots: Snapshots,
    /// Most bytes of a record.
    record_max: usize,
    /// Set by the first failure, for good.
    has_failed: AtomicBool,
    /// From where on the log is needed, by group.
    anchors: Mutex<BTreeMap<GroupId, wal::Position>>,
    /// Held by who gives back what no group needs.
    releasing: Mutex<()>,
    /// Groups that were found and nobody has asked for yet.
    found: Mutex<BTreeMap<GroupId, Group>>,
    _lock: Option<Box<dyn Lock>>,
}

/// A file with the state machine's part of a snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    shared: Arc<Shared>,
    number: u64,
    len: u64,
}

impl SnapshotFile {
    /// Its bytes, verified.
    pub fn read(&self) -> Result<Bytes> {
        self.shared.snapshots.read(self.number, 0..self.len)
    }

    /// As [`SnapshotFile::read`], by and by: less than a megabyte of it is held at once.
    pub fn reader(&self) -> SnapshotReader {
        SnapshotReader { file: self.clone(), next: 0, piece: Bytes::new() }
    }
}

/// Reads the file of a snapshot from its beginning; what does not have its checksum is an error.
#[derive(Debug)]
pub struct SnapshotReader {
    file: SnapshotFile,
    /// Where the next piece begins.
    next: u64,
    piece: Bytes,
}

impl io::Read for SnapshotReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            let SnapshotFile { shared, number, len } = &self.file;
            let end = (self.next + READ_AHEAD).min(*len);
            let piece = shared.snapshots.read(*number, self.next..end);
            self.piece = piece.map_err(io::Error::other)?;
            self.next = end;
        }
        let len = into.len().min(self.piece.len());
        into[..len].copy_from_slice(&self.piece.split_to(len));
        Ok(len)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DiskLog {
    /// Opens the log in `folder`, which is made where it is missing, and reads it: time and memory
    /// grow with what the groups have not compacted. [`wal::Options::SYNCED`] suits it best.
    ///
    /// Fails with `Locked` where another process has it open, and with `Corrupt` or a variant of
    /// [`wal::Error`] where durable bytes are damaged: then the server must not take part, for it
    /// may have forgotten what it promised. It can come back with an empty folder as a new member.
    pub fn open(fs: Arc<dyn Fs>, folder: &Path, options: wal::Options) -> Result<Self> {
        fs.create_dir_all(folder)?;
        let parent = folder.parent().filter(|it| !it.as_os_str().is_empty());
        fs.sync_dir(parent.unwrap_or_else(|| Path::new(".")))?;
        let held = fs.lock(&folder.join("LOCK"))?;
        let (snapshots, files) = Snapshots::open(Arc::clone(&fs), folder)?;
        let log = wal::Log::open(fs, &folder.join("log"), options)?;
        let Reader { groups: found, anchors, .. } = Reader::read(&log)?;
        let named: BTreeSet<u64> = found.values().map(Group::file).collect();
        for file in files.iter().filter(|file| !named.contains(file)) {
            snapshots.remove(*file)?;
        }
        for group in found.values() {
            snapshots.verify(group.file(), group.memory().snapshot_meta().len)?;
        }
        let record_max = options.segment_len.saturating_sub(SEGMENT_OVERHEAD) as usize;
        let shared = Arc::new(Shared {
            log: Some(log),
            snapshots,
            record_max,
            has_failed: AtomicBool::new(false),
            anchors: Mutex::new(anchors),
            releasing: Mutex::default(),
            found: Mutex::new(found),
            _lock: Some(held),
        });
        Ok(Self { shared })
    }

    /// A log that is in memory only, for groups that need not survive their process: writes cost no
    /// I/O, and are done when they are made. A server that had it must come back as a new member,
    /// as one whose disk was lost.
    pub fn volatile() -> Self {
        let shared = Shared {
            log: None,
            snapshots: Snapshots::in_memory(),
            record_max: VOLATILE_RECORD_MAX,
            has_failed: AtomicBool::new(false),
            anchors: Mutex::default(),
            releasing: Mutex::default(),
            found: Mutex::default(),
            _lock: None,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether what is written here needs no [`DiskLog::sync`], because nothing of it survives.
    pub fn is_volatile(&self) -> bool {
        self.shared.log.is_none()
    }

    /// The groups that were found, in order.
    pub fn groups(&self) -> Vec<GroupId> {
        lock(&self.shared.anchors).keys().copied().collect()
    }

    /// Takes a group that was found.
    ///
    /// Fails with [`DiskError::NoGroup`] where there is none, or it was taken already.
    pub fn group(&self, id: GroupId) -> Result<DiskStorage> {
        let group = lock(&self.shared.found).remove(&id).ok_or(DiskError::NoGroup { group: id })?;
        Ok(DiskStorage { shared: Arc::clone(&self.shared), id, group, garbage: Vec::new() })
    }

    /// Begins a group, durably. A founding member gives the configuration that all of them have;
    /// who waits to be added gives an empty one and an incarnation that was never used.
    ///
    /// Fails with [`DiskError::Exists`] where the log has it already.
    pub fn create(
        &self,
        id: GroupId,
        incarnation: Incarnation,
        configuration: Configuration,
    ) -> Result<DiskStorage> {
        if lock(&self.shared.anchors).contains_key(&id) {
            return Err(DiskError::Exists { group: id });
        }
        let memory = MemoryStorage::founding(configuration);
        let group = Group::new(incarnation, memory);
        let storage =
            DiskStorage { shared: Arc::clone(&self.shared), id, group, garbage: Vec::new() };
        let anchor = self.shared.append(id, &Record::State(storage.state()))?;
        self.sync()?;
        lock(&self.shared.anchors).insert(id, anchor);
        Ok(storage)
    }

    /// Has the disk begin with what the next [`DiskLog::sync`] will wait for, where that is little.
    /// For who leaves the sync to a thread that must wake up first. It makes nothing durable.
    pub fn write_out(&self) {
        if let Some(log) = &self.shared.log {
            log.write_out();
        }
    }

    /// Makes durable all that was written to any group before the call.
    pub fn sync(&self) -> Result<()> {
        self.shared.sync()
    }

    /// Writes what `make` appends to a snapshot's file, durably, for [`DiskStorage::compact_to`].
    /// It takes long where the snapshot is large, and any thread may do it. A file that is never
    /// compacted to is removed when the log is next opened. Where `make` fails there is none.
    pub fn write_snapshot<E: From<DiskError>>(
        &self,
        make: impl FnOnce(&mut SnapshotWriter<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<SnapshotFile, E> {
        let (number, len) = self.shared.snapshots.write(make)?;
        Ok(SnapshotFile { shared: Arc::clone(&self.shared), number, len })
    }

    /// Makes room for the time when the last segment is full, so that no write has to.
    pub fn prepare(&self) -> Result<()> {
        self.shared.log.as_ref().map_or(Ok(()), |log| Ok(log.prepare()?))
    }
}

impl Shared {
    /// Appends a record, unless something failed before.
    fn append(&self, id: GroupId, record: &Record) -> Result<wal::Position> {
        let Some(log) = &self.log else { return Ok(NOWHERE) };
        self.guarded(|| Ok(log.append(&record.encode(id))?))
    }

    fn sync(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        self.guarded(|| Ok(log.sync()?))
    }

    fn guarded<T>(&self, change: impl FnOnce() -> Result<T>) -> Result<T> {
        // Relaxed: it only ever becomes true, and the log below refuses by itself.
        if self.has_failed.load(Ordering::Relaxed) {
            return Err(DiskError::Failed);
        }
        let outcome = change();
        if outcome.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Gives back what no group needs.
    fn release(&self) -> Result<()> {
        let _one_at_a_time = lock(&self.releasing);
        let oldest = lock(&self.anchors).values().min().copied();
        let (Some(oldest), Some(log)) = (oldest, &self.log) else { return Ok(()) };
        Ok(log.release(oldest)?)
    }
}

#[cfg(test)]
mod tests;
