//! What a group writes: at once into the log, but for a snapshot, which goes to its file first.
//!
//! ```text
//!   write -------------------------------------------> log -- sync of the round --> persisted
//!   write with a snapshot --> file, on another thread --^
//!   later writes -----------> wait for it --------------'
//! ```
//!
//! A received snapshot may be as large as the state, and to write its file takes as long as that.
//! Other groups go on meanwhile; so does this one, except that nothing of it becomes durable.
//!
//! # What this module does not do
//!
//! It writes no file and syncs nothing: `threads` does.

use std::collections::VecDeque;

use raft::{SnapshotFile, Write};

use super::{Group, GroupError, Round};
use crate::node::apply::Job;
use crate::stats::Counters;

/// Entries that are freed with each write, beside those that make up for its own.
const FREED_BESIDE: usize = 8;

/// Writes that are not durable.
pub(super) struct Writes {
    /// Whether a write is done when it is made.
    is_volatile: bool,
    /// In the log and not synced, each with the round whose sync it waits for.
    unsynced: VecDeque<(u64, Write)>,
    /// Not in the log yet. Invariant: the first has a snapshot whose file is being written.
    behind_file: VecDeque<Write>,
}

impl Writes {
    pub(super) const fn new(is_volatile: bool) -> Self {
        Self { is_volatile, unsynced: VecDeque::new(), behind_file: VecDeque::new() }
    }

    pub(super) const fn is_volatile(&self) -> bool {
        self.is_volatile
    }

    /// Whether a write waits for the disk.
    pub(super) fn is_syncing(&self) -> bool {
        !self.unsynced.is_empty()
    }
}

impl Group {
    /// Makes a write, or begins to.
    pub(super) fn write(
        &mut self,
        write: Write,
        number: u64,
        round: &mut Round,
        counters: &Counters,
    ) -> Result<(), GroupError> {
        counters.writes.add(1);
        // A witness has a snapshot without a byte, and what is volatile has no file.
        let data = write.snapshot().map(|it| it.data.clone()).filter(|it| !it.is_empty());
        if let Some(data) = data.filter(|_| !self.writes.is_volatile) {
            round.jobs.push(Job::Store(self.id, data));
        } else if self.writes.behind_file.is_empty() {
            self.raft.storage_mut().write(&write)?;
            self.log(write, number, round);
            return Ok(());
        }
        self.writes.behind_file.push_back(write);
        Ok(())
    }

    /// The file of the snapshot that was waited for is there: what waited for it goes to the log,
    /// up to the next such write.
    pub(in crate::node) fn stored(
        &mut self,
        file: &SnapshotFile,
        number: u64,
        round: &mut Round,
    ) -> Result<(), GroupError> {
        let Some(first) = self.writes.behind_file.pop_front() else { return Ok(()) };
        self.raft.storage_mut().write_with(&first, file)?;
        self.log(first, number, round);
        let is_free = |write: &mut Write| write.snapshot().is_none_or(|it| it.data.is_empty());
        while let Some(write) = self.writes.behind_file.pop_front_if(is_free) {
            self.raft.storage_mut().write(&write)?;
            self.log(write, number, round);
        }
        Ok(())
    }

    /// A write is in the log.
    fn log(&mut self, write: Write, number: u64, round: &mut Round) {
        // Faster than entries come, so that there is an end before the next compaction.
        self.free(2 * write.entries().len() + FREED_BESIDE);
        if self.writes.is_volatile {
            self.persisted(write, round);
        } else {
            self.writes.unsynced.push_back((number, write));
            round.written.push(self.id);
        }
    }

    /// The log is durable up to a round.
    pub(in crate::node) fn synced(&mut self, number: u64, round: &mut Round) {
        while let Some((_, write)) = self.writes.unsynced.pop_front_if(|(at, _)| *at <= number) {
            self.persisted(write, round);
        }
        self.gather.synced(round.clock.now(), round.sync_time);
    }

    fn persisted(&mut self, write: Write, round: &mut Round) {
        let mut messages = std::mem::take(&mut round.ready.messages);
        self.raft.persisted_into(write, &mut messages);
        self.send(&mut messages, round);
        round.ready.messages = messages;
    }
}
