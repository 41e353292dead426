//! What the adapters of allocators share: every method goes to the allocator's own, inlined, so
//! that one that overrides `realloc` or `alloc_zeroed` keeps what it gains by that.

/// Implements `GlobalAlloc` by passing everything on.
macro_rules! forward {
    ($adapter:ty, $inner:ident) => {
        #[expect(unsafe_code, reason = "`GlobalAlloc` is passed on")]
        // SAFETY: the allocator behind it keeps the contract.
        unsafe impl std::alloc::GlobalAlloc for $adapter {
            #[inline(always)]
            unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
                // SAFETY: passed on.
                unsafe { std::alloc::GlobalAlloc::alloc(&$inner, layout) }
            }

            #[inline(always)]
            unsafe fn dealloc(&self, block: *mut u8, layout: std::alloc::Layout) {
                // SAFETY: passed on.
                unsafe { std::alloc::GlobalAlloc::dealloc(&$inner, block, layout) }
            }

            #[inline(always)]
            unsafe fn alloc_zeroed(&self, layout: std::alloc::Layout) -> *mut u8 {
                // SAFETY: passed on.
                unsafe { std::alloc::GlobalAlloc::alloc_zeroed(&$inner, layout) }
            }

            #[inline(always)]
            unsafe fn realloc(
                &self,
                block: *mut u8,
                layout: std::alloc::Layout,
                size: usize,
            ) -> *mut u8 {
                // SAFETY: passed on.
                unsafe { std::alloc::GlobalAlloc::realloc(&$inner, block, layout, size) }
            }
        }
    };
}
pub(super) use forward;
