//! The work behind the writes: writing memtables out, merging tables.
//!
//! Two threads share it, so that a long merge never keeps a full memtable waiting. What fails is
//! tried again: a full disk ends when somebody makes room, and then writes go on by themselves. A
//! failed attempt leaves no file, or each would take of that room. Where the log or the manifest
//! has stopped for good, only who asks has it tried again, to be told why.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_epoch as epoch;
use wal::Position;

use super::core::{Core, FamilyCore, NONE, State, Work};
use super::output;
use crate::compact::{self, Action, Job};
use crate::manifest::{self, Edit};
use crate::memtable::{self, Memtable, Versions};
use crate::merge::{Merge, Source};
use crate::options::Background;
use crate::planted::planted;
use crate::range::Range;
use crate::removal::{Layers, Removal};
use crate::run::{Run, RunCursor};
use crate::snapshot::{Beneath, Retain};
use crate::sync::{linger, nap};
use crate::table::{self, Origin, Table, TableMeta, TableOptions};
use crate::version::{Change, Place, Version};
use crate::{Error, Result};

/// After a failure the next attempt waits this long, unless somebody asks for it.
const PAUSE: Duration = Duration::from_millis(200);
/// So often a flush or a merge looks whether what it replaced can be freed. A few looks are enough
/// without iterators, unless a reader has lost its processor: that takes a turn or two.
const LOOKS_MAX: u32 = 100;
const LOOK: Duration = Duration::from_micros(1);
const NAPS_MAX: u32 = 100;
const NAP: Duration = Duration::from_micros(100);
/// Before all that a log holds.
const START: Position = Position { segment: 0, offset: 0 };

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    Flush,
    Compact,
}

impl Core {
    /// Does its duty until the store ends. The thread counts as busy when it begins.
    pub(crate) fn serve(&self, duty: Duty) {
        loop {
            let heard = self.work.lock().calls;
            let attempt = AssertUnwindSafe(|| match duty {
                Duty::Flush => {
                    self.prepare_segment();
                    self.flush_one()
                }
                Duty::Compact => self.compact_one(),
            });
            // A merge operator may panic. Then writers are told why nothing gets on, and as after
            // any failure nothing was installed.
            let outcome = catch_unwind(attempt).unwrap_or(Err(Error::Panicked));
            let mut work = self.work.lock();
            match outcome {
                Ok(true) => {
                    work.failure = None;
                    work.attempts += 1;
                    // A flush may have made a merge due.
                    self.call(&mut work);
                }
                Ok(false) if work.calls == heard && !work.is_ending => {
                    work.busy -= 1;
                    self.done.notify_all();
                    self.wake.wait(&mut work);
                    work.busy += 1;
                }
                Ok(false) => {}
                Err(cause) => {
                    let is_for_good = matches!(cause, Error::Stopped(_));
                    work.failure = Some(cause);
                    work.attempts += 1;
                    self.done.notify_all();
                    if is_for_good && work.calls == heard && !work.is_ending {
                        self.wake.wait(&mut work);
                    } else if !is_for_good && !work.is_ending {
                        self.wake.wait_for(&mut work, PAUSE);
                    }
                }
            }
            self.done.notify_all();
            if work.is_ending {
                work.busy -= 1;
                return;
            }
        }
    }

    /// Makes a segment of the log ready where the present one will soon be full.
    fn prepare_segment(&self) {
        // Relaxed: the lock of the call orders it.
        if self.wants_segment.swap(false, Ordering::Relaxed) {
            // A courtesy to the next append, which makes a segment itself where this failed, and
            // reports what stands in its way.
            self.log.prepare().ok();
        }
    }

    /// Calls the threads to work.
    pub(crate) fn call(&self, work: &mut Work) {
        work.calls += 1;
        self.wake.notify_all();
    }

    pub(crate) fn wake_workers(&self) {
        self.call(&mut self.work.lock());
    }

    /// Does all that is due, on this thread.
    pub(crate) fn work_off(&self) -> Result<()> {
        while self.flush_one()? {}
        while self.compact_one()? {}
        Ok(())
    }

