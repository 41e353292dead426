//! One group of the log: what the core reads, and what its driver writes.
//!
//! # What this module does not do
//!
//! It syncs only where it compacts. All other writes wait for `DiskLog::sync`, which is for all
//! groups.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::group::Group;
use super::record::{self, Record, State};
use super::{DiskError, GroupId, Result, Shared, SnapshotFile, lock};
use crate::entries::Entries;
use crate::recovery::Recovery;
use crate::storage::{Storage, StorageError};
use crate::types::{HardState, Incarnation, Index, Position, Snapshot, SnapshotMeta, Term};
use crate::write::Write;

/// One group of a [`DiskLog`](super::DiskLog), as the core reads it.
#[derive(Debug)]
pub struct DiskStorage {
    pub(super) shared: Arc<Shared>,
    pub(super) id: GroupId,
    pub(super) group: Group,
    /// Snapshot files that nothing names once the log is durable.
    pub(super) garbage: Vec<u64>,
}

/// A group that was written anew, and what it then needs no more.
///
/// Dropped, it gives nothing back until the group is written anew again or the log is opened.
#[derive(Debug)]
#[must_use = "what is not given back stays on the disk"]
pub struct Rewrite {
    shared: Arc<Shared>,
    id: GroupId,
    /// Where the group's state stands now.
    anchor: wal::Position,
    /// Snapshots that no record names once that is durable.
    files: Vec<u64>,
    /// Entries that the group has no more.
    entries: Vec<Entries>,
}

impl Rewrite {
    /// Makes it durable, then gives back memory, files and segments. Any thread may do it, while
    /// the group goes on; it takes a sync of the log, and some of folders for each segment.
    pub fn finish(self) -> Result<()> {
        self.shared.sync()?;
        {
            let mut anchors = lock(&self.shared.anchors);
            let known = anchors.entry(self.id).or_insert(self.anchor);
            // A later one may have been finished before this.
            *known = self.anchor.max(*known);
        }
        for file in self.files {
            self.shared.snapshots.remove(file)?;
        }
        self.shared.release()
    }

    /// Takes the entries that the group has no more, for whoever frees them by and by: there may be
    /// hundreds of thousands, and most allocators have other threads wait meanwhile.
    pub fn take_entries(&mut self) -> Vec<Entries> {
        std::mem::take(&mut self.entries)
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

    /// Writes what the core asks for. It is durable after [`DiskLog::sync`](super::DiskLog::sync),
    /// and only then may it go to [`Raft::persisted`](crate::Raft::persisted). After an error the
    /// server must end.
    pub fn write(&mut self, write: &Write) -> Result<()> {
        let snapshot = match write.snapshot() {
            None => None,
            Some(it) => Some((it.meta.clone(), self.new_file(it)?)),
        };
        self.log(write, snapshot)
    }

    /// As [`DiskStorage::write`], where the bytes of the write's snapshot are in a file already:
    /// see [`DiskLog::write_snapshot`](super::DiskLog::write_snapshot).
    ///
    /// Panics where the file has another length than the snapshot.
    pub fn write_with(&mut self, write: &Write, file: &SnapshotFile) -> Result<()> {
        let snapshot = write.snapshot().map(|it| (it.meta.clone(), file.number));
        let len = snapshot.as_ref().map_or(file.len, |(meta, _)| meta.len);
        assert_eq!(file.len, len, "the file is of another snapshot");
        self.log(write, snapshot)
    }

    fn log(&mut self, write: &Write, snapshot: Option<(SnapshotMeta, u64)>) -> Result<()> {
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
        let number = self.new_file(snapshot)?;
        let shared = Arc::clone(&self.shared);
        let file = SnapshotFile { shared, number, len: snapshot.meta.len };
        self.compact_to(snapshot.meta.clone(), &file, keep_after)?.finish()
    }

    /// As [`DiskStorage::compact`], for a snapshot whose bytes are in a file already; and what
    /// waits for the disk is left to [`Rewrite::finish`]. `meta.len` is what the file has.
    pub fn compact_to(
        &mut self,
        meta: SnapshotMeta,
        file: &SnapshotFile,
        keep_after: Index,
    ) -> Result<Rewrite> {
        let last = meta.last;
        assert!(last.index >= self.snapshot_meta().last.index, "a snapshot never goes back");
        let keep_after = keep_after.min(last.index).max(self.first_index().before());
        let base = Position { index: keep_after, term: self.term_of(keep_after, last) };
        self.garbage.push(self.group.file());
        let (meta, file) = (SnapshotMeta { len: file.len, ..meta }, file.number);
        self.restate(State { meta, file, base, ..self.state() })
    }

    /// Does what a [`Recovery`] says, durably. Cut short, it can be planned and done again.
    pub fn recover(&mut self, recovery: &Recovery) -> Result<()> {
        self.restate(State { incarnation: recovery.incarnation(), ..self.state() })?.finish()?;
        self.write(recovery.write())?;
        self.shared.sync()
    }

    /// The file of the snapshot, to be read elsewhere. It goes with the next compaction.
    pub fn snapshot_file(&self) -> SnapshotFile {
        let len = self.snapshot_meta().len;
        SnapshotFile { shared: Arc::clone(&self.shared), number: self.group.file(), len }
    }

    /// Writes the group anew at the end of the log, so that it holds no older part of it back.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.rewrite()?.finish()
    }

