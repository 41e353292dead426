//! Whose slices are whose: segments, and how memory goes back to the system.
//!
//! ```text
//!          take                      give                   two rounds later
//!   clean ------> used by a heap ---------> dirty, restless -----> resting -----> purged: clean
//!                        ^---------------------------'---------------'
//!                              take: first fit, dirty or clean
//! ```
//!
//! First fit keeps what is used together at low addresses, and what was used lately is used again
//! before fresh memory is. A slab is rather made where one of its class was: many are filled in
//! part, and slices that go from class to class end up touched all over.
//!
//! A *round* comes every half decay time: it purges what has been free since the round before. So a
//! slice is purged after one to two half times, without a stamp on each.
//!
//! Huge pages are a matter of their own ([`huge`]).
//!
//! # What this module does not do
//!
//! It knows no blocks and no threads.

#![expect(unsafe_code, reason = "memory is taken from the system and given back")]

mod huge;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use self::huge::Huge;
use crate::lock::Locked;
use crate::os::{Linux, Os, draws_addresses, random};
use crate::planted::{self, Bug};
use crate::purger;
use crate::segment::{CHUNK, HEAD, SEGMENT, SLICES, Segment};
use crate::size_class::SLICE;
use crate::slab::{Kind, Slab};
use crate::valgrind;
use crate::world::{WORLD, World};

/// Where the first segment is to be at the earliest; far from what else a process maps.
const HINT: usize = 0x0100_0000_0000;
/// Places for it, a segment from each to the next: 64 TiB, which end below where programs lie.
const PLACES: u64 = 1 << 20;

/// Dirty slices that are looked at for one that was a slab of the same class.
const LOOKS: usize = 64;

/// A page of the system, at the least.
const PAGE: usize = 4096;

/// The largest span that a segment holds.
pub(crate) const SPAN_MAX: usize = SLICES / 2;

/// The segments, and counts that may be read without the lock.
#[derive(Debug)]
pub(crate) struct Pool {
    segments: Locked<Segments>,
    /// Slices that heaps have.
    pub(crate) used: AtomicUsize,
    /// Slices that are free and not clean.
    pub(crate) dirty: AtomicUsize,
    /// Bytes of mappings, untouched ones included.
    pub(crate) mapped: AtomicUsize,
    /// Bytes that were purged, all told.
    pub(crate) purged: AtomicU64,
    pub(crate) huge: Huge,
    /// The next round of the purge is due at this time.
    due_ms: AtomicU64,
}

#[derive(Debug)]
struct Segments {
    first: Option<&'static Segment>,
    last: Option<&'static Segment>,
    /// Where the next segment is to be; zero before the first.
    hint: usize,
}

/// Slices that were taken.
#[derive(Debug)]
pub(crate) struct Run {
    /// Descriptor of the first.
    pub(crate) slab: &'static Slab,
    /// Whether they read as zero.
    pub(crate) zero: bool,
}

impl Pool {
    pub(crate) const fn new() -> Self {
        Self {
            segments: Locked::new(Segments { first: None, last: None, hint: 0 }),
            used: AtomicUsize::new(0),
            dirty: AtomicUsize::new(0),
            mapped: AtomicUsize::new(0),
            purged: AtomicU64::new(0),
            huge: Huge::new(),
            due_ms: AtomicU64::new(0),
        }
    }

    /// Takes `count` slices in a row, the first at a multiple of `align` slices.
    pub(crate) fn take(&self, world: &'static World, count: usize, align: usize) -> Option<Run> {
        self.take_found(world, count, align, |segments| segments.find(count, align))
    }

    /// Takes slices for a slab, rather those of a former one of its class.
    pub(crate) fn take_slab(
        &self,
        world: &'static World,
        class: usize,
        count: usize,
    ) -> Option<Run> {
        self.take_found(world, count, 1, |segments| {
            segments.find_former(class, count).or_else(|| segments.find(count, 1))
        })
    }

