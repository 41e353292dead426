//! The log as the protocol sees it: what the store has, and behind it what is on its way there.
//!
//! ```text
//!                 storage                 |            unstable
//!   snapshot | ... applied ... committed ... stable | stable + 1 ... handed | ... last_index
//!                                                     given to the driver     not yet
//!                        |------------------- recent ------------------------------|- tail -|
//! ```
//!
//! # When is an entry durable?
//!
//! The driver finishes writes in the order in which it got them, several may be on their way, and a
//! later one may replace what an earlier one wrote. A finished write has put entries on disk up to
//! its last one; but from the place on where a later write begins, the disk is about to change.
//! So *durable is what no write on its way will touch*. Term and index of the last entry do not
//! suffice to tell: an entry may be written, replaced, and come back.
//!
//! # Configurations
//!
//! The configuration in force is the last one in the log, committed or not (§6). The log keeps
//! where each one stands, so truncation and snapshots take it back without further rules.
//!
//! # What this module does not do
//!
//! It does not know what a majority is; the commit index is told to it.

use std::collections::VecDeque;
use std::ops::Range;

use crate::entries::{Chain, Entries};
use crate::mutants::{Bug, on};
use crate::storage::{Storage, StorageError};
use crate::types::{Configuration, Entry, Index, Payload, Position, Snapshot, Term};

/// A write that the driver has and has not finished.
#[derive(Clone, Copy, Debug)]
struct OnItsWay {
    sequence: u64,
    /// The first entry that it writes; nothing stays of the log before a snapshot.
    first: Index,
    /// The last one that is there once it is done.
    last: Index,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Log<S> {
    storage: S,
    /// What is not durable or not yet handed out to be applied; see `trim`.
    ///
    /// Invariant: it begins at or before `stable`.
    recent: Chain,
    /// The entries behind `recent`: the leader's own, until they are sealed as one run.
    tail: Vec<Entry>,
    /// A snapshot that is not in the store yet. It is the base of `recent`.
    pending: Option<Snapshot>,
    /// Invariant: everything up to here is durable and in the store, and no write will change it.
    stable: Index,
    /// Invariant: `stable <= handed <= last_index`.
    handed: Index,
    pending_handed: bool,
    /// In the order in which they will be finished.
    writes: VecDeque<OnItsWay>,
    /// Invariant: `applied <= applying <= commit <= last_index`.
    commit: Index,
    /// What the driver has been given to apply.
    applying: Index,
    applied: Index,
    /// Where each configuration stands: the one at or before `applied`, then all later ones.
    configurations: VecDeque<(Index, Configuration)>,
}

/// Where each configuration of a store stands: its snapshot's, then those of entries.
pub(crate) fn configurations(
    storage: &impl Storage,
) -> Result<VecDeque<(Index, Configuration)>, StorageError> {
    let meta = storage.snapshot_meta();
    let base = meta.last.index;
    let mut found = VecDeque::from([(base, meta.configuration.clone())]);
    let start = storage.first_index().max(base + 1);
    for entry in &storage.entries(start..storage.last_index().max(base) + 1, u64::MAX)? {
        if let Payload::Configuration(it) = &entry.payload {
            found.push_back((entry.index, (**it).clone()));
        }
    }
    Ok(found)
}

impl<S: Storage> Log<S> {
    /// The log of a store, whose state machine has applied everything up to `applied`.
    pub(crate) fn open(storage: S, applied: Index) -> Result<Self, StorageError> {
        let base = storage.snapshot_meta().last.index;
        let (stable, commit) = (storage.last_index(), storage.hard_state().commit);
        let configurations = configurations(&storage)?;
        let commit = commit.max(applied).max(base).min(stable);
        let recent = Chain::behind(Position { index: stable, term: storage.term(stable)? });
        Ok(Self {
            storage,
            recent,
            tail: Vec::new(),
            pending: None,
            stable,
            handed: stable,
            pending_handed: false,
            writes: VecDeque::new(),
            commit,
            applying: applied.min(commit),
            applied: applied.min(commit),
            configurations,
        })
    }

    pub(crate) const fn storage(&self) -> &S {
        &self.storage
    }

    pub(crate) const fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    pub(crate) const fn stable(&self) -> Index {
        self.stable
    }

