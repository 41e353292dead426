//! What all handles of a store share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_epoch as epoch;
use crossbeam_epoch::Guard;
use env::fs::{Fs, Lock};
use wal::{Log, Position};

use super::removals::Fences;
use crate::batch::{FamilyId, StoreId};
use crate::cache::Cache;
use crate::gaps::Gaps;
use crate::head::Prefix;
use crate::manifest::Manifest;
use crate::meaning::Meaning;
use crate::memtable::Memtable;
use crate::planted::planted;
use crate::slot::Slot;
use crate::snapshot::Snapshots;
use crate::stamp::Sequence;
use crate::stats::Counters;
use crate::sync::{Condvar, Mutex, RwLock, point};
use crate::version::Version;
use crate::{Error, Options, Result};

/// The shared part of a store.
///
/// Locks are taken in this order: `writer`, `flushing` or `compacting`, `manifest`, a family's
/// `install`, `work` or `kept`.
#[derive(Debug)]
pub(crate) struct Core {
    /// Tells handles of families from those of other stores.
    pub(crate) id: StoreId,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) folder: PathBuf,
    pub(crate) options: Options,
    pub(crate) meaning: Arc<Meaning>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) log: Log,
    /// The number of the last finished write: what readers see.
    pub(crate) visible: AtomicU64,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) families: RwLock<Vec<Arc<FamilyCore>>>,
    pub(crate) snapshots: Snapshots,
    pub(crate) manifest: Mutex<Manifest>,
    pub(crate) next_table: AtomicU64,
    pub(crate) next_memtable: AtomicU64,
    /// Whether a segment of the log is to be made ready for the time after the present one.
    pub(crate) wants_segment: AtomicBool,
    /// Whether the log is still being read again: no part of it may go.
    pub(crate) is_replaying: AtomicBool,
    pub(crate) flushing: Mutex<()>,
    pub(crate) compacting: Mutex<()>,
    /// Memtables that were written out and whose values lie in the log, for as long as they live.
    pub(crate) retired: Mutex<Vec<Weak<Memtable>>>,
    pub(crate) kept: Mutex<Kept>,
    pub(crate) work: Mutex<Work>,
    /// Something is to be done, or the end has come.
    pub(crate) wake: Condvar,
    /// Something was done, or failed.
    pub(crate) done: Condvar,
    pub(crate) counters: Counters,
    /// Held for as long as the store is open: one process, one handle.
    pub(crate) _lock: Box<dyn Lock>,
}

/// What the one who writes needs.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) last: Sequence,
    /// The segment of the log for which the next one was last asked for.
    pub(crate) segment: u64,
    /// The segment of the log that was the last when somebody looked who holds up old ones.
    pub(crate) looked: u64,
    /// The families by number, so that a write need not ask for them elsewhere.
    pub(crate) families: Vec<Arc<FamilyCore>>,
}

impl Writer {
    #[inline]
    pub(crate) fn family(&self, id: FamilyId) -> Option<&Arc<FamilyCore>> {
        self.families.binary_search_by_key(&id, |it| it.id).ok().map(|at| &self.families[at])
    }
}

/// Files of tables that no version names and that are not removed yet.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Copies that are being made.
    pub(crate) copies: usize,
    /// The numbers of tables that go when these are done.
    pub(crate) waiting: Vec<u64>,
}

/// What the threads behind the writes are told, and tell.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// How often somebody called for work: a thread that missed a call sees it here.
    pub(crate) calls: u64,
    pub(crate) is_ending: bool,
    /// Why the last attempt failed, until one succeeds.
    pub(crate) failure: Option<Error>,
    /// Attempts so far, failed ones included.
    pub(crate) attempts: u64,
    /// Threads that are at work.
    pub(crate) busy: usize,
}

/// A family.
#[derive(Debug)]
pub(crate) struct FamilyCore {
    pub(crate) id: FamilyId,
    pub(crate) name: String,
    pub(crate) state: Slot<State>,
    /// Held while `state` is replaced.
    pub(crate) install: Mutex<()>,
    pub(crate) fences: Mutex<Fences>,
    /// The number of the memtable that is written out, until its memory is free; else `NONE`.
    pub(crate) leaving: AtomicU64,
}

/// No memtable has this number.
pub(crate) const NONE: u64 = u64::MAX;

/// What a reader needs, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) memtable: Arc<Memtable>,
    /// Memtables on their way to the disk, the newest first.
    pub(crate) immutables: Vec<Arc<Memtable>>,
    pub(crate) version: Arc<Version>,
    /// The same in all states of a family.
    pub(crate) gaps: Arc<Gaps>,
}

impl Default for State {
    /// The state of a family that holds nothing and takes nothing.
    fn default() -> Self {
        let start = Position { segment: 0, offset: 0 };
        let memtable = Arc::new(Memtable::new(0, 0, Prefix::default(), start));
        Self { memtable, immutables: Vec::new(), version: Arc::default(), gaps: Arc::default() }
    }
}