    fn take_found(
        &self,
        world: &'static World,
        count: usize,
        align: usize,
        find: impl FnOnce(&Segments) -> Option<(&'static Segment, usize)>,
    ) -> Option<Run> {
        debug_assert!(count <= SPAN_MAX && align <= SPAN_MAX, "{count} slices at {align}");
        let (segment, start, opened, zero) = self.segments.with(|segments| {
            let (segment, start) = match find(segments) {
                Some(found) => found,
                None => (self.add_segment(segments, world)?, HEAD.next_multiple_of(align)),
            };
            let (opened, zero) = self.mark_used(segment, start, count);
            Some((segment, start, opened, zero))
        })?;
        self.opened(world, segment, (start, count), opened);
        Some(Run { slab: segment.slab(start), zero })
    }

    /// Gives slices back that were taken, all or the last ones of a run.
    pub(crate) fn give(&self, world: &'static World, slab: &'static Slab, count: usize) {
        slab.kind.set(Kind::Unused);
        slab.set_owner(0);
        let (segment, start) = Segment::of_slab(slab);
        self.segments.with(|_| {
            segment.free.fill(start, count, true);
            segment.restless.fill(start, count, true);
            segment.free_count.set(segment.free_count.get() + count);
        });
        // Relaxed: counts.
        self.used.fetch_sub(count, Ordering::Relaxed);
        self.dirty.fetch_add(count, Ordering::Relaxed);
        self.tick(world);
        if std::ptr::eq(self, &raw const WORLD.pool) {
            purger::wake();
        }
    }

    /// Takes the `more` slices behind a run as well, where they are free.
    pub(crate) fn extend(&self, slab: &'static Slab, count: usize, more: usize) -> bool {
        let (segment, start) = Segment::of_slab(slab);
        let next = start + count;
        let opened = self.segments.with(|_| {
            let fits = next + more <= SLICES;
            let free = fits && segment.free.count(next, more) == more;
            let free = free || fits && planted::is(Bug::GrowsOver);
            free.then(|| self.mark_used(segment, next, more).0)
        });
        self.opened(segment.world(), segment, (next, more), opened.unwrap_or(0));
        opened.is_some()
    }

    /// Slices were taken, and with them these chunks are used for the first time.
    fn opened(
        &self,
        world: &'static World,
        segment: &'static Segment,
        (start, count): (usize, usize),
        opened: u32,
    ) {
        if opened == 0 {
            return;
        }
        // A slab's first page is used at once, whatever becomes of it; the second one where blocks
        // are small, or filled. The start of a large block is not all of it.
        let (slice, page) = if count < CHUNK { (start, PAGE) } else { (start + count / 2, 0) };
        let probe = segment.slice(slice).as_ptr().wrapping_add(page);
        // Relaxed: a rule of thumb.
        let used = self.used.load(Ordering::Relaxed).saturating_sub(count);
        if self.huge.expects_use(world, probe, used) {
            (0..32)
                .filter(|chunk| opened >> chunk & 1 == 1)
                .all(|chunk| self.huge.ask(world, segment.slice(chunk * CHUNK).as_ptr()));
        }
    }

    /// Takes free slices out of the sets; says which chunks were opened and whether all was clean.
    fn mark_used(&self, segment: &'static Segment, start: usize, count: usize) -> (u32, bool) {
        let clean = segment.clean.count(start, count);
        for set in [&segment.free, &segment.clean, &segment.restless, &segment.resting] {
            set.fill(start, count, false);
        }
        segment.free_count.set(segment.free_count.get() - count);
        // Relaxed: counts.
        self.used.fetch_add(count, Ordering::Relaxed);
        self.dirty.fetch_sub(count - clean, Ordering::Relaxed);
        let (first, last) = (start / CHUNK, (start + count - 1) / CHUNK);
        let chunks = (u32::MAX >> (31 - (last - first))) << first;
        let opened = chunks & !segment.opened.get();
        segment.opened.set(segment.opened.get() | chunks);
        (opened, clean == count || planted::is(Bug::DirtyIsZero))
    }

    fn add_segment(
        &self,
        segments: &mut Segments,
        world: &'static World,
    ) -> Option<&'static Segment> {
        let segment = self.map_segment(segments, world, SEGMENT)?;
        for set in [&segment.free, &segment.clean] {
            set.fill(HEAD, SLICES - HEAD, true);
        }
        segment.free_count.set(SLICES - HEAD);
        segment.opened.set(1);
        match segments.last.replace(segment) {
            Some(last) => last.next.set(Some(segment)),
            None => segments.first = Some(segment),
        }
        Some(segment)
    }