    pub(crate) const fn commit(&self) -> Index {
        self.commit
    }

    pub(crate) const fn applied(&self) -> Index {
        self.applied
    }

    pub(crate) fn last_index(&self) -> Index {
        self.recent.last().index + self.tail.len() as u64
    }

    pub(crate) fn last(&self) -> Position {
        let index = self.last_index();
        let term = self.term(index).expect("the last entry, or the snapshot's, has a term");
        Position { index, term }
    }

    /// What the log stands on: nothing at or before it can be replicated as an entry.
    pub(crate) fn snapshot_last(&self) -> Position {
        self.pending.as_ref().map_or(self.storage.snapshot_meta().last, |it| it.meta.last)
    }

    pub(crate) fn term(&self, index: Index) -> Result<Term, StorageError> {
        let recent = match index.0.checked_sub(self.recent.last().index.0 + 1) {
            Some(at) => usize::try_from(at).ok().and_then(|at| self.tail.get(at)).map(|it| it.term),
            None => self.recent.term(index),
        };
        if let Some(term) = recent {
            return Ok(term);
        }
        match &self.pending {
            Some(it) if index < it.meta.last.index => Err(StorageError::Compacted { index }),
            _ if index > self.stable => {
                Err(StorageError::Unavailable { index, last: self.last_index() })
            }
            _ => self.storage.term(index),
        }
    }

    /// Whether the log has this entry (§5.3).
    pub(crate) fn matches(&self, position: Position) -> bool {
        self.term(position.index).is_ok_and(|term| term == position.term)
    }

    /// Whether a log that ends at `other` is at least as up to date as this one (§5.4.1).
    pub(crate) fn is_up_to_date(&self, other: Position) -> bool {
        let ours = self.last();
        if on(Bug::LongerLogWins) {
            return (other.index, other.term) >= (ours.index, ours.term);
        }
        (other.term, other.index) >= (ours.term, ours.index)
    }

    /// Entries of `range`, as [`Storage::entries`] gives them. The log must be sealed.
    pub(crate) fn entries(
        &self,
        range: Range<Index>,
        bytes_max: u64,
    ) -> Result<Entries, StorageError> {
        let border = self.recent.base().index + 1;
        if range.start >= border {
            return Ok(self.recent.range(range, bytes_max));
        }
        if self.pending.is_some() {
            return Err(StorageError::Compacted { index: range.start });
        }
        let end = range.end.min(border);
        let stored = self.storage.entries(range.start..end, bytes_max)?;
        let is_whole = stored.len() as u64 == end.since(range.start);
        if !is_whole || end == range.end || stored.bytes() >= bytes_max {
            return Ok(stored);
        }
        let rest = self.recent.range(border..range.end, bytes_max - stored.bytes());
        // One is always given, and may be too large here.
        let fits = stored.bytes() + rest.bytes() <= bytes_max;
        let rest = if fits { rest } else { Entries::default() };
        Ok(stored.iter().chain(&rest).cloned().collect())
    }

    /// Appends an entry of the leader's own.
    pub(crate) fn push(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.last_index() + 1, "a log has no gaps");
        self.note_configuration(&entry);
        self.tail.push(entry);
    }