    /// Waits until nothing is due, or tells why that cannot be.
    pub(crate) fn wait_until_idle(&self) -> Result<()> {
        if self.options.background == Background::Inline {
            return self.work_off();
        }
        let mut work = self.work.lock();
        let before = work.attempts;
        self.call(&mut work);
        loop {
            if let Some(cause) = work.failure.clone().filter(|_| work.attempts > before) {
                return Err(cause);
            }
            if work.busy == 0 {
                if !self.is_anything_due() {
                    return Ok(());
                }
                // It came due since they looked: a snapshot or an iterator may have gone.
                self.call(&mut work);
            }
            self.done.wait_for(&mut work, PAUSE);
        }
    }

    fn is_anything_due(&self) -> bool {
        self.all_families().iter().any(|family| {
            let state = family.share();
            !state.immutables.is_empty()
                || self.due(&state.version).is_some()
                || self.upkeep(family, &state.version).is_some()
                || self.collection(&state.version).is_some()
        })
    }

    /// Writes out the memtable that has waited longest. Where none waits, gives back the log that
    /// readers held; then segments may have become files of values, and these be due for merges.
    /// False where there was nothing to do.
    pub(crate) fn flush_one(&self) -> Result<bool> {
        let _one_at_a_time = self.flushing.lock();
        let waiting = self.all_families().into_iter().filter_map(|family| {
            let oldest = family.share().immutables.last().map(Arc::clone)?;
            Some((family, oldest))
        });
        let Some((family, memtable)) = waiting.min_by_key(|it| it.1.number) else {
            if !self.retired.lock().is_empty() {
                // Readers that held the log back may be gone by now.
                epoch::pin().flush();
                let before = self.meaning.values.last_segment();
                self.release_log()?;
                return Ok(self.meaning.values.last_segment() > before);
            }
            return Ok(false);
        };
        self.cache.trim();
        // Release: whoever sees that it is gone sees the state without it.
        family.leaving.store(memtable.number, Ordering::Release);
        let flushed = self.flush(&family, &memtable);
        if flushed.is_ok() {
            self.free([memtable]);
        }
        family.leaving.store(NONE, Ordering::Release); // Release: as above.
        flushed.map(|()| true)
    }

    /// Waits until no reader is left that looks at memtables or tables, but not for iterators. The
    /// last one frees memory or closes removed files, and that holds a writer up for ten
    /// milliseconds.
    fn free<T>(&self, replaced: impl IntoIterator<Item = Arc<T>>) {
        let mut waits = [LOOKS_MAX, NAPS_MAX];
        if self.options.background == Background::Inline {
            // Nobody else reads.
            waits = [0, 0];
        }
        for one in replaced {
            while Arc::strong_count(&one) > 1 {
                let [looks, naps] = &mut waits;
                epoch::pin().flush();
                if *looks > 0 {
                    *looks -= 1;
                    linger(LOOK);
                } else if *naps > 0 {
                    *naps -= 1;
                    nap(NAP);
                } else {
                    break;
                }
            }
        }
    }

