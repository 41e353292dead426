//! Writing: log, memtable, number, in that order, under one lock.
//!
//! ```text
//!   commit   room in the memtable? --> record into the log --> changes into the memtable
//!            --> last number becomes visible --> lock free --> [sync, shared by all who wait]
//! ```
//!
//! A batch is seen as a whole because the number that readers go by moves once, behind all of its
//! changes. Nothing before the record can fail half-way: where the log has no room, the batch was
//! not made. With [`Durability::Sync`] others may see a write while its own writer still waits for
//! the disk; nobody is told that it is safe before it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_epoch as epoch;
use wal::Position;

use super::core::{Core, FamilyCore, NONE, State, Writer};
use super::pace::Debt;
use crate::batch::{Change, FamilyId, bounded};
use crate::gaps::Gaps;
use crate::memtable::Memtable;
use crate::options::{Background, Durability};
use crate::planted::planted;
use crate::removal::Removal;
use crate::stamp::{Kind, SEQUENCE_MAX, Sequence, Stamp};
use crate::sync::{MutexGuard, point};
use crate::values::Pointer;
use crate::{Batch, Error, Options, Result};

/// So many segments of log are kept at most before the families that need the oldest are written
/// out.
const SEGMENTS_MAX: u64 = 4;
/// Writers wait where the first level has so many times the tables with which it is merged.
const TOP_MAX: usize = 9;
/// How long a writer waits between two looks at what went wrong.
const PATIENCE: Duration = Duration::from_millis(50);

impl Core {
    /// Makes all changes of a batch, or none.
    pub(crate) fn commit(&self, batch: &mut Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let debt = self.apply(&mut self.writer.lock(), batch)?;
        self.pay(debt, batch.span());
        self.acknowledge()
    }

    /// Makes all changes of a batch, unless something is in the way, which is returned. Between the
    /// look and the changes nobody else writes.
    pub(crate) fn commit_unless<T>(
        &self,
        batch: &mut Batch,
        obstacle: impl FnOnce() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        if batch.is_empty() {
            return Ok(None);
        }
        let debt = {
            let mut writer = self.writer.lock();
            if let Some(found) = obstacle()? {
                return Ok(Some(found));
            }
            self.apply(&mut writer, batch)?
        };
        self.pay(debt, batch.span());
        self.acknowledge()?;
        Ok(None)
    }

    /// Waits until what was written is as durable as promised.
    fn acknowledge(&self) -> Result<()> {
        match self.options.durability {
            Durability::Os => Ok(()),
            Durability::Sync => Ok(self.log.sync()?),
        }
    }

    /// Whether this store can keep a batch, and read it again.
    #[inline]
    pub(super) fn check(&self, batch: &Batch) -> Result<()> {
        if batch.store().is_some_and(|it| it != self.id) {
            return Err(Error::Foreign);
        }
        if batch.has_operands() && !self.meaning.has_operator() {
            return Err(Error::NoMergeOperator);
        }
        bounded("a batch", batch.record().len(), self.log.record_len_max())?;
        Ok(())
    }

    /// Makes all changes of a batch, and tells what its writer owes for them.
    pub(super) fn apply(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        batch: &mut Batch,
    ) -> Result<Debt> {
        self.check(batch)?;
        self.relieve_log(writer)?;
        let mut debt = Debt::default();
        let mut seen: Option<FamilyId> = None;
        for change in batch.changes() {
            if seen.replace(change.family) != Some(change.family) {
                let family = writer.family(change.family);
                let family = family.ok_or(Error::Dropped(change.family))?;
                self.make_room(family, batch.span())?;
                let guard = epoch::pin();
                let state = family.state(&guard);
                debt = debt.max(self.debt(state));
                if self.has_news_of(&state.gaps) {
                    state.gaps.settle(writer.last);
                }
            }
        }
        let count = batch.len() as u64;
        assert!(writer.last + count < SEQUENCE_MAX, "2^56 changes are not made in a life");
        let first = writer.last + 1;
        let at = self.log.append(batch.seal(first))?;
        let record = batch.record();
        if planted!(VisibleEarly) {
            self.visible.store(first + count - 1, Ordering::Release);
        }
        let guard = epoch::pin();
        for (sequence, change) in (first..).zip(batch.changes()) {
            let family = writer.family(change.family).ok_or(Error::Dropped(change.family))?;
            let state = family.state(&guard);
            if !matches!(change.kind, Kind::Tombstone | Kind::Removal) {
                state.gaps.cut(change.key, &guard);
            }
            insert(&state.memtable, sequence, &change, self.options.place(at, record));
        }
        if writer.segment != at.segment && at.offset >= self.options.segment_len() / 2 {
            // In time, so that no write waits for a file. A small store never gets here.
            writer.segment = at.segment;
            // Relaxed: the lock of the call orders it.
            self.wants_segment.store(true, Ordering::Relaxed);
            self.wake_workers();
        }
        writer.last += count;
        point();
        // Release: who reads the number finds the changes.
        self.visible.store(writer.last, Ordering::Release);
        self.counters.written(count, batch.span());
        Ok(debt)
    }

    /// Whether walks have told of keys that are gone, and it may be made known.
    #[inline]
    pub(super) fn has_news_of(&self, gaps: &Gaps) -> bool {
        // Tables that go because they are old go without a number: an iterator may still see them.
        gaps.has_post() && !self.is_fifo()
    }

