//! Addresses that cannot be accessed until they are opened: what secure mode asks of the system on
//! top.

#![expect(unsafe_code, reason = "these are the system calls")]

use crate::lock::Errno;

/// Addresses that cannot be accessed; null where there are none.
pub(crate) fn reserve(size: usize) -> *mut u8 {
    map(std::ptr::null_mut(), size, libc::PROT_NONE, 0)
}

fn map(place: *mut u8, size: usize, protection: i32, more: i32) -> *mut u8 {
    let errno = Errno::save();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | more;
    // SAFETY: a new mapping, or one over a place that the caller gives up.
    let start = unsafe { libc::mmap(place.cast(), size, protection, flags, -1, 0) };
    errno.restore();
    if start == libc::MAP_FAILED { std::ptr::null_mut() } else { start.cast() }
}

/// Opens reserved addresses for access; they read as zero, and cost nothing until they are touched.
/// False where the system refuses.
///
/// # Safety
///
/// They are reserved, and the caller's.
pub(crate) unsafe fn open(start: *mut u8, size: usize) -> bool {
    let errno = Errno::save();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the caller says so.
    let done = unsafe { libc::mprotect(start.cast(), size, protection) } == 0;
    errno.restore();
    done
}

/// Gives the memory back and closes its addresses again; false where the system refuses.
///
/// # Safety
///
/// Nothing in it is used any more.
pub(crate) unsafe fn close(start: *mut u8, size: usize) -> bool {
    !map(start, size, libc::PROT_NONE, libc::MAP_FIXED).is_null()
}
