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
//! blocks is on no list until one comes back. Such a *full* slab counts one block, not all: so the
//! free of its first block and that of a slab's last find the same zero, and test for nothing else.
//!
//! An empty slab goes back to the pool, except the current one of its class: a loop that frees its
//! only block and allocates it again must not come here each time. Such a slab counts one block too
//! many while it is *kept*; once `KEPT_MAX` bytes are kept, the empty ones among them go.
//!
//! A free of a block of another heap puts it into a parcel ([`outgoing`]), and parcels are posted
//! to the owner by the slab ([`handover`](crate::handover)), or used again here ([`guests`]).
//!
//! # What this module does not do
//!
//! It does not know whose heap is whose thread's; see `local`.

mod guests;
mod outgoing;
mod ownership;
mod resize;
mod sampling;
mod slabs;
mod spans;

use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use self::outgoing::{Added, Outgoing};
use self::ownership::post;
use self::sampling::Sampler;
use self::spans::Spans;
use crate::block::Block;
use crate::handover::Handover;
use crate::local;
use crate::segment::{first, owner_at, slab_of};
use crate::size_class::{CLASSES, LARGEST, SMALL, SMALL_WORDS, aligned_size, class_of};
use crate::slab::{FLAGS, Kind, SPAN, Slab};
use crate::world::World;

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
    sampler: Sampler,
    outgoing: Outgoing,
    /// Blocks of other heaps that are used again, by class.
    guests: [Slab; guests::CLASSES],
    /// Where the thread ran that left the heap last.
    processor: AtomicU32,
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

/// What every thread begins and ends with: a heap without a slab, so that each allocation takes the
/// slow path.
#[cfg(not(any(loom, shuttle)))]
pub(crate) static NOBODY: Heap = Heap::new(Handover::owned());

