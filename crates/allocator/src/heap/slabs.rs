//! The slabs of a heap: where an allocation finds one, and where an empty one goes.
//!
//! The lists, and which slabs are on none, are in the header of [`heap`](super).

use super::{Fresh, Heap, NO_SLAB, Role};
use crate::abort;
use crate::block::Block;
use crate::planted::{self, Bug};
use crate::segment::{NO_CLASS, Segment};
use crate::size_class::{CLASSES, SMALL, size_of_class, slices_of_class};
use crate::slab::{FLAGS, Kind, Slab};

/// Bytes of empty slabs that a heap keeps: what a program needs that goes round through the small
/// classes again and again.
const KEPT_MAX: usize = 512 << 10;

impl Heap {
    #[inline]
    pub(super) fn allocate_from_slabs(&'static self, class: usize, align: usize) -> Fresh {
        if self.handover.0.has_parcels() {
            self.take_parcels();
        }
        loop {
            let slab = self.source(class);
            if slab.counts.get().is_due() && !is_none(slab) {
                let sample = self.allocate_sample(slab, align);
                if !sample.start.is_null() {
                    return sample;
                }
            }
            if let Some(block) = slab.pop() {
                self.aim(class, slab);
                return Fresh { start: block.as_ptr(), zero: false };
            }
            if is_none(slab) {
                self.outgoing.flush();
                if !self.adopt_slab(class) && !self.add_slab(class) {
                    return Fresh::NULL;
                }
                continue;
            }
            // Without this, a descriptor that was written over is taken off another class's list,
            // and found here again for ever.
            if slab.kind.get() != Kind::Slab || usize::from(slab.class.get()) != class {
                abort::written_over(slab);
            }
            if self.put_off(slab) {
                continue;
            }
            if let Some(block) = self.carve(slab) {
                return Fresh { start: block.as_ptr(), zero: slab.zero.get() };
            }
            self.unlink(slab);
            Self::unkeep(slab);
            slab.mark_full();
        }
    }

    /// Goes on to the next slab where that has free blocks, before memory that was never used is
    /// touched: without this, every slab ends up touched to its end, whatever is free elsewhere.
    fn put_off(&self, slab: &'static Slab) -> bool {
        let untouched = slab.carved.get() < slab.capacity.get();
        let better = untouched && slab.next.get().is_some_and(|next| next.free.get().is_some());
        if better {
            self.unlink(slab);
            Self::unkeep(slab);
            self.link(slab);
        }
        better
    }

    fn carve(&self, slab: &'static Slab) -> Option<Block> {
        if slab.carved.get() == slab.capacity.get() {
            return None;
        }
        self.act_on(slab);
        let (segment, index) = Segment::of_slab(slab);
        slab.carve(segment.slice(index))
    }

    fn add_slab(&'static self, class: usize) -> bool {
        let slices = slices_of_class(class);
        let world = self.world();
        let Some(run) = world.pool.take_slab(world, class, slices) else { return false };
        run.slab.format(self.address(), class, run.zero);
        self.arm(run.slab);
        let (segment, index) = Segment::of_slab(run.slab);
        for offset in 1..slices {
            let inside = segment.slab(index + offset);
            inside.kind.set(Kind::Inside);
            inside.offset.set(u8::try_from(offset).expect("at most seven"));
            inside.set_owner(0);
            inside.tell_class(NO_CLASS);
        }
        self.link(run.slab);
        true
    }

    /// Takes a slab of this class over from a heap whose thread has ended. One with blocks that are
    /// out is nothing for a heap of one's own: it would destroy them with its own.
    fn adopt_slab(&'static self, class: usize) -> bool {
        let world = self.world();
        let may = self.role.get() == Role::Thread || planted::is(Bug::DestroysStrangers);
        if !may || !world.may_have_orphans() {
            return false;
        }
        let mut adopted = false;
        world.visit_orphans(|orphan| {
            orphan.take_parcels();
            let slab = orphan.bins[class].get();
            if !is_none(slab) {
                self.take_over(orphan, slab);
                adopted = true;
            }
            adopted
        });
        adopted
    }

