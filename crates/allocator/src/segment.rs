//! A region of 64 MiB, aligned to its size, so that the address of a block leads to its slab.
//!
//! ```text
//!   0      1 K                      64 K       65 K       73 K     1 M                  64 M
//!   | head | descriptors, 64 B each | classes  | owners   | unused | slice 16 | ...     |
//!     |      ^ of slice 16            1 B each   8 B each
//!     world, bitmaps of slices: free, clean, resting, restless; chunks with huge pages
//! ```
//!
//! A block above half a segment has a mapping of its own with the same head, so that `free` need
//! not tell the two apart. Only pages that are touched cost memory: a segment starts with one.
//!
//! # What this module does not do
//!
//! It has no policy: `pool` says which slices are whose, and holds a lock while it says so.

#![expect(unsafe_code, reason = "addresses become descriptors here")]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::bitmap::Bitmap;
use crate::size_class::SLICE;
use crate::slab::{Kind, Slab};
use crate::world::World;

/// Size and alignment.
pub(crate) const SEGMENT: usize = 64 << 20;
/// Slices of a segment, its head included.
pub(crate) const SLICES: usize = SEGMENT / SLICE;
/// Slices of the head.
pub(crate) const HEAD: usize = 16;
/// Slices of a huge page.
pub(crate) const CHUNK: usize = (2 << 20) / SLICE;

/// What a slice tells that does not begin a slab.
pub(crate) const NO_CLASS: u8 = u8::MAX;

/// One bit for each slice.
pub(crate) type Slices = Bitmap<{ SLICES / 64 }>;

/// The head of a segment. Zero is a sound value of every field but `world`, which is set at once.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Segment {
    world: Cell<Option<&'static World>>,
    /// Bytes of the mapping.
    pub(crate) mapped: Cell<usize>,
    /// The next segment of the pool.
    pub(crate) next: Cell<Option<&'static Segment>>,
    /// Nobody uses the slice.
    pub(crate) free: Slices,
    /// The slice is free and reads as zero: never used, or purged.
    pub(crate) clean: Slices,
    /// Freed since the last round of the purge.
    pub(crate) restless: Slices,
    /// Freed before that: purged in the next round, if it is still free.
    pub(crate) resting: Slices,
    /// Free slices.
    pub(crate) free_count: Cell<usize>,
    /// Chunks that have been used, and where huge pages were asked for if they were to be.
    pub(crate) opened: Cell<u32>,
    padding: [u64; 59],
    descriptors: [Slab; SLICES - HEAD],
    classes: [AtomicU8; SLICES],
    owners: [AtomicUsize; SLICES],
}

/// Where the classes begin.
const CLASSES: usize = SLICES * size_of::<Slab>();
/// Where the owners begin: the first of them lie on the page of the classes.
const OWNERS: usize = CLASSES + SLICES;

const _: () = {
    assert!(std::mem::offset_of!(Segment, descriptors) == HEAD * size_of::<Slab>());
    assert!(std::mem::offset_of!(Segment, owners) == OWNERS);
    assert!(std::mem::offset_of!(Segment, classes) == CLASSES);
    assert!(size_of::<Segment>() <= HEAD * SLICE);
    assert!(SLICES / CHUNK == 32, "`opened` has a bit for each chunk");
};

// SAFETY: the pool's lock guards the fields; descriptors say for themselves who may touch them.
unsafe impl Sync for Segment {}

impl Segment {
    /// Makes a segment of a fresh mapping.
    ///
    /// # Safety
    ///
    /// `start` is aligned to [`SEGMENT`], zeroed, at least as long as the head, and given away.
    pub(crate) unsafe fn found(
        start: *mut u8,
        mapped: usize,
        world: &'static World,
    ) -> &'static Self {
        // SAFETY: zero is a sound value, and the memory is never unmapped while it is a segment.
        let segment: &'static Self = unsafe { &*start.cast() };
        segment.world.set(Some(world));
        segment.mapped.set(mapped);
        segment
    }

    pub(crate) fn world(&self) -> &'static World {
        self.world.get().expect("set when the segment was made")
    }

    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// First byte of a slice.
    pub(crate) fn slice(&self, index: usize) -> NonNull<u8> {
        let head = NonNull::from_ref(self).cast::<u8>();
        let head = head.as_ptr().expose_provenance();
        let start = std::ptr::with_exposed_provenance_mut(head + index * SLICE);
        NonNull::new(start).expect("a segment does not lie at zero")
    }

    /// The descriptor of a slice.
    pub(crate) fn slab(&'static self, index: usize) -> &'static Slab {
        &self.descriptors[index - HEAD]
    }

    /// The class of the slab that began with this slice last: of no meaning where none ever did.
    pub(crate) fn last_class(&self, index: usize) -> u8 {
        // Relaxed: a hint.
        self.classes[index].load(Ordering::Relaxed)
    }

    /// The segment of a descriptor, and the number of its slice.
    pub(crate) fn of_slab(slab: &'static Slab) -> (&'static Self, usize) {
        let address = std::ptr::from_ref(slab).expose_provenance();
        let head = std::ptr::with_exposed_provenance::<Self>(address & !(SEGMENT - 1));
        // SAFETY: descriptors lie in the head of their segment, which lives as long as they do.
        let segment = unsafe { &*head };
        (segment, address % SEGMENT / size_of::<Slab>())
    }
}

