//! One group in memory, and what each record does to it.
//!
//! # What this module does not do
//!
//! It writes nothing: a record was logged before it comes here.

use super::record::{Record, State};
use crate::entries::Entries;
use crate::storage::{MemoryStorage, Storage};
use crate::types::{Incarnation, Snapshot, SnapshotMeta};

/// What the records of a group add up to.
#[derive(Debug)]
pub(super) struct Group {
    incarnation: Incarnation,
    /// The file of its snapshot, whose bytes are not in `memory`.
    file: u64,
    memory: MemoryStorage,
}

impl From<State> for Group {
    fn from(state: State) -> Self {
        let mut group = Self::new(state.incarnation, MemoryStorage::new());
        group.memory = MemoryStorage::based(without_data(state.meta), state.base);
        group.memory.set_hard_state(state.hard_state);
        group.file = state.file;
        group
    }
}

fn without_data(meta: SnapshotMeta) -> Snapshot {
    Snapshot { meta, data: bytes::Bytes::new() }
}

impl Group {
    pub(super) const fn new(incarnation: Incarnation, memory: MemoryStorage) -> Self {
        Self { incarnation, file: 0, memory }
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(super) const fn file(&self) -> u64 {
        self.file
    }

    pub(super) const fn memory(&self) -> &MemoryStorage {
        &self.memory
    }

    pub(super) fn state(&self) -> State {
        State {
            incarnation: self.incarnation,
            hard_state: self.memory.hard_state(),
            meta: self.memory.snapshot_meta().clone(),
            file: self.file,
            base: self.memory.base(),
        }
    }

    /// Does what a record says; `None` where that does not follow from what is here.
    pub(super) fn take(&mut self, record: Record) -> Option<()> {
        match record {
            Record::State(state) => self.restate(state).map(drop),
            Record::Write { hard_state, snapshot, entries } => {
                self.memory.set_hard_state(hard_state);
                if let Some((meta, file)) = snapshot {
                    self.memory.install(without_data(meta));
                    self.file = file;
                }
                self.replace(&entries)
            }
            Record::Copy { entries } => self.fill(&entries),
        }
    }

    /// The group is what a state says. Returns the entries that it does not keep.
    pub(super) fn restate(&mut self, state: State) -> Option<Vec<Entries>> {
        let (known, last) = (self.memory.snapshot_meta().last, state.meta.last);
        let is_behind = last.index < known.index || last.index > self.memory.last_index();
        if is_behind || state.base.index < self.memory.base().index {
            return None;
        }
        let base = self.memory.term(state.base.index).ok()?;
        if base != state.base.term {
            return None;
        }
        self.incarnation = state.incarnation;
        self.memory.set_hard_state(state.hard_state);
        self.file = state.file;
        Some(self.memory.compact_to(without_data(state.meta), state.base.index))
    }

    fn replace(&mut self, entries: &Entries) -> Option<()> {
        let Some(first) = entries.first() else { return Some(()) };
        let follows = first.index > self.memory.base().index;
        if !follows || first.index > self.memory.last_index() + 1 {
            return None;
        }
        self.memory.replace(entries);
        Some(())
    }

    /// Takes of copied entries those that are missing.
    fn fill(&mut self, entries: &Entries) -> Option<()> {
        let is_known = |index| index <= self.memory.last_index();
        let known = entries.iter().take_while(|entry| is_known(entry.index)).count();
        let is_same = |entry: &crate::Entry| self.memory.term(entry.index).ok() == Some(entry.term);
        if !entries[..known].iter().all(is_same) {
            return None;
        }
        self.replace(&entries.skip(known))
    }
}
