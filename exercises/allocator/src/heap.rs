//! What each stage builds.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::Layout;

use crate::System;

/// Bytes of a chunk, of which the heaps cut their blocks; and what it is aligned to, so that the
/// address of a block leads to its chunk.
pub const CHUNK: usize = 64 << 10;

/// The largest block, and the largest alignment, that is cut of a chunk. What is larger is a mapping
/// of its own and no heap's concern.
pub const LARGE: usize = 8 << 10;

fn is_large(layout: Layout) -> bool {
    layout.size() > LARGE || layout.align() > LARGE
}

/// An allocator of small blocks: neither size nor alignment is above [`LARGE`], and neither is zero.
/// Each thread that uses it has a number below [`THREADS`](crate::THREADS).
pub trait Heap: Sync + Sized {
    /// A heap that takes its memory from `system`.
    fn new(system: System) -> Self;

    /// Where it takes its memory from.
    fn system(&self) -> &System;

    /// A block for `layout`; null where there is no memory.
    ///
    /// # Safety
    ///
    /// The layout is small. `me` is the number of the calling thread, and no other thread calls
    /// with the same number meanwhile.
    unsafe fn alloc(&self, me: usize, layout: Layout) -> *mut u8;

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// As for `alloc`; and the block is one of this heap for `layout`, of whatever thread, and is
    /// not used any more.
    unsafe fn free(&self, me: usize, block: *mut u8, layout: Layout);

    /// Makes a block of another size out of one, with the contents of both; null, and nothing
    /// changed, where there is no memory.
    ///
    /// # Safety
    ///
    /// As for `free`; and `size` makes a small layout as well.
    unsafe fn resize(&self, me: usize, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the contract is the same.
        unsafe { moved(self, me, block, layout, size) }
    }

    /// Gives back to the system what the calling thread's part of the heap does not need.
    ///
    /// # Safety
    ///
    /// `me` as for `alloc`.
    unsafe fn purge(&self, _me: usize) {}
}

/// The plain way to another size: a new block, a copy, the old one freed.
///
/// # Safety
///
/// That of [`Heap::resize`], but for the sizes, which may be large.
pub unsafe fn moved<H: Heap>(
    heap: &H,
    me: usize,
    block: *mut u8,
    layout: Layout,
    size: usize,
) -> *mut u8 {
    // SAFETY: the alignment is that of a layout, and the size is one that a layout may have.
    let other = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
    // SAFETY: the size is not zero, and `me` is as it must be.
    let target = unsafe { alloc_any(heap, me, other) };
    if !target.is_null() {
        // SAFETY: both are live and at least as long, and a new block overlaps no other.
        unsafe { block.copy_to_nonoverlapping(target, layout.size().min(size)) };
        // SAFETY: the caller gives the block up.
        unsafe { free_any(heap, me, block, layout) };
    }
    target
}

/// A block of any size: a large one is mapped.
///
/// # Safety
///
/// That of [`Heap::alloc`], but for the size, which may be large.
#[inline(always)]
pub unsafe fn alloc_any<H: Heap>(heap: &H, me: usize, layout: Layout) -> *mut u8 {
    if is_large(layout) {
        return heap.system().map(layout.size(), layout.align());
    }
    // SAFETY: the contract is the same.
    unsafe { heap.alloc(me, layout) }
}

/// Takes a block of [`alloc_any`] back.
///
/// # Safety
///
/// That of [`Heap::free`], but for the size, which may be large.
#[inline(always)]
pub unsafe fn free_any<H: Heap>(heap: &H, me: usize, block: *mut u8, layout: Layout) {
    if is_large(layout) {
        // SAFETY: it was mapped for this size, and nobody uses it.
        unsafe { heap.system().unmap(block, layout.size()) };
    } else {
        // SAFETY: the contract is the same.
        unsafe { heap.free(me, block, layout) };
    }
}

/// Makes a block of [`alloc_any`] another size.
///
/// # Safety
///
/// That of [`Heap::resize`], but for the sizes, which may be large.
#[inline(always)]
pub unsafe fn resize_any<H: Heap>(
    heap: &H,
    me: usize,
    block: *mut u8,
    layout: Layout,
    size: usize,
) -> *mut u8 {
    if is_large(layout) || size > LARGE {
        // SAFETY: the contract is the same.
        unsafe { moved(heap, me, block, layout, size) }
    } else {
        // SAFETY: the contract is the same, and both are small.
        unsafe { heap.resize(me, block, layout, size) }
    }
}
