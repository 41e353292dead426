//! Asks the processor to fetch a cache line before it is needed.
//!
//! A hint: it never faults, whatever the address, and does nothing on processors that this module
//! does not know.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "a prefetch is an instruction without a safe form")
)]

/// Fetches the line at `address` for reading.
#[inline(always)]
pub(crate) fn read<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _: *const T = address;
}

/// Fetches the line at `address` for writing: one exchange with the other processors instead of
/// two, where one of them has it.
#[inline(always)]
pub(crate) fn write<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        // SAFETY: a prefetch of any address is harmless; processors that do not know this one take
        // it for a no-operation. The intrinsic would need a feature that not all targets have.
        unsafe {
            std::arch::asm!(
                "prefetchw [{address}]",
                address = in(reg) address,
                options(nostack, preserves_flags, readonly),
            );
        };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _: *const T = address;
}