    /// Writes out the oldest memtable of a family. The lock of flushes is held.
    pub(super) fn flush(&self, family: &FamilyCore, memtable: &Arc<Memtable>) -> Result<()> {
        self.manifest.lock().require_going_on()?;
        let has_pointers = memtable.has_pointers() && !planted!(ValuesNotSynced);
        if has_pointers || self.all_families().len() > 1 {
            // What the tables point to must be there. And a batch over several families must not
            // come back in part after a loss of power.
            self.log.sync()?;
        }
        let state = family.share();
        // Nothing lies beneath the first memtable of a range: then it is the bottom already.
        let is_alone = match (memtable.first_key(), memtable.last_key()) {
            (Some(first), Some(last)) => state.version.is_free(first, last),
            _ => true,
        };
        let cursor = memtable::Cursor::new(Arc::clone(memtable), Versions::All);
        let mut merge = Merge::new(vec![Source::Memory(cursor)]);
        let options = self.table_options(0, &state.version, self.birth());
        // A memtable becomes one table.
        let options = TableOptions { table_size: u64::MAX, ..options };
        // Of newer memtables nothing may be used: their part of the log may not survive.
        let guard = epoch::pin();
        let own = memtable.removals(&guard).into_iter().flat_map(Layers::all);
        let own: Vec<Removal> = own.cloned().collect();
        drop(guard);
        let known = if own.is_empty() {
            Arc::clone(&state.version.removals)
        } else {
            Arc::new(state.version.removals.with(own.iter().cloned()))
        };
        let beneath = Beneath::new(state.version.runs());
        let mut retain = Retain::new(self.snapshots.list(), known, is_alone, beneath);
        let next = state.immutables.iter().rev().nth(1).map_or(&state.memtable, |it| it);
        let mut flushed = next.log_start;
        let origin = Origin::of_flush(family.id, &family.name, flushed);
        let everything = Range::default();
        let metas = self.write_tables(&mut merge, &everything, &mut retain, options, origin)?;
        let tables = self.open_tables(&metas)?;
        let after = Arc::clone(memtable);
        flushed.segment += u64::from(planted!(FlushedTooFar));
        if planted!(LogReleasedEarly) {
            self.log.release(self.log.end())?;
        }
        let mut edits = vec![Edit::Flushed(family.id, flushed), Edit::Sequence(self.visible())];
        edits.extend(metas.iter().map(|it| Edit::Add(family.id, Place::TOP, it.clone())));
        edits.extend(own.iter().map(|it| Edit::Removal(family.id, it.clone())));
        let added = tables.into_iter().map(|it| (Place::TOP, it)).collect();
        let change = Change { added, removals: own, ..Change::default() };
        self.install(family, &edits, |state| {
            let mut immutables = state.immutables.clone();
            let oldest = immutables.pop();
            debug_assert!(oldest.is_some_and(|it| Arc::ptr_eq(&it, &after)), "flushes keep order");
            let version = Arc::new(state.version.with(&change));
            State { immutables, version, ..state.clone() }
        })?;
        self.counters.flushed(metas.iter().map(|it| it.size).sum());
        if memtable.has_pointers() {
            self.retired.lock().push(Arc::downgrade(memtable));
        }
        self.release_log()
    }

    /// What keeps the levels in their shape.
    fn due(&self, version: &Version) -> Option<Job> {
        compact::pick(version, &self.options, self.meaning.now())
    }

    /// Does one merge. False where none is due.
    pub(crate) fn compact_one(&self) -> Result<bool> {
        let _one_at_a_time = self.compacting.lock();
        for family in self.all_families() {
            if self.tidy_removals(&family)? {
                return Ok(true);
            }
            let version = Arc::clone(&family.share().version);
            let job = self.due(&version);
            let job = job.or_else(|| self.chore(&family, &version));
            if let Some(job) = job {
                self.compact(&family, version, job)?;
                return Ok(true);
            }
        }
        // What a copy kept from being swept.
        self.sweep_values()?;
        Ok(false)
    }

    /// Merges all that a family has into one run on the lowest level that holds anything.
    pub(crate) fn compact_all(&self, family: &FamilyCore) -> Result<()> {
        let _one_at_a_time = self.compacting.lock();
        // An edit would bring one back that was dropped meanwhile.
        if !self.has_family(family.id) || self.is_fifo() {
            return Ok(());
        }
        let version = Arc::clone(&family.share().version);
        let removals = version.removals.all();
        let has_garbage = version.tables().map(|it| &it.1.meta).any(|it| {
            let is_removed = |by: &Removal| by.overlaps(&it.smallest, &it.largest);
            it.garbage > 0 || removals.iter().any(is_removed)
        });
        if let Some(job) = compact::everything(&version, has_garbage) {
            self.compact(family, version, job)?;
        }
        while self.tidy_removals(family)? {}
        self.sweep_values()
    }

    fn compact(&self, family: &FamilyCore, version: Arc<Version>, job: Job) -> Result<()> {
        self.manifest.lock().require_going_on()?;
        let removed: Vec<u64> = job.tables().map(|it| it.meta.number).collect();
        let tables = match job.action {
            Action::Drop => Vec::new(),
            Action::Move => {
                self.counters.moved();
                job.tables().map(Arc::clone).collect()
            }
            Action::Merge => self.merge(family, &version, &job)?,
        };
        let remove = removed.iter().map(|it| Edit::Remove(family.id, *it));
        let add = tables.iter().map(|it| Edit::Add(family.id, job.target, it.meta.clone()));
        let edits: Vec<_> = remove.chain(add).collect();
        let change = Change {
            removed: removed.clone(),
            added: tables.into_iter().map(|it| (job.target, it)).collect(),
            ..Change::default()
        };
        self.install_change(family, &edits, &change)?;
        if job.action != Action::Move {
            self.remove_tables(&removed)?;
            let replaced: Vec<_> = job.tables().map(Arc::clone).collect();
            drop((version, job));
            self.free(replaced);
        }
        self.sweep_values()
    }

