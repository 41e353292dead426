//! A slice of atomics in memory that comes zeroed.
//!
//! A large request of zeroed memory costs next to nothing: the system gives pages when they are
//! first touched. So a table of a gigabyte is made in microseconds, and its cost is spread over
//! the operations that fill it.

#![expect(unsafe_code, reason = "no safe collection is made of zeroed memory without touching it")]

use std::alloc::{Layout, alloc_zeroed, dealloc, realloc};
use std::ops::Deref;
use std::ptr::NonNull;

/// A type whose default is all zero bits.
///
/// # Safety
///
/// Zero bits are a valid value, the same as `Default::default()`; the type needs no drop.
pub(super) unsafe trait Zeroable: Default {}

/// A boxed slice that was made of zeroed memory.
#[derive(Debug)]
pub(super) struct Zeroed<T> {
    start: NonNull<T>,
    length: usize,
    /// What was allocated. `start` is the first place in it that suits.
    block: NonNull<u8>,
    layout: Layout,
}

/// Where elements begin: at a cache line.
const LINE: usize = 64;

/// The alignment that is asked for. A larger one makes the system's allocator touch all memory.
const ALIGN: usize = 16;

// SAFETY: it owns its elements as a box does.
unsafe impl<T: Send> Send for Zeroed<T> {}
// SAFETY: it shares its elements as a box does.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl<T: Zeroable> Zeroed<T> {
    /// `length` zeroes; `None` where the memory cannot be had.
    pub(super) fn new(length: usize) -> Option<Self> {
        const { assert!(align_of::<T>() <= LINE, "a line is as far as alignment goes") };
        let bytes = length.checked_mul(size_of::<T>())?.checked_add(LINE - ALIGN)?;
        let layout = Layout::from_size_align(bytes, ALIGN).ok()?;
        // SAFETY: the size is not zero, since a line is longer than the alignment.
        let block = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let skip = block.align_offset(LINE);
        // SAFETY: an aligned address is at most a line less the alignment away.
        let start: NonNull<T> = unsafe { block.add(skip) }.cast();
        #[cfg(any(loom, shuttle))]
        for index in 0..length {
            // The explorers' atomics are more than their bits.
            // SAFETY: the index is within what was allocated.
            unsafe { start.add(index).write(T::default()) };
        }
        Some(Self { start, length, block, layout })
    }
}

impl<T> Zeroed<T> {
    /// Gives `bytes` at the end back to the system; false where there are not as many to give.
    ///
    /// The elements there are gone. An allocator that keeps large blocks apart, as most do, does it
    /// in place.
    pub(super) fn shorten(&mut self, bytes: usize) -> bool {
        let length = self.length.saturating_sub(bytes.div_ceil(size_of::<T>()));
        if length == 0 || cfg!(any(loom, shuttle)) {
            return false;
        }
        let size = length * size_of::<T>() + LINE - ALIGN;
        // SAFETY: it was allocated with this layout; the new size is smaller and not zero.
        let Some(block) = NonNull::new(unsafe { realloc(self.block.as_ptr(), self.layout, size) })
        else {
            return false;
        };
        self.layout =
            Layout::from_size_align(size, ALIGN).expect("smaller than one that was valid");
        self.block = block;
        self.length = length;
        // SAFETY: as in `new`.
        self.start = unsafe { block.add(block.align_offset(LINE)) }.cast();
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

impl<T> Drop for Zeroed<T> {
    fn drop(&mut self) {
        #[cfg(any(loom, shuttle))]
        for index in 0..self.length {
            // SAFETY: the element was written by `new` and is dropped once.
            unsafe { self.start.add(index).drop_in_place() };
        }
        // SAFETY: allocated with this layout, and freed only here.
        unsafe { dealloc(self.block.as_ptr(), self.layout) };
    }
}
