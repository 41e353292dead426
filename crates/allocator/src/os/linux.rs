//! Linux, by way of the C library. No call disturbs `errno` on behalf of a caller that succeeds.

#![expect(unsafe_code, reason = "these are the system calls")]

use super::Os;
use crate::lock::Errno;

/// The system itself.
#[derive(Debug)]
pub(crate) struct Linux;

impl Os for Linux {
    fn map(&self, hint: usize, size: usize) -> *mut u8 {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        );
        let hint = std::ptr::without_provenance_mut(hint);
        // SAFETY: a new mapping, and the hint is none of `MAP_FIXED`.
        let start = unsafe { libc::mmap(hint, size, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED { std::ptr::null_mut() } else { start.cast() }
    }

    unsafe fn unmap(&self, start: *mut u8, size: usize) {
        let errno = Errno::save();
        // SAFETY: the caller uses nothing of it any more.
        let failed = unsafe { libc::munmap(start.cast(), size) } != 0;
        // The kernel may refuse to split a mapping when a process has too many. Then it is merely
        // kept; its pages at least are given back.
        if failed {
            // SAFETY: as above.
            unsafe { libc::madvise(start.cast(), size, libc::MADV_DONTNEED) };
        }
        errno.restore();
    }

    unsafe fn purge(&self, start: *mut u8, size: usize) -> bool {
        let errno = Errno::save();
        // SAFETY: the caller uses nothing of it any more.
        let done = unsafe { libc::madvise(start.cast(), size, libc::MADV_DONTNEED) } == 0;
        errno.restore();
        done
    }

    unsafe fn relocate(&self, start: *mut u8, size: usize, to: *mut u8) -> bool {
        let errno = Errno::save();
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: the caller gives up the old place and owns the new one.
        let moved = unsafe { libc::mremap(start.cast(), size, size, flags, to.cast::<u8>()) };
        let moved = moved != libc::MAP_FAILED;
        if moved {
            let (protection, flags) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED,
            );
            // SAFETY: nothing is mapped there since the pages were moved away.
            let hole = unsafe { libc::mmap(start.cast(), size, protection, flags, -1, 0) };
            assert!(hole != libc::MAP_FAILED, "the place of a mapping that was moved is lost");
        }
        errno.restore();
        moved
    }

    fn advise_huge(&self, start: *mut u8, size: usize) -> bool {
        let errno = Errno::save();
        // SAFETY: the advice changes no contents.
        let done = unsafe { libc::madvise(start.cast(), size, libc::MADV_HUGEPAGE) } == 0;
        errno.restore();
        done
    }

    fn is_touched(&self, page: *mut u8) -> bool {
        let errno = Errno::save();
        let mut resident = 1;
        // SAFETY: one byte for one page; where nothing is mapped, nothing is written to it.
        unsafe { libc::mincore(page.cast(), 1, &raw mut resident) };
        errno.restore();
        resident & 1 == 1
    }

    fn now_ms(&self) -> u64 {
        clock_ns(libc::CLOCK_MONOTONIC_COARSE) / 1_000_000
    }

    fn processor(&self) -> u32 {
        let errno = Errno::save();
        // SAFETY: asks, and changes nothing.
        let processor = unsafe { libc::sched_getcpu() };
        errno.restore();
        u32::try_from(processor).unwrap_or(0)
    }
}

/// Nanoseconds of one of the system's clocks.
pub(crate) fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place to write to is ours.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// A number that cannot be guessed.
pub(crate) fn random() -> u64 {
    let mut number = 0_u64;
    let errno = Errno::save();
    // SAFETY: the place is ours, and eight bytes long.
    let got = unsafe { libc::getrandom((&raw mut number).cast(), 8, libc::GRND_NONBLOCK) };
    errno.restore();
    if got == 8 {
        return number;
    }
    // Early in the start of a machine there is none yet: what an attacker cannot see must do.
    let clock = clock_ns(libc::CLOCK_MONOTONIC);
    (clock ^ (&raw const number).addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Whether the process wants its addresses drawn at random; a debugger asks for the contrary.
pub(crate) fn draws_addresses() -> bool {
    // SAFETY: asks, and changes nothing.
    let personality = unsafe { libc::personality(0xFFFF_FFFF) };
    personality & libc::ADDR_NO_RANDOMIZE == 0
}
