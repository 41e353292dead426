//! A heap: the slabs of one thread.
//!
//! ```text
//!   small sizes, by words          classes                    slabs with free blocks
//!   | 0 | 1 | ... | 128 |          | 0 | 1 | ... | 86 |
//!        '-----------------> slab <------'    '-----> slab <-> slab <-> slab
//!                          (current)                (current)            (last)
//! ```
//!
//! An allocation takes the first block of the current slab of its class. When that has none, the
//! slow path takes in what other threads freed, carves blocks that were never used, goes on to the
//! next slab of the list, takes one over from an orphan, or asks the pool. A slab without free
//! blocks is on no list until one comes back.
//!
//! An empty slab goes back to the pool, except the current one of its class: a loop that frees its
//! only block and allocates it again must not come here each time. Such a slab counts one block too
//! many while it is *kept*; once [`KEPT_MAX`] bytes are kept, the empty ones among them go.
//!
//! A free of a block of another heap puts it into a parcel ([`outgoing`]), and parcels are posted
//! to the owner by the slab ([`handover`](crate::handover)).
//!
//! # What this module does not do
//!
//! It does not know whose heap is whose thread's; see `local`.

mod outgoing;
mod resize;
mod spans;

use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use self::outgoing::Outgoing;
use self::spans::Spans;
use crate::block::Block;
use crate::handover::{Handover, Posted};
use crate::planted::{self, Bug};
use crate::profile;
use crate::segment::{HEAD, SLICES, Segment, first, slab_of};
use crate::size_class::{
    CLASSES, LARGEST, SMALL, SMALL_WORDS, aligned_size, class_of, size_of_class, slices_of_class,
};
use crate::slab::{FLAGS, FULL, Kind, Slab};
use crate::world::World;

/// Bytes of empty slabs that a heap keeps.
const KEPT_MAX: usize = 256 << 10;

/// What a heap is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Of no use: what a thread begins with.
    Nobody,
    /// The blocks of a thread.
    Thread,
    /// A heap of one's own: see `object`.
    Object,
}

/// A slab that may be put in a static.
struct Shared(Slab);

static NO_SLAB: Shared = Shared(Slab::none());

/// See the module's header. All methods but [`post`](Self::post) and [`claim`](Self::claim) are for
/// the owner alone.
#[repr(C, align(64))]
pub(crate) struct Heap {
    /// Bytes until the next sample of the heap profile; out of reach while there is none.
    until_sample: Cell<isize>,
    /// State of the generator that draws them.
    sampler: Cell<u64>,
    /// The current slab for each number of words.
    small: [Cell<&'static Slab>; SMALL_WORDS],
    /// The current slab of each class.
    bins: [Cell<&'static Slab>; CLASSES],
    /// The last slab of each list.
    lasts: [Cell<&'static Slab>; CLASSES],
    world: Cell<Option<&'static World>>,
    role: Cell<Role>,
    /// Bytes of slabs that are kept.
    kept: Cell<usize>,
    spans: Spans,
    outgoing: Outgoing,
    /// The heap that was made before this one.
    pub(crate) next: Cell<Option<&'static Heap>>,
    handover: Line<Handover<Block>>,
}

/// A value on a line of the cache of its own, because other threads write to it.
#[repr(align(64))]
struct Line<T>(T);

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").field("role", &self.role).finish_non_exhaustive()
    }
}

/// A block and whether it is known to be zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh {
    pub(crate) start: *mut u8,
    pub(crate) zero: bool,
}

impl Fresh {
    pub(crate) const NULL: Self = Self { start: std::ptr::null_mut(), zero: true };
}

/// What every thread begins with: a heap without a slab, so that each allocation takes the slow
/// path.
pub(crate) static NOBODY: Heap = Heap::new();

impl Heap {
    const fn new() -> Self {
        Self {
            until_sample: Cell::new(isize::MAX),
            sampler: Cell::new(0),
            small: [const { Cell::new(&NO_SLAB.0) }; SMALL_WORDS],
            bins: [const { Cell::new(&NO_SLAB.0) }; CLASSES],
            lasts: [const { Cell::new(&NO_SLAB.0) }; CLASSES],
            world: Cell::new(None),
            role: Cell::new(Role::Nobody),
            kept: Cell::new(0),
            spans: Spans::new(),
            outgoing: Outgoing::new(),
            next: Cell::new(None),
            handover: Line(Handover::owned()),
        }
    }

    pub(crate) fn is_nobody(&self) -> bool {
        self.role.get() == Role::Nobody
    }

