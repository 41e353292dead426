//! What heaps share: a pool, a list of all heaps, options, and the system below.
//!
//! A process has one; a test makes its own, over a system that obeys the test.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::heap::{Heap, Role};
use crate::lock::Locked;
use crate::options::Options;
use crate::os::Os;
use crate::pool::{Pool, SYSTEM};
use crate::sync::yield_now;

/// See the module's header.
pub(crate) struct World {
    os: &'static dyn Os,
    pub(crate) pool: Pool,
    heaps: Locked<Heaps>,
    /// Heaps without an owner: a hint.
    pub(crate) orphans: AtomicUsize,
    /// Heaps that were ever made.
    made: AtomicUsize,
    /// Those that a thread has, or an object. Where it is fewer, the others are orphans, or about
    /// to be: whoever claims one to look into it gives it back at once.
    taken: AtomicUsize,
    /// Written once, before the first heap is made.
    options: Cell<Options>,
}

// SAFETY: the one field that is a cell is written before a second thread can know of the world.
#[expect(unsafe_code, reason = "options are set once")]
unsafe impl Sync for World {}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// All heaps that were ever made, newest first. Heaps live for ever and are used again.
#[derive(Debug)]
struct Heaps {
    first: Option<&'static Heap>,
    count: usize,
    /// Where the next look for a slab of an orphan begins.
    cursor: Option<&'static Heap>,
    /// Room for heaps that is not used yet.
    room: usize,
    room_end: usize,
}

/// The world of this process.
pub(crate) static WORLD: World = World::new(&SYSTEM);

/// Orphans that are looked at for one slab, or for one that was left nearby.
const LOOKS: usize = 8;

/// How often a thread that begins looks for an orphan which others hold for a moment.
const PATIENCE: usize = if EXPLORED { 2 } else { 8 };

/// An explorer does not see hints: it must look where they say that there is nothing to be found,
/// or it would not learn that another thread's doings matter.
const EXPLORED: bool = cfg!(any(loom, shuttle));

impl World {
    pub(crate) const fn new(os: &'static dyn Os) -> Self {
        Self {
            os,
            pool: Pool::new(),
            heaps: Locked::new(Heaps { first: None, count: 0, cursor: None, room: 0, room_end: 0 }),
            orphans: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            options: Cell::new(Options::new()),
        }
    }

