//! Your heaps, in the shape in which the suite and the duel take every allocator.

/// Makes an allocator out of each heap: one of the process, as the contract wants it.
macro_rules! judged {
    ($($heap:ident as $judged:ident;)+) => {$(
        #[doc = concat!("`", stringify!($heap), "` as it is judged and compared.")]
        #[derive(Debug)]
        pub struct $judged;

        impl $judged {
            #[inline(always)]
            fn heap() -> &'static exercise::$heap {
                static HEAP: std::sync::OnceLock<exercise::$heap> = std::sync::OnceLock::new();
                HEAP.get_or_init(|| Heap::new(System::new()))
            }
        }

        #[expect(unsafe_code, reason = "`GlobalAlloc` is passed on")]
        // SAFETY: this is what the suite finds out.
        unsafe impl std::alloc::GlobalAlloc for $judged {
            #[inline(always)]
            unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
                // SAFETY: passed on, with the number of this thread.
                unsafe { alloc_any(Self::heap(), thread::number(), layout) }
            }

            #[inline(always)]
            unsafe fn dealloc(&self, block: *mut u8, layout: std::alloc::Layout) {
                // SAFETY: passed on, with the number of this thread.
                unsafe { free_any(Self::heap(), thread::number(), block, layout) }
            }

            #[inline(always)]
            unsafe fn realloc(
                &self,
                block: *mut u8,
                layout: std::alloc::Layout,
                size: usize,
            ) -> *mut u8 {
                // SAFETY: passed on, with the number of this thread.
                unsafe { resize_any(Self::heap(), thread::number(), block, layout, size) }
            }
        }

        impl harness::contract::Allocator for $judged {
            const NAME: &'static str = "yours";

            fn get() -> &'static Self {
                &$judged
            }

            #[expect(unsafe_code, reason = "`purge` is passed on")]
            fn collect(&self) {
                // SAFETY: passed on, with the number of this thread.
                unsafe { Self::heap().purge(thread::number()) };
            }
        }
    )+};
}
