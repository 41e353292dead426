//! What the core asks of a log store, and a store in memory.
//!
//! The core only *reads* here. What must be written it hands out as a
//! [`Write`](crate::Write), and it never reads back what it has not been told is durable: newer
//! entries it has itself.
//!
//! ```text
//!   snapshot          entries on disk                 the core's own, on their way
//!   ......... last | first_index ... last_index | stable + 1 ... last_index of the log
//! ```
//!
//! # What this module does not do
//!
//! [`MemoryStorage`] survives nothing. It is for tests and for logs that are replicated only.

use std::ops::Range;

use bytes::Bytes;

use crate::types::{Configuration, Entry, HardState, Index, Snapshot, SnapshotMeta, Term};
use crate::write::Write;

/// Why a store has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// A snapshot has replaced it.
    #[error("entry {index} is compacted: what needs it must start from the snapshot")]
    Compacted {
        /// What was asked for.
        index: Index,
    },
    /// It is not there yet, or never was.
    #[error("entry {index} is not in the log, which ends at {last}: ask for less")]
    Unavailable {
        /// What was asked for.
        index: Index,
        /// The end of the log.
        last: Index,
    },
    /// The device failed.
    #[error("the log cannot be read: {reason}; check the disk")]
    Failed {
        /// In the words of the device.
        reason: String,
    },
}

/// A log, the hard state, and the newest snapshot, as the core reads them.
pub trait Storage {
    /// What was last written.
    fn hard_state(&self) -> HardState;

    /// What the log stands on. Where there never was a snapshot: the position before the first
    /// entry, and the configuration with which the cluster began.
    fn snapshot_meta(&self) -> &SnapshotMeta;

    /// `data[offset..]` of the newest snapshot, at most `len` bytes of it.
    fn snapshot_chunk(&self, offset: u64, len: u64) -> Result<Bytes, StorageError>;

    /// The first entry; the one behind the last where there is none.
    fn first_index(&self) -> Index;

    /// The last entry; the one before the first where there is none.
    fn last_index(&self) -> Index;

    /// The term of an entry in `first_index ..= last_index`, or of the last one in the snapshot.
    fn term(&self, index: Index) -> Result<Term, StorageError>;

    /// Appends entries of `range` to `into`: all of them, or as many as fit in `bytes_max`, but at
    /// least one.
    fn entries(
        &self,
        range: Range<Index>,
        bytes_max: u64,
        into: &mut Vec<Entry>,
    ) -> Result<(), StorageError>;
}

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    hard_state: HardState,
    snapshot: Snapshot,
    /// The index of the entry before `entries`, and its term.
    base: (Index, Term),
    entries: Vec<Entry>,
}

impl MemoryStorage {
    /// The store of a server that belongs to no cluster yet: it waits to be added to one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store of a founding member. All of them need the same `configuration`.
    pub fn founding(configuration: Configuration) -> Self {
        let mut storage = Self::default();
        storage.snapshot.meta.configuration = configuration;
        storage
    }

    /// Does what a [`Write`] asks for; [`Raft::persisted`](crate::Raft::persisted) may follow.
    pub fn write(&mut self, write: &Write) {
        self.hard_state = write.hard_state();
        if let Some(snapshot) = write.snapshot() {
            self.install(snapshot.clone());
        }
        self.append(write.entries());
    }

    /// Replaces everything by a snapshot.
    pub fn install(&mut self, snapshot: Snapshot) {
        self.base = (snapshot.meta.last.index, snapshot.meta.last.term);
        self.entries.clear();
        self.snapshot = snapshot;
    }

    /// Keeps a snapshot of applied state, and lets go of entries up to `keep_after`, which must
    /// not lie behind the snapshot. A few entries that stay spare slow followers the snapshot.
    ///
    /// Panics where the snapshot is older than the present one.
    pub fn compact(&mut self, snapshot: Snapshot, keep_after: Index) {
        let last = snapshot.meta.last.index;
        assert!(last >= self.snapshot.meta.last.index, "a snapshot never goes back");
        let keep_after = keep_after.min(last);
        if keep_after > self.base.0 {
            let count = usize::try_from(keep_after.since(self.base.0)).expect("it fits memory");
            let removed = self.entries.drain(..count).next_back();
            let removed = removed.expect("what a snapshot contains was in the log");
            self.base = (removed.index, removed.term);
        }
        self.snapshot = snapshot;
    }

    /// The newest snapshot.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let keep = usize::try_from(first.index.before().since(self.base.0)).expect("fits memory");
        assert!(keep <= self.entries.len(), "entry {} leaves a gap", first.index);
        self.entries.truncate(keep);
        self.entries.extend_from_slice(entries);
    }

    /// Where an entry is in `entries`.
    fn offset(&self, index: Index) -> Result<usize, StorageError> {
        if index <= self.base.0 {
            return Err(StorageError::Compacted { index });
        }
        if index > self.last_index() {
            return Err(StorageError::Unavailable { index, last: self.last_index() });
        }
        Ok(usize::try_from(index.since(self.base.0)).expect("it fits memory") - 1)
    }
}

impl Storage for MemoryStorage {
    fn hard_state(&self) -> HardState {
        self.hard_state
    }

    fn snapshot_meta(&self) -> &SnapshotMeta {
        &self.snapshot.meta
    }

    fn snapshot_chunk(&self, offset: u64, len: u64) -> Result<Bytes, StorageError> {
        let data = &self.snapshot.data;
        let end = offset.saturating_add(len).min(data.len() as u64);
        let bound = |at: u64| usize::try_from(at).expect("it fits memory");
        Ok(data.slice(bound(offset.min(end))..bound(end)))
    }

    fn first_index(&self) -> Index {
        self.base.0 + 1
    }

    fn last_index(&self) -> Index {
        self.base.0 + self.entries.len() as u64
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        if index == self.base.0 {
            return Ok(self.base.1);
        }
        if index == self.snapshot.meta.last.index {
            return Ok(self.snapshot.meta.last.term);
        }
        Ok(self.entries[self.offset(index)?].term)
    }

    fn entries(
        &self,
        range: Range<Index>,
        bytes_max: u64,
        into: &mut Vec<Entry>,
    ) -> Result<(), StorageError> {
        if range.is_empty() {
            return Ok(());
        }
        let (start, end) = (self.offset(range.start)?, self.offset(range.end.before())? + 1);
        take(&self.entries[start..end], bytes_max, into);
        Ok(())
    }
}

/// Appends entries to `into`, as many as fit in `bytes_max`, but at least one; returns their bytes.
pub(crate) fn take<'e>(
    entries: impl IntoIterator<Item = &'e Entry>,
    bytes_max: u64,
    into: &mut Vec<Entry>,
) -> u64 {
    let mut bytes: u64 = 0;
    for (count, entry) in entries.into_iter().enumerate() {
        let more = bytes.saturating_add(entry.size());
        if count > 0 && more > bytes_max {
            break;
        }
        bytes = more;
        into.push(entry.clone());
    }
    bytes
}
