//! Memory from the system itself, which goes back when it is not used.
//!
//! An allocator keeps much of what was freed for what comes next, and whoever promised to stay
//! within a budget has to pay for it. Pages that were asked for here are nobody else's: what is
//! given back is gone from the process at once.
#![expect(unsafe_code, reason = "the system is asked for memory, and gets it back")]

use std::alloc::{Layout, handle_alloc_error};
use std::ops::{Deref, DerefMut, Range};
use std::ptr::{self, NonNull};
use std::slice;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use rustix::param::page_size;

/// A stretch of memory of one's own. A page of it takes room once it is written.
#[derive(Debug)]
pub struct Pages {
    /// Invariant: `len` bytes from here are mapped for reading and writing until the drop.
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the process, not to a thread; any thread may use and unmap it.
unsafe impl Send for Pages {}
// SAFETY: nothing here reads or writes the memory; whoever does so vouches for it.
unsafe impl Sync for Pages {}

impl Pages {
    /// So many bytes, rounded up to whole pages, all zero; `None` where the system has none.
    pub fn new(bytes: usize) -> Option<Self> {
        let len = bytes.max(1).checked_next_multiple_of(page_size())?;
        let flags = MapFlags::PRIVATE;
        // A cache may never become as large as it may be.
        #[cfg(target_os = "linux")]
        let flags = flags | MapFlags::NORESERVE;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a range that is free, so nothing of ours is replaced.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, protection, flags) }.ok()?;
        Some(Self { base: NonNull::new(base.cast())?, len })
    }

    /// Where it begins.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// How many bytes there are.
    #[inline]
    pub fn size(&self) -> usize {
        self.len
    }

    /// Gives the whole pages of a range back until they are written anew. What was in them is lost.
    ///
    /// # Panics
    ///
    /// Where the range is not within the pages.
    ///
    /// # Safety
    ///
    /// Nobody may be using the range, nor read it before it was written again.
    pub unsafe fn give_back(&self, range: Range<usize>) {
        assert!(range.end <= self.len, "{range:?} is not within {}", self.len);
        let start = range.start.next_multiple_of(page_size());
        let len = (range.end - range.end % page_size()).saturating_sub(start);
        if len > 0 {
            // SAFETY: the range is within the mapping, as just checked.
            let address = unsafe { self.base.add(start) }.as_ptr().cast();
            // SAFETY: the pages are ours, and the caller vouches that nobody uses them.
            let advised = unsafe { madvise(address, len, Advice::LinuxDontNeed) };
            debug_assert!(advised.is_ok(), "{start} and {len} bytes more were not ours");
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` and is unmapped only here; who used pointers into
        // it vouched for not doing so after this.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "{} bytes were not ours", self.len);
    }
}

/// Bytes in [`Pages`]: for what is large and soon done with.
///
/// ```
/// use env::pages::PageBytes;
///
/// let mut bytes = PageBytes::zeroed(1 << 20);
/// bytes[7] = 1;
/// bytes.truncate(8);
/// assert_eq!(*bytes, [0, 0, 0, 0, 0, 0, 0, 1]);
/// ```
#[derive(Debug)]
pub struct PageBytes {
    pages: Pages,
    /// Invariant: at most the size of the pages.
    len: usize,
}

impl PageBytes {
    /// So many zeros. Where the system has no memory the process ends, as where a vector gets none.
    ///
    /// # Panics
    ///
    /// Where there are not so many addresses, as a vector does.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let pages = Pages::new(len).unwrap_or_else(|| {
            let layout = Layout::array::<u8>(len);
            handle_alloc_error(layout.expect("there are not so many addresses"))
        });
        Self { pages, len }
    }

    /// Forgets what is behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for PageBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped by the invariant, zero or written through `deref_mut`,
        // which takes `self` alone.
        unsafe { slice::from_raw_parts(self.pages.base.as_ptr(), self.len) }
    }
}

impl DerefMut for PageBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; `self` is borrowed alone, and nobody else has the pages.
        unsafe { slice::from_raw_parts_mut(self.pages.base.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_new() {
        let page = page_size();
        let pages = Pages::new(3 * page - 1).expect("there is memory");
        assert_eq!(pages.size(), 3 * page);
        let bytes = pages.base().as_ptr();
        let load = |at: usize| {
            // SAFETY: each place below is within the three pages.
            let place = unsafe { bytes.add(at) };
            // SAFETY: this test alone uses them.
            unsafe { place.read() }
        };
        assert_eq!([0, 3 * page - 1].map(load), [0, 0]);
        // SAFETY: as above.
        unsafe { bytes.write_bytes(7, 3 * page) };
        // SAFETY: as above, and what is given back is written again before it counts.
        unsafe { pages.give_back(1..2 * page + 1) };
        assert_eq!([0, page - 1, 2 * page, 3 * page - 1].map(load), [7; 4], "only whole pages go");
        #[cfg(target_os = "linux")]
        assert_eq!([page, 2 * page - 1].map(load), [0, 0], "what was there is gone");
    }

    #[test]
    #[should_panic(expected = "is not within")]
    fn nothing_else_is_given_back() {
        let pages = Pages::new(1).expect("there is memory");
        // SAFETY: nobody uses it; the range is refused.
        unsafe { pages.give_back(0..pages.size() + 1) };
    }

    #[test]
    fn there_is_an_end_of_memory() {
        assert!(Pages::new(usize::MAX).is_none());
    }

    #[test]
    fn bytes_are_zero_until_they_are_written() {
        let mut bytes = PageBytes::zeroed(10_000);
        assert!(bytes.iter().all(|it| *it == 0) && bytes.len() == 10_000);
        bytes[9_999] = 3;
        assert_eq!(bytes.iter().filter(|it| **it != 0).count(), 1);
        bytes.truncate(20_000);
        assert_eq!(bytes.len(), 10_000, "nothing becomes longer");
        bytes.truncate(0);
        assert!(bytes.is_empty() && PageBytes::zeroed(0).is_empty());
    }
}
