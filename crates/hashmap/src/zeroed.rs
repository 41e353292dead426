//! A slice of atomics in memory that comes zeroed.
//!
//! A large request of zeroed memory costs next to nothing: the system gives pages when they are
//! first touched. So a table of a gigabyte is made in microseconds, and its cost is spread over
//! the operations that fill it.
//!
//! ```text
//!   the largest slice of a table is
//!   less than MAPPED_MIN    from the allocator
//!   more                    from the system, see `mapping`
//! ```
//!
//! Of what the allocator has at hand, only what is looked at before it is written is zeroed: see
//! [`Blank`].
//!
//! # Huge pages, and when
//!
//! They make searches of a large table faster by a quarter to a half, and whoever touches one first
//! waits until two megabytes are zeroed, a tenth of a millisecond or more. Who asks for a large
//! table gets them at once ([`Pages::Huge`]). A table that a map grows into by itself begins with
//! small pages, so that no insertion waits that long ([`Pages::Small`]), and asks for huge ones
//! when its entries have moved in ([`Zeroed::use_huge_pages`]); the system then puts them together
//! at its leisure.

#![expect(unsafe_code, reason = "no safe collection is made of zeroed memory without touching it")]

#[cfg(all(unix, not(any(loom, shuttle, miri))))]
mod mapping;
/// Elsewhere everything comes from the allocator.
#[cfg(not(all(unix, not(any(loom, shuttle, miri)))))]
mod mapping {
    use std::ptr::NonNull;

    #[derive(Debug)]
    pub(super) enum Mapping {}

    impl Mapping {
        pub(super) fn new(_bytes: usize) -> Option<Self> {
            None
        }

        pub(super) fn start(&self) -> NonNull<u8> {
            match *self {}
        }

        pub(super) fn use_huge_pages(&self) {
            match *self {}
        }

        pub(super) fn discard(&self, _bytes: std::ops::Range<usize>) {
            match *self {}
        }

        pub(super) fn shorten(&mut self, _bytes: usize) {
            match *self {}
        }
    }
}

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::ops::{Deref, Range};
use std::ptr::NonNull;

use mapping::Mapping;

/// A type whose default is all zero bits.
///
/// # Safety
///
/// Zero bits are a valid value, the same as `Default::default()`; the type needs no drop.
pub(crate) unsafe trait Zeroable: Default {}

/// Which pages a large slice begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Nobody waits long for one of them.
    Small,
    /// Fast to search.
    Huge,
}

/// A boxed slice that was made of zeroed memory.
#[derive(Debug)]
pub(crate) struct Zeroed<T> {
    /// The first place in `memory` that suits.
    start: NonNull<T>,
    length: usize,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Heap { block: NonNull<u8>, layout: Layout },
    Mapped(Mapping),
}

/// Where elements begin: at a cache line.
const LINE: usize = 64;

/// The alignment that an allocator is asked for. A larger one makes the system's allocator touch
/// all memory.
const ALIGN: usize = 16;

/// Bytes of its largest slice from which a table is asked from the system, not the allocator. One
/// that has memory at hand would have to clear it, all at once. Less than this is cleared in the
/// time that the system takes for a page now and then, and is not worth a mapping that starts cold
/// each time.
const MAPPED_MIN: usize = 4 << 20;

// SAFETY: it owns its elements as a box does.
unsafe impl<T: Send> Send for Zeroed<T> {}
// SAFETY: it shares its elements as a box does.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl Memory {
    /// `bytes` bytes, to be aligned by the caller; `None` where they cannot be had. They are zeroes
    /// unless they come from the allocator and need not be.
    fn new(bytes: usize, largest: usize, pages: Pages, zeroed: bool) -> Option<Self> {
        if largest >= MAPPED_MIN
            && let Some(mapping) = Mapping::new(bytes)
        {
            if pages == Pages::Huge {
                mapping.use_huge_pages();
            }
            return Some(Self::Mapped(mapping));
        }
        let layout = Layout::from_size_align(bytes, ALIGN).ok()?;
        let allocate = if zeroed { alloc_zeroed } else { alloc };
        // SAFETY: the size is not zero: the caller asks for more than the space of an alignment.
        let block = NonNull::new(unsafe { allocate(layout) })?;
        Some(Self::Heap { block, layout })
    }

    /// Where it begins.
    fn start(&self) -> NonNull<u8> {
        match self {
            Self::Heap { block, .. } => *block,
            Self::Mapped(mapping) => mapping.start(),
        }
    }

    /// Gives up what is behind the first `bytes`, which is not zero; false where that cannot be.
    fn shorten(&mut self, bytes: usize) -> bool {
        match self {
            Self::Mapped(mapping) => mapping.shorten(bytes),
            Self::Heap { block, layout } => {
                // SAFETY: it was allocated with this layout; the new size is smaller and not zero.
                let shorter = unsafe { realloc(block.as_ptr(), *layout, bytes) };
                let Some(shorter) = NonNull::new(shorter) else { return false };
                *block = shorter;
                *layout =
                    Layout::from_size_align(bytes, ALIGN).expect("smaller than one that was valid");
            }
        }
        true
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Heap { block, layout } = self {
            // SAFETY: allocated with this layout, and freed only here.
            unsafe { dealloc(block.as_ptr(), *layout) };
        }
    }
}

impl<T: Zeroable> Zeroed<T> {
    /// `length` zeroes; `None` where the memory cannot be had. `largest` is the bytes of the
    /// largest slice that is made together with this one: all of them come from the same source.
    pub(crate) fn new(length: usize, largest: usize, pages: Pages) -> Option<Self> {
        Self::make(length, largest, pages, true)
    }