    /// A mapping that is aligned to [`SEGMENT`].
    fn map_segment(
        &self,
        segments: &mut Segments,
        world: &'static World,
        size: usize,
    ) -> Option<&'static Segment> {
        let os = world.os();
        if segments.hint == 0 {
            segments.hint = first_place();
        }
        let mut start = os.map(segments.hint, size);
        if start.is_null() {
            return None;
        }
        if !start.addr().is_multiple_of(SEGMENT) {
            // The place was taken: map more, and cut off what is too much.
            // SAFETY: nobody knows of the mapping yet.
            unsafe { os.unmap(start, size) };
            start = map_aligned(os, size)?;
        }
        segments.hint = (start.addr() + size).next_multiple_of(SEGMENT);
        // Relaxed: a count.
        self.mapped.fetch_add(size, Ordering::Relaxed);
        // SAFETY: the mapping is fresh, aligned and ours.
        let segment = unsafe { Segment::found(start, size, world) };
        valgrind::unused(segment.slice(HEAD).as_ptr(), size - HEAD * SLICE);
        Some(segment)
    }

    /// A block with a mapping of its own, of `bytes` with its head.
    pub(crate) fn take_huge(
        &self,
        world: &'static World,
        bytes: usize,
    ) -> Option<&'static Segment> {
        let segment = self.segments.with(|segments| self.map_segment(segments, world, bytes))?;
        let middle = segment.slice(bytes / SLICE / 2).as_ptr();
        // Relaxed: a rule of thumb.
        let used = self.used.load(Ordering::Relaxed);
        if self.huge.expects_use_of_own(world, middle, used) {
            let start = segment.slice(CHUNK).as_ptr();
            world.os().advise_huge(start, bytes - CHUNK * SLICE);
        }
        Some(segment)
    }

    /// Gives such a mapping back.
    pub(crate) fn give_huge(&self, segment: &'static Segment) {
        let (os, bytes) = (segment.world().os(), segment.mapped.get());
        // Relaxed: a count.
        self.mapped.fetch_sub(bytes, Ordering::Relaxed);
        let start = std::ptr::with_exposed_provenance_mut(segment.address());
        // SAFETY: its one block is free, so that nobody has a reason to look at the head.
        unsafe { os.unmap(start, bytes) };
    }

    /// Begins a round of the purge if one is due. Cheap where none is.
    pub(crate) fn tick(&self, world: &'static World) {
        let now = world.os().now_ms();
        let due = self.due_ms.load(Ordering::Relaxed); // Relaxed: the exchange below decides.
        let next = now + world.options().decay_ms / 2;
        let (good, bad) = (Ordering::Relaxed, Ordering::Relaxed); // Relaxed: no data goes with it.
        if now >= due && self.due_ms.compare_exchange(due, next, good, bad).is_ok() {
            self.round(world, false);
        }
    }

    /// One round of the purge. With `all`, of everything that is free.
    pub(crate) fn round(&self, world: &'static World, all: bool) {
        let mut next = self.segments.with(|segments| segments.first);
        while let Some(segment) = next {
            self.segments.with(|_| {
                if all {
                    segment.resting.take_from(&segment.restless);
                }
            });
            while self.purge_one(world, segment) {}
            next = self.segments.with(|_| {
                segment.resting.take_from(&segment.restless);
                segment.next.get()
            });
        }
    }

    /// Purges one run of slices that rest. It is nobody's meanwhile, so that no lock is held while
    /// the system works.
    fn purge_one(&self, world: &'static World, segment: &'static Segment) -> bool {
        let found = self.segments.with(|_| {
            let start = segment.resting.find_run(HEAD, 1, 1)?;
            let count = segment.resting.run_length(start);
            segment.resting.fill(start, count, false);
            segment.free.fill(start, count, false);
            Some((start, count))
        });
        let Some((start, count)) = found else { return false };
        // SAFETY: the slices are free, and nobody can take them.
        let done = unsafe { world.os().purge(segment.slice(start).as_ptr(), count * SLICE) };
        self.segments.with(|_| {
            segment.free.fill(start, count, !planted::is(Bug::ForgetsPurged));
            segment.clean.fill(start, count, done);
        });
        if done {
            // Relaxed: counts.
            self.dirty.fetch_sub(count, Ordering::Relaxed);
            self.purged.fetch_add((count * SLICE) as u64, Ordering::Relaxed);
        }
        true
    }

    /// Moves the pages of a span to a mapping; what stays is clean.
    pub(crate) fn relocate(slab: &'static Slab, to: *mut u8) -> bool {
        let (segment, start) = Segment::of_slab(slab);
        let size = slab.slices.get() as usize * SLICE;
        // SAFETY: the caller owns the block and the mapping.
        unsafe { segment.world().os().relocate(segment.slice(start).as_ptr(), size, to) }
    }

    /// Visits every segment, under the lock.
    pub(crate) fn each_segment(&self, mut visit: impl FnMut(&'static Segment)) {
        self.segments.with(|segments| {
            let mut next = segments.first;
            while let Some(segment) = next {
                visit(segment);
                next = segment.next.get();
            }
        });
    }

    /// Unmaps all segments, so that a test can make many worlds.
    #[cfg(test)]
    pub(crate) fn release_all(&self) {
        let mut next = self.segments.with(|segments| segments.first.take());
        while let Some(segment) = next {
            next = segment.next.get();
            self.give_huge(segment);
        }
    }

    /// Closes the lock for a `fork`.
    pub(crate) fn close(&self) {
        self.segments.close();
    }

    /// Opens it again.
    pub(crate) fn open(&self) {
        self.segments.open();
    }
}

