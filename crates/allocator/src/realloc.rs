//! Changing the size of a block: where it is, by moving its pages, or by a copy.
//!
//! A block keeps its place while its class fits: up to half of it may be unused after it shrank. A
//! block that grows by less than an eighth is probably growing step by step, and gets a quarter more
//! than it asks for, so that not every step copies. A vector doubles and pays nothing for that.

#![expect(unsafe_code, reason = "contents are copied")]

use std::alloc::{GlobalAlloc, Layout};

use crate::global::Strata;
use crate::local;
use crate::segment::{first, slab_of};
use crate::size_class::LARGEST;
use crate::slab::Kind;

/// Spans from this size on move by their pages.
const MOVES_PAGES: usize = 16 << 20;

/// See `GlobalAlloc::realloc`.
///
/// # Safety
///
/// The block came from this allocator with this layout, and `size` is a size for its alignment.
pub(crate) unsafe fn realloc(
    strata: &Strata,
    block: *mut u8,
    layout: Layout,
    size: usize,
) -> *mut u8 {
    // SAFETY: the block is one.
    let slab = first(unsafe { slab_of(block) });
    let room = slab.block_size();
    let heap = local::heap();
    let fits = match slab.kind.get() {
        Kind::Slab => size <= room && size * 2 >= room,
        _ => size > LARGEST && !heap.is_nobody() && heap.resize_span(slab, size),
    };
    if fits {
        return block;
    }
    let grows = size > layout.size();
    if grows && size >= MOVES_PAGES && slab.kind.get() == Kind::Span && !heap.is_nobody() {
        let moved = heap.move_span(slab, size);
        if !moved.is_null() {
            return moved;
        }
    }
    let stepwise = grows && size - layout.size() < layout.size() / 8;
    let asked = if stepwise { size + size / 4 } else { size };
    // SAFETY: the alignment was sound before, and the caller says that the size is.
    let new = unsafe { Layout::from_size_align_unchecked(asked, layout.align()) };
    // SAFETY: the size is above zero.
    let to = unsafe { strata.alloc(new) };
    if !to.is_null() {
        let kept = layout.size().min(size);
        // SAFETY: both blocks are that long, and two blocks do not overlap.
        unsafe { to.copy_from_nonoverlapping(block, kept) };
        // SAFETY: the old block is given up.
        unsafe { strata.dealloc(block, layout) };
    }
    to
}
