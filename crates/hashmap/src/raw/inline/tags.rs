//! Eight bits of the hash for each slot of a bin, compared all at once.
//!
//! The idea is that of the Swiss table (Abseil 2017, Benzaquen et al.): whether a key is there is
//! nearly always decided by tags, which lie close together, and the entry itself is touched only
//! to read it. A tag is 1 to 255; 0 is a slot without an entry. A search for a key that is not
//! there looks at an entry in vain once in 255 for each entry of the bin.
//!
//! Two words, so that the tags of a bin are read by two atomic loads and compared in a register.

#![cfg_attr(
    all(target_arch = "x86_64", target_feature = "sse2"),
    expect(unsafe_code, reason = "vector instructions have no safe form")
)]
#![expect(clippy::cast_possible_truncation, reason = "parts of a word are taken out of it")]

use super::bin::HOME;

/// Tags of a bin as they were read: slot 0 is the lowest byte of the first word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tags(pub(super) [u64; 2]);

/// Slots of a bin, as bits.
#[derive(Debug)]
pub(super) struct Slots(u32);

/// One bit for each slot.
const ALL: u32 = (1 << HOME) - 1;

// The tags leave some bytes of the two words unused; they are zero.
const _: () = assert!(HOME <= 16);

/// The tag of a hash. Neither the highest bits, which choose the bin, nor the lowest, which a
/// multiplication leaves poor.
#[inline(always)]
pub(super) fn tag_of(hash: u64) -> u8 {
    ((hash >> 24) as u8).max(1)
}

impl Tags {
    /// The slots that have a tag.
    #[inline(always)]
    pub(super) fn equal(self, tag: u8) -> Slots {
        Slots(equal_bytes(self.0, tag) & ALL)
    }

    /// The slots that hold entries.
    #[inline(always)]
    pub(super) fn occupied(self) -> Slots {
        Slots(!equal_bytes(self.0, 0) & ALL)
    }

    /// The first slot that holds no entry.
    #[inline(always)]
    pub(super) fn free_slot(self) -> Option<usize> {
        self.equal(0).next()
    }
}

impl Iterator for Slots {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

/// One bit for each of 16 bytes: it is `byte`.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[inline(always)]
fn equal_bytes(words: [u64; 2], byte: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    // SAFETY: SSE2 is part of x86-64, and the four instructions touch no memory.
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "one reason for all four")]
    unsafe {
        let bytes = _mm_set_epi64x(words[1].cast_signed(), words[0].cast_signed());
        let equal = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
        _mm_movemask_epi8(equal).cast_unsigned()
    }
}

/// One bit for each of 16 bytes: it is `byte`.
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
#[inline(always)]
fn equal_bytes(words: [u64; 2], byte: u8) -> u32 {
    equal_bytes_of_word(words[0], byte) | equal_bytes_of_word(words[1], byte) << 8
}

/// The same for a word of 8 bytes, on any processor.
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
fn equal_bytes_of_word(word: u64, byte: u8) -> u32 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differing = word ^ (u64::from(byte) * 0x0101_0101_0101_0101);
    // The highest bit of each byte: set where the byte is zero, exactly.
    let zero = !(((differing & LOW) + LOW) | differing | LOW);
    // Gathers the eight bits in the highest byte (Hacker's Delight, section 7-4).
    ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

#[cfg(test)]
mod tests;
