//! Large blocks: whole slices, and mappings of their own above half a segment.
//!
//! A freed span of up to 4 MiB is kept by the thread that freed it, one for each number of slices,
//! so that a loop over one large block costs no more than one over a small one. A span belongs to
//! whoever holds its block, so that any thread may keep it.

use std::cell::Cell;

use super::{Fresh, Heap, slab_at};
use crate::pool::{Pool, SPAN_MAX};
use crate::profile;
use crate::segment::{HEAD, SEGMENT, Segment};
use crate::size_class::SLICE;
use crate::slab::{Kind, SPAN, Slab};

/// The largest span that is kept, in slices.
const KEEP_MAX: usize = (4 << 20) / SLICE;
/// Slices that a heap keeps in all.
const KEEP_TOTAL: usize = (4 << 20) / SLICE;

/// The spans that a heap keeps.
pub(super) struct Spans {
    kept: [Cell<Option<&'static Slab>>; KEEP_MAX],
    total: Cell<usize>,
}

impl Spans {
    pub(super) const fn new() -> Self {
        Self { kept: [const { Cell::new(None) }; KEEP_MAX], total: Cell::new(0) }
    }

    fn take(&self, slices: usize) -> Option<&'static Slab> {
        let slab = self.kept.get(slices - 1)?.take()?;
        self.total.set(self.total.get() - slices);
        Some(slab)
    }

    fn keep(&self, slab: &'static Slab, owner: usize) -> bool {
        let slices = slab.slices.get() as usize;
        let Some(place) = self.kept.get(slices - 1) else { return false };
        let total = self.total.get() + slices;
        if place.get().is_some() || total > KEEP_TOTAL {
            return false;
        }
        slab.set_owner(owner | SPAN);
        place.set(Some(slab));
        self.total.set(total);
        true
    }
}

impl Heap {
    /// A block of more than [`LARGEST`](crate::size_class::LARGEST) bytes, or one that is aligned
    /// to more. Null above `isize::MAX`, or where an alignment is above half a segment.
    pub(super) fn allocate_span(&'static self, size: usize, align: usize) -> Fresh {
        if size > isize::MAX.cast_unsigned() - 2 * SEGMENT || align > SEGMENT / 2 {
            return Fresh::NULL;
        }
        let slices = size.div_ceil(SLICE).max(1);
        if align <= SLICE
            && let Some(slab) = self.spans.take(slices)
        {
            return Fresh { start: start_of(slab), zero: false };
        }
        if slices > SPAN_MAX {
            return self.allocate_huge(slices, align.max(SLICE), 0);
        }
        let world = self.world();
        let align = (align / SLICE).max(1);
        let Some(run) = world.pool.take(world, slices, align) else {
            return Fresh::NULL;
        };
        run.slab.format_span(self.address(), Kind::Span, slices, run.zero);
        Fresh { start: start_of(run.slab), zero: run.zero }
    }

    /// A mapping with room for `slices`, and for `slack` more that are not touched.
    fn allocate_huge(&'static self, slices: usize, align: usize, slack: usize) -> Fresh {
        let world = self.world();
        let first = HEAD.next_multiple_of(align / SLICE);
        let Some(segment) = world.pool.take_huge(world, (first + slices + slack) * SLICE) else {
            return Fresh::NULL;
        };
        let slab = segment.slab(first);
        slab.format_span(self.address(), Kind::Huge, slices, true);
        Fresh { start: start_of(slab), zero: true }
    }

    pub(super) fn free_span(&'static self, slab: &'static Slab) {
        let (segment, _) = Segment::of_slab(slab);
        profile::forget(slab);
        if slab.kind.get() == Kind::Huge {
            segment.world().pool.give_huge(segment);
        } else if self.is_nobody() || !self.spans.keep(slab, self.address()) {
            let world = segment.world();
            world.pool.give(world, slab, slab.slices.get() as usize);
        }
    }

    pub(super) fn release_spans(&'static self) {
        for slices in 1..=KEEP_MAX {
            if let Some(slab) = self.spans.take(slices) {
                self.world().pool.give(self.world(), slab, slices);
            }
        }
    }

    /// Changes the size of a span where it is; false where it cannot.
    pub(super) fn resize_span(slab: &'static Slab, size: usize) -> bool {
        let (segment, index) = Segment::of_slab(slab);
        let world = segment.world();
        let (old, new) = (slab.slices.get() as usize, size.div_ceil(SLICE).max(1));
        let done = match slab.kind.get() {
            Kind::Huge => (index + new) * SLICE <= segment.mapped.get() && new * 2 > old,
            _ if new > old => world.pool.extend(slab, old, new - old),
            // A little less is no reason to give anything back, and much less one to move.
            _ => new * 2 > old,
        };
        if done && new > old {
            slab.slices.set(u32::try_from(new).expect("fewer than 2^32 slices"));
        }
        done
    }

    /// Moves a span that grows to a mapping of its own, pages and all; null where that fails.
    pub(super) fn move_span(
        &'static self,
        slab: &'static Slab,
        size: usize,
        align: usize,
    ) -> *mut u8 {
        let slices = size.div_ceil(SLICE);
        let to = self.allocate_huge(slices, align.max(SLICE), slices);
        if to.start.is_null() || !Pool::relocate(slab, to.start) {
            return std::ptr::null_mut();
        }
        if let Some((stack, bytes)) = slab.take_sample() {
            slab_at(to.start).set_sample(stack, bytes);
        }
        self.free_span(slab);
        to.start
    }
}

fn start_of(slab: &'static Slab) -> *mut u8 {
    let (segment, index) = Segment::of_slab(slab);
    segment.slice(index).as_ptr()
}