    pub(crate) fn world(&self) -> &'static World {
        self.world.get().expect("every heap but `NOBODY` has a world")
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// A block of `size` bytes that is aligned to `align`; `None` where the slow path must be
    /// taken.
    #[inline(always)]
    pub(crate) fn try_allocate(&self, size: usize, align: usize) -> Option<Block> {
        let size = if align > 8 { aligned_size(size, align) } else { size };
        let slab = if size <= SMALL {
            self.small[size.div_ceil(8)].get()
        } else if size <= LARGEST {
            self.bins[class_of(size)].get()
        } else {
            return None;
        };
        let left = self.until_sample.get() - size.cast_signed();
        if left < 0 {
            return None;
        }
        let block = slab.pop()?;
        self.until_sample.set(left);
        Some(block)
    }

    /// The slow path of an allocation.
    #[cold]
    #[inline(never)]
    pub(crate) fn allocate_slow(&'static self, size: usize, align: usize) -> Fresh {
        let rounded = aligned_size(size, align.max(8));
        let left = self.until_sample.get().saturating_sub_unsigned(rounded);
        self.until_sample.set(left);
        if left < 0 {
            self.allocate_sample(size, align)
        } else if rounded <= LARGEST {
            self.allocate_from_slabs(class_of(rounded))
        } else {
            self.allocate_span(size, align)
        }
    }

    /// A block whose turn it is to be a sample: a span, whatever its size.
    #[cold]
    fn allocate_sample(&'static self, size: usize, align: usize) -> Fresh {
        // Out of reach: to find the call stack may allocate.
        self.until_sample.set(isize::MAX);
        let fresh = self.allocate_span(size, align);
        if !fresh.start.is_null() {
            profile::record(slab_at(fresh.start), size);
        }
        self.draw_distance();
        fresh
    }

    /// Draws how far off the next sample is.
    fn draw_distance(&self) {
        let mut state = self.sampler.get();
        self.until_sample.set(profile::distance(&mut state));
        self.sampler.set(state);
    }

    fn allocate_from_slabs(&'static self, class: usize) -> Fresh {
        if self.handover.0.has_parcels() {
            self.take_parcels();
        }
        loop {
            let slab = self.bins[class].get();
            if let Some(block) = slab.pop() {
                return Fresh { start: block.as_ptr(), zero: false };
            }
            if let Some(block) = Self::carve(slab) {
                return Fresh { start: block.as_ptr(), zero: slab.zero.get() };
            }
            if is_none(slab) {
                self.outgoing.flush();
                if !self.adopt_slab(class) && !self.add_slab(class) {
                    return Fresh::NULL;
                }
            } else {
                self.unlink(slab);
                Self::unkeep(slab);
                slab.set_flag(FULL, true);
            }
        }
    }

    fn carve(slab: &'static Slab) -> Option<Block> {
        if slab.carved.get() == slab.capacity.get() {
            return None;
        }
        let (segment, index) = Segment::of_slab(slab);
        slab.carve(segment.slice(index))
    }

    fn add_slab(&'static self, class: usize) -> bool {
        let slices = slices_of_class(class);
        let world = self.world();
        let Some(run) = world.pool.take(world, slices, 1) else { return false };
        run.slab.format(self.address(), class, run.zero);
        let (segment, index) = Segment::of_slab(run.slab);
        for offset in 1..slices {
            let inside = segment.slab(index + offset);
            inside.kind.set(Kind::Inside);
            inside.offset.set(u8::try_from(offset).expect("at most seven"));
            inside.set_owner(0);
        }
        self.link(run.slab);
        true
    }

    /// Takes a slab of this class over from a heap whose thread has ended.
    fn adopt_slab(&'static self, class: usize) -> bool {
        let world = self.world();
        // Relaxed: a hint.
        if world.orphans.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut adopted = false;
        world.visit_orphans(|orphan| {
            orphan.take_parcels();
            let slab = orphan.bins[class].get();
            if !is_none(slab) {
                orphan.unlink(slab);
                Self::unkeep(slab);
                slab.set_owner(self.address());
                self.link(slab);
                adopted = true;
            }
            adopted
        });
        adopted
    }

    /// Puts a slab at the end of its list.
    fn link(&self, slab: &'static Slab) {
        let class = usize::from(slab.class.get());
        let last = self.lasts[class].replace(slab);
        slab.next.set(None);
        if is_none(last) {
            slab.prev.set(None);
            self.set_current(class, slab);
        } else {
            slab.prev.set(Some(last));
            last.next.set(Some(slab));
        }
    }

    /// Takes a slab out of its list.
    fn unlink(&self, slab: &'static Slab) {
        let class = usize::from(slab.class.get());
        let (prev, next) = (slab.prev.take(), slab.next.take());
        match prev {
            Some(prev) => prev.next.set(next),
            None => self.set_current(class, next.unwrap_or(&NO_SLAB.0)),
        }
        match next {
            Some(next) => next.prev.set(prev),
            None => self.lasts[class].set(prev.unwrap_or(&NO_SLAB.0)),
        }
    }