impl Segments {
    /// Free slices that were a slab of this class, and are not purged: what it filled of them is
    /// what it is likely to fill.
    fn find_former(&self, class: usize, count: usize) -> Option<(&'static Segment, usize)> {
        let mut looks = LOOKS;
        let mut next = self.first;
        while let Some(segment) = next {
            for start in segment.free.without(&segment.clean) {
                if looks == 0 {
                    return None;
                }
                looks -= 1;
                let former = usize::from(segment.last_class(start)) == class;
                if former && segment.free.run_length(start) >= count {
                    return Some((segment, start));
                }
            }
            next = segment.next.get();
        }
        None
    }

    fn find(&self, count: usize, align: usize) -> Option<(&'static Segment, usize)> {
        let mut next = self.first;
        while let Some(segment) = next {
            if segment.free_count.get() >= count
                && let Some(start) = segment.free.find_run(HEAD, count, align)
            {
                return Some((segment, start));
            }
            next = segment.next.get();
        }
        None
    }
}

/// A place that whoever has seen another process does not know.
fn first_place() -> usize {
    let drawn = if draws_addresses() { random() % PLACES } else { 0 };
    HINT + usize::try_from(drawn).expect("20 bits") * SEGMENT
}

fn map_aligned(os: &dyn Os, size: usize) -> Option<*mut u8> {
    let all = size.checked_add(SEGMENT)?;
    let mapping = os.map(0, all);
    if mapping.is_null() {
        return None;
    }
    let before = mapping.addr().next_multiple_of(SEGMENT) - mapping.addr();
    let start = mapping.map_addr(|address| address + before);
    let end = start.map_addr(|address| address + size);
    for (from, bytes) in [(mapping, before), (end, SEGMENT - before)] {
        if bytes > 0 {
            // SAFETY: nobody knows of the mapping yet.
            unsafe { os.unmap(from, bytes) };
        }
    }
    Some(start)
}

/// The system that a process runs on.
pub(crate) static SYSTEM: Linux = Linux;
