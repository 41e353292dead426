//! A block of an allocator under comparison: the least that a line needs of it.

#![expect(unsafe_code, reason = "allocators are called through `GlobalAlloc`")]

use std::alloc::Layout;
use std::ptr::NonNull;

use harness::contract::Allocator;

/// What a page of the system holds.
pub(super) const PAGE: usize = 4096;

/// A live block. It is not freed by itself: a line measures when it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    start: *mut u8,
    layout: Layout,
}

// SAFETY: a block may be used and freed by any thread that has it.
unsafe impl Send for Block {}

/// The address of a block whose layout is known elsewhere: what a table of many holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start(NonNull<u8>);

// SAFETY: as for a block.
unsafe impl Send for Start {}

impl Start {
    /// The block, which has this layout.
    #[inline(always)]
    pub(super) fn block(self, size: usize, align: usize) -> Block {
        // SAFETY: as in `Block::new`.
        let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
        Block { start: self.0.as_ptr(), layout }
    }
}

impl Block {
    /// A block of which the first byte is written.
    #[inline(always)]
    pub(super) fn new<A: Allocator>(size: usize, align: usize) -> Self {
        // SAFETY: lines ask for sizes above zero and alignments that are powers of two.
        let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
        // SAFETY: the size is above zero.
        let start = unsafe { A::get().alloc(layout) };
        Self { start, layout }.touched(0)
    }

    #[inline(always)]
    pub(super) fn zeroed<A: Allocator>(size: usize) -> Self {
        // SAFETY: as above.
        let layout = unsafe { Layout::from_size_align_unchecked(size, 8) };
        // SAFETY: as above.
        let start = unsafe { A::get().alloc_zeroed(layout) };
        Self { start, layout }.touched(0)
    }

    /// Writes one byte.
    #[inline(always)]
    pub(super) fn touched(self, offset: usize) -> Self {
        // SAFETY: the offset lies within the block.
        let byte = unsafe { self.start.add(offset) };
        // SAFETY: as above; a null pointer ends the contender's process.
        unsafe { byte.write_volatile(1) };
        self
    }

    /// Writes one byte of each page but the first.
    pub(super) fn used(self) -> Self {
        (PAGE..self.layout.size()).step_by(PAGE).fold(self, Self::touched)
    }

    #[inline(always)]
    pub(super) fn start(self) -> Start {
        // SAFETY: a byte was written there.
        Start(unsafe { NonNull::new_unchecked(self.start) })
    }

    pub(super) fn size(self) -> usize {
        self.layout.size()
    }

    #[inline(always)]
    pub(super) fn grown<A: Allocator>(self, size: usize) -> Self {
        // SAFETY: the block is live, and the size is above zero.
        let start = unsafe { A::get().realloc(self.start, self.layout, size) };
        // SAFETY: as in `new`.
        let layout = unsafe { Layout::from_size_align_unchecked(size, self.layout.align()) };
        Self { start, layout }
    }

    #[inline(always)]
    pub(super) fn free<A: Allocator>(self) {
        // SAFETY: a line frees each block once.
        unsafe { A::get().dealloc(self.start, self.layout) };
    }

    /// Its bytes, all of which were written.
    #[inline(always)]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the block is live, and as long as its layout says.
        unsafe { std::slice::from_raw_parts(self.start, self.layout.size()) }
    }

    /// Writes bytes at an offset.
    pub(super) fn write(self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.layout.size(), "the block is too short");
        // SAFETY: the offset lies within the block.
        let to = unsafe { self.start.add(offset) };
        // SAFETY: they fit.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}
