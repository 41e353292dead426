//! Changing the size of a block: where it is, by moving its pages, or by a copy.
//!
//! A block keeps its place while its class fits: up to half of it may be unused after it shrank. A
//! block that grows by less than an eighth is probably growing step by step, and gets a quarter
//! more than it asks for, so that not every step copies. A vector doubles and pays nothing for
//! that.

#![expect(unsafe_code, reason = "contents are copied")]

use std::ptr::NonNull;

use super::Heap;
use crate::planted::{self, Bug};
use crate::segment::{first, slab_of};
use crate::size_class::LARGEST;
use crate::slab::Kind;

/// Spans from this size on move by their pages.
const MOVES_PAGES: usize = 16 << 20;

impl Heap {
    /// Changes a block of `old` bytes to `size`; null where there is no memory, and the block is
    /// then as it was.
    ///
    /// # Safety
    ///
    /// The block was handed out with this alignment and at least `old` bytes, and is not free.
    pub(crate) unsafe fn reallocate(
        &'static self,
        block: NonNull<u8>,
        old: usize,
        align: usize,
        size: usize,
    ) -> *mut u8 {
        // SAFETY: the block is one.
        let slab = first(unsafe { slab_of(block.as_ptr()) });
        let room = slab.block_size();
        let fits = match slab.kind.get() {
            Kind::Slab => size <= room && size * 2 >= room,
            _ => size > LARGEST && Self::resize_span(slab, size),
        };
        if fits {
            return block.as_ptr();
        }
        let grows = size > old;
        if grows && size >= MOVES_PAGES && slab.kind.get() == Kind::Span {
            let moved = self.move_span(slab, size, align);
            if !moved.is_null() {
                return moved;
            }
        }
        let stepwise = grows && size - old < old / 8 && size < MOVES_PAGES;
        let asked = if stepwise { size + size / 4 } else { size };
        let to = self.allocate(asked, align);
        if !to.is_null() {
            let kept = old.min(size) - usize::from(planted::is(Bug::LosesTheEnd));
            // SAFETY: both blocks are that long, and two blocks do not overlap.
            unsafe { to.copy_from_nonoverlapping(block.as_ptr(), kept) };
            // SAFETY: the old block is given up.
            unsafe { self.free(block) };
        }
        to
    }

    /// A block, by the fast path or the slow one.
    pub(crate) fn allocate(&'static self, size: usize, align: usize) -> *mut u8 {
        match self.try_allocate(size, align) {
            Some(block) => block.as_ptr(),
            None => self.allocate_slow(size, align).start,
        }
    }
}
