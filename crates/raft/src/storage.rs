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

use crate::entries::{Chain, Entries};
use crate::types::{Configuration, HardState, Index, Position, Snapshot, SnapshotMeta, Term};
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

    /// Entries of `range`: all of them, or as many as fit in `bytes_max`, but at least one.
    fn entries(&self, range: Range<Index>, bytes_max: u64) -> Result<Entries, StorageError>;
}

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    hard_state: HardState,
    snapshot: Snapshot,
    log: Chain,
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
        self.replace(write.entries());
    }

    /// Puts entries in the place of all from the first of them on.
    pub(crate) fn replace(&mut self, entries: &Entries) {
        let Some(first) = entries.first() else { return };
        self.log.truncate(first.index);
        self.log.push(entries.clone());
    }

    /// A store of a snapshot whose entries are kept from behind `base` on, and has none of them.
    pub(crate) fn based(snapshot: Snapshot, base: Position) -> Self {
        Self { hard_state: HardState::default(), snapshot, log: Chain::behind(base) }
    }

    pub(crate) const fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// The entry before the first one.
    pub(crate) const fn base(&self) -> Position {
        self.log.base()
    }

    /// Replaces everything by a snapshot.
    pub fn install(&mut self, snapshot: Snapshot) {
        self.log = Chain::behind(snapshot.meta.last);
        self.snapshot = snapshot;
    }

    /// Keeps a snapshot of applied state, and lets go of entries up to `keep_after`, which must
    /// not lie behind the snapshot. A few entries that stay spare slow followers the snapshot.
    ///
    /// Panics where the snapshot is older than the present one.
    pub fn compact(&mut self, snapshot: Snapshot, keep_after: Index) {
        self.compact_with(snapshot, keep_after, drop);
    }

    /// The same; the entries are returned, to be freed where that holds up nobody.
    pub(crate) fn compact_to(&mut self, snapshot: Snapshot, keep_after: Index) -> Vec<Entries> {
        let mut released = Vec::new();
        self.compact_with(snapshot, keep_after, |entries| released.push(entries));
        released
    }

    fn compact_with(&mut self, snapshot: Snapshot, keep_after: Index, free: impl FnMut(Entries)) {
        let last = snapshot.meta.last.index;
        assert!(last >= self.snapshot.meta.last.index, "a snapshot never goes back");
        self.log.release(keep_after.min(last), free);
        self.log.shed();
        self.snapshot = snapshot;
    }

    /// The newest snapshot.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Why there is no entry at `index`.
    const fn absent(&self, index: Index) -> StorageError {
        if index.0 <= self.log.base().index.0 {
            StorageError::Compacted { index }
        } else {
            StorageError::Unavailable { index, last: self.log.last().index }
        }
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
        self.log.base().index + 1
    }

    fn last_index(&self) -> Index {
        self.log.last().index
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        if let Some(term) = self.log.term(index) {
            return Ok(term);
        }
        if index == self.snapshot.meta.last.index {
            return Ok(self.snapshot.meta.last.term);
        }
        Err(self.absent(index))
    }

    fn entries(&self, range: Range<Index>, bytes_max: u64) -> Result<Entries, StorageError> {
        let ends = [range.start, range.end.before()];
        match ends.into_iter().find(|index| self.log.get(*index).is_none()) {
            Some(index) if !range.is_empty() => Err(self.absent(index)),
            _ => Ok(self.log.range(range, bytes_max)),
        }
    }
}