impl FamilyCore {
    pub(crate) fn new(id: FamilyId, name: String, state: State) -> Self {
        let state = Slot::new(Some(Arc::new(state)));
        let (install, fences) = (Mutex::default(), Mutex::default());
        Self { id, name, state, install, fences, leaving: AtomicU64::new(NONE) }
    }

    /// The present state, for as long as the guard pins it.
    #[inline]
    pub(crate) fn state<'g>(&self, guard: &'g Guard) -> &'g State {
        point();
        let state = self.state.load(guard).expect("a family always has a state");
        point();
        state
    }

    /// The present state for longer use.
    pub(crate) fn share(&self) -> Arc<State> {
        point();
        self.state.share(&epoch::pin()).expect("a family always has a state")
    }

    /// Whether its memtable takes `bytes` more.
    #[inline]
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.state(&epoch::pin()).memtable.has_room(bytes)
    }

    /// Puts another state in place of the present one.
    pub(crate) fn change(&self, change: impl FnOnce(&State) -> State) {
        let guard = epoch::pin();
        let _one_at_a_time = self.install.lock();
        let old = self.state(&guard);
        let new = change(old);
        if planted!(SwappedInTwo) {
            let half = State { version: Arc::clone(&old.version), ..new.clone() };
            self.state.replace(Some(Arc::new(half)), &guard);
            point();
        }
        self.state.replace(Some(Arc::new(new)), &guard);
        // A state may hold a memtable; it should not wait for this thread's next garbage.
        guard.flush();
    }
}

impl State {
    /// Puts an empty memtable before the one that is full.
    pub(crate) fn begin_memtable(&mut self, capacity: usize, start: Position) {
        let number = self.memtable.number + 1;
        let prefix = self.memtable.shared_prefix();
        let memtable = Arc::new(Memtable::new(number, capacity, prefix, start));
        self.immutables.insert(0, std::mem::replace(&mut self.memtable, memtable));
    }

    /// Where the log holds changes of this family that no table has; `None` where there are none.
    pub(crate) fn log_start(&self) -> Option<Position> {
        let active = Some(&self.memtable).filter(|it| !it.is_empty());
        self.immutables.last().or(active).map(|it| it.log_start)
    }

    pub(crate) fn memory(&self) -> usize {
        self.immutables.iter().chain([&self.memtable]).map(|it| it.bytes()).sum()
    }
}

impl Core {
    /// The number of the last finished write.
    #[inline]
    pub(crate) fn visible(&self) -> Sequence {
        point();
        // Acquire: pairs with the release of the commit; its changes are in the memtables.
        self.visible.load(Ordering::Acquire)
    }

    pub(crate) fn tables_folder(&self) -> PathBuf {
        self.folder.join("tables")
    }

    pub(crate) fn new_table_number(&self) -> u64 {
        // Relaxed: numbers only have to differ.
        self.next_table.fetch_add(1, Ordering::Relaxed)
    }

    /// A memtable that takes at least `room` bytes, for changes that the log holds from `start` on.
    pub(crate) fn new_memtable(
        &self,
        room: usize,
        before: &Memtable,
        start: Position,
    ) -> Arc<Memtable> {
        let capacity = self.options.memtable_size.max(room) + 64;
        // Relaxed: numbers only have to differ.
        let number = self.next_memtable.fetch_add(1, Ordering::Relaxed);
        Arc::new(Memtable::new(number, capacity, before.shared_prefix(), start))
    }

    /// The families, as they are now.
    pub(crate) fn all_families(&self) -> Vec<Arc<FamilyCore>> {
        self.families.read().clone()
    }

    /// Whether the family was not dropped.
    pub(crate) fn has_family(&self, id: FamilyId) -> bool {
        self.families.read().iter().any(|it| it.id == id)
    }

    /// Gives back the part of the log that no memtable needs.
    pub(crate) fn release_log(&self) -> Result<()> {
        // Relaxed: whoever opens the store is alone. What was not read again is in no memtable yet.
        if self.is_replaying.load(Ordering::Relaxed) {
            return Ok(());
        }
        let end = self.log.end();
        let families = self.families.read();
        let start = families.iter().filter_map(|it| it.share().log_start()).min().unwrap_or(end);
        let mut retired = self.retired.lock();
        retired.retain(|it| it.strong_count() > 0);
        let read = retired.iter().filter_map(Weak::upgrade).map(|it| it.log_start).min();
        let start = start.min(end).min(read.unwrap_or(end));
        drop(families);
        let needed = self.needed_values();
        self.log.release_with(start, |segment, size| {
            self.meaning.values.fate(segment, size, &needed)
        })?;
        Ok(())
    }
}
