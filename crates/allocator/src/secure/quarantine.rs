//! Freed slots that are not used again yet: a random stay, then a queue.
//!
//! ```text
//!   freed slot --> [ a random place of the pool ] --who lay there--> [ queue ] --oldest--> free
//! ```
//!
//! The pool makes the order of reuse unknown, the queue makes every stay a long one.

use super::random::Random;

/// Places of the pool, and of the queue.
const PLACES: usize = 64;

/// Bytes of slots that either may hold.
const BYTES: usize = 128 << 10;

/// The quarantine of a class. Slots are known by number; a place holds the number and one.
#[derive(Debug)]
pub(super) struct Quarantine {
    pool: [u32; PLACES],
    queue: [u32; PLACES],
    oldest: usize,
    length: usize,
}

impl Quarantine {
    /// For slots of this size.
    pub(super) const fn new(size: usize) -> Self {
        let length = Self::most(size) / 2;
        assert!(length > 0, "a slot fits");
        Self { pool: [0; PLACES], queue: [0; PLACES], oldest: 0, length }
    }

    /// Slots of this size that wait at the same time, at most.
    pub(super) const fn most(size: usize) -> usize {
        let fits = BYTES / size;
        2 * if fits > PLACES { PLACES } else { fits }
    }

    /// Takes a slot in; returns the one that it pushes out.
    pub(super) fn push(&mut self, slot: u32, random: &mut Random) -> Option<u32> {
        let moved = std::mem::replace(&mut self.pool[random.below(self.length)], slot + 1);
        if moved == 0 {
            return None;
        }
        let out = std::mem::replace(&mut self.queue[self.oldest], moved);
        self.oldest = (self.oldest + 1) % self.length;
        out.checked_sub(1)
    }

    /// All slots that wait.
    #[cfg(test)]
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.pool.iter().chain(&self.queue).filter_map(|slot| slot.checked_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{PLACES, Quarantine, Random};

    #[test]
    fn what_goes_in_comes_out_once_late_and_in_no_order() {
        let (mut quarantine, mut random) = (Quarantine::new(16), Random::new());
        random.reseed(3);
        let mut out = Vec::new();
        for slot in 0..10_000 {
            out.extend(quarantine.push(slot, &mut random).map(|old| (slot, old)));
        }
        assert!(out.iter().all(|(now, old)| now - old >= 64), "somebody left early");
        assert!(!out.is_sorted_by_key(|(_, old)| *old), "they leave in the order they came");
        let mut all: Vec<u32> = out.into_iter().map(|(_, old)| old).collect();
        all.extend(quarantine.slots());
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..10_000), "a slot was lost or doubled");
        assert_eq!(quarantine.slots().count(), 2 * PLACES);
    }
}