    pub(crate) fn os(&self) -> &'static dyn Os {
        self.os
    }

    pub(crate) fn options(&self) -> Options {
        self.options.get()
    }

    /// Sets the options, before the first heap is made.
    pub(crate) fn set_options(&self, options: Options) {
        self.options.set(options);
    }

    /// A heap for a thread: an orphan, else a new one; `None` where there is no memory.
    pub(crate) fn heap(&'static self, role: Role) -> Option<&'static Heap> {
        let orphan = if role == Role::Thread { self.adopt() } else { None };
        let heap = match orphan {
            Some(heap) => heap,
            None => self.heaps.with(|heaps| heaps.make(self, role))?,
        };
        // Relaxed: counts, here and below.
        self.made.fetch_add(usize::from(orphan.is_none()), Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
        if orphan.is_some() {
            heap.settle();
        }
        Some(heap)
    }

    /// An orphan for a thread. It is worth a wait: a heap lives for ever, and each has slabs of its
    /// own for every class, so that one too many costs memory from then on.
    fn adopt(&self) -> Option<&'static Heap> {
        for _ in 0..PATIENCE {
            // Relaxed: hints; a thread that misses an orphan makes a heap.
            let all_taken = self.taken.load(Ordering::Relaxed) >= self.made.load(Ordering::Relaxed);
            if all_taken && !EXPLORED {
                return None;
            }
            let here = self.os.processor();
            let adopted = self.heaps.with(|heaps| heaps.claim_near(here));
            if adopted.is_some() {
                return adopted;
            }
            yield_now();
        }
        None
    }

    /// Heaps that there are.
    pub(crate) fn heaps_made(&self) -> usize {
        self.made.load(Ordering::Relaxed) // Relaxed: a count.
    }

    /// Whether it is worth looking for an orphan.
    pub(crate) fn may_have_orphans(&self) -> bool {
        // Relaxed: a hint.
        self.orphans.load(Ordering::Relaxed) > 0 || EXPLORED
    }

    /// A heap was claimed.
    pub(crate) fn is_claimed(&self) {
        self.orphans.fetch_sub(1, Ordering::Relaxed); // Relaxed: a hint.
    }

    /// A heap is about to have no owner: counted first, so that the count never falls below zero.
    pub(crate) fn is_handed_back(&self) {
        self.orphans.fetch_add(1, Ordering::Relaxed); // Relaxed: a hint.
    }

    /// A heap will be an orphan soon: its thread ends.
    pub(crate) fn is_left(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed); // Relaxed: a count.
    }

    /// In the child of a `fork`, nobody gives back the heaps that were in other threads' hands.
    pub(crate) fn keep_taken(&self) {
        // Relaxed: the child has one thread.
        let orphans = self.orphans.load(Ordering::Relaxed);
        let made = self.made.load(Ordering::Relaxed);
        self.taken.store(made.saturating_sub(orphans), Ordering::Relaxed);
    }

    /// Calls `visit` with orphans that were claimed for it, until it returns true.
    pub(crate) fn visit_orphans(&'static self, mut visit: impl FnMut(&'static Heap) -> bool) {
        for _ in 0..LOOKS {
            let Some(orphan) = self.heaps.with(Heaps::next_orphan) else { return };
            let done = visit(orphan);
            orphan.hand_back();
            if done {
                return;
            }
        }
    }

    /// Visits all heaps, under the lock.
    pub(crate) fn each_heap(&self, visit: impl FnMut(&'static Heap)) {
        self.heaps.with(|heaps| {
            std::iter::successors(heaps.first, |heap| heap.next.get()).for_each(visit);
        });
    }

    /// Gives memory back: of orphans, and all that is free.
    pub(crate) fn collect(&'static self) {
        let mut last = None;
        self.visit_orphans(|heap| {
            heap.settle();
            last.replace(heap).is_some_and(|last| std::ptr::eq(last, heap))
        });
        self.pool.round(self, true);
    }

    /// Closes all locks for a `fork`.
    pub(crate) fn close(&self) {
        self.heaps.close();
        self.pool.close();
    }

    /// Opens them again, in the parent and in the child.
    pub(crate) fn open(&self) {
        self.pool.open();
        self.heaps.open();
    }
}

impl Heaps {
    fn make(&mut self, world: &'static World, role: Role) -> Option<&'static Heap> {
        /// Bytes of room that are mapped at once; only what is used costs memory.
        const ROOM: usize = 1 << 20;
        let size = size_of::<Heap>().next_multiple_of(64);
        if self.room_end - self.room < size {
            let start = world.os.map(0, ROOM);
            if start.is_null() {
                return None;
            }
            self.room = start.expose_provenance();
            self.room_end = self.room + ROOM;
        }
        let heap = Heap::found(std::ptr::with_exposed_provenance_mut(self.room), world, role);
        self.room += size;
        self.count += 1;
        heap.next.set(self.first);
        self.first = Some(heap);
        Some(heap)
    }

    /// Claims an orphan, rather one that was left on this processor: of threads that come and go,
    /// each on its own, each finds its blocks again. Else what they free would be another's, and
    /// wait in parcels.
    fn claim_near(&self, processor: u32) -> Option<&'static Heap> {
        let all = std::iter::successors(self.first, |heap| heap.next.get());
        let mut orphans = all.filter(|heap| heap.is_orphan());
        let near = orphans.clone().take(LOOKS);
        let near = near.filter(|heap| heap.was_left_on(processor)).find(|heap| heap.claim());
        near.or_else(|| orphans.find(|heap| heap.claim()))
    }

    /// Claims the next orphan after the cursor.
    fn next_orphan(&mut self) -> Option<&'static Heap> {
        for _ in 0..=self.count {
            self.cursor = self.cursor.and_then(|heap| heap.next.get()).or(self.first);
            let heap = self.cursor?;
            if heap.claim() {
                return Some(heap);
            }
        }
        None
    }
}
