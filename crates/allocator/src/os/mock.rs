//! A system that obeys a test: real memory, a clock that is set, and failures on demand.

#![expect(unsafe_code, reason = "it passes calls on to the real system")]

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use super::{Linux, Os};

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Mock {
    /// Calls of `map` that succeed before all others fail; `usize::MAX` for no end.
    pub(crate) maps_left: AtomicUsize,
    /// What the clock shows.
    pub(crate) now_ms: AtomicU64,
    /// Where all threads run.
    pub(crate) processor: AtomicU32,
    /// Bytes that were purged.
    pub(crate) purged: AtomicUsize,
    /// Bytes that huge pages were asked for.
    pub(crate) huge: AtomicUsize,
}

impl Mock {
    pub(crate) fn new() -> Self {
        Self { maps_left: AtomicUsize::new(usize::MAX), ..Self::default() }
    }
}

impl Os for Mock {
    fn map(&self, hint: usize, size: usize) -> *mut u8 {
        let left = self.maps_left.load(SeqCst);
        if left == 0 {
            return std::ptr::null_mut();
        }
        self.maps_left.store(if left == usize::MAX { left } else { left - 1 }, SeqCst);
        Linux.map(hint, size)
    }

    unsafe fn unmap(&self, start: *mut u8, size: usize) {
        // SAFETY: passed on.
        unsafe { Linux.unmap(start, size) };
    }

    unsafe fn purge(&self, start: *mut u8, size: usize) -> bool {
        self.purged.fetch_add(size, SeqCst);
        // SAFETY: passed on.
        unsafe { Linux.purge(start, size) }
    }

    unsafe fn relocate(&self, start: *mut u8, size: usize, to: *mut u8) -> bool {
        // SAFETY: passed on.
        unsafe { Linux.relocate(start, size, to) }
    }

    fn advise_huge(&self, _: *mut u8, size: usize) -> bool {
        self.huge.fetch_add(size, SeqCst);
        true
    }

    fn is_touched(&self, page: *mut u8) -> bool {
        Linux.is_touched(page)
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.load(SeqCst)
    }

    fn processor(&self) -> u32 {
        self.processor.load(SeqCst)
    }
}
