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
mod snapshots;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use env::fs::{Fs, Lock};

pub use error::DiskError;
use group::Group;
use record::{Record, State};
use snapshots::Snapshots;

use crate::entries::Entries;
use crate::storage::{MemoryStorage, Storage, StorageError};
use crate::types::{
    Configuration, HardState, Incarnation, Index, Position, Snapshot, SnapshotMeta, Term,
};
use crate::write::Write;

type Result<T> = std::result::Result<T, DiskError>;

/// Bytes of a segment that no record of ours can have.
const SEGMENT_OVERHEAD: u32 = 64;

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
    log: wal::Log,
    snapshots: Snapshots,
    /// Most bytes of a record.
    record_max: usize,
    /// Set by the first failure, for good.
    has_failed: AtomicBool,
    /// From where on the log is needed, by group.
    anchors: Mutex<BTreeMap<GroupId, wal::Position>>,
    /// Groups that were found and nobody has asked for yet.
    found: Mutex<BTreeMap<GroupId, Group>>,
    _lock: Box<dyn Lock>,
}

/// One group of a [`DiskLog`], as the core reads it.
#[derive(Debug)]
pub struct DiskStorage {
    shared: Arc<Shared>,
    id: GroupId,
    group: Group,
    /// Snapshot files that nothing names once the log is durable.
    garbage: Vec<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DiskLog {
    /// Opens the log in `folder`, which is made where it is missing, and reads it: time and memory
    /// grow with what the groups have not compacted.
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
        let Reader { groups: found, anchors, .. } = read(&log)?;
        let named: BTreeSet<u64> = found.values().map(Group::file).collect();
        for file in files.iter().filter(|file| !named.contains(file)) {
            snapshots.remove(*file)?;
        }
        for group in found.values() {
            snapshots.verify(group.file(), group.memory().snapshot_meta().len)?;
        }
        let record_max = options.segment_len.saturating_sub(SEGMENT_OVERHEAD) as usize;
        let shared = Arc::new(Shared {
            log,
            snapshots,
            record_max,
            has_failed: AtomicBool::new(false),
            anchors: Mutex::new(anchors),
            found: Mutex::new(found),
            _lock: held,
        });
        Ok(Self { shared })
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
        let anchor = self.shared.append(&Record::State(storage.state()).encode(id))?;
        self.sync()?;
        lock(&self.shared.anchors).insert(id, anchor);
        Ok(storage)
    }

    /// Makes durable all that was written to any group before the call.
    pub fn sync(&self) -> Result<()> {
        self.shared.sync()
    }

    /// Makes room for the time when the last segment is full, so that no write has to.
    pub fn prepare(&self) -> Result<()> {
        Ok(self.shared.log.prepare()?)
    }
}

/// What has been read of a log.
#[derive(Default)]
struct Reader {
    groups: BTreeMap<GroupId, Group>,
    /// From where on the log is needed, by group.
    anchors: BTreeMap<GroupId, wal::Position>,
    /// Groups of which there were writes before their state.
    orphans: BTreeSet<GroupId>,
}

impl Reader {
    fn take(&mut self, at: wal::Position, bytes: &[u8]) -> Result<()> {
        let decoded = Record::decode(Bytes::copy_from_slice(bytes));
        let (id, record) = decoded.map_err(|cause| DiskError::Record { at, cause })?;
        if matches!(record, Record::State(_)) {
            self.anchors.insert(id, at);
        }
        match (self.groups.get_mut(&id), record) {
            (Some(group), record) => group.take(record).ok_or(DiskError::Corrupt { at })?,
            (None, Record::State(state)) => {
                self.groups.insert(id, Group::from(state));
            }
            // Its segment was to be released; what is needed comes behind it.
            (None, Record::Write { .. } | Record::Copy { .. }) => {
                self.orphans.insert(id);
            }
        }
        Ok(())
    }
}

fn read(log: &wal::Log) -> Result<Reader> {
    let mut reader = Reader::default();
    let mut outcome: Result<()> = Ok(());
    log.replay(|at, bytes| {
        if outcome.is_ok() {
            outcome = reader.take(at, bytes);
        }
    })?;
    outcome?;
    match reader.orphans.iter().find(|id| !reader.groups.contains_key(id)) {
        Some(group) => Err(DiskError::Stateless { group: *group }),
        None => Ok(reader),
    }
}

impl Shared {
    /// Appends a record, unless something failed before.
    fn append(&self, record: &[u8]) -> Result<wal::Position> {
        self.guarded(|| Ok(self.log.append(record)?))
    }

    fn sync(&self) -> Result<()> {
        self.guarded(|| Ok(self.log.sync()?))
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
        let oldest = lock(&self.anchors).values().min().copied();
        oldest.map_or(Ok(()), |oldest| Ok(self.log.release(oldest)?))
    }
}

impl DiskStorage {
    /// Which group this is.
    pub const fn id(&self) -> GroupId {
        self.id
    }

    /// The disk by which the group's members know this server.
    pub const fn incarnation(&self) -> Incarnation {
        self.group.incarnation()
    }

    /// The longest command that fits into the log.
    pub fn entry_bytes_max(&self) -> u64 {
        (self.shared.record_max / 2) as u64
    }

