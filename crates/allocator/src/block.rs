//! A block that is free: its own bytes hold the links.
//!
//! ```text
//!   in a slab's list:            next | ...
//!   last of a parcel's chain:   first | count and the parcel below | ...
//! ```
//!
//! A parcel is a chain that is closed to a ring and known by its *last* block, so that it can be
//! put before a list by exchanging two links, however long it is.

#![expect(unsafe_code, reason = "free memory is read and written by address")]

use std::ptr::NonNull;

use crate::handover::Parcel;

/// The address of a free block: at least 16 bytes that belong to whoever holds this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Block(NonNull<u8>);

/// Addresses of user space have fewer bits than this; the rest of a word holds a count.
const ADDRESS_BITS: u32 = 48;

/// The most blocks in a parcel.
pub(crate) const PARCEL_MAX: u32 = u16::MAX as u32;

impl Block {
    /// The block at `start`.
    ///
    /// # Safety
    ///
    /// It is free, at least 16 bytes long, aligned to 8, and the caller's.
    #[inline(always)]
    pub(crate) const unsafe fn new(start: NonNull<u8>) -> Self {
        Self(start)
    }

    #[inline(always)]
    pub(crate) const fn as_ptr(self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Its address.
    #[inline(always)]
    pub(crate) const fn start(self) -> NonNull<u8> {
        self.0
    }

    #[inline(always)]
    pub(crate) fn next(self) -> Option<Self> {
        // SAFETY: the block is ours, and a link was written when it was freed.
        unsafe { self.0.cast::<Option<Self>>().read() }
    }

    #[inline(always)]
    pub(crate) fn set_next(self, next: Option<Self>) {
        // SAFETY: the block is ours, long enough and aligned.
        unsafe { self.0.cast::<Option<Self>>().write(next) }
    }

    fn second(self) -> NonNull<u64> {
        // SAFETY: a block has two words at least.
        unsafe { self.0.cast::<u64>().add(1) }
    }

    /// Notes how many blocks the chain has that ends here; the link below is lost.
    pub(crate) fn set_count(self, count: u32) {
        debug_assert!(count <= PARCEL_MAX, "{count} blocks in a parcel");
        // SAFETY: the block is ours, and two words long.
        unsafe { self.second().write(u64::from(count) << ADDRESS_BITS) }
    }

    /// Blocks of the chain that ends here.
    pub(crate) fn count(self) -> u32 {
        // SAFETY: a parcel's last block is ours and holds the count.
        let word = unsafe { self.second().read() };
        u32::try_from(word >> ADDRESS_BITS).expect("16 bits")
    }

    /// The parcel below this one.
    pub(crate) fn below(self) -> Option<Self> {
        // SAFETY: as in `count`.
        let word = unsafe { self.second().read() };
        Self::at(std::ptr::with_exposed_provenance_mut(
            usize::try_from(word & ((1 << ADDRESS_BITS) - 1)).expect("an address"),
        ))
    }
}

impl Parcel for Block {
    fn address(self) -> *mut u8 {
        self.as_ptr()
    }

    fn at(address: *mut u8) -> Option<Self> {
        NonNull::new(address).map(Self)
    }

    fn set_below(self, below: Option<Self>) {
        let below = below.map_or(0, |it| it.as_ptr().expose_provenance() as u64);
        debug_assert!(below >> ADDRESS_BITS == 0, "an address of more than {ADDRESS_BITS} bits");
        let count = u64::from(self.count()) << ADDRESS_BITS;
        // SAFETY: the parcel is ours until it is posted.
        unsafe { self.second().write(count | below) }
    }
}
