//! A global allocator that counts, for tests that bound what a program allocates or holds.
//!
//! ```
//! use harness::counting::Counting;
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting::new();
//!
//! let before = ALLOCATOR.allocations();
//! drop(vec![1]);
//! assert_eq!(ALLOCATOR.allocations() - before, 1);
//! ```
//!
//! # What this module does not do
//!
//! It does not tell threads apart: a test that counts is alone in its process.

#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The system's allocator, counted.
#[derive(Debug, Default)]
pub struct Counting {
    allocations: AtomicU64,
    held: AtomicUsize,
    most: AtomicUsize,
}

impl Counting {
    /// One that has seen nothing.
    pub const fn new() -> Self {
        let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { allocations: AtomicU64::new(0), held, most }
    }

    /// Blocks that were asked for, those that were made larger or smaller included.
    pub fn allocations(&self) -> u64 {
        // Relaxed, here and below: figures, by which nobody decides anything.
        self.allocations.load(Ordering::Relaxed)
    }

    /// Bytes that are held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Most bytes that were held at once while `work` was done, beyond those before it.
    pub fn most_during<T>(&self, work: impl FnOnce() -> T) -> (usize, T) {
        let before = self.held();
        self.most.store(before, Ordering::Relaxed);
        let done = work();
        (self.most.load(Ordering::Relaxed).saturating_sub(before), done)
    }

    fn take(&self, bytes: usize) {
        self.allocations.fetch_add(1, Ordering::Relaxed);
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(held, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// SAFETY: all is done by `System`; counting touches no block.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        // SAFETY: the caller keeps what the trait demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        self.give_back(layout.size());
        // SAFETY: as above; the block is the system's.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.take(size);
        self.give_back(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(start, layout, size) }
    }
}
