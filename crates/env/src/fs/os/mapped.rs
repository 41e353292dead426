//! A file as memory, by `mmap`.
//!
//! The mapping is shared, so a store is in the page cache at once and outlives the process. No
//! reference to the memory is ever made: another process may write the file, and only raw copies
//! bear that.
#![expect(unsafe_code, reason = "mapped memory is reached by raw pointers; its length is checked")]

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MsyncFlags, ProtFlags, madvise, mmap, msync, munmap};
use rustix::param::page_size;

use crate::fs::{FsError, Mapped, Result};

/// A shared, writable mapping of the first `len` bytes of a file.
#[derive(Debug)]
pub(super) struct OsMapped {
    /// Invariant: `len` bytes from here are mapped for reading and writing until the drop.
    base: NonNull<u8>,
    len: usize,
    path: PathBuf,
}

// SAFETY: the mapping belongs to the process, not to a thread; any thread may use and unmap it.
unsafe impl Send for OsMapped {}
// SAFETY: through `&self` the memory is only read, apart from `store_shared`, whose caller vouches
// that nobody else touches its range meanwhile.
unsafe impl Sync for OsMapped {}

impl OsMapped {
    /// Maps the file, which must be at least `len` bytes long and open for writing.
    pub(super) fn new(fd: &OwnedFd, path: &Path, len: usize) -> rustix::io::Result<Self> {
        if len == 0 {
            return Err(Errno::INVAL);
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a range that is free, so nothing of ours is replaced.
        let base = unsafe { mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0) }?;
        let base = NonNull::new(base.cast()).expect("the kernel maps nothing at zero unasked");
        Ok(Self { base, len, path: path.to_owned() })
    }

    /// Where `offset` lies, after checking that `len` bytes from there are ours.
    #[inline]
    fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(fits, "{len} bytes at {offset} do not fit into a mapping of {}", self.len);
        // SAFETY: `offset` is at most `self.len`, and the mapping is one allocation of that length.
        unsafe { self.base.add(offset) }
    }
}

impl Mapped for OsMapped {
    fn path(&self) -> &Path {
        &self.path
    }

    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn store(&mut self, offset: usize, bytes: &[u8]) {
        // SAFETY: `&mut self` excludes every other access.
        unsafe { self.store_shared(offset, bytes) };
    }

    #[inline]
    unsafe fn store_shared(&self, offset: usize, bytes: &[u8]) {
        let target = self.at(offset, bytes.len()).as_ptr();
        // SAFETY: `at` checked the range; the mapping is ours alone, so `bytes` does not overlap
        // it; that nobody else is in the range is the promise of the caller.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }

    #[inline]
    fn load(&self, offset: usize, buffer: &mut [u8]) {
        let source = self.at(offset, buffer.len()).as_ptr();
        // SAFETY: `at` checked the range; whoever stores through `&self` vouches for not being in
        // it, and whoever stores through `&mut self` cannot be here.
        unsafe { ptr::copy_nonoverlapping(source, buffer.as_mut_ptr(), buffer.len()) };
    }

    fn flush_range(&self, range: Range<usize>) -> Result<()> {
        assert!(range.start <= range.end, "{range:?} ends before it begins");
        // The kernel flushes whole pages and wants the address of one.
        let start = range.start - range.start % page_size();
        let address = self.at(start, range.end - start).as_ptr().cast();
        // SAFETY: the range lies within the mapping; flushing changes no memory.
        let flushed = unsafe { msync(address, range.end - start, MsyncFlags::SYNC) };
        flushed.map_err(|errno| FsError::from_errno("flush", &self.path, errno))
    }

    fn let_go(&self, range: Range<usize>) {
        // Only whole pages: the others are in use.
        let start = range.start.next_multiple_of(page_size());
        let len = (range.end - range.end % page_size()).saturating_sub(start);
        let address = self.at(start, len).as_ptr().cast();
        if len > 0 {
            // SAFETY: the range lies within the mapping, which is shared: its bytes are the file's,
            // and a page that is dropped is mapped again, unchanged, where it is touched.
            let advised = unsafe { madvise(address, len, Advice::LinuxDontNeed) };
            debug_assert!(advised.is_ok(), "the mapping of {} was not ours", self.path.display());
        }
    }
}

impl Drop for OsMapped {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, is unmapped only here, and no pointer into it
        // leaves this module.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "the mapping of {} was not ours", self.path.display());
    }
}
