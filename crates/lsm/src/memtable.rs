//! The memtable: the newest changes, sorted, in memory.
//!
//! ```text
//!   tree  "apple" ----> stamp 9 "red"  --older-->  stamp 4 "green"  --older-->  none
//!         "pear"  ----> stamp 7 removed
//! ```
//!
//! The tree has each key once. Its versions hang on it as a chain, the newest first, so that a scan
//! steps from key to key however often they were overwritten. One thread inserts; readers do not
//! wait, because records never change and nodes only grow (see `memtable/tree.rs`).
//!
//! # What this module does not do
//!
//! It never forgets: versions that nobody can see any more leave when the memtable is written to a
//! table. It does not log.

mod arena;
mod nodes;
mod tree;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_epoch::{self as epoch, Guard};
use wal::Position;

use self::arena::{Arena, Handle, Record};
use self::tree::{Place, Probe, Seek, Tree};
use crate::cache::{Cache, Loan};
use crate::head::Prefix;
use crate::removal::{Layers, Removal};
use crate::slot::Slot;
use crate::stamp::{Kind, Sequence, Stamp};

/// Bytes that memory hands over at once.
const LINE: usize = 64;
/// Of a record that is fetched, so many lines: what follows the processor sees coming.
const LINES_FETCHED: usize = 4;
/// A tree that grows borrows so much at a time.
const BORROWED: usize = 64 << 10;
/// Removals of so many bytes at most: one edit of the manifest takes them all.
const REMOVED_MAX: usize = 2 << 20;

/// The newest changes; see the module's header.
#[derive(Debug)]
pub(crate) struct Memtable {
    arena: Arena,
    tree: Tree,
    prefix: Prefix,
    /// Changes in it are in the log from here on.
    pub(crate) log_start: Position,
    /// The number of this memtable; later ones have larger numbers.
    pub(crate) number: u64,
    changes: AtomicUsize,
    /// Ranges of keys that were removed while this memtable took the writes.
    removals: Slot<Layers>,
    /// Bytes of their ends.
    removed: AtomicUsize,
    /// Whether some of its values lie in the log alone.
    has_pointers: AtomicBool,
    /// The room that it has from the cache: for its tree, and on its way to the disk for all.
    loan: OnceLock<Loan>,
}

impl Memtable {
    /// An empty one for `capacity` bytes of records, whose keys are expected to share `prefix`.
    pub(crate) fn new(number: u64, capacity: usize, prefix: Prefix, log_start: Position) -> Self {
        let arena = Arena::new(capacity);
        let tree = Tree::new(&arena);
        let (changes, removals) = (AtomicUsize::new(0), Slot::new(None));
        let (removed, has_pointers) = (AtomicUsize::new(0), AtomicBool::new(false));
        let loan = OnceLock::new();
        Self {
            arena,
            tree,
            prefix,
            log_start,
            number,
            changes,
            removals,
            removed,
            has_pointers,
            loan,
        }
    }

    /// What a change takes of the capacity.
    pub(crate) fn span(key: usize, value: usize) -> usize {
        Arena::span(key, value)
    }