    /// Sees to it that the family's memtable takes `bytes` more. The writer's lock is held.
    fn make_room(&self, family: &FamilyCore, bytes: usize) -> Result<()> {
        let has_room = {
            let guard = epoch::pin();
            let memtable = &family.state(&guard).memtable;
            memtable.borrow_for_tree(&self.cache);
            memtable.has_room(bytes)
        };
        if has_room {
            self.cache.give_way(bytes);
            return Ok(());
        }
        while self.has_no_place(family) {
            self.wait_for_flush(family)?;
        }
        while self.has_too_much_garbage() || self.is_full_at_the_top(family) {
            self.wait_for_merge(family)?;
        }
        self.switch(family, bytes);
        match self.options.background {
            Background::Threads => self.wake_workers(),
            Background::Inline => self.work_off()?,
        }
        Ok(())
    }

    /// Whether no other memtable could follow the present one. One that was written out takes its
    /// place until its memory is free: the thread that frees it may wait for a processor while
    /// the writer goes on, and the process would have one more than its budget has room for.
    fn has_no_place(&self, family: &FamilyCore) -> bool {
        let waiting = &family.share().immutables;
        // Acquire: pairs with the Release in `flush_one`; looked at after the state, in which it
        // no longer is.
        let leaving = family.leaving.load(Ordering::Acquire);
        let leaves = leaving != NONE && waiting.iter().all(|it| it.number != leaving);
        waiting.len() + usize::from(leaves) + 1 >= self.options.memtables.get()
    }

    /// Once for each segment of the log, begins new memtables for the families that keep old ones
    /// alive: each that is seldom written, also where this batch is of others.
    fn relieve_log(&self, writer: &mut Writer) -> Result<()> {
        let last = self.log.end().segment;
        if writer.looked == last {
            return Ok(());
        }
        let mut has_switched = false;
        for family in &writer.families {
            let start = family.share().log_start().map_or(last, |it| it.segment);
            // Where others are on their way already, they are what keeps it.
            if start + SEGMENTS_MAX < last && family.share().immutables.is_empty() {
                self.switch(family, 0);
                has_switched = true;
            }
        }
        match self.options.background {
            _ if !has_switched => {}
            Background::Threads => self.wake_workers(),
            Background::Inline => self.work_off()?,
        }
        writer.looked = last;
        Ok(())
    }

    /// Begins a new memtable. The writer's lock is held.
    pub(crate) fn switch(&self, family: &FamilyCore, room: usize) {
        self.switch_at(family, room, self.log.end());
    }

    /// The same for changes that the log holds from `start` on.
    pub(crate) fn switch_at(&self, family: &FamilyCore, room: usize, start: Position) {
        family.change(|state| {
            let mut immutables = state.immutables.clone();
            if !state.memtable.is_empty() {
                state.memtable.borrow_from(&self.cache);
                immutables.insert(0, Arc::clone(&state.memtable));
            }
            let memtable = self.new_memtable(room, &state.memtable, start);
            State { memtable, immutables, ..state.clone() }
        });
    }

    /// Whether merges have fallen so far behind that reads would suffer.
    fn is_full_at_the_top(&self, family: &FamilyCore) -> bool {
        let runs = family.state(&epoch::pin()).version.level(0).len();
        !self.is_fifo() && runs >= self.runs_max()
    }

    /// So many runs in the first level make writers wait.
    pub(super) fn runs_max(&self) -> usize {
        TOP_MAX * self.options.level0_tables
    }

    /// Waits until a merge was made, or tells why none can be.
    fn wait_for_merge(&self, family: &FamilyCore) -> Result<()> {
        if self.options.background == Background::Inline {
            return self.work_off();
        }
        let _stall = self.counters.stall();
        let mut work = self.work.lock();
        let before = work.attempts;
        self.call(&mut work);
        while work.attempts == before
            && (self.has_too_much_garbage() || self.is_full_at_the_top(family))
        {
            self.done.wait_for(&mut work, PATIENCE);
        }
        match &work.failure {
            Some(cause) => Err(cause.clone()),
            None => Ok(()),
        }
    }

    /// Waits until a memtable was written out, or tells why none can be.
    fn wait_for_flush(&self, family: &FamilyCore) -> Result<()> {
        if self.options.background == Background::Inline {
            return self.work_off();
        }
        let _stall = self.counters.stall();
        let mut work = self.work.lock();
        let before = work.attempts;
        self.call(&mut work);
        // Asked anew, under the lock: a flush may have ended since the caller asked.
        while self.has_no_place(family) {
            // What failed before may be over by now.
            if let Some(cause) = work.failure.as_ref().filter(|_| work.attempts > before) {
                return Err(cause.clone());
            }
            self.done.wait_for(&mut work, PATIENCE);
        }
        Ok(())
    }
}

/// Brings a change into a memtable.
#[inline]
pub(crate) fn insert(
    memtable: &Memtable,
    sequence: Sequence,
    change: &Change<'_>,
    place: Place<'_>,
) {
    let Change { kind, key, value, .. } = *change;
    if kind == Kind::Removal {
        memtable.remove_range(Removal { start: key.to_vec(), end: value.to_vec(), sequence });
    } else if kind == Kind::Value && value.len() >= place.threshold {
        let pointer = Pointer::into_log(place.at, place.record, value);
        memtable.insert(Stamp::new(sequence, Kind::Pointer), key, &pointer.encode());
    } else {
        memtable.insert(Stamp::new(sequence, kind), key, value);
    }
}

/// Where the log has a change, and from which size on its value stays there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    at: Position,
    record: &'a [u8],
    threshold: usize,
}

impl Options {
    /// The place of changes whose record is in the log.
    #[inline]
    pub(crate) fn place<'a>(&self, at: Position, record: &'a [u8]) -> Place<'a> {
        Place { at, record, threshold: self.value_threshold.unwrap_or(usize::MAX) }
    }
}