/// Bytes of the words before that of the slice of an address: one word for each slice.
// A descriptor is eight words: an address of the processor reaches both from this one number.
#[inline(always)]
const fn words_to(address: usize) -> usize {
    (address / (SLICE / 8)) & ((SLICES - 1) * 8)
}

/// The descriptor for the slice of a block: the fast path of `free`.
///
/// # Safety
///
/// The block was handed out by this allocator and is not free.
#[inline(always)]
pub(crate) unsafe fn slab_of(block: *mut u8) -> &'static Slab {
    let address = block.expose_provenance();
    let descriptor = (address & !(SEGMENT - 1)) + words_to(address) * size_of::<Slab>() / 8;
    // SAFETY: the block lies in a segment, whose head holds its descriptor.
    unsafe { &*std::ptr::with_exposed_provenance(descriptor) }
}

/// Whose slice a block lies in, with the flags: what the fast path of `free` looks at first.
///
/// # Safety
///
/// As for [`slab_of`].
#[inline(always)]
pub(crate) unsafe fn owner_at(block: *mut u8) -> usize {
    let address = block.expose_provenance();
    let word = (address & !(SEGMENT - 1)) + OWNERS + words_to(address);
    // SAFETY: as in `slab_of`; the head holds the word as well.
    let word: &AtomicUsize = unsafe { &*std::ptr::with_exposed_provenance(word) };
    // Relaxed: see `Slab::owner`.
    word.load(Ordering::Relaxed)
}

/// What other threads ask of a slab: whose it is, and how large its blocks are.
///
/// The owner's word is the address of the heap and, in the low bits, why the fast path of `free`
/// must not be taken: the comparison with the heap's own address then fails, at no cost. It changes
/// only with the owner: eight slabs share a line of the cache, which every free reads.
impl Slab {
    fn owner_word(&self) -> &'static AtomicUsize {
        let address = std::ptr::from_ref(self).expose_provenance();
        let word = (address & !(SEGMENT - 1)) + OWNERS + address % SEGMENT / size_of::<Self>() * 8;
        // SAFETY: descriptors lie in the head of their segment, which holds the word as well.
        unsafe { &*std::ptr::with_exposed_provenance(word) }
    }

    /// The heap's address and the flags.
    pub(crate) fn owner(&self) -> usize {
        // Relaxed: a thread that owns the slab wrote the value itself; any other thread only has to
        // see that it is not its own, and a parcel that goes to a former owner is passed on.
        self.owner_word().load(Ordering::Relaxed)
    }

    pub(crate) fn set_owner(&self, owner: usize) {
        // Relaxed: see `owner`.
        self.owner_word().store(owner, Ordering::Relaxed);
    }

    fn class_byte(&self) -> &'static AtomicU8 {
        let address = std::ptr::from_ref(self).expose_provenance();
        let byte = (address & !(SEGMENT - 1)) + CLASSES + address % SEGMENT / size_of::<Self>();
        // SAFETY: as in `owner_word`; the head holds the byte as well.
        unsafe { &*std::ptr::with_exposed_provenance(byte) }
    }

    /// The class, for a thread that has a block of the slab and does not own it.
    pub(crate) fn told_class(&self) -> u8 {
        // Relaxed: written before any block was out.
        self.class_byte().load(Ordering::Relaxed)
    }

    /// Writes it where other threads find it.
    pub(crate) fn tell_class(&self, class: u8) {
        // Relaxed: see `told_class`.
        self.class_byte().store(class, Ordering::Relaxed);
    }
}

/// The first descriptor of the slab that a descriptor belongs to.
pub(crate) fn first(slab: &'static Slab) -> &'static Slab {
    if slab.kind.get() != Kind::Inside {
        return slab;
    }
    let (segment, index) = Segment::of_slab(slab);
    segment.slab(index - usize::from(slab.offset.get()))
}
