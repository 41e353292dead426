//! From sizes to size classes and back: pure arithmetic, checked where it is compiled.
//!
//! ```text
//!   16 24 32 40 48 56 64 | 72 80 88 .. 128 | 144 160 .. 256 | ... | 36 K 40 K .. 64 K
//!      steps of 8        |  eight steps a doubling, each an eighth of where it began
//! ```
//!
//! A size is rounded up to the next class. Above 64 bytes less than one part in nine of a block is
//! lost to that, which the constant assertions below establish for every size there is.
//!
//! # Alignment
//!
//! Blocks lie at multiples of their size from a place that is aligned to [`SLICE`]. A size that is
//! a multiple of a power of two falls into a class that is one too: either the steps around it are
//! at least as wide, or it is a class itself. So to align a block means to round its size up.
//!
//! # What this module does not do
//!
//! It knows no memory. What is above [`LARGEST`] has no class: it is a span of whole slices.

/// What slabs and spans are counted in.
pub(crate) const SLICE: usize = 64 << 10;

/// Sizes up to this have a table of their own in each heap, indexed by words.
pub(crate) const SMALL: usize = 1024;

/// The largest block that shares a slab with others.
pub(crate) const LARGEST: usize = 64 << 10;

/// Number of classes.
pub(crate) const CLASSES: usize = class_of(LARGEST) + 1;

/// Entries of the table for small sizes.
pub(crate) const SMALL_WORDS: usize = SMALL / 8 + 1;

/// Largest size of the classes that go up in words.
const WORDS: usize = 64;

/// Classes that go up in words: 16, 24, up to 64.
const WORD_CLASSES: usize = WORDS / 8 - 1;

/// The class of a size, which must be at most [`LARGEST`].
#[inline(always)]
pub(crate) const fn class_of(size: usize) -> usize {
    if size <= WORDS {
        return size.div_ceil(8).saturating_sub(2);
    }
    let last = size - 1;
    // Position of the highest bit: 6 for the sizes 65 to 128.
    let doubling = last.ilog2() as usize;
    let eighth = (last >> (doubling - 3)) & 7;
    WORD_CLASSES + (doubling - 6) * 8 + eighth
}

/// The size of the blocks of a class.
pub(crate) const fn size_of_class(class: usize) -> usize {
    if class < WORD_CLASSES {
        return (class + 2) * 8;
    }
    let (doubling, eighth) = ((class - WORD_CLASSES) / 8, (class - WORD_CLASSES) % 8);
    let start = WORDS << doubling;
    start + start / 8 * (eighth + 1)
}

/// [`size_of_class`] of each class, which a descriptor tells in a byte: one load where arithmetic
/// takes fifteen instructions.
static SIZES: [usize; 256] = {
    let mut sizes = [0; 256];
    let mut class = 0;
    while class < CLASSES {
        sizes[class] = size_of_class(class);
        class += 1;
    }
    sizes
};

/// The same at run time, of a class that a descriptor tells.
#[inline(always)]
pub(crate) fn told_size(class: u8) -> usize {
    SIZES[usize::from(class)]
}

/// Slices of a slab of this class: one for blocks up to an eighth of a slice, else eight.
pub(crate) const fn slices_of_class(class: usize) -> usize {
    if size_of_class(class) <= SLICE / 8 { 1 } else { 8 }
}

/// The size that a block must have so that it can be aligned: see the module's header.
#[inline(always)]
pub(crate) const fn aligned_size(size: usize, align: usize) -> usize {
    // The caller's layouts end below `isize::MAX`, so that this cannot overflow.
    (size + align - 1) & !(align - 1)
}

const _: () = {
    let mut class = 0;
    while class < CLASSES {
        let size = size_of_class(class);
        assert!(class_of(size) == class, "a class holds its own size");
        let least = if class == 0 { 1 } else { size_of_class(class - 1) + 1 };
        assert!(class_of(least) == class, "a class begins where the one before ends");
        if least > WORDS {
            assert!((size - least) * 8 <= size, "at most an eighth of a block is lost");
        }
        assert!(slices_of_class(class) * SLICE / size >= 8, "a slab holds at least eight blocks");
        class += 1;
    }
    assert!(size_of_class(CLASSES - 1) == LARGEST, "the last class is the largest");
};

#[cfg(test)]
mod tests;