    /// Puts a slab at the end of its list.
    pub(super) fn link(&self, slab: &'static Slab) {
        self.act_on(slab);
        let class = usize::from(slab.class.get());
        let last = self.lasts[class].replace(slab);
        slab.next.set(None);
        if is_none(last) {
            slab.prev.set(None);
            self.set_current(class, slab);
        } else {
            slab.prev.set(Some(last));
            last.next.set(Some(slab));
        }
    }

    /// Takes a slab out of its list.
    pub(super) fn unlink(&self, slab: &'static Slab) {
        self.act_on(slab);
        let class = usize::from(slab.class.get());
        let (prev, next) = (slab.prev.take(), slab.next.take());
        let listed = prev.is_some() || std::ptr::eq(self.bins[class].get(), slab);
        debug_assert!(listed, "a slab that is on no list");
        match prev {
            Some(prev) => prev.next.set(next),
            None => self.set_current(class, next.unwrap_or(&NO_SLAB.0)),
        }
        match next {
            Some(next) => next.prev.set(prev),
            None => self.lasts[class].set(prev.unwrap_or(&NO_SLAB.0)),
        }
    }

    /// Only the owner changes a slab, or a list.
    fn act_on(&self, slab: &'static Slab) {
        self.handover.0.act();
        debug_assert_eq!(slab.owner() & !FLAGS, self.address(), "a slab of another heap");
    }

    pub(super) fn set_current(&self, class: usize, slab: &'static Slab) {
        self.bins[class].set(slab);
        self.aim(class, slab);
    }

    /// Lets the fast path take small blocks from this slab.
    pub(super) fn aim(&self, class: usize, slab: &'static Slab) {
        let size = size_of_class(class);
        if size <= SMALL && !std::ptr::eq(self.small[size / 8].get(), slab) {
            let from = if class == 0 { 0 } else { size_of_class(class - 1) / 8 + 1 };
            self.small[from..=size / 8].iter().for_each(|words| words.set(slab));
        }
    }

    /// The last block that is out came back, or the first one to a slab that was full.
    #[cold]
    #[inline(never)]
    pub(super) fn turned(&'static self, slab: &'static Slab) {
        if slab.full.get() {
            slab.counts.set(slab.counts.get().with_used(slab.capacity.get() - 1));
            if !planted::is(Bug::StaysFull) {
                slab.full.set(false);
                self.link(slab);
            }
        } else {
            self.emptied(slab);
        }
    }

    /// The last block that is out came back.
    pub(super) fn emptied(&'static self, slab: &'static Slab) {
        let class = usize::from(slab.class.get());
        if !std::ptr::eq(self.bins[class].get(), slab) {
            self.unlink(slab);
            self.release(slab);
            return;
        }
        slab.kept.set(true);
        slab.counts.set(slab.counts.get().with_used(1));
        self.kept.set(self.kept.get() + touched(slab));
        if self.kept.get() > KEPT_MAX {
            self.release_kept();
        }
    }

    /// Counts a slab right that was kept.
    pub(super) fn unkeep(slab: &'static Slab) {
        if slab.kept.replace(false) {
            slab.counts.set(slab.counts.get().given(1));
        }
    }

    /// Gives back the slabs that are kept and still empty.
    pub(super) fn release_kept(&'static self) {
        if self.kept.replace(0) == 0 {
            return;
        }
        for class in 0..CLASSES {
            let slab = self.bins[class].get();
            if slab.kept.get() {
                Self::unkeep(slab);
                if slab.counts.get().used() == 0 {
                    self.unlink(slab);
                    self.release(slab);
                }
            }
        }
    }

    pub(super) fn release(&self, slab: &'static Slab) {
        let world = self.world();
        world.pool.give(world, slab, slab.slices.get() as usize);
    }
}

pub(super) fn is_none(slab: &Slab) -> bool {
    std::ptr::eq(slab, &raw const NO_SLAB.0)
}

/// Bytes of a slab that may have been touched.
fn touched(slab: &Slab) -> usize {
    slab.carved.get() as usize * slab.block_size()
}
