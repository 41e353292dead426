//! Blocks of other heaps that this thread freed, and uses again itself.
//!
//! ```text
//!   free of a block of another heap -> parcel of its slab --enough blocks--> posted to the owner
//!                                        |
//!                    own slab is empty   v
//!   allocation ---------------------> guests of its class: the current list, in the slab's place
//! ```
//!
//! Where threads free each other's blocks and allocate as many, as those of a shared table do, a
//! block that goes home crosses between processors twice: to whoever links it into a parcel, and
//! back to its owner, who waits for the link. One that is used again here crosses once. Its owner
//! does not learn of that: to it the block is out all the time.
//!
//! A thread that makes no blocks of a class keeps no guests of it: what it held back, their owner
//! would have to make anew.
//!
//! The guests of a class lie on the free list of a slab that has no memory of its own, so that the
//! fast path of an allocation takes them as it takes any block, and counts down to the next sample
//! of the heap profile in the same word.

use super::Heap;
use super::outgoing::{Chain, Place};
use super::slabs::is_none;
use crate::planted::{self, Bug};
use crate::size_class::{SMALL, class_of};
use crate::slab::{Kind, Slab};

/// Classes that have guests. Parcels of larger blocks have few.
pub(super) const CLASSES: usize = class_of(SMALL) + 1;

/// Fewer blocks are not worth a turn of the slow path; they wait for more.
const LEAST: u16 = 8;

impl Heap {
    /// Where the next block of a class is to come from: its guests, else its current slab.
    #[inline(always)]
    pub(super) fn source(&'static self, class: usize) -> &'static Slab {
        match self.guests.get(class) {
            Some(guests) if guests.free.get().is_some() || self.invite(class, guests) => guests,
            _ => self.bins[class].get(),
        }
    }

    /// Makes guests of a parcel that was not posted yet; false where it has too few blocks.
    #[inline(always)]
    fn invite(&'static self, class: usize, guests: &'static Slab) -> bool {
        let Some(chain) = self.outgoing.take(class, LEAST) else { return false };
        self.seat(guests, &chain);
        true
    }

    /// A parcel is large enough to go: its blocks stay as guests where the thread makes such
    /// blocks, and has no guest of the class.
    #[inline(never)]
    pub(super) fn dispatch(&'static self, place: &Place) {
        let class = place.class();
        match self.guests.get(class) {
            Some(guests) if guests.free.get().is_none() && self.makes(class, guests) => {
                if let Some(chain) = place.take() {
                    self.seat(guests, &chain);
                    self.aim(class, guests);
                }
            }
            _ => place.send(),
        }
    }

    /// Whether the thread makes blocks of this class: it has a slab, or had guests.
    fn makes(&self, class: usize, guests: &Slab) -> bool {
        !is_none(self.bins[class].get()) || guests.kind.get() == Kind::Slab
    }

    fn seat(&'static self, guests: &'static Slab, chain: &Chain) {
        guests.free.set(chain.last.next());
        chain.last.set_next(None);
        // The count goes on from zero, so that it never reaches its limit.
        guests.counts.set(guests.counts.get().with_used(0));
        guests.capacity.set(chain.count);
        guests.next.set(Some(chain.slab));
        if guests.kind.get() != Kind::Slab {
            guests.kind.set(Kind::Slab);
            guests.class.set(chain.class);
            self.arm(guests);
        }
    }

    /// Sends the guests home.
    pub(super) fn dismiss_guests(&'static self) {
        for guests in &self.guests {
            let Some(first) = guests.free.take() else { continue };
            if planted::is(Bug::KeepsGuests) {
                continue;
            }
            let slab = guests.next.get().expect("guests have a home");
            let count = guests.capacity.get() - guests.counts.get().used();
            let mut last = first;
            while let Some(next) = last.next() {
                last = next;
            }
            last.set_next(Some(first));
            Chain { slab, last, count, class: guests.class.get() }.post();
        }
    }
}
