//! The bytes of slots: wiped, found to be zero, and the canaries behind blocks.
//!
//! A canary is a secret of the process mixed with the block's address. No byte of it is ASCII, zero
//! or all ones: a single byte of what overruns mostly write must be noticed, not 255 times in
//! 256. That leaves 40 bits that cannot be guessed.

#![expect(unsafe_code, reason = "slots are read and written by address")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::os::random;

/// The secret; zero before it is drawn.
static SECRET: AtomicU64 = AtomicU64::new(0);

fn secret() -> u64 {
    // Relaxed: a number without anything behind it.
    let known = SECRET.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let drawn = random() | 1;
    let (good, bad) = (Ordering::Relaxed, Ordering::Relaxed); // Relaxed: as above.
    SECRET.compare_exchange(0, drawn, good, bad).map_or_else(|first| first, |_| drawn)
}

/// A run of bytes that can be accessed, and whose other users are gone, or keep out of the parts
/// that are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    start: NonNull<u8>,
    length: usize,
}

impl Bytes {
    /// # Safety
    ///
    /// The bytes lie in a slab or a mapping that is open for access.
    pub(super) const unsafe fn new(start: NonNull<u8>, length: usize) -> Self {
        Self { start, length }
    }

    /// The bytes from `offset` on.
    pub(super) fn from(self, offset: usize) -> Self {
        assert!(offset <= self.length, "{offset} of {} bytes", self.length);
        // SAFETY: within the run.
        Self { start: unsafe { self.start.add(offset) }, length: self.length - offset }
    }

    /// The first `length` bytes.
    pub(super) fn first(self, length: usize) -> Self {
        assert!(length <= self.length, "{length} of {} bytes", self.length);
        Self { length, ..self }
    }

    fn slice(&self) -> &[u8] {
        // SAFETY: they can be accessed; see the type.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    fn slice_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }

    pub(super) fn wipe(mut self) {
        self.slice_mut().fill(0);
    }

    pub(super) fn is_zero(self) -> bool {
        // No early exit within a page: so the compiler can take many bytes at once.
        self.slice().chunks(4096).all(|page| page.iter().fold(0, |sum, byte| sum | byte) == 0)
    }

    /// The canary for this place.
    fn canary(self) -> [u8; 8] {
        let mixed = (secret() ^ self.start.addr().get() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed & !0x0404_0404_0404_0404 | 0x8282_8282_8282_8282).to_le_bytes()
    }

    pub(super) fn write_canary(mut self) {
        let canary = self.canary();
        for chunk in self.slice_mut().chunks_mut(8) {
            chunk.copy_from_slice(&canary[..chunk.len()]);
        }
    }

    pub(super) fn is_canary(self) -> bool {
        let canary = self.canary();
        self.slice().chunks(8).all(|chunk| *chunk == canary[..chunk.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, NonNull};

    #[test]
    fn every_byte_that_changes_is_noticed() {
        let mut room = [0_u8; 41];
        let start = NonNull::from_mut(&mut room).cast();
        // SAFETY: the room is ours, and used by this name alone.
        let bytes = unsafe { Bytes::new(start, 41) };
        assert!(bytes.is_zero());
        let tail = bytes.from(3);
        tail.write_canary();
        assert!(tail.is_canary() && !bytes.is_zero());
        for at in 3..41 {
            // SAFETY: within the room.
            let place = unsafe { start.add(at) };
            // SAFETY: as above.
            let old = unsafe { place.read() };
            assert!(!old.is_ascii() && old != 0xFF, "byte {at} is {old:#x}");
            for wrong in [0, 1, 0xFF, old ^ 0x20] {
                // SAFETY: as above.
                unsafe { place.write(wrong) };
                assert!(!tail.is_canary(), "byte {at} is {wrong}");
            }
            // SAFETY: as above.
            unsafe { place.write(old) };
        }
        bytes.wipe();
        assert!(bytes.is_zero());
    }
}