    fn merge(&self, family: &FamilyCore, version: &Version, job: &Job) -> Result<Vec<Arc<Table>>> {
        // Zero, too, where none of them has a date.
        let born = job.tables().map(|it| it.meta.special.born).max().unwrap_or(0);
        let options = self.table_options(job.target.level, version, born);
        let removals = Arc::clone(&version.removals);
        let beneath = Beneath::new(version.beneath(job.target));
        let is_bottom = job.is_bottom(version);
        let retain = Retain::new(self.snapshots.list(), removals, is_bottom, beneath);
        let origin = self.merged_from(family, job);
        let part = |range: &Range| {
            let source = |run: &Run| Source::Run(RunCursor::new(run.clone(), false));
            let mut merge = Merge::new(job.sources.iter().map(source).collect());
            self.write_tables(&mut merge, range, &mut retain.clone(), options, origin.clone())
        };
        let metas = self.in_parts(&job.parts(&self.options), part)?;
        self.counters.merged(metas.iter().map(|it| it.size).sum());
        self.open_tables(&metas)
    }

    fn merged_from(&self, family: &FamilyCore, job: &Job) -> Origin {
        let manifest = self.manifest.lock();
        let flushed = manifest.facts().families.get(&family.id).and_then(|it| it.flushed);
        Origin {
            level: job.target.level,
            replaces: job.tables().map(|it| it.meta.number).collect(),
            ..Origin::of_flush(family.id, &family.name, flushed.unwrap_or(START))
        }
    }

    /// Writes the parts of a merge, each on a thread of its own, or none of them.
    fn in_parts(
        &self,
        parts: &[Range],
        write: impl Fn(&Range) -> Result<Vec<TableMeta>> + Sync,
    ) -> Result<Vec<TableMeta>> {
        let (first, others) = parts.split_first().expect("a merge has a part");
        let outcomes = thread::scope(|scope| {
            let others: Vec<_> = others.iter().map(|it| scope.spawn(|| write(it))).collect();
            let mut outcomes = vec![catch_unwind(AssertUnwindSafe(|| write(first)))];
            outcomes.extend(others.into_iter().map(ScopedJoinHandle::join));
            outcomes
        });
        let (mut metas, mut failure) = (Vec::new(), None);
        for outcome in outcomes {
            match outcome.unwrap_or(Err(Error::Panicked)) {
                Ok(written) => metas.extend(written),
                Err(cause) => failure = failure.or(Some(cause)),
            }
        }
        if let Some(cause) = failure {
            output::discard(self, metas.iter().map(|it| it.number));
            return Err(cause);
        }
        Ok(metas)
    }

    /// Makes an edit and shows it to readers, in one order for all. Where that fails the tables go
    /// that it would have added.
    pub(crate) fn install(
        &self,
        family: &FamilyCore,
        edits: &[Edit],
        change: impl FnOnce(&State) -> State,
    ) -> Result<()> {
        let mut manifest = self.manifest.lock();
        if let Err(cause) = manifest.edit(edits) {
            drop(manifest);
            output::discard(self, manifest::added(edits));
            return Err(cause);
        }
        family.change(change);
        Ok(())
    }

    /// Removes files that no version names any more. Cursors that have them open go on.
    pub(crate) fn remove_tables(&self, numbers: &[u64]) -> Result<()> {
        let mut kept = self.kept.lock();
        if kept.copies > 0 {
            kept.waiting.extend_from_slice(numbers);
            return Ok(());
        }
        let folder = self.tables_folder();
        for number in numbers {
            self.fs.remove_file(&table::path(&folder, *number))?;
        }
        Ok(())
    }
}
