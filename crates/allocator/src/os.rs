//! What the allocator asks of the operating system: a trait of eight calls, without policy.
//!
//! # What this module does not do
//!
//! It never retries and never keeps anything. When to give memory back is up to `pool`.

#![expect(unsafe_code, reason = "memory is given back by address")]

#[cfg(feature = "secure")]
pub(crate) mod guarded;
mod linux;
#[cfg(test)]
pub(crate) mod mock;

pub(crate) use linux::{Linux, clock_ns, draws_addresses, random};

/// Memory from the system. Sizes and places are multiples of a slice, and of a page at least.
pub(crate) trait Os: Sync {
    /// Zeroed memory, at `hint` if that is free, else anywhere; null where there is none.
    fn map(&self, hint: usize, size: usize) -> *mut u8;

    /// Gives a mapping, or a part of one, back for good.
    ///
    /// # Safety
    ///
    /// Nothing in it is used any more.
    unsafe fn unmap(&self, start: *mut u8, size: usize);

    /// Gives the memory back but keeps the addresses, which read as zero from now on. False where
    /// the system refuses; then the contents are as they were.
    ///
    /// # Safety
    ///
    /// Nothing in it is used any more.
    unsafe fn purge(&self, start: *mut u8, size: usize) -> bool;

    /// Moves the pages of a mapping to `to`, over what is mapped there, and leaves fresh zeroed
    /// memory behind; false where that fails, and nothing is changed.
    ///
    /// # Safety
    ///
    /// Nobody uses the old place during the call or after it, or anything at the new one.
    unsafe fn relocate(&self, start: *mut u8, size: usize, to: *mut u8) -> bool;

    /// Asks for huge pages; false where the system has none.
    fn advise_huge(&self, start: *mut u8, size: usize) -> bool;

    /// Whether the page at this address costs memory. True where that cannot be told.
    fn is_touched(&self, page: *mut u8) -> bool;

    /// Milliseconds of a clock that is cheap to read.
    fn now_ms(&self) -> u64;

    /// The processor that the calling thread runs on. Zero where that cannot be told.
    fn processor(&self) -> u32;
}