    /// Makes one run of what was pushed.
    pub(crate) fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.seal_tail();
        }
    }

    fn seal_tail(&mut self) {
        if self.tail.len() > 1 {
            self.recent.push(self.tail.drain(..).collect());
        } else if let Some(entry) = self.tail.pop() {
            self.recent.push(Entries::one(entry));
        }
    }

    fn note_configuration(&mut self, entry: &Entry) {
        if let Payload::Configuration(it) = &entry.payload {
            self.configurations.push_back((entry.index, (**it).clone()));
        }
    }

    /// Appends a leader's entries but the first `skip` of them, which are committed here, behind
    /// what matches: what conflicts is replaced, what is there already stays (figure 2,
    /// `AppendEntries`, steps 3 and 4).
    pub(crate) fn merge(&mut self, entries: Entries, skip: usize) {
        self.seal();
        let last = self.last_index();
        let is_new = |entry: &Entry| entry.index > last || !self.matches(entry.position());
        let skip = if on(Bug::DeletesMatchingEntries) {
            skip
        } else {
            skip + entries[skip..].iter().position(is_new).unwrap_or(entries.len() - skip)
        };
        let Some(first) = entries.get(skip) else { return };
        if first.index <= last {
            self.truncate(first.index);
        }
        let news = if skip == 0 { entries } else { entries.skip(skip) };
        news.iter().for_each(|entry| self.note_configuration(entry));
        self.recent.push(news);
    }

    /// Removes `from` and all that follows.
    fn truncate(&mut self, from: Index) {
        assert!(
            from > self.commit,
            "entry {from} is committed (up to {}) and conflicts with the leader's",
            self.commit
        );
        let before = from.before();
        if before < self.recent.base().index {
            let term = self.term(before).expect("what is committed, or follows it, has a term");
            self.recent = Chain::behind(Position { index: before, term });
        } else {
            self.recent.truncate(from);
        }
        self.stable = self.stable.min(before);
        self.handed = self.handed.min(before);
        if !on(Bug::ConfigurationSurvivesTruncation) {
            self.configurations.retain(|(index, _)| *index < from);
        }
    }

    /// Replaces the whole log by a snapshot (§7).
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        let index = snapshot.meta.last.index;
        assert!(index > self.commit, "a snapshot at {index} is behind {}", self.commit);
        if on(Bug::ConfigurationSurvivesSnapshot) {
            self.configurations.push_front((index, snapshot.meta.configuration.clone()));
        } else {
            self.configurations = VecDeque::from([(index, snapshot.meta.configuration.clone())]);
        }
        self.tail.clear();
        self.recent = Chain::behind(snapshot.meta.last);
        (self.stable, self.handed, self.commit) = (index, index, index);
        self.pending = Some(snapshot);
        self.pending_handed = false;
    }

    /// The configuration in force, and where it stands.
    pub(crate) fn configuration(&self) -> (Index, &Configuration) {
        if on(Bug::ConfigurationAtApply) {
            let known = self.configurations.iter().rev().find(|(index, _)| *index <= self.applied);
            let (index, it) = known.unwrap_or(&self.configurations[0]);
            return (*index, it);
        }
        let (index, it) = self.configurations.back().expect("there is always a configuration");
        (*index, it)
    }

    /// The configuration that was committed last, as far as is known, and all behind it.
    pub(crate) fn uncommitted_configurations(&self) -> impl Iterator<Item = &Configuration> {
        let known = self.configurations.partition_point(|(index, _)| *index <= self.commit);
        let first = if on(Bug::LeftOutTooEarly) { self.configurations.len() } else { known };
        self.configurations.iter().skip(first.saturating_sub(1)).map(|(_, it)| it)
    }

    /// How many configurations are not known to be committed.
    pub(crate) fn pending_configurations(&self) -> usize {
        self.configurations.iter().rev().take_while(|(index, _)| *index > self.commit).count()
    }

    /// The configuration at an applied entry.
    pub(crate) fn configuration_at(&self, index: Index) -> &Configuration {
        let earlier = self.configurations.iter().rev().find(|(at, _)| *at <= index);
        &earlier.unwrap_or(&self.configurations[0]).1
    }

    /// Everything up to `index` is committed.
    pub(crate) fn commit_to(&mut self, index: Index) -> bool {
        let index = index.min(self.last_index());
        let is_news = index > self.commit;
        self.commit = self.commit.max(index);
        is_news
    }

    /// What the next write must contain: a snapshot, and entries behind it.
    pub(crate) fn hand_out(&mut self, sequence: u64) -> (Option<Box<Snapshot>>, Entries) {
        self.seal();
        let snapshot = self.pending.as_ref().filter(|_| !self.pending_handed);
        let snapshot = snapshot.map(|it| Box::new(it.clone()));
        self.pending_handed = self.pending.is_some();
        let news = self.handed + 1..self.recent.last().index + 1;
        let entries = self.recent.range(news, u64::MAX);
        let first = if snapshot.is_some() { Index::ZERO } else { self.handed + 1 };
        self.handed = self.last_index();
        self.writes.push_back(OnItsWay { sequence, first, last: self.handed });
        (snapshot, entries)
    }

    /// Whether something waits to be written.
    pub(crate) fn has_news(&self) -> bool {
        self.handed < self.last_index() || (self.pending.is_some() && !self.pending_handed)
    }

    /// Whether a write is on its way.
    pub(crate) fn is_writing(&self) -> bool {
        !self.writes.is_empty()
    }

    /// The oldest write on its way is finished. See the module's header for what is durable then.
    pub(crate) fn written(&mut self, sequence: u64, has_snapshot: bool) {
        let write = self.writes.pop_front().expect("a finished write was on its way");
        assert_eq!(write.sequence, sequence, "writes are finished in their order");
        let untouched = self.writes.iter().map(|later| later.first.before()).min();
        let untouched = untouched.map_or(self.handed, |it| it.min(self.handed));
        let untouched = if on(Bug::StaleWriteCounts) { self.last_index() } else { untouched };
        let durable = write.last.min(untouched);
        let is_pending = |it: &Snapshot| has_snapshot && durable >= it.meta.last.index;
        if self.pending.as_ref().is_some_and(is_pending) {
            self.pending = None;
        }
        if durable > self.stable && self.pending.is_none() {
            self.stable = durable;
            self.handed = self.handed.max(durable);
            self.trim();
        }
    }

    /// Lets go of what the store has and nobody here is about to need: what is durable and was
    /// handed out to be applied.
    fn trim(&mut self) {
        if self.pending.is_none() {
            self.recent.release(self.stable.min(self.applying), drop);
        }
    }

    /// The end of what can be applied: committed, and durable here, so that a state machine is
    /// never ahead of its own log.
    pub(crate) fn applicable(&self) -> Index {
        if self.pending.is_some() { self.applying } else { self.commit.min(self.stable) }
    }

    /// Whether there is something to apply that the driver does not have.
    pub(crate) fn has_applicable(&self) -> bool {
        self.applying < self.applicable()
    }

    /// Whether the next thing to apply is the store's snapshot.
    pub(crate) fn applies_snapshot(&self) -> bool {
        self.applying < self.storage.snapshot_meta().last.index
    }

    /// The next entries to apply, which are from now on the driver's.
    pub(crate) fn take_applicable(&mut self, bytes_max: u64) -> Result<Entries, StorageError> {
        let range = self.applying + 1..self.applicable() + 1;
        // What can be applied is durable, and so nobody needs it here once it is handed out.
        if let Some(entries) = self.recent.take_first(&range, bytes_max) {
            self.applying = range.end.before();
            return Ok(entries);
        }
        let entries = self.entries(range, bytes_max)?;
        self.applying = entries.last().map_or(self.applying, |entry| entry.index);
        self.trim();
        Ok(entries)
    }

    /// The driver applies the store's snapshot.
    pub(crate) fn take_snapshot(&mut self) -> Index {
        self.applying = self.storage.snapshot_meta().last.index;
        self.applying
    }

    /// Nobody here applies anything: what could be applied counts as applied.
    pub(crate) fn pass_over(&mut self) {
        self.applying = self.applicable();
        self.applied_to(self.applying);
        self.trim();
    }

    /// Everything up to `index` is applied.
    pub(crate) fn applied_to(&mut self, index: Index) {
        assert!(index <= self.applying, "{index} was never handed out, {} was", self.applying);
        self.applied = self.applied.max(index);
        while self.configurations.get(1).is_some_and(|(at, _)| *at <= self.applied) {
            self.configurations.pop_front();
        }
    }

    /// Panics where the log contradicts itself.
    pub(crate) fn check_invariants(&self) {
        assert!(self.stable <= self.handed && self.handed <= self.last_index());
        assert!(self.applied <= self.applying && self.applying <= self.commit);
        assert!(self.commit <= self.last_index(), "{} is not in the log", self.commit);
        assert!(self.recent.base().index <= self.stable, "what is not durable is here");
        self.recent.check_invariants();
        for (entry, index) in self.tail.iter().zip(self.recent.last().index.0 + 1..) {
            assert_eq!(entry.index, Index(index), "a log has no gaps");
        }
        let starts = self.configurations.iter().map(|(index, _)| *index);
        assert!(starts.is_sorted(), "configurations stand in the order of the log");
        assert!(self.configuration().0 <= self.last_index(), "it stands in the log");
    }
}
