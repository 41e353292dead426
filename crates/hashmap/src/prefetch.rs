//! Hints to the processor about memory that is needed soon.
#![expect(unsafe_code, reason = "the prefetch instruction is an intrinsic; it cannot fault")]

/// Asks for the cache line of `address` and does not wait for it. Any address will do.
#[inline(always)]
pub(crate) fn read<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address, valid or not, has no effect that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
