//! mimalloc v2, which most programs that use mimalloc run with: segments of 32 MiB.
//!
//! The build script compiles it, under names of its own.

#![expect(unsafe_code, reason = "its functions are those of C")]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use harness::contract::Allocator;

unsafe extern "C" {
    fn v2_mi_malloc_aligned(size: usize, align: usize) -> *mut c_void;
    fn v2_mi_zalloc_aligned(size: usize, align: usize) -> *mut c_void;
    fn v2_mi_realloc_aligned(block: *mut c_void, size: usize, align: usize) -> *mut c_void;
    fn v2_mi_free(block: *mut c_void);
}

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

// As the crate does it for v3.
// SAFETY: the functions keep the contract.
unsafe impl GlobalAlloc for Heap {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size and any power of two will do.
        unsafe { v2_mi_malloc_aligned(layout.size(), layout.align()) }.cast()
    }

    #[inline(always)]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller frees a block of it.
        unsafe { v2_mi_free(block.cast()) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { v2_mi_zalloc_aligned(layout.size(), layout.align()) }.cast()
    }

    #[inline(always)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`.
        unsafe { v2_mi_realloc_aligned(block.cast(), size, layout.align()) }.cast()
    }
}

impl Allocator for Heap {
    const NAME: &'static str = "mimalloc-v2";

    fn get() -> &'static Self {
        &Self
    }
}