impl Heap {
    const fn new(handover: Handover<Block>) -> Self {
        Self {
            small: [const { Cell::new(&NO_SLAB.0) }; SMALL_WORDS],
            bins: [const { Cell::new(&NO_SLAB.0) }; CLASSES],
            lasts: [const { Cell::new(&NO_SLAB.0) }; CLASSES],
            world: Cell::new(None),
            role: Cell::new(Role::Nobody),
            kept: Cell::new(0),
            spans: Spans::new(),
            sampler: Sampler::new(),
            outgoing: Outgoing::new(),
            guests: [const { Slab::none() }; guests::CLASSES],
            processor: AtomicU32::new(0),
            next: Cell::new(None),
            handover: Line(handover),
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
        if size <= SMALL {
            self.small[size.div_ceil(8)].get().pop()
        } else if size <= LARGEST {
            self.bins[class_of(size)].get().pop()
        } else {
            None
        }
    }

    /// A small block that is aligned to 16; `None` where the slow path must be taken, or `size` is
    /// not small.
    #[inline(always)]
    pub(crate) fn try_small(&self, size: usize) -> Option<Block> {
        if size > SMALL {
            return None;
        }
        self.small[size.div_ceil(16) * 2].get().pop()
    }

    /// The slow path of an allocation.
    #[cold]
    #[inline(never)]
    pub(crate) fn allocate_slow(&'static self, size: usize, align: usize) -> Fresh {
        let rounded = aligned_size(size, align.max(8));
        if rounded > LARGEST {
            return self.allocate_large(size, align);
        }
        self.allocate_from_slabs(class_of(rounded), align)
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
        let owner = unsafe { owner_at(start.as_ptr()) };
        // SAFETY: as above.
        let slab = unsafe { slab_of(start.as_ptr()) };
        // SAFETY: it is the caller's, who gives it up.
        let block = unsafe { Block::new(start) };
        if owner == self.address() {
            self.free_local(slab, block);
        } else {
            Self::free_slow(block, slab, self, owner);
        }
    }

    // Whatever else it calls is called last: so the fast path saves no register.
    #[inline(always)]
    fn free_local(&'static self, slab: &'static Slab, block: Block) {
        let next = slab.free.get();
        if next == Some(block) {
            return freed_twice(block);
        }
        self.handover.0.act();
        block.set_next(next);
        slab.free.set(Some(block));
        let counts = slab.counts.get().given(1);
        slab.counts.set(counts);
        // One that is full counts as if one block were out, so that it comes here as well.
        if counts.used() == 0 {
            self.turned(slab);
        }
    }

    /// What is not the plain free of a block of this heap. Descriptors of others are not looked at
    /// before it must be: their owners write to them all the time.
    // The block comes first, as it does for `free`: so that the fast path leaves it where it is.
    #[inline(never)]
    fn free_slow(block: Block, slab: &'static Slab, ours: &'static Self, owner: usize) {
        let heap = owner & !FLAGS;
        if owner & SPAN != 0 && heap == ours.address() {
            ours.free_own_span(slab);
        } else if owner & SPAN != 0 {
            ours.free_span(slab);
        } else if heap == ours.address() {
            ours.free_local(slab, block);
        } else if heap != 0 {
            Self::free_remote(block, slab, ours);
        } else if slab.kind.get() == Kind::Inside {
            Self::free_inside(block, slab, ours);
        } else {
            crate::abort::foreign(block.start(), "freed");
        }
    }

    /// Only the first slice of a slab says whose it is.
    #[inline(never)]
    fn free_inside(block: Block, slab: &'static Slab, ours: &'static Self) {
        let slab = first(slab);
        match slab.owner() {
            0 => crate::abort::foreign(block.start(), "freed"),
            owner if owner == ours.address() => ours.free_local(slab, block),
            owner => Self::free_slow(block, slab, ours, owner),
        }
    }

    /// Adds a block to the parcel of its slab. What else there is to do is called last: so a block
    /// that only waits saves no register.
    #[inline(never)]
    fn free_remote(block: Block, slab: &'static Slab, ours: &'static Self) {
        match ours.outgoing.add(slab, block) {
            Added::Waits => {}
            Added::Goes(place) => ours.dispatch(place),
            Added::Not => Self::free_first(block, slab, ours),
        }
    }

    /// Frees the first block of a slab of another heap that has no parcel here.
    #[inline(never)]
    fn free_first(block: Block, slab: &'static Slab, ours: &'static Self) {
        // A thread that only frees is better off with a heap too: often it is that of the blocks.
        if let Some(heap) = local::begin_to_free(ours) {
            return Self::free_slow(block, slab, heap, slab.owner());
        }
        // What is freed for a heap of one's own must not wait: it may be destroyed.
        if ours.is_nobody() || owner_of(slab).role.get() == Role::Object {
            block.set_next(Some(block));
            block.set_count(1);
            post(slab, block);
        } else if ours.adopt(slab) {
            Self::free_slow(block, slab, ours, slab.owner());
        } else {
            ours.outgoing.begin(slab, block);
        }
    }
}

/// Ends the process. It returns for its type only: what never returns is not called last.
#[cold]
#[inline(never)]
fn freed_twice(block: Block) {
    crate::abort::double_free(block.start())
}

#[expect(unsafe_code, reason = "a descriptor holds the address of a heap")]
mod raw {
    use super::{
        Block, Cell, FLAGS, Handover, Heap, NonNull, Role, Shared, Slab, World, first, slab_of,
    };
    use crate::os::clock_ns;

    // SAFETY: nothing is ever written to the slab without blocks.
    unsafe impl Sync for Shared {}

    // SAFETY: the fields are for the owner alone, who is found by `handover`; that one is shared.
    unsafe impl Sync for Heap {}

    impl Heap {
        /// Makes a heap in memory that nobody else has.
        pub(crate) fn found(place: *mut Self, world: &'static World, role: Role) -> &'static Self {
            let heap = Self {
                world: Cell::new(Some(world)),
                role: Cell::new(role),
                ..Self::new(Handover::owned())
            };
            // SAFETY: the caller has room for a heap there, aligned to a line.
            unsafe { place.write(heap) };
            let exposed = place.expose_provenance();
            // SAFETY: it was just written, and lives for ever.
            let heap: &'static Self = unsafe { &*std::ptr::with_exposed_provenance(exposed) };
            // No two heaps draw the same distances.
            heap.sampler.start(clock_ns(libc::CLOCK_MONOTONIC) ^ exposed as u64);
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
