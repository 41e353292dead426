//! Where a bin keeps the entries that its own slots have no room for.
//!
//! # The word
//!
//! One word of the bin names the annex and says what is in it, so that both change in one store:
//!
//! ```text
//!   63 62 61            32 31                    0
//!   | class |    unit     | 8 tags of 4 bits      |   class 1, 2, 3: 2, 4, 8 slots of the pool
//!   |   0   |           address                   |   class 0:       a block of its own
//!   |                     0                       |   no annex
//! ```
//!
//! A tag is four bits of the hash, never 0, in the place of the slot that holds the entry; 0 is a
//! slot without one. A search for a key that is not there looks into the annex only where a tag
//! happens to be equal, once in 15.
//!
//! An annex that is full is replaced by one of the next class. A bin of more than 22
//! entries is the work of chance (one in thousands at full load) or of an enemy (all keys with one
//! hash); it gets a [`Block`] on the heap, which is a hash table of its own.
//!
//! # When a reader holds an old word
//!
//! The slots of the pool live as long as the table, so an old word leads to slots that may belong
//! to another bin by now; the bin's version, read again, tells. A block is freed by way of
//! [`crossbeam_epoch`].

#![expect(unsafe_code, reason = "the address of a block is kept in an atomic word")]
#![expect(clippy::cast_possible_truncation, reason = "parts of a word are taken out of it")]

use super::block::Block;

/// The largest class of the pool.
pub(super) const POOL_CLASS_MAX: u32 = 3;

const TAG_BITS: u32 = 4;
/// One in the place of each tag.
const EACH_TAG: u32 = 0x1111_1111;
const UNIT_SHIFT: u32 = 32;
const UNIT_MASK: u64 = (1 << 30) - 1;
const CLASS_SHIFT: u32 = 62;

/// Units of a pool that a word can name.
pub(super) const UNITS_MAX: usize = 1 << 30;

/// An annex, as its word says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Annex<'t> {
    None,
    Pool(Pooled),
    Block(&'t Block),
}

/// An annex in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pooled {
    pub(super) class: u32,
    pub(super) unit: u32,
    pub(super) tags: u32,
}

/// The tag of a hash, 1 to 15. A multiplication, since the bits that choose a bin are the high
/// ones and these are low.
#[inline(always)]
pub(super) fn nibble_of(hash: u64) -> u32 {
    (((hash & 0xffff) * 15) >> 16) as u32 + 1
}

impl Annex<'_> {
    /// What a word says.
    ///
    /// # Safety
    ///
    /// The word was read from a bin of a live table under an epoch guard that outlives what is
    /// returned.
    #[inline(always)]
    pub(super) unsafe fn from_word(word: u64) -> Self {
        if word == 0 {
            return Self::None;
        }
        let class = (word >> CLASS_SHIFT) as u32;
        if class == 0 {
            let block = std::ptr::with_exposed_provenance::<Block>(word as usize);
            // SAFETY: a word of class 0 is the address of a block, which is retired through the
            // epoch after the word was replaced.
            return Self::Block(unsafe { &*block });
        }
        let unit = (word >> UNIT_SHIFT & UNIT_MASK) as u32;
        Self::Pool(Pooled { class, unit, tags: word as u32 })
    }
}

impl Pooled {
    /// An annex without entries.
    pub(super) fn new(class: u32, unit: u32) -> Self {
        Self { class, unit, tags: 0 }
    }

    pub(super) fn word(self) -> u64 {
        u64::from(self.class) << CLASS_SHIFT
            | u64::from(self.unit) << UNIT_SHIFT
            | u64::from(self.tags)
    }

    /// Slots of this annex.
    pub(super) fn capacity(self) -> usize {
        1 << self.class
    }

    /// The slots whose tag is that of the hash, as bits in the places of tags.
    #[inline(always)]
    pub(super) fn candidates(self, hash: u64) -> Places {
        let differing = self.tags ^ (nibble_of(hash) * EACH_TAG);
        Places(zero_tags(differing))
    }

    /// The slots that hold entries.
    pub(super) fn occupied(self) -> Places {
        Places(zero_tags(self.tags) ^ EACH_TAG)
    }

    /// The first slot that holds no entry.
    pub(super) fn free_slot(self) -> Option<usize> {
        Places(zero_tags(self.tags)).next().filter(|&slot| slot < self.capacity())
    }

    pub(super) fn with(self, slot: usize, hash: u64) -> Self {
        debug_assert!(
            slot < self.capacity(),
            "an annex of {} slots has no {slot}",
            self.capacity()
        );
        Self { tags: self.tags | nibble_of(hash) << (TAG_BITS as usize * slot), ..self }
    }

    pub(super) fn without(self, slot: usize) -> Self {
        Self { tags: self.tags & !(0xf << (TAG_BITS as usize * slot)), ..self }
    }
}

/// Ones in the places of the tags that are zero.
#[inline(always)]
fn zero_tags(tags: u32) -> u32 {
    !(tags | tags >> 1 | tags >> 2 | tags >> 3) & EACH_TAG
}

/// Numbers of slots, as bits in the places of their tags.
#[derive(Debug)]
pub(super) struct Places(u32);

impl Iterator for Places {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() / TAG_BITS;
        self.0 &= self.0 - 1;
        Some(place as usize)
    }
}

/// Whether a word names a block.
pub(super) fn is_block(word: u64) -> bool {
    word != 0 && word >> CLASS_SHIFT == 0
}

/// Frees the block that a word names, if it names one.
///
/// # Safety
///
/// The word came from [`Block::into_word`], no bin has it any more, and nobody looks at its block.
pub(super) unsafe fn free_block(word: u64) {
    if is_block(word) {
        let block = std::ptr::with_exposed_provenance_mut::<Block>(word as usize);
        // SAFETY: it came from a box, and nobody else has it.
        drop(unsafe { Box::from_raw(block) });
    }
}

impl Block {
    /// The word of a block that its owner gives away.
    pub(super) fn into_word(self) -> u64 {
        let word = Box::into_raw(Box::new(self)).expose_provenance() as u64;
        assert!(word >> CLASS_SHIFT == 0, "addresses of programs have fewer than 62 bits");
        word
    }
}