    /// Whether changes of so many bytes fit.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        // Relaxed: a size.
        let removed = self.removed.load(Ordering::Relaxed);
        removed < REMOVED_MAX && self.arena.has_room(bytes + removed)
    }

    /// Bytes of records that are taken, and that there are.
    pub(crate) fn used(&self) -> usize {
        self.arena.used()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.arena.capacity()
    }

    /// Bytes that it takes now.
    pub(crate) fn bytes(&self) -> usize {
        // Relaxed: a size.
        self.arena.used() + self.tree.bytes() + self.removed.load(Ordering::Relaxed)
    }

    /// Takes the room of its tree from the cache, of which there is more the smaller the records
    /// are. The one writer's, before each insert.
    #[inline]
    pub(crate) fn borrow_for_tree(&self, cache: &Arc<Cache>) {
        let loan = self.loan.get_or_init(|| cache.lend(0));
        let bytes = self.tree.bytes();
        if bytes > loan.bytes() {
            loan.grow_to(bytes + BORROWED);
        }
    }

    /// Takes all of its room from the cache from now on: the next memtable takes the writes.
    pub(crate) fn borrow_from(&self, cache: &Arc<Cache>) {
        self.loan.get_or_init(|| cache.lend(0)).grow_to(self.bytes());
    }

    /// How many changes were inserted.
    pub(crate) fn changes(&self) -> usize {
        // Relaxed: a count, nothing is reached through it.
        self.changes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes() == 0
    }

    /// Whether some of its values lie in the log alone: then no part of the log from its start on
    /// may be used again while somebody reads it.
    pub(crate) fn has_pointers(&self) -> bool {
        // Relaxed: whoever gives the log back took the lock of flushes after the last insert.
        self.has_pointers.load(Ordering::Relaxed)
    }

    /// Inserts a change. One thread at a time, stamps ascending; there must be room.
    pub(crate) fn insert(&self, stamp: Stamp, key: &[u8], value: &[u8]) {
        if stamp.is(Kind::Pointer) {
            // Relaxed: as above.
            self.has_pointers.store(true, Ordering::Relaxed);
        }
        let probe = self.probe(key);
        self.tree.insert(&self.arena, probe, |older| self.arena.push(stamp, older, key, value));
        // Relaxed: a count, and there is one writer.
        self.changes.store(self.changes() + 1, Ordering::Relaxed);
    }

    /// Removes a range of keys, also from what lies beneath. One thread at a time, as for inserts.
    pub(crate) fn remove_range(&self, removal: Removal) {
        let guard = epoch::pin();
        // Relaxed: a size, and there is one writer.
        self.removed.fetch_add(removal.start.len() + removal.end.len(), Ordering::Relaxed);
        let removals = match self.removals.load(&guard) {
            Some(before) => before.with(removal),
            None => Layers::default().with(removal),
        };
        self.removals.replace(Some(Arc::new(removals)), &guard);
        // Relaxed: as above.
        self.changes.store(self.changes() + 1, Ordering::Relaxed);
    }

    /// The ranges of keys that were removed, if any were.
    #[inline]
    pub(crate) fn removals<'g>(&self, guard: &'g Guard) -> Option<&'g Layers> {
        self.removals.load(guard)
    }

    /// The newest version of a key that is not above `sequence`.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], sequence: Sequence) -> Option<(Stamp, &[u8])> {
        let newest = self.tree.get(&self.arena, self.probe(key))?;
        let record = self.arena.record(self.visible(newest, sequence)?);
        Some((record.stamp(), record.value))
    }

    pub(crate) fn first_key(&self) -> Option<&[u8]> {
        self.tree.first().map(|it| self.newest(it).key)
    }

    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        self.tree.last().map(|it| self.newest(it).key)
    }

    /// What its keys share, as far as its smallest and largest key tell.
    pub(crate) fn shared_prefix(&self) -> Prefix {
        match (self.first_key(), self.last_key()) {
            (Some(first), Some(last)) => Prefix::shared(first, last),
            _ => Prefix::default(),
        }
    }

    #[inline]
    fn probe<'k>(&self, key: &'k [u8]) -> Probe<'k> {
        Probe { head: self.prefix.head(key), key }
    }

    fn seek(&self, probe: Probe<'_>, seek: Seek) -> Option<Place> {
        self.tree.seek(&self.arena, probe, seek)
    }

    /// The first version of a chain that a snapshot sees.
    #[inline]
    fn visible(&self, newest: Handle, sequence: Sequence) -> Option<Handle> {
        let mut handle = newest;
        loop {
            let record = self.arena.record(handle);
            if record.stamp().sequence() <= sequence {
                return Some(handle);
            }
            handle = record.older()?;
        }
    }

    /// Reads a little of each record of a leaf, so that they come from memory side by side, and not
    /// one after the other as a cursor gets to them.
    fn fetch(&self, place: Place) {
        let touch = |it: Handle| {
            let record = self.arena.record(it);
            record.value.iter().step_by(LINE).take(LINES_FETCHED).fold(0, |sum, it| sum ^ it)
        };
        let touched = self.tree.records_from(place).map(touch).fold(0, |sum, it| sum ^ it);
        // The compiler would leave out what nobody uses.
        black_box(touched);
    }

    fn newest(&self, place: Place) -> Record<'_> {
        self.arena.record(self.tree.record_at(place))
    }
}