    fn set_current(&self, class: usize, slab: &'static Slab) {
        self.bins[class].set(slab);
        let size = size_of_class(class);
        if size <= SMALL {
            let from = if class == 0 { 0 } else { size_of_class(class - 1) / 8 + 1 };
            self.small[from..=size / 8].iter().for_each(|words| words.set(slab));
        }
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// The block was handed out by this allocator, is not free, and nobody uses it any more.
    #[inline(always)]
    #[expect(unsafe_code, reason = "the caller says that the block is one")]
    pub(crate) unsafe fn free(&'static self, start: NonNull<u8>) {
        // SAFETY: the caller says that the block is one.
        let slab = unsafe { slab_of(start.as_ptr()) };
        // SAFETY: it is the caller's, who gives it up.
        let block = unsafe { Block::new(start) };
        if slab.owner() == self.address() {
            self.free_local(slab, block);
        } else {
            self.free_slow(slab, block);
        }
    }

    #[inline(always)]
    fn free_local(&'static self, slab: &'static Slab, block: Block) {
        let next = slab.free.get();
        if next == Some(block) {
            crate::abort::double_free(block.start());
        }
        block.set_next(next);
        slab.free.set(Some(block));
        let used = slab.used.get().wrapping_sub(1);
        slab.used.set(used);
        if used == 0 {
            self.emptied(slab);
        }
    }

    /// What is not the plain free of a block of this heap.
    #[inline(never)]
    fn free_slow(&'static self, slab: &'static Slab, block: Block) {
        let slab = first(slab);
        let owner = slab.owner();
        match slab.kind.get() {
            Kind::Span | Kind::Huge => self.free_span(slab),
            Kind::Slab if owner & !FLAGS == self.address() => {
                if owner & FULL != 0 && !planted::is(Bug::StaysFull) {
                    slab.set_flag(FULL, false);
                    self.link(slab);
                }
                self.free_local(slab, block);
            }
            Kind::Slab => self.free_remote(slab, block),
            Kind::Unused | Kind::Inside => crate::abort::foreign(block.start(), "freed"),
        }
    }

    #[inline(never)]
    fn free_remote(&'static self, slab: &'static Slab, block: Block) {
        // What is freed for a heap of one's own must not wait: it may be destroyed.
        if self.is_nobody() || owner_of(slab).role.get() == Role::Object {
            block.set_next(Some(block));
            block.set_count(1);
            post(slab, block);
        } else {
            self.outgoing.add(slab, block);
        }
    }

    /// A slab has lost its last block.
    #[cold]
    #[inline(never)]
    fn emptied(&'static self, slab: &'static Slab) {
        let class = usize::from(slab.class.get());
        if !std::ptr::eq(self.bins[class].get(), slab) {
            self.unlink(slab);
            self.release(slab);
            return;
        }
        slab.kept.set(true);
        slab.used.set(1);
        self.kept.set(self.kept.get() + touched(slab));
        if self.kept.get() > KEPT_MAX {
            self.release_kept();
        }
    }

    /// Counts a slab right that was kept.
    fn unkeep(slab: &'static Slab) {
        if slab.kept.replace(false) {
            slab.used.set(slab.used.get() - 1);
        }
    }

    /// Gives back the slabs that are kept and still empty.
    fn release_kept(&'static self) {
        self.kept.set(0);
        for class in 0..CLASSES {
            let slab = self.bins[class].get();
            if slab.kept.get() {
                Self::unkeep(slab);
                if slab.used.get() == 0 {
                    self.unlink(slab);
                    self.release(slab);
                }
            }
        }
    }

    fn release(&self, slab: &'static Slab) {
        let world = self.world();
        world.pool.give(world, slab, slab.slices.get() as usize);
    }

    /// Takes in what other threads freed.
    #[inline(never)]
    fn take_parcels(&'static self) {
        let mut next = self.handover.0.take();
        while let Some(last) = next {
            next = last.below();
            let slab = slab_of_block(last);
            if slab.owner() & !FLAGS == self.address() {
                self.unpack(slab, last);
            } else {
                // The slab was taken over since the parcel was sent. An orphan among its owners
                // takes the parcel in when it is claimed.
                owner_of(slab).handover.0.post(last);
            }
        }
    }

    /// Puts the blocks of a parcel before the free list of their slab.
    fn unpack(&'static self, slab: &'static Slab, last: Block) {
        let count = last.count();
        let first = last.next();
        last.set_next(slab.free.get());
        slab.free.set(first);
        if slab.owner() & FULL != 0 {
            slab.set_flag(FULL, false);
            self.link(slab);
        }
        let used = slab.used.get() - count;
        slab.used.set(used);
        if used == 0 {
            self.emptied(slab);
        }
    }

    /// Becomes the owner of an orphan.
    pub(crate) fn claim(&self) -> bool {
        let claimed = self.handover.0.claim();
        if claimed {
            self.world().orphans.fetch_sub(1, Ordering::Relaxed); // Relaxed: a hint.
        }
        claimed
    }

    /// Takes in what is there, and gives back what is empty.
    pub(crate) fn settle(&'static self) {
        self.take_parcels();
        self.release_kept();
    }

    /// Gives the heap up: its thread ends, or somebody claimed it for a moment.
    pub(crate) fn leave(&'static self) {
        if !planted::is(Bug::ForgetsParcels) {
            self.outgoing.flush();
        }
        self.release_spans();
        // Counted first, so that the count never falls below zero.
        self.world().orphans.fetch_add(1, Ordering::Relaxed); // Relaxed: a hint.
        loop {
            self.settle();
            if self.handover.0.leave() {
                return;
            }
        }
    }

    /// A heap of one's own is dropped: it is left as the heap of a thread is.
    pub(crate) fn retire(&'static self) {
        self.role.set(Role::Thread);
        self.leave();
    }

    /// Gives all slabs and spans back, whatever is out.
    pub(crate) fn forget_all(&'static self) {
        self.release_spans();
        self.handover.0.take();
        for class in 0..CLASSES {
            self.lasts[class].set(&NO_SLAB.0);
            self.set_current(class, &NO_SLAB.0);
        }
        self.kept.set(0);
        let mut mine: Option<&'static Slab> = None;
        self.world().pool.each_segment(|segment| {
            for slab in (HEAD..SLICES).map(|index| segment.slab(index)) {
                if slab.owner() & !FLAGS == self.address() {
                    slab.next.set(mine.replace(slab));
                }
            }
        });
        while let Some(slab) = mine {
            mine = slab.next.take();
            profile::forget(slab);
            self.release(slab);
        }
    }

    /// Gives back what the heap keeps for later.
    pub(crate) fn collect(&'static self) {
        self.outgoing.flush();
        self.release_spans();
        self.settle();
    }
}

fn is_none(slab: &Slab) -> bool {
    std::ptr::eq(slab, &raw const NO_SLAB.0)
}

/// Bytes of a slab that may have been touched.
fn touched(slab: &Slab) -> usize {
    slab.carved.get() as usize * slab.block_size()
}

/// Posts a parcel to the owner of its slab, or sees to it that an orphan takes it in.
fn post(slab: &'static Slab, last: Block) {
    let owner = owner_of(slab);
    if owner.handover.0.post(last) == Posted::ToOrphan && owner.claim() {
        owner.leave();
    }
}

#[expect(unsafe_code, reason = "a descriptor holds the address of a heap")]
mod raw {
    use super::{Block, Cell, FLAGS, Heap, NonNull, Role, Shared, Slab, World, first, slab_of};
    use crate::os::clock_ns;

