//! A slice of atomics in memory that comes zeroed.
//!
//! A large request of zeroed memory costs next to nothing: the system gives pages when they are
//! first touched. So a table of a gigabyte is made in microseconds, and its cost is spread over
//! the operations that fill it.

#![expect(unsafe_code, reason = "no safe collection is made of zeroed memory without touching it")]

use std::alloc::Layout;
#[cfg(not(any(loom, shuttle)))]
use std::alloc::alloc_zeroed;
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
}

// SAFETY: it owns its elements as a box does.
unsafe impl<T: Send> Send for Zeroed<T> {}
// SAFETY: it shares its elements as a box does.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl<T: Zeroable> Zeroed<T> {
    /// `length` zeroes; `None` where the memory cannot be had.
    pub(super) fn new(length: usize) -> Option<Self> {
        assert!(length > 0, "an empty slice has no memory");
        let layout = Layout::array::<T>(length).ok()?;
        Some(Self { start: allocate::<T>(layout, length)?, length })
    }
}

#[cfg(not(any(loom, shuttle)))]
fn allocate<T: Zeroable>(layout: Layout, _length: usize) -> Option<NonNull<T>> {
    // SAFETY: the length is not zero, nor is the size of an atomic.
    NonNull::new(unsafe { alloc_zeroed(layout) }.cast())
}

/// The explorers' atomics are more than their bits.
#[cfg(any(loom, shuttle))]
fn allocate<T: Zeroable>(layout: Layout, length: usize) -> Option<NonNull<T>> {
    // SAFETY: neither the length nor the size of an atomic is zero.
    let start = NonNull::new(unsafe { std::alloc::alloc(layout) }.cast::<T>())?;
    for index in 0..length {
        // SAFETY: the index is within what was allocated.
        unsafe { start.add(index).write(T::default()) };
    }
    Some(start)
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
        let layout = Layout::array::<T>(self.length).expect("the layout was computed before");
        #[cfg(any(loom, shuttle))]
        for index in 0..self.length {
            // SAFETY: the element was written by `allocate` and is dropped once.
            unsafe { self.start.add(index).drop_in_place() };
        }
        // SAFETY: allocated with this layout, and freed only here.
        unsafe { std::alloc::dealloc(self.start.as_ptr().cast(), layout) };
    }
}
