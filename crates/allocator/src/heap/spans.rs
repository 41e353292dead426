//! Large blocks: whole slices, and mappings of their own above half a segment.
//!
//! A freed span of up to 4 MiB is kept by the thread that freed it, one for each number of slices,
//! so that a loop over one large block costs no more than one over a small one. A span belongs to
//! whoever holds its block, so that any thread may keep it.
//!
//! For a block that grows, a much larger span is cut, and the rest goes to the pool: a vector that
//! doubles so grows over what the one before it has used, and not over fresh memory. Other blocks
//! stay: in the midst of what large ones have left, they would be in the way of the next.

use std::cell::Cell;
use std::ptr::NonNull;

use super::{Fresh, Heap, slab_at};
use crate::pool::{Pool, SPAN_MAX};
use crate::profile;
use crate::segment::{HEAD, SEGMENT, Segment};
use crate::size_class::{LARGEST, SLICE};
use crate::slab::{Kind, SPAN, Slab};

/// The largest span that is kept, in slices.
const KEEP_MAX: usize = (4 << 20) / SLICE;
/// Slices that a heap keeps in all.
const KEEP_TOTAL: usize = (4 << 20) / SLICE;

/// How many times as large a span must be to be cut: one that is hardly larger is soon asked for.
const MUCH_LARGER: usize = 8;

/// The spans that a heap keeps.
pub(super) struct Spans {
    kept: [Cell<Option<&'static Slab>>; KEEP_MAX],
    total: Cell<usize>,
}

impl Spans {
    pub(super) const fn new() -> Self {
        Self { kept: [const { Cell::new(None) }; KEEP_MAX], total: Cell::new(0) }
    }

    #[inline(always)]
    fn take(&self, slices: usize) -> Option<&'static Slab> {
        let place = self.kept.get(slices - 1)?;
        // Nothing is written where nothing is kept: threads without a heap share one.
        let slab = place.get()?;
        place.set(None);
        self.total.set(self.total.get() - slices);
        Some(slab)
    }

    fn holds(&self, slices: usize) -> bool {
        self.kept.get(slices - 1).is_some_and(|place| place.get().is_some())
    }

    /// The smallest that is much larger than so many slices.
    fn take_larger(&self, slices: usize) -> Option<&'static Slab> {
        (slices * MUCH_LARGER..=KEEP_MAX).find_map(|more| self.take(more))
    }

    #[inline(always)]
    fn keep(&self, slab: &'static Slab) -> bool {
        let slices = slab.slices.get() as usize;
        let Some(place) = self.kept.get(slices - 1) else { return false };
        let total = self.total.get() + slices;
        if let Some(kept) = place.get() {
            if std::ptr::eq(kept, slab) {
                crate::abort::double_free(block_of(slab));
            }
            return false;
        }
        if total > KEEP_TOTAL {
            return false;
        }
        place.set(Some(slab));
        self.total.set(total);
        true
    }
}

impl Heap {
    /// The span of this size that was freed last: the fast path of a large block. `None` where the
    /// slow one must be taken.
    #[inline(always)]
    pub(crate) fn try_span(&self, size: usize, align: usize) -> Option<*mut u8> {
        if size <= LARGEST || align > SLICE || !self.sampler.may_pass(size) {
            return None;
        }
        self.spans.take(size.div_ceil(SLICE)).map(|slab| {
            self.sampler.pass(size);
            start_of(slab)
        })
    }

    /// Frees a span of this heap: what [`try_span`](Self::try_span) finds again.
    #[inline(always)]
    pub(super) fn free_own_span(&'static self, slab: &'static Slab) {
        if slab.is_sample() || slab.kind.get() != Kind::Span || !self.spans.keep(slab) {
            self.free_span(slab);
        }
    }

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

    /// A block grows to so many bytes: sees to it that what it is given next is the start of a much
    /// larger span, where one is kept and none of the size.
    pub(super) fn make_room(&'static self, size: usize) {
        let slices = size.div_ceil(SLICE);
        if self.spans.holds(slices) {
            return;
        }
        let Some(slab) = self.spans.take_larger(slices) else { return };
        let (segment, index) = Segment::of_slab(slab);
        let rest = slab.slices.get() as usize - slices;
        slab.format_span(self.address(), Kind::Span, slices, false);
        self.world().pool.give(self.world(), segment.slab(index + slices), rest);
        let kept = self.spans.keep(slab);
        debug_assert!(kept, "there was room for more");
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
        } else if self.is_nobody() {
            segment.world().pool.give(segment.world(), slab, slab.slices.get() as usize);
        } else {
            slab.set_owner(self.address() | SPAN);
            if self.spans.keep(slab) {
                return;
            }
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

fn block_of(slab: &'static Slab) -> NonNull<u8> {
    let (segment, index) = Segment::of_slab(slab);
    segment.slice(index)
}

#[inline(always)]
fn start_of(slab: &'static Slab) -> *mut u8 {
    block_of(slab).as_ptr()
}
