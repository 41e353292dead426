//! Where memory comes from: the operating system, and a count of what it gave.
#![expect(unsafe_code, reason = "memory is mapped")]

use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// The system's smallest piece of memory.
pub const PAGE: usize = 4 << 10;

/// A source of memory.
#[derive(Debug, Default)]
pub struct System {
    mapped: AtomicUsize,
    discarded: AtomicUsize,
}

impl System {
    /// A source that has given nothing yet.
    pub const fn new() -> Self {
        Self { mapped: AtomicUsize::new(0), discarded: AtomicUsize::new(0) }
    }

    /// Fresh memory, full of zeros: `size` bytes, rounded up to whole pages, at a multiple of
    /// `align`, a power of two. Null where there is none.
    pub fn map(&self, size: usize, align: usize) -> *mut u8 {
        let Some(size) = size.checked_next_multiple_of(PAGE) else { return null_mut() };
        let slack = if align > PAGE { align } else { 0 };
        let Some(all) = size.checked_add(slack) else { return null_mut() };
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: fresh memory, which nothing else knows of.
        let start = unsafe { mmap_anonymous(null_mut(), all, protection, MapFlags::PRIVATE) };
        let Ok(start) = start else { return null_mut() };
        let start = start.cast::<u8>();
        let before = start.align_offset(align.max(PAGE));
        unmap(start, before);
        let block = start.wrapping_add(before);
        unmap(block.wrapping_add(size), slack - before);
        // Relaxed: a count.
        self.mapped.fetch_add(size, Ordering::Relaxed);
        block
    }

    /// Gives memory back for good.
    ///
    /// # Safety
    ///
    /// `map` returned the block for this size, and nobody uses it any more.
    pub unsafe fn unmap(&self, block: *mut u8, size: usize) {
        let size = size.next_multiple_of(PAGE);
        unmap(block, size);
        // Relaxed: a count.
        self.mapped.fetch_sub(size, Ordering::Relaxed);
    }

    /// Gives the memory of whole pages back and keeps their addresses: whoever looks there next
    /// finds zeros.
    ///
    /// # Safety
    ///
    /// The bytes are of one `map`, and nobody needs what is in them.
    pub unsafe fn discard(&self, start: *mut u8, size: usize) {
        // SAFETY: the caller gives the contents up.
        let done = unsafe { madvise(start.cast(), size, Advice::LinuxDontNeed) };
        assert!(
            done.is_ok(),
            "{size} bytes at {start:p} are no whole pages of a mapping: {done:?}"
        );
        // Relaxed: a count.
        self.discarded.fetch_add(size, Ordering::Relaxed);
    }

    /// Bytes that are mapped now, used or not.
    pub fn mapped(&self) -> usize {
        // Relaxed: a count.
        self.mapped.load(Ordering::Relaxed)
    }

    /// Bytes that were discarded so far.
    pub fn discarded(&self) -> usize {
        // Relaxed: a count.
        self.discarded.load(Ordering::Relaxed)
    }
}

/// Gives pages back, of which there may be none.
fn unmap(start: *mut u8, size: usize) {
    if size > 0 {
        // SAFETY: the caller owns these pages and gives them up.
        let done = unsafe { munmap(start.cast(), size) };
        assert!(
            done.is_ok(),
            "{size} bytes at {start:p} are no whole pages of a mapping: {done:?}"
        );
    }
}
