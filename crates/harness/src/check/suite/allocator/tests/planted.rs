//! The system's allocator, as it is or with one bug planted.
//!
//! Bugs are such that the process survives them: memory that is handed out wrongly is valid and
//! never freed.

#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::contract::Allocator;

pub(super) const NOTHING: u8 = 0;
pub(super) const OVERLAP: u8 = 1;
pub(super) const MISALIGNED: u8 = 2;
pub(super) const DIRTY_ZEROED: u8 = 3;
pub(super) const REALLOC_LOSES: u8 = 4;
pub(super) const NEVER_REUSES: u8 = 5;
pub(super) const NULL_WHEN_LARGE: u8 = 6;
pub(super) const TRAMPLES: u8 = 7;

pub(super) struct Planted<const BUG: u8>;

impl<const BUG: u8> Allocator for Planted<BUG> {
    const NAME: &'static str = "planted";

    fn get() -> &'static Self {
        &Self
    }
}

/// A block of 64 bytes that was handed out before, for [`OVERLAP`] and [`TRAMPLES`].
static FORMER: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static CALLS: AtomicUsize = AtomicUsize::new(0);

impl<const BUG: u8> Planted<BUG> {
    /// Whether the bug makes of this layout something that must not be freed.
    fn leaks(layout: Layout) -> bool {
        match BUG {
            OVERLAP | TRAMPLES => layout.size() <= 64 && layout.align() <= 8,
            MISALIGNED => (17..=32).contains(&layout.size()) && layout.align() == 8,
            NEVER_REUSES => layout.size() == 4_096,
            _ => false,
        }
    }
}

// SAFETY: what is planted breaks promises about contents and places, but all memory that is handed
// out is valid for its layout and is freed only when it came from `System` as it is.
unsafe impl<const BUG: u8> GlobalAlloc for Planted<BUG> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if BUG == NULL_WHEN_LARGE && layout.size() > 1 << 20 {
            return ptr::null_mut();
        }
        if !Self::leaks(layout) || BUG == NEVER_REUSES {
            // SAFETY: the caller's promise is the one that is asked for.
            return unsafe { System.alloc(layout) };
        }
        let roomy = Layout::from_size_align(80, 8).unwrap();
        // SAFETY: the size is above zero.
        let block = unsafe { System.alloc(roomy) };
        if BUG == MISALIGNED {
            return block.wrapping_add(4);
        }
        let former = FORMER.swap(block, Ordering::Relaxed);
        let seldom = CALLS.fetch_add(1, Ordering::Relaxed) % 5 == 4;
        match BUG {
            OVERLAP if seldom && !former.is_null() => former.wrapping_add(8),
            TRAMPLES if seldom && !former.is_null() => {
                // SAFETY: blocks of this kind have eighty bytes and are never freed.
                unsafe { former.write(0x77) };
                block
            }
            _ => block,
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !Self::leaks(layout) {
            // SAFETY: a block that does not leak came from `System` with this layout.
            unsafe { System.dealloc(block, layout) };
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that is asked for.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block has as many bytes as the layout says.
            unsafe { block.write_bytes(0, layout.size()) };
            if BUG == DIRTY_ZEROED && layout.size() >= 100 {
                // SAFETY: the offset is that of the last byte.
                unsafe { block.wrapping_add(layout.size() - 1).write(1) };
            }
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let target = Layout::from_size_align(size, layout.align()).unwrap();
        // SAFETY: the caller promises a size above zero.
        let moved = unsafe { self.alloc(target) };
        if moved.is_null() {
            return moved;
        }
        let mut kept = size.min(layout.size());
        // SAFETY: as many bytes as the new block has.
        unsafe { moved.write_bytes(0xEE, size) };
        if BUG == REALLOC_LOSES && kept > 64 {
            kept -= 1;
        }
        // SAFETY: both blocks have that many bytes; they may be one where the bug makes them so.
        unsafe { ptr::copy(block, moved, kept) };
        // SAFETY: the block is the caller's and is not used any more.
        unsafe { self.dealloc(block, layout) };
        moved
    }
}
