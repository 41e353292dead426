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
use crate::slab::{Kind, Slab};

/// Spans from this size on move by their pages.
const MOVES_PAGES: usize = 16 << 20;

impl Heap {
    /// Changes a block to `size` bytes, of which it keeps `old` at most, and no more than there is
    /// room for; null where there is no memory, and the block is then as it was.
    ///
    /// # Safety
    ///
    /// The block was handed out with this alignment, and is not free.
    #[inline]
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
        if slab.kind.get() == Kind::Slab && size <= room && size * 2 >= room {
            return block.as_ptr();
        }
        // SAFETY: as above, and it is the block of this slab.
        unsafe { self.reallocate_slow(slab, block, old.min(room), align, size) }
    }

    /// What does not fit the block of a slab.
    ///
    /// # Safety
    ///
    /// As for [`reallocate`](Self::reallocate); the block has room for `old` bytes, and is of this
    /// slab.
    #[inline(never)]
    unsafe fn reallocate_slow(
        &'static self,
        slab: &'static Slab,
        block: NonNull<u8>,
        old: usize,
        align: usize,
        size: usize,
    ) -> *mut u8 {
        let is_span = slab.kind.get() != Kind::Slab;
        if is_span && size > LARGEST && Self::resize_span(slab, size) {
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
        if grows && asked > LARGEST {
            self.make_room(asked);
        }
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
