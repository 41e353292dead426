//! A group's snapshots: when one is made, what it does to the log, how one of a leader's is taken.
//!
//! # What this module does not do
//!
//! It makes no bytes, reads no file and gives back none: `threads` and `apply` do.

use bytes::Bytes;
use raft::{Index, SnapshotFile, SnapshotMeta, Storage};

use super::{Group, GroupError, Round};
use crate::Error;
use crate::mailbox::Reply;
use crate::node::Options;
use crate::node::apply::Job;
use crate::stats::Counters;

/// Entries after which a witness shortens its log, which has a few bytes for each.
const WITNESS_ENTRIES: u64 = 100_000;

/// A snapshot that is being made, and who waits for it.
#[derive(Default)]
pub(super) struct Making {
    pub(super) is_under_way: bool,
    pub(super) waiting: Vec<Reply<Index>>,
    pub(super) error: Option<String>,
}

impl Group {
    /// Takes over the state of a snapshot that was read, and applies what came behind it.
    pub(in crate::node) fn restore(
        &mut self,
        meta: &SnapshotMeta,
        bytes: &Bytes,
        counters: &Counters,
    ) -> Result<(), GroupError> {
        // Another one may have come meanwhile, which is being read.
        let is_current = self.restoring == Some(meta.last.index);
        let Some(applier) = self.applier.as_mut().filter(|_| is_current) else { return Ok(()) };
        applier.restore(meta, &mut &bytes[..])?;
        counters.restores.add(1);
        self.restoring = None;
        self.raft.applied(meta.last.index);
        for (entries, waiting) in std::mem::take(&mut self.held) {
            self.apply(&entries, waiting, counters)?;
        }
        Ok(())
    }

    /// Makes a snapshot where much was applied since the last one.
    pub(in crate::node) fn compact_if_due(
        &mut self,
        options: &Options,
        round: &mut Round,
    ) -> Result<(), GroupError> {
        if self.applied_bytes >= options.compact_bytes { self.make_snapshot(round) } else { Ok(()) }
    }

    /// Begins a snapshot of the state behind what was handed out last, unless one is under way.
    pub(in crate::node) fn make_snapshot(&mut self, round: &mut Round) -> Result<(), GroupError> {
        if self.making.is_under_way || self.restoring.is_some() || self.is_witness() {
            return Ok(());
        }
        if self.handed <= self.raft.storage().snapshot_meta().last.index {
            // There is nothing that the last one does not have.
            self.answer_snapshots(&Ok(self.handed));
            return Ok(());
        }
        match self.raft.snapshot_meta(self.handed) {
            Ok(meta) => {
                self.making.is_under_way = true;
                self.applied_bytes = 0;
                round.jobs.push(match &self.applier {
                    Some(applier) => Job::Make(applier.snapshot(self.id, meta)?),
                    None => Job::Snapshot(self.id, meta),
                });
            }
            Err(cause) => self.snapshot_failed(cause.to_string()),
        }
        Ok(())
    }

    /// A snapshot is in its file: the log can be compacted.
    pub(in crate::node) fn snapshot_made(
        &mut self,
        meta: SnapshotMeta,
        file: &SnapshotFile,
        options: &Options,
        round: &mut Round,
    ) -> Result<(), GroupError> {
        self.making.error = None;
        let last = meta.last.index;
        // Meanwhile a leader may have sent a later one.
        if last <= self.raft.storage().snapshot_meta().last.index || self.restoring.is_some() {
            self.compacted(last);
            return Ok(());
        }
        self.compact_to(meta, file, options, round)
    }

    fn compact_to(
        &mut self,
        meta: SnapshotMeta,
        file: &SnapshotFile,
        options: &Options,
        round: &mut Round,
    ) -> Result<(), GroupError> {
        let keep_after = Index(meta.last.index.0.saturating_sub(options.keep_entries));
        let last = meta.last.index;
        let mut rewrite = self.raft.storage_mut().compact_to(meta, file, keep_after)?;
        self.freed.extend(rewrite.take_entries());
        round.jobs.push(Job::Finish(self.id, rewrite, Some(last)));
        Ok(())
    }

    /// Frees entries that a compaction has let go of: so many, or a run more. All of them at once
    /// would hold up this group for milliseconds, and so would another thread: while it frees, an
    /// allocator has those wait that allocate.
    pub(in crate::node) fn free(&mut self, count: usize) {
        let mut left = count;
        while left > 0
            && let Some(run) = self.freed.pop_front()
        {
            left = left.saturating_sub(run.len());
        }
    }

    /// How many entries wait to be freed.
    #[cfg(test)]
    pub(in crate::node) fn to_be_freed(&self) -> usize {
        self.freed.iter().map(raft::Entries::len).sum()
    }

    /// Whether entries wait to be freed, for which it must not rest.
    pub(in crate::node) fn is_freeing(&self) -> bool {
        !self.freed.is_empty()
    }

    /// A compaction to a snapshot that ends at `last` is durable.
    pub(in crate::node) fn compacted(&mut self, last: Index) {
        self.making.is_under_way = false;
        self.answer_snapshots(&Ok(last));
    }

    pub(in crate::node) fn snapshot_failed(&mut self, reason: String) {
        self.making.is_under_way = false;
        let failed = Error::Failed { group: self.id, reason: reason.clone() };
        self.making.error = Some(reason);
        self.answer_snapshots(&Err(failed));
    }

    fn answer_snapshots(&mut self, answer: &Result<Index, Error>) {
        for reply in std::mem::take(&mut self.making.waiting) {
            reply.send(answer.clone()).ok();
        }
    }

    pub(super) fn is_witness(&self) -> bool {
        self.raft.storage().incarnation().is_witness()
    }

    /// Whether it is a witness whose log has what it can do without.
    fn is_long(&self) -> bool {
        self.is_witness() && self.raft.status().applied >= self.shorten_at
    }

    /// A witness has nothing to put into a snapshot: it says where one would end, and drops what is
    /// before that.
    fn shorten(&mut self, options: &Options, round: &mut Round) -> Result<(), GroupError> {
        let applied = self.raft.status().applied;
        if applied > self.raft.storage().snapshot_meta().last.index {
            let (meta, none) =
                (self.raft.snapshot_meta(applied)?, self.raft.storage().snapshot_file());
            self.compact_to(meta, &none, options, round)?;
        } else {
            self.answer_snapshots(&Ok(applied));
        }
        self.shorten_at = applied + WITNESS_ENTRIES.max(options.keep_entries);
        Ok(())
    }

    /// Whether it holds back too much of the log, and something can be done about it.
    pub(in crate::node) fn is_burden(&self, options: &Options) -> bool {
        self.is_long() || self.holds_log_back(options)
    }

    /// Does what can be done.
    pub(in crate::node) fn unburden(
        &mut self,
        options: &Options,
        round: &mut Round,
    ) -> Result<(), GroupError> {
        if self.is_long() {
            self.shorten(options, round)?;
        }
        if self.holds_log_back(options) {
            let rewrite = self.raft.storage_mut().rewrite()?;
            round.jobs.push(Job::Finish(self.id, rewrite, None));
        }
        Ok(())
    }

    fn holds_log_back(&self, options: &Options) -> bool {
        let is_burden = self.raft.storage().segments_held() > options.segments_held_max;
        // The file of a snapshot that is being read must stay.
        is_burden && self.restoring.is_none()
    }
}