    fn make(length: usize, largest: usize, pages: Pages, zeroed: bool) -> Option<Self> {
        const { assert!(align_of::<T>() <= LINE, "a line is as far as alignment goes") };
        let bytes = length.checked_mul(size_of::<T>())?.checked_add(LINE - ALIGN)?;
        let memory = Memory::new(bytes, largest, pages, zeroed)?;
        let start = aligned(&memory);
        #[cfg(any(loom, shuttle))]
        for index in 0..length {
            // The explorers' atomics are more than their bits.
            // SAFETY: the index is within what was allocated.
            unsafe { start.add(index).write(T::default()) };
        }
        Some(Self { start, length, memory })
    }
}

/// The first place for an element.
fn aligned<T>(memory: &Memory) -> NonNull<T> {
    let start = memory.start();
    // SAFETY: an aligned address is at most a line less the alignment away, and so much more was
    // asked for.
    unsafe { start.add(start.align_offset(LINE)) }.cast()
}

impl<T> Zeroed<T> {
    /// Asks for huge pages also where elements have been touched.
    pub(crate) fn use_huge_pages(&self) {
        if let Memory::Mapped(mapping) = &self.memory {
            mapping.use_huge_pages();
        }
    }

    /// Gives the memory of elements that nobody needs any more back to the system, where it came
    /// from there. They are zeroes afterwards, or what they were.
    pub(crate) fn discard(&self, elements: Range<usize>) {
        if let Memory::Mapped(mapping) = &self.memory {
            let [start, end] = [elements.start, elements.end].map(|it| it * size_of::<T>());
            mapping.discard(start..end);
        }
    }

    /// Gives `bytes` at the end back to the system; false where there are not as many to give.
    ///
    /// The elements there are gone. It is done in place, also by most allocators.
    pub(crate) fn shorten(&mut self, bytes: usize) -> bool {
        let length = self.length.saturating_sub(bytes.div_ceil(size_of::<T>()));
        if length == 0 || cfg!(any(loom, shuttle)) {
            return false;
        }
        if !self.memory.shorten(length * size_of::<T>() + LINE - ALIGN) {
            return false;
        }
        self.length = length;
        self.start = aligned(&self.memory);
        true
    }
}

impl<T> Deref for Zeroed<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: as many elements were allocated, zeroed, and zero bits are a valid element.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

/// A boxed slice whose elements hold nothing until they are cleared, each before anyone looks at
/// it.
///
/// A table that is being filled by the one before is written from end to end. To clear all of it
/// beforehand would write it twice, the second time when it has left the cache.
#[derive(Debug)]
pub(crate) struct Blank<T> {
    /// Only its memory; nobody looks at it as a slice.
    elements: Zeroed<T>,
    /// The memory came zeroed.
    is_clear: bool,
}

impl<T: Zeroable> Blank<T> {
    /// `length` elements, all of them cleared if `cleared`; else as of [`Zeroed::new`].
    pub(crate) fn new(length: usize, largest: usize, pages: Pages, cleared: bool) -> Option<Self> {
        let elements = Zeroed::make(length, largest, pages, cleared)?;
        let is_mapped = matches!(elements.memory, Memory::Mapped(_));
        Some(Self { elements, is_clear: cleared || is_mapped || cfg!(any(loom, shuttle)) })
    }

    /// Makes elements zeroes, if they are not yet.
    ///
    /// # Safety
    ///
    /// The range is one of elements, and nobody else looks at them meanwhile, or has written one.
    #[inline(always)]
    pub(crate) unsafe fn clear(&self, range: Range<usize>) {
        if !self.is_clear {
            let start = self.address(range.start).cast_mut();
            // SAFETY: the caller promises that they are ours alone.
            unsafe { start.write_bytes(0, range.len()) };
        }
    }

    /// Some of the elements.
    ///
    /// # Safety
    ///
    /// The range is one of elements, which have been cleared.
    #[inline(always)]
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &[T] {
        // SAFETY: as the caller promises; zero bits are a valid element.
        unsafe { std::slice::from_raw_parts(self.address(range.start), range.len()) }
    }

    /// An element.
    ///
    /// # Safety
    ///
    /// There are more than `index`, and it has been cleared.
    #[inline(always)]
    pub(crate) unsafe fn get(&self, index: usize) -> &T {
        // SAFETY: as the caller promises; zero bits are a valid element.
        unsafe { &*self.address(index) }
    }
}

impl<T> Blank<T> {
    /// See [`Zeroed::use_huge_pages`].
    pub(crate) fn use_huge_pages(&self) {
        self.elements.use_huge_pages();
    }

    /// See [`Zeroed::discard`].
    pub(crate) fn discard(&self, elements: Range<usize>) {
        self.elements.discard(elements);
    }

    /// See [`Zeroed::shorten`].
    pub(crate) fn shorten(&mut self, bytes: usize) -> bool {
        self.elements.shorten(bytes)
    }

    /// Where an element is, for the processor to fetch; nobody need have cleared it.
    #[inline(always)]
    pub(crate) fn address(&self, index: usize) -> *const T {
        self.elements.start.as_ptr().wrapping_add(index)
    }

    /// Bytes of all elements.
    pub(crate) fn bytes(&self) -> usize {
        self.elements.length * size_of::<T>()
    }
}

#[cfg(any(loom, shuttle))]
impl<T> Drop for Zeroed<T> {
    fn drop(&mut self) {
        for index in 0..self.length {
            // SAFETY: the element was written by `new` and is dropped once.
            unsafe { self.start.add(index).drop_in_place() };
        }
    }
}