/// Which versions of a key a [`Cursor`] shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    /// The newest that a snapshot sees.
    VisibleAt(Sequence),
    /// All, the newest first.
    All,
}

/// A place in a memtable, which it keeps alive.
#[derive(Debug)]
pub(crate) struct Cursor {
    table: Arc<Memtable>,
    versions: Versions,
    at: Option<(Place, Handle)>,
}

impl Cursor {
    pub(crate) fn new(table: Arc<Memtable>, versions: Versions) -> Self {
        Self { table, versions, at: None }
    }

    /// What keys were expected to begin with when the memtable was made.
    pub(crate) fn expected_prefix(&self) -> &Prefix {
        &self.table.prefix
    }

    /// The record here, unless the cursor is at an end.
    #[inline]
    pub(crate) fn record(&self) -> Option<Record<'_>> {
        self.at.map(|(_, handle)| self.table.arena.record(handle))
    }

    pub(crate) fn seek_last(&mut self) {
        self.settle_backward(self.table.tree.last());
    }

    /// To the first key that is not below.
    pub(crate) fn seek(&mut self, key: &[u8]) {
        self.settle_forward(self.table.seek(self.table.probe(key), Seek::AtLeast));
    }

    /// To the last key below.
    pub(crate) fn seek_below(&mut self, key: &[u8]) {
        self.settle_backward(self.table.seek(self.table.probe(key), Seek::Below));
    }

    pub(crate) fn next(&mut self) {
        let Some((place, handle)) = self.at else { return };
        if self.versions == Versions::All
            && let Some(older) = self.table.arena.record(handle).older()
        {
            self.at = Some((place, older));
        } else {
            self.settle_forward(self.behind(place));
        }
    }

    /// To the key before. For cursors that show one version of a key.
    pub(crate) fn prev(&mut self) {
        debug_assert_ne!(self.versions, Versions::All, "versions are shown in one order only");
        if let Some((place, _)) = self.at {
            self.settle_backward(self.before(place));
        }
    }

    /// Within a leaf by its order, and from leaf to leaf by the key: leaves may have been split.
    fn behind(&self, place: Place) -> Option<Place> {
        Tree::next_in_leaf(place).or_else(|| {
            let key = self.table.newest(place).key;
            let behind = self.table.seek(self.table.probe(key), Seek::Above);
            if self.versions == Versions::All {
                behind.inspect(|it| self.table.fetch(*it))
            } else {
                behind
            }
        })
    }

    fn before(&self, place: Place) -> Option<Place> {
        let key = self.table.newest(place).key;
        self.table.seek(self.table.probe(key), Seek::Below)
    }

    fn settle_forward(&mut self, mut place: Option<Place>) {
        self.at = loop {
            let Some(here) = place else { break None };
            if let Some(handle) = self.shown(here) {
                break Some((here, handle));
            }
            place = self.behind(here);
        }
    }

    fn settle_backward(&mut self, mut place: Option<Place>) {
        self.at = loop {
            let Some(here) = place else { break None };
            if let Some(handle) = self.shown(here) {
                break Some((here, handle));
            }
            place = self.before(here);
        }
    }

    /// The first version at a place that the cursor shows.
    fn shown(&self, place: Place) -> Option<Handle> {
        let newest = self.table.tree.record_at(place);
        match self.versions {
            Versions::All => Some(newest),
            Versions::VisibleAt(sequence) => self.table.visible(newest, sequence),
        }
    }
}

#[cfg(test)]
mod tests;