    /// Writes what the core asks for. It is durable after [`DiskLog::sync`], and only then may it
    /// go to [`Raft::persisted`](crate::Raft::persisted). After an error the server must end.
    pub fn write(&mut self, write: &Write) -> Result<()> {
        let snapshot = match write.snapshot() {
            None => None,
            Some(it) => Some((it.meta.clone(), self.new_file(it)?)),
        };
        if snapshot.is_some() {
            self.garbage.push(self.group.file());
        }
        let hard_state = write.hard_state();
        let (mut rest, mut snapshot) = (write.entries().clone(), snapshot);
        loop {
            let mut record = Record::Write { hard_state, snapshot, entries: Entries::default() };
            let room = self.shared.record_max.saturating_sub(record.encode(self.id).len());
            let count = record::fitting(&rest, room)?;
            if let Record::Write { entries, .. } = &mut record {
                *entries = rest.first_part(count);
            }
            self.put(record)?;
            rest = rest.skip(count);
            snapshot = None;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Keeps a snapshot of applied state, and lets go of entries up to `keep_after`; a few that
    /// stay spare slow followers the snapshot. All of it is durable when this returns, and so is
    /// what was written before. One sync of a file, one of the log.
    ///
    /// Panics where the snapshot is older than the present one.
    pub fn compact(&mut self, snapshot: &Snapshot, keep_after: Index) -> Result<()> {
        let (last, meta) = (snapshot.meta.last, self.snapshot_meta());
        assert!(last.index >= meta.last.index, "a snapshot never goes back");
        let keep_after = keep_after.min(last.index).max(self.first_index().before());
        let base = Position { index: keep_after, term: self.term_of(keep_after, last) };
        let file = self.new_file(snapshot)?;
        self.garbage.push(self.group.file());
        self.restate(State { meta: snapshot.meta.clone(), file, base, ..self.state() })
    }

    /// Writes the group anew at the end of the log, so that it holds no older part of it back.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.restate(self.state())
    }

    /// How many segments of the log exist only because this group has not been written anew.
    pub fn segments_held(&self) -> u64 {
        let anchor = lock(&self.shared.anchors).get(&self.id).map(|at| at.segment);
        let end = self.shared.log.end().segment;
        anchor.map_or(0, |anchor| end.saturating_sub(anchor))
    }

    /// The whole snapshot, verified.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let meta = self.snapshot_meta().clone();
        let data = self.shared.snapshots.read(self.group.file(), 0..meta.len)?;
        Ok(Snapshot { meta, data })
    }

    fn term_of(&self, index: Index, last: Position) -> Term {
        if index == last.index {
            return last.term;
        }
        self.term(index).expect("what a snapshot contains was in the log")
    }

    /// Writes the group's state, copies of its entries behind that, and gives back the rest.
    fn restate(&mut self, state: State) -> Result<()> {
        let base = state.base.index;
        let anchor = self.put(Record::State(state))?;
        let mut rest = self.group.memory().entries(base + 1..self.last_index() + 1, u64::MAX)?;
        while !rest.is_empty() {
            let count = record::fitting(&rest, self.shared.record_max - record::COPY_HEAD)?;
            self.put(Record::Copy { entries: rest.first_part(count) })?;
            rest = rest.skip(count);
        }
        self.shared.sync()?;
        lock(&self.shared.anchors).insert(self.id, anchor);
        for file in std::mem::take(&mut self.garbage) {
            self.shared.snapshots.remove(file)?;
        }
        self.shared.release()
    }

    fn new_file(&self, snapshot: &Snapshot) -> Result<u64> {
        self.shared.guarded(|| self.shared.snapshots.write(&snapshot.data))
    }

    /// Logs a record, then does what it says.
    fn put(&mut self, record: Record) -> Result<wal::Position> {
        let at = self.shared.append(&record.encode(self.id))?;
        self.group.take(record).ok_or(DiskError::Corrupt { at })?;
        Ok(at)
    }

    /// What a checkpoint says.
    fn state(&self) -> State {
        self.group.state()
    }
}

impl Storage for DiskStorage {
    fn hard_state(&self) -> HardState {
        self.group.memory().hard_state()
    }

    fn snapshot_meta(&self) -> &SnapshotMeta {
        self.group.memory().snapshot_meta()
    }

    fn snapshot_chunk(&self, offset: u64, len: u64) -> std::result::Result<Bytes, StorageError> {
        let end = offset.saturating_add(len).min(self.snapshot_meta().len);
        let range: Range<u64> = offset.min(end)..end;
        let failed = |cause: DiskError| StorageError::Failed { reason: cause.to_string() };
        self.shared.snapshots.read(self.group.file(), range).map_err(failed)
    }

    fn first_index(&self) -> Index {
        self.group.memory().first_index()
    }

    fn last_index(&self) -> Index {
        self.group.memory().last_index()
    }

    fn term(&self, index: Index) -> std::result::Result<Term, StorageError> {
        self.group.memory().term(index)
    }

    fn entries(
        &self,
        range: Range<Index>,
        bytes_max: u64,
    ) -> std::result::Result<Entries, StorageError> {
        self.group.memory().entries(range, bytes_max)
    }
}

#[cfg(test)]
mod tests;
