//! What a heap has to do with other threads: their parcels, and its own end.
//!
//! The protocol is that of [`handover`](crate::handover); here is what is done with what it yields.

use std::sync::atomic::Ordering;

use super::{Heap, NO_SLAB, Role, owner_of, slab_of_block};
use crate::block::Block;
use crate::handover::Posted;
use crate::planted::{self, Bug};
use crate::profile;
use crate::segment::{HEAD, SLICES, Segment};
use crate::size_class::CLASSES;
use crate::slab::{FLAGS, Kind, Slab};
use crate::valgrind;

impl Heap {
    /// Takes in what other threads freed.
    #[inline(never)]
    pub(super) fn take_parcels(&'static self) {
        let mut next = self.handover.0.take();
        while let Some(last) = next {
            next = last.below();
            let slab = slab_of_block(last);
            if slab.owner() & !FLAGS == self.address() || planted::is(Bug::KeepsStrangers) {
                self.unpack(slab, last);
            } else {
                // The slab was taken over since the parcel was sent. An orphan among its owners
                // takes the parcel in when it is claimed.
                owner_of(slab).handover.0.post(last);
            }
        }
    }

    /// Puts the blocks of a parcel before the free list of their slab.
    fn unpack(&'static self, slab: &'static Slab, last: Block) {
        self.handover.0.act();
        let count = last.count();
        let first = last.next();
        last.set_next(slab.free.get());
        slab.free.set(first);
        if slab.full.get() {
            slab.full.set(false);
            slab.counts.set(slab.counts.get().with_used(slab.capacity.get()));
            self.link(slab);
        }
        let counts = slab.counts.get().given(count);
        slab.counts.set(counts);
        if counts.used() == 0 {
            self.emptied(slab);
        }
    }

    /// Becomes the owner of an orphan.
    pub(crate) fn claim(&self) -> bool {
        let claimed = if planted::is(Bug::ClaimsNothing) {
            self.handover.0.is_orphan()
        } else {
            self.handover.0.claim()
        };
        if claimed {
            self.world().is_claimed();
        }
        claimed
    }

    /// Whether nobody owns the heap: a hint.
    pub(crate) fn is_orphan(&self) -> bool {
        self.handover.0.is_orphan()
    }

    /// Whether the thread that left it ran on this processor.
    pub(crate) fn was_left_on(&self, processor: u32) -> bool {
        // Relaxed: a hint.
        self.processor.load(Ordering::Relaxed) == processor
    }

    /// Takes in what is there, and gives back what is empty.
    pub(crate) fn settle(&'static self) {
        self.take_parcels();
        self.release_kept();
    }

    /// Gives the heap up: its thread ends.
    pub(crate) fn leave(&'static self) {
        let processor = self.world().os().processor();
        // Relaxed: a hint.
        self.processor.store(processor, Ordering::Relaxed);
        // First of all: a thread that begins now had better wait for this heap than make one.
        self.world().is_left();
        if !planted::is(Bug::ForgetsParcels) {
            self.outgoing.flush();
        }
        self.dismiss_guests();
        self.release_spans();
        self.hand_back();
    }

    /// Gives a heap up that has nothing to itself: somebody claimed it for a moment.
    pub(crate) fn hand_back(&'static self) {
        self.world().is_handed_back();
        loop {
            self.settle();
            if self.handover.0.leave() {
                return;
            }
        }
    }

    /// Takes a full slab over from an orphan, so that what is freed to it next is freed to our own;
    /// false where its owner lives, or somebody else was faster.
    ///
    /// One with free blocks is left to the thread that takes the whole heap over: it would have to
    /// make new slabs, and we have some already.
    pub(super) fn adopt(&'static self, slab: &'static Slab) -> bool {
        // A hint, which is there to be read; other heaps are written to all the time.
        if !self.world().may_have_orphans() {
            return false;
        }
        let orphan = owner_of(slab);
        if !orphan.handover.0.is_orphan() || !orphan.claim() {
            return false;
        }
        if planted::is(Bug::HandsBackEarly) {
            orphan.hand_back();
        }
        orphan.handover.0.act();
        // It may have changed hands before we had the heap.
        let still = slab.owner() == orphan.address() && slab.full.get();
        let still = still || planted::is(Bug::AdoptsBlindly);
        if still {
            slab.set_owner(self.address());
            slab.full.set(!planted::is(Bug::ForgetsFull));
        }
        if !planted::is(Bug::HandsBackEarly) {
            orphan.hand_back();
        }
        still
    }

    /// Takes a slab off the list of another heap that we own for the moment.
    pub(super) fn take_over(&'static self, from: &'static Self, slab: &'static Slab) {
        if !planted::is(Bug::StaysOnList) {
            from.unlink(slab);
        }
        Self::unkeep(slab);
        slab.set_owner(self.address());
        self.link(slab);
    }

    /// A heap of one's own is dropped: it is left as the heap of a thread is.
    pub(crate) fn retire(&'static self) {
        self.role.set(Role::Thread);
        self.leave();
    }

    /// Gives all slabs and spans back, whatever is out.
    pub(crate) fn forget_all(&'static self) {
        self.release_spans();
        self.handover.0.take();
        for class in 0..CLASSES {
            self.lasts[class].set(&NO_SLAB.0);
            self.set_current(class, &NO_SLAB.0);
        }
        self.kept.set(0);
        let mut mine: Option<&'static Slab> = None;
        self.world().pool.each_segment(|segment| {
            for slab in (HEAD..SLICES).map(|index| segment.slab(index)) {
                if slab.owner() & !FLAGS == self.address() {
                    slab.next.set(mine.replace(slab));
                }
            }
        });
        while let Some(slab) = mine {
            mine = slab.next.take();
            profile::forget(slab);
            tell_freed(slab);
            self.release(slab);
        }
    }

    /// Gives back what the heap keeps for later.
    pub(crate) fn collect(&'static self) {
        self.outgoing.flush();
        self.dismiss_guests();
        self.release_spans();
        self.settle();
    }
}

/// Tells valgrind that nothing of a slab or a span is out any more.
fn tell_freed(slab: &'static Slab) {
    if valgrind::ON {
        let (segment, index) = Segment::of_slab(slab);
        let (start, size) = (segment.slice(index).as_ptr(), slab.block_size());
        let count = if slab.kind.get() == Kind::Slab { slab.carved.get() } else { 1 };
        (0..count as usize).for_each(|block| valgrind::freed(start.wrapping_add(block * size)));
    }
}

/// Posts a parcel to the owner of its slab, or sees to it that an orphan takes it in.
pub(super) fn post(slab: &'static Slab, last: Block) {
    let owner = owner_of(slab);
    if owner.handover.0.post(last) == Posted::ToOrphan && owner.claim() {
        owner.hand_back();
    }
}
