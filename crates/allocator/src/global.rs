//! The allocator of a process.

#![expect(unsafe_code, reason = "this is `GlobalAlloc`")]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;

use crate::heap::{Fresh, Heap};
use crate::local;
use crate::options::Options;
use crate::profile::Profile;
use crate::secure;
use crate::segment::{first, slab_of};
use crate::stats::Stats;
use crate::valgrind;
use crate::world::WORLD;

/// The allocator.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: allocator::Strata = allocator::Strata::new();
///
/// assert_eq!(vec![1, 2, 3].len(), 3);
/// ```
///
/// All values of this type share the heaps of the process; the options are those of the one that
/// allocates first.
#[derive(Debug)]
pub struct Strata {
    options: Options,
}

impl Default for Strata {
    fn default() -> Self {
        Self::new()
    }
}

impl Strata {
    /// With the default options.
    pub const fn new() -> Self {
        Self::with_options(Options::new())
    }

    /// With options of its own.
    pub const fn with_options(options: Options) -> Self {
        Self { options }
    }

    /// Gives back to the system what can be given back now: what this thread keeps for later, what
    /// threads left that have ended, and all that is free.
    pub fn collect(&self) {
        let _hush = valgrind::hush();
        if secure::is_on() {
            secure::collect();
        }
        let heap = local::heap();
        if !heap.is_nobody() {
            heap.collect();
            WORLD.collect();
        }
    }

    /// A block of `size` bytes that is aligned to 16, if one lies at hand: what `malloc` begins
    /// with. `None` says nothing of memory; [`alloc`](GlobalAlloc::alloc) is what comes next.
    #[inline(always)]
    pub fn at_hand(&self, size: usize) -> Option<NonNull<u8>> {
        let _hush = valgrind::hush();
        let block = local::heap().try_small(size)?.start();
        valgrind::made(block.as_ptr(), size, false);
        Some(block)
    }

    /// Frees a block whose layout the caller does not know; else
    /// [`dealloc`](GlobalAlloc::dealloc).
    ///
    /// # Safety
    ///
    /// The block came from this allocator, is not free, and nobody uses it any more.
    #[inline]
    pub unsafe fn free(&self, block: NonNull<u8>) {
        valgrind::freed(block.as_ptr());
        let _hush = valgrind::hush();
        if self.is_secure() {
            return secure::free(block, None);
        }
        // SAFETY: the caller says so.
        unsafe { local::heap().free(block) };
    }

    /// Changes the size of a block whose layout the caller does not know; else
    /// [`realloc`](GlobalAlloc::realloc). Where it moves, it is aligned to `align` at least. Null
    /// where there is no memory, and the block is then as it was.
    ///
    /// # Safety
    ///
    /// The block came from this allocator and is not free; the size is above zero.
    pub unsafe fn resize(&self, block: NonNull<u8>, align: usize, size: usize) -> *mut u8 {
        let old = if valgrind::ON {
            // SAFETY: the caller says so.
            unsafe { self.usable_size(block) }
        } else {
            usize::MAX
        };
        // SAFETY: as above.
        unsafe { self.reallocate(block, None, old, align, size) }
    }

    /// Changes the size of a block of `old` bytes, by whichever mode is on, and tells valgrind.
    ///
    /// # Safety
    ///
    /// The block came from this allocator, with this layout or alignment, and is not free.
    #[inline(always)]
    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Option<Layout>,
        old: usize,
        align: usize,
        size: usize,
    ) -> *mut u8 {
        let hush = valgrind::hush();
        let new = if self.is_secure() {
            secure::reallocate(block, layout, size)
        } else {
            let Some(heap) = self.heap() else { return std::ptr::null_mut() };
            // SAFETY: the caller says so.
            unsafe { heap.reallocate(block, old, align, size) }
        };
        drop(hush);
        valgrind::resized(block.as_ptr(), old, new, size);
        new
    }

    /// Bytes of a block that may be used: at least what was asked for, and in secure mode exactly
    /// that.
    ///
    /// # Safety
    ///
    /// The block came from this allocator and is not free.
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        if self.is_secure() {
            return secure::usable_size(block);
        }
        // SAFETY: the caller says so.
        first(unsafe { slab_of(block.as_ptr()) }).block_size()
    }

    /// What the allocator holds. Others go on allocating while it is counted, so that the figures
    /// need not fit together to the byte; no memory is mapped meanwhile: not for a hot path.
    pub fn stats(&self) -> Stats {
        Stats::of(&WORLD)
    }

    /// What was sampled until now; `None` where the options ask for no profile.
    pub fn profile(&self) -> Option<Profile> {
        Profile::take()
    }

    #[cold]
    #[inline(never)]
    fn allocate_slow(&self, size: usize, align: usize) -> Fresh {
        // In secure mode no thread ever gets a heap, so that every allocation comes here.
        if self.is_secure() {
            let start = secure::allocate(size, align, secure::Owner::COMMON);
            return Fresh { start, zero: true };
        }
        if let Some(start) = local::heap().try_span(size, align) {
            return Fresh { start, zero: false };
        }
        match self.heap() {
            Some(heap) => heap.allocate_slow(size, align),
            None => Fresh::NULL,
        }
    }

    /// Whether blocks are checked. Whoever gives a block back before any was handed out sets the
    /// process up, so that it learns that this is none.
    #[inline(always)]
    fn is_secure(&self) -> bool {
        if secure::is_undecided() {
            local::set_up(&self.options);
        }
        secure::is_on()
    }

    /// The heap of this thread, which is made where there is none yet.
    fn heap(&self) -> Option<&'static Heap> {
        let heap = local::heap();
        if heap.is_nobody() { local::begin(&self.options) } else { Some(heap) }
    }
}

// SAFETY: blocks are disjoint, aligned and as large as asked for; that is what the suites check.
unsafe impl GlobalAlloc for Strata {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _hush = valgrind::hush();
        let block = match local::heap().try_allocate(layout.size(), layout.align()) {
            Some(block) => block.as_ptr(),
            None => self.allocate_slow(layout.size(), layout.align()).start,
        };
        valgrind::made(block, layout.size(), false);
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller frees a block, which is not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        valgrind::freed(block.as_ptr());
        let _hush = valgrind::hush();
        if self.is_secure() {
            return secure::free(block, Some(layout));
        }
        // SAFETY: the caller says so.
        unsafe { local::heap().free(block) };
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let _hush = valgrind::hush();
        let fresh = match local::heap().try_allocate(layout.size(), layout.align()) {
            Some(block) => Fresh { start: block.as_ptr(), zero: false },
            None => self.allocate_slow(layout.size(), layout.align()),
        };
        if !fresh.zero {
            // SAFETY: the block is that long.
            unsafe { fresh.start.write_bytes(0, layout.size()) };
        }
        valgrind::made(fresh.start, layout.size(), true);
        fresh.start
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller hands in a block, which is not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller says so.
        unsafe { self.reallocate(block, Some(layout), layout.size(), layout.align(), size) }
    }
}
