//! Pages that come from the system itself.
//!
//! Three things that no allocator promises: the memory is zeroed and none of it is touched, the end
//! of it can be given back in place, and it begins where a *huge page* does. A table of a million
//! entries has ten thousand small pages, far more than the processor remembers the places of
//! (its TLB), so that nearly every search walks the page tables before it can wait for its cache
//! miss. Of huge pages the table has twenty.

#![expect(unsafe_code, reason = "pages are asked for, advised on and given back by address")]

use std::ops::Range;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Bytes of a huge page.
pub(super) const HUGE: usize = 2 << 20;

/// Bytes of a small page, or a multiple of it on any system that this runs on.
const PAGE: usize = 64 << 10;

/// Pages of this process.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    /// A multiple of `PAGE`, not zero.
    bytes: usize,
}

// SAFETY: it owns its pages as a box owns its bytes.
unsafe impl Send for Mapping {}
// SAFETY: as above; it never looks at its bytes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// At least `bytes` zeroed bytes that begin at a multiple of [`HUGE`]; `None` where the system
    /// has none, or `bytes` is zero.
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let bytes = bytes.checked_next_multiple_of(PAGE).filter(|&bytes| bytes > 0)?;
        let asked = bytes.checked_add(HUGE)?;
        // SAFETY: new pages, where the system likes.
        let whole = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                asked,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        };
        let whole = NonNull::new(whole.ok()?.cast::<u8>())?;
        let before = whole.align_offset(HUGE);
        // SAFETY: `before` is less than `HUGE`, which is how much more was asked for.
        let start = unsafe { whole.add(before) };
        // SAFETY: `bytes` more were asked for.
        let end = unsafe { start.add(bytes) };
        // SAFETY: the pages before the first are ours, and nobody uses them.
        unsafe { unmap(whole, before) };
        // SAFETY: so are those after the last.
        unsafe { unmap(end, HUGE - before) };
        Some(Self { start, bytes })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Asks for huge pages: for those that are not touched yet at once, for the others when the
    /// system finds the time.
    pub(super) fn use_huge_pages(&self) {
        // Failure: the system has none, and small pages do.
        #[cfg(target_os = "linux")]
        // SAFETY: the pages are ours, and the advice changes nothing of what is in them.
        let _ = unsafe { madvise(self.start.as_ptr().cast(), self.bytes, Advice::LinuxHugepage) };
    }

    /// Gives the pages within a range of bytes back, which read as zeroes from now on, on systems
    /// that promise that.
    ///
    /// Who reads one while it goes sees what was there or zeroes. Who sees zeroes sees what the
    /// caller wrote before as well: the system halts each processor that had the page at hand.
    pub(super) fn discard(&self, bytes: Range<usize>) {
        let page = rustix::param::page_size();
        let start = bytes.start.next_multiple_of(page);
        let end = bytes.end.min(self.bytes) & !(page - 1);
        if !cfg!(target_os = "linux") || start >= end {
            return;
        }
        // SAFETY: within what is ours.
        let first = unsafe { self.start.add(start) };
        // Failure: the pages stay, which costs memory for a while.
        #[cfg(target_os = "linux")]
        // SAFETY: ours; the bytes are atomics, for which zeroes are valid, and nobody needs them.
        let _ = unsafe { madvise(first.as_ptr().cast(), end - start, Advice::LinuxDontNeed) };
        #[cfg(not(target_os = "linux"))]
        let _ = first;
    }

    /// Gives pages at the end back, so that `bytes` or a little more are left.
    pub(super) fn shorten(&mut self, bytes: usize) {
        let left = bytes.next_multiple_of(PAGE).clamp(PAGE, self.bytes);
        // SAFETY: within what is ours.
        let end = unsafe { self.start.add(left) };
        // SAFETY: the caller, who owns the bytes, gives them up.
        unsafe { unmap(end, self.bytes - left) };
        self.bytes = left;
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: ours, and whoever used them is gone with us.
        unsafe { unmap(self.start, self.bytes) };
    }
}

/// # Safety
///
/// The pages are ours and nobody uses them.
unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    if bytes > 0 {
        // SAFETY: as the caller promises.
        let done = unsafe { munmap(start.as_ptr().cast(), bytes) };
        debug_assert!(done.is_ok(), "pages of ours can be unmapped: {done:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::{HUGE, Mapping};

    fn bytes(mapping: &Mapping) -> &[u8] {
        // SAFETY: mapped, and nobody writes.
        unsafe { std::slice::from_raw_parts(mapping.start.as_ptr(), mapping.bytes) }
    }

    #[test]
    fn pages_are_zeroed_aligned_and_shortened_in_place() {
        let mut mapping = Mapping::new(3 * HUGE + 1).unwrap();
        mapping.use_huge_pages();
        assert_eq!(mapping.start().align_offset(HUGE), 0);
        assert!(mapping.bytes > 3 * HUGE);
        assert!(bytes(&mapping).iter().all(|&byte| byte == 0));
        let start = mapping.start();
        // SAFETY: ours.
        unsafe { start.write(7) };
        // SAFETY: ours.
        let second = unsafe { start.add(HUGE) };
        // SAFETY: as above.
        unsafe { second.write(8) };
        mapping.discard(1..2 * HUGE);
        assert_eq!((bytes(&mapping)[0], bytes(&mapping)[HUGE]), (7, 0), "whole pages only");
        mapping.discard(0..usize::MAX);
        assert!(bytes(&mapping).iter().all(|&byte| byte == 0));
        // SAFETY: ours.
        unsafe { start.write(7) };
        mapping.shorten(HUGE + 5);
        assert!((HUGE + 5..2 * HUGE).contains(&mapping.bytes), "{}", mapping.bytes);
        assert_eq!((mapping.start(), bytes(&mapping)[0]), (start, 7));
        mapping.shorten(10 * HUGE);
        assert!(mapping.bytes < 2 * HUGE, "it does not grow again");
    }

    #[test]
    fn more_than_there_is_is_refused() {
        assert!(Mapping::new(0).is_none());
        assert!(Mapping::new(usize::MAX).is_none());
        assert!(Mapping::new(usize::MAX - HUGE).is_none());
        assert!(Mapping::new(1 << 60).is_none());
    }
}