    /// As [`DiskStorage::checkpoint`]; what waits for the disk is left to [`Rewrite::finish`].
    pub fn rewrite(&mut self) -> Result<Rewrite> {
        self.restate(self.state())
    }

    /// How many segments of the log exist only because this group has not been written anew.
    pub fn segments_held(&self) -> u64 {
        let anchor = lock(&self.shared.anchors).get(&self.id).map(|at| at.segment);
        let end = self.shared.log.as_ref().map_or(0, |log| log.end().segment);
        anchor.map_or(0, |anchor| end.saturating_sub(anchor))
    }

    /// The whole snapshot, verified.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot { meta: self.snapshot_meta().clone(), data: self.snapshot_file().read()? })
    }

    fn term_of(&self, index: Index, last: Position) -> Term {
        if index == last.index {
            return last.term;
        }
        self.term(index).expect("what a snapshot contains was in the log")
    }

    /// Writes the group's state and copies of its entries behind that.
    fn restate(&mut self, state: State) -> Result<Rewrite> {
        let base = state.base.index;
        let at = self.shared.append(self.id, &Record::State(state.clone()))?;
        let entries = self.group.restate(state).ok_or(DiskError::Corrupt { at })?;
        let kept = base + 1..self.last_index() + 1;
        let mut rest = match self.shared.log {
            Some(_) => self.group.memory().entries(kept, u64::MAX)?,
            None => Entries::default(),
        };
        while !rest.is_empty() {
            let count = record::fitting(&rest, self.shared.record_max - record::COPY_HEAD)?;
            self.put(Record::Copy { entries: rest.first_part(count) })?;
            rest = rest.skip(count);
        }
        let files = std::mem::take(&mut self.garbage);
        Ok(Rewrite { shared: Arc::clone(&self.shared), id: self.id, anchor: at, files, entries })
    }

    fn new_file(&self, snapshot: &Snapshot) -> Result<u64> {
        let write = || self.shared.snapshots.write(|to| to.append(&snapshot.data));
        self.shared.guarded(write).map(|(number, _)| number)
    }

    /// Logs a record, then does what it says.
    fn put(&mut self, record: Record) -> Result<()> {
        let at = self.shared.append(self.id, &record)?;
        self.group.take(record).ok_or(DiskError::Corrupt { at })
    }

    /// What a checkpoint says.
    pub(super) fn state(&self) -> State {
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