    // SAFETY: nothing is ever written to the slab without blocks.
    unsafe impl Sync for Shared {}

    // SAFETY: the fields are for the owner alone, who is found by `handover`; that one is shared.
    unsafe impl Sync for Heap {}

    impl Heap {
        /// Makes a heap in memory that nobody else has.
        pub(crate) fn found(place: *mut Self, world: &'static World, role: Role) -> &'static Self {
            let heap = Self { world: Cell::new(Some(world)), role: Cell::new(role), ..Self::new() };
            // SAFETY: the caller has room for a heap there, aligned to a line.
            unsafe { place.write(heap) };
            let exposed = place.expose_provenance();
            // SAFETY: it was just written, and lives for ever.
            let heap: &'static Self = unsafe { &*std::ptr::with_exposed_provenance(exposed) };
            // No two heaps draw the same distances.
            heap.sampler.set(clock_ns(libc::CLOCK_MONOTONIC) ^ exposed as u64);
            heap.draw_distance();
            heap
        }
    }

    /// The descriptor of a block that was just made.
    pub(super) fn slab_at(block: *mut u8) -> &'static Slab {
        // SAFETY: the block is ours.
        first(unsafe { slab_of(block) })
    }

    /// The heap that a slab with a block that is out belongs to.
    pub(super) fn owner_of(slab: &'static Slab) -> &'static Heap {
        let address = slab.owner() & !FLAGS;
        let heap = NonNull::new(std::ptr::with_exposed_provenance_mut(address));
        // SAFETY: owners are heaps, which live for ever.
        unsafe { heap.expect("a block that is out has an owner").as_ref() }
    }

    /// The slab of a free block.
    pub(super) fn slab_of_block(block: Block) -> &'static Slab {
        // SAFETY: a free block is one that was handed out once.
        first(unsafe { slab_of(block.as_ptr()) })
    }
}

use raw::{owner_of, slab_at, slab_of_block};
