//! Four slots of a table; see its header for what they hold.

use crate::bucket::AtomicWord;
use crate::gcra::Word;
use crate::keyed::lines::Seen;
use crate::sync::{AtomicU64, Ordering, hint};

/// Slots in a line.
pub(super) const SLOTS: usize = 4;

/// The fingerprint of a slot never used.
pub(super) const NEVER_USED: u64 = 0;

/// Four slots.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Line<A> {
    pub(super) fingerprints: [AtomicU64; SLOTS],
    pub(super) tats: [A; SLOTS],
}

// The point of the layout: a key that is at home costs one cache miss.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Line<AtomicU64>>() == 64);

impl<A: AtomicWord> Line<A> {
    pub(super) fn empty() -> Self {
        Self {
            fingerprints: std::array::from_fn(|_| AtomicU64::new(NEVER_USED)),
            tats: std::array::from_fn(|_| A::new(A::Word::ZERO)),
        }
    }

    /// Looks at all slots and branches at none: which of them a key has that is not at its first
    /// one is what no processor can predict.
    #[inline(always)]
    pub(super) fn search(&self, fingerprint: u64) -> Seen {
        let mut found = Seen { equal: 0, never_used: 0 };
        for (slot, it) in self.fingerprints.iter().enumerate() {
            // Relaxed: a hint; who takes from the slot reads it again behind the TAT.
            let seen = it.load(Ordering::Relaxed);
            found.equal |= u32::from(seen == fingerprint) << slot;
            found.never_used |= u32::from(seen == NEVER_USED) << slot;
        }
        found
    }

    /// Makes this slot the caller's if it is free at tick `now`; else says when it will be.
    ///
    /// Waits for a slot that is changing hands. Passing it by would let a key be put behind a
    /// slot that still looks never used, where a search would not find it.
    pub(super) fn claim(&self, slot: usize, now: A::Word) -> Result<(), A::Word> {
        loop {
            // Acquire: pairs with the Release in `settle`; behind the TAT we see its owner.
            let seen = self.tats[slot].load(Ordering::Acquire);
            // Relaxed: once it is set it stays so, and until then the exchange decides.
            let is_free = || self.fingerprints[slot].load(Ordering::Relaxed) == NEVER_USED;
            if seen == A::Word::MARK {
                hint::spin_loop();
            } else if seen >= now && !is_free() {
                return Err(seen + A::Word::ONE);
            } else if self.tats[slot].exchange(seen, A::Word::MARK, Ordering::Acquire).is_ok() {
                return Ok(());
            }
        }
    }
}
