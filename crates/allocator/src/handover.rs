//! How a heap is told of its blocks that others freed, and how it changes hands: one word.
//!
//! Other threads push *parcels*, chains of blocks of one slab, onto a stack in the heap. Its owner
//! takes the whole stack now and then. When the owner's thread ends, the heap becomes an orphan,
//! and whoever claims it first is its owner next: a new thread, a thread that needs a slab, or one
//! that just pushed a parcel to it and would otherwise be the last ever to look at it.
//!
//! ```text
//!   word = address of the topmost parcel | ORPHAN
//!
//!            post: + parcel                                 post: + parcel, "claim it"
//!              .---.                                              .---.
//!              v   |         leave: only when there are none      v   |
//!            [ owned ] -----------------------------------> [ orphan ]
//!              ^   |         claim: parcels and all               |
//!     take all '---'  <-------------------------------------------'
//! ```
//!
//! Stack and state share the word because two words would leave a gap: a parcel that is pushed
//! after the owner looked for the last time, and whose sender looked before the owner left, would
//! wait for ever. With one word the owner can only leave an empty stack, and the sender learns from
//! the very exchange that pushed its parcel whether anybody will come.
//!
//! The stack is pushed singly and taken whole, so that it knows no ABA: a push that finds the same
//! address on top again builds a sound stack, whatever happened meanwhile.
//!
//! # What this module does not do
//!
//! It never frees and never reads a parcel but for its link. It runs unchanged under loom and
//! shuttle; see the tests.

use std::marker::PhantomData;
use std::ptr;

use crate::sync::{AtomicPtr, Ordering, Sole};

/// The bit of the word that says that nobody owns the heap. Parcels are aligned to more than that.
const ORPHAN: usize = 1;

/// Something that can be stacked: an address with room for a link.
pub(crate) trait Parcel: Copy {
    /// The address, which is even and not null.
    fn address(self) -> *mut u8;
    /// The parcel at an address that [`address`](Self::address) gave.
    fn at(address: *mut u8) -> Option<Self>;
    /// Links this parcel to the one below. Only its sender does that, before it is on the stack.
    fn set_below(self, below: Option<Self>);
}

/// The word; see the module's header.
#[derive(Debug)]
pub(crate) struct Handover<P> {
    word: AtomicPtr<u8>,
    owner: Sole,
    parcels: PhantomData<P>,
}

/// What a sender learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// The owner will find the parcel.
    ToOwner,
    /// There is no owner: claim the heap, or the parcel waits until somebody does.
    ToOrphan,
}

impl<P: Parcel> Handover<P> {
    /// Owned by whoever makes it.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn owned() -> Self {
        Self { word: AtomicPtr::new(ptr::null_mut()), owner: Sole::new(), parcels: PhantomData }
    }

    /// Owned by whoever makes it.
    #[cfg(any(loom, shuttle))]
    pub(crate) fn owned() -> Self {
        Self { word: AtomicPtr::new(ptr::null_mut()), owner: Sole::new(), parcels: PhantomData }
    }

    /// The owner does what only an owner may: where an explorer looks for two of them.
    #[inline(always)]
    pub(crate) fn act(&self) {
        self.owner.visit();
    }

    /// Pushes a parcel. Any thread may.
    pub(crate) fn post(&self, parcel: P) -> Posted {
        // Relaxed: the address is only compared, the link is followed by the taker alone.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            parcel.set_below(P::at(without_mark(seen)));
            let orphan = is_orphan(seen);
            let new = parcel.address().map_addr(|address| address | usize::from(orphan));
            // Release: the taker sees the chain and its link, and what we did to the blocks.
            match self.word.compare_exchange_weak(seen, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) if orphan => return Posted::ToOrphan,
                Ok(_) => return Posted::ToOwner,
                Err(found) => seen = found,
            }
        }
    }

    /// Takes all parcels and returns the topmost. Only the owner may.
    pub(crate) fn take(&self) -> Option<P> {
        self.act();
        if !self.has_parcels() {
            return None;
        }
        // Acquire: pairs with the Release of every `post` since the last time: read-modify-writes
        // of one word continue each other's release.
        P::at(self.word.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Whether there is something to take: a hint.
    #[inline]
    pub(crate) fn has_parcels(&self) -> bool {
        // Relaxed: whoever takes looks again.
        !without_mark(self.word.load(Ordering::Relaxed)).is_null()
    }

    /// Whether nobody owns the heap: a hint.
    pub(crate) fn is_orphan(&self) -> bool {
        // Relaxed: whoever claims it looks again.
        is_orphan(self.word.load(Ordering::Relaxed))
    }

    /// Gives the heap up. Only the owner may; fails where parcels are left to be taken first.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        self.act();
        let orphan = ptr::without_provenance_mut(ORPHAN);
        let (good, bad) = (Ordering::Release, Ordering::Relaxed);
        // Release: whoever claims the heap sees all that we did to it.
        self.word.compare_exchange(ptr::null_mut(), orphan, good, bad).is_ok()
    }

    /// Becomes the owner of an orphan, with the parcels that wait for one.
    #[must_use]
    pub(crate) fn claim(&self) -> bool {
        // Relaxed: the exchange below decides.
        let mut seen = self.word.load(Ordering::Relaxed);
        while is_orphan(seen) {
            let (good, bad) = (Ordering::Acquire, Ordering::Relaxed);
            // Acquire: pairs with the Release in `leave`, and with those of the parcels since.
            match self.word.compare_exchange_weak(seen, without_mark(seen), good, bad) {
                Ok(_) => return true,
                Err(found) => seen = found,
            }
        }
        false
    }
}

fn is_orphan(word: *mut u8) -> bool {
    word.addr() & ORPHAN != 0
}

fn without_mark(word: *mut u8) -> *mut u8 {
    word.map_addr(|address| address & !ORPHAN)
}

#[cfg(test)]
mod tests;
