//! The annex of a bin with more than 22 entries: a hash table of its own, on the heap.
//!
//! Such a bin is the work of chance, or of keys that have one hash, by a weak hasher or by an
//! enemy. Whatever the map's hasher says of them, they are different words. So a block hashes the
//! *words*, with a seed of its own, and a search looks at a slot or two, not at all of them:
//!
//! ```text
//!   marks   00 | 11 | 01 | 11 | 00 | ...      two bits a slot: USED, LIVE
//!   slots      | 7  |    | 9  |    | ...      from hash(key) on, one after the other
//!
//!   search 9:    7? no -> vacated, go on -> 9? yes        a slot that was never used ends a search
//! ```
//!
//! The bin's lock and version rule here as in the rest of the bin: the lock's owner writes, and a
//! slot that was vacated is filled again only after the version has grown. A block with too few
//! slots that were never used is replaced by one for the entries that live.

use std::hash::BuildHasher;

use super::bin::Slot;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

#[cfg(not(any(loom, shuttle)))]
use crate::hash::RandomState as Scatter;
/// An exploration must take the same steps each time.
#[cfg(any(loom, shuttle))]
use foldhash::quality::FixedState as Scatter;

/// Slots of the smallest block.
const SLOTS_MIN: usize = 16;

/// One slot in so many is never used, so that searches end soon.
const RESERVE: usize = 4;

/// The slot holds an entry or has held one.
const USED: u64 = 0b01;
/// The slot holds an entry.
const LIVE: u64 = 0b10;
const MARK: u64 = USED | LIVE;
const MARK_BITS: usize = 2;
/// `LIVE` in the place of each mark.
const EACH_LIVE: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const MARKS_A_WORD: usize = u64::BITS as usize / MARK_BITS;

/// An annex on the heap.
#[derive(Debug)]
pub(super) struct Block {
    marks: Box<[AtomicU64]>,
    /// A power of two.
    slots: Box<[Slot]>,
    /// Slots that hold entries; written by the lock's owner.
    live: AtomicUsize,
    /// Slots that may still be used for the first time; written by the lock's owner.
    unused: AtomicUsize,
    scatter: Scatter,
}

impl Block {
    /// An empty block that has room for `entries` entries, and as many more.
    pub(super) fn new(entries: usize) -> Self {
        let slots = (2 * entries).next_power_of_two().max(SLOTS_MIN);
        Self {
            marks: (0..slots.div_ceil(MARKS_A_WORD)).map(|_| AtomicU64::new(0)).collect(),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            live: AtomicUsize::new(0),
            unused: AtomicUsize::new(slots - slots / RESERVE),
            scatter: Scatter::default(),
        }
    }

    /// A slot, whatever it holds.
    pub(super) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    /// The slots at which a key may be, in the order of a search.
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer slots than addresses")]
    fn probe(&self, key: u64) -> impl Iterator<Item = usize> {
        let mask = self.slots.len() - 1;
        let start = self.scatter.hash_one(key) as usize;
        (0..=mask).map(move |step| start.wrapping_add(step) & mask)
    }

    fn mark(&self, slot: usize) -> u64 {
        // Acquire: pairs with the Release in `set_mark`; behind the mark we see the entry.
        let word = self.marks[slot / MARKS_A_WORD].load(Ordering::Acquire);
        word >> (slot % MARKS_A_WORD * MARK_BITS) & MARK
    }

    /// Marks a slot, as the lock's owner.
    fn set_mark(&self, slot: usize, mark: u64) {
        let word = &self.marks[slot / MARKS_A_WORD];
        let shift = slot % MARKS_A_WORD * MARK_BITS;
        // Relaxed: only the lock's owner writes it.
        let others = word.load(Ordering::Relaxed) & !(MARK << shift);
        // Release: pairs with the Acquire in `mark` and `occupied`.
        word.store(others | mark << shift, Ordering::Release);
    }

    /// The slot of a key, if the bin is still what it was.
    pub(super) fn find(&self, key: u64) -> Option<usize> {
        self.probe(key)
            .map(|slot| (slot, self.mark(slot)))
            .take_while(|&(_, mark)| mark != 0)
            .find(|&(slot, mark)| mark & LIVE != 0 && self.slots[slot].has_key(key))
            .map(|(slot, _)| slot)
    }

    /// The slot that a key which is not there can be put into; `None` where the block is full. For
    /// the lock's owner, or as a guess.
    pub(super) fn free_slot(&self, key: u64) -> Option<usize> {
        let slot = self.probe(key).find(|&slot| self.mark(slot) & LIVE == 0)?;
        // Relaxed: the lock orders it.
        let has_room = self.mark(slot) == USED || self.unused.load(Ordering::Relaxed) > 0;
        has_room.then_some(slot)
    }

    /// Fills a slot that `free_slot` returned, as the lock's owner.
    pub(super) fn fill(&self, slot: usize, key: u64, value: u64) {
        let first_use = usize::from(self.mark(slot) == 0);
        self.slots[slot].fill(key, value);
        self.set_mark(slot, MARK);
        add(&self.live, 1);
        add(&self.unused, first_use.wrapping_neg());
    }

    /// Says that a slot holds no entry any more, as the lock's owner.
    pub(super) fn vacate(&self, slot: usize) {
        self.set_mark(slot, USED);
        add(&self.live, 1_usize.wrapping_neg());
    }

    /// Entries; for the lock's owner, or as a guess.
    pub(super) fn len(&self) -> usize {
        // Relaxed: the lock orders it.
        self.live.load(Ordering::Relaxed)
    }

    /// The slots that hold entries.
    pub(super) fn occupied(&self) -> impl Iterator<Item = usize> {
        self.marks.iter().enumerate().flat_map(|(index, marks)| {
            // Acquire: pairs with the Release in `set_mark`; behind the mark we see the entry.
            let mut bits = marks.load(Ordering::Acquire) & EACH_LIVE;
            std::iter::from_fn(move || {
                (bits != 0).then(|| {
                    let bit = bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    MARKS_A_WORD * index + bit / MARK_BITS
                })
            })
        })
    }
}

/// Adds to a count that only the lock's owner writes.
fn add(count: &AtomicUsize, change: usize) {
    // Relaxed, twice: the lock orders it.
    count.store(count.load(Ordering::Relaxed).wrapping_add(change), Ordering::Relaxed);
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn insert(block: &Block, key: u64) -> bool {
        let slot = block.free_slot(key);
        slot.inspect(|&slot| block.fill(slot, key, key)).is_some()
    }

    #[test]
    fn keys_are_found_until_they_are_removed() {
        let block = Block::new(9);
        let keys: Vec<u64> = (0..32).take_while(|&key| insert(&block, key)).collect();
        assert_eq!(keys.len(), 24, "a quarter of 32 slots stays unused");
        assert_eq!(block.len(), 24);
        assert!(keys.iter().all(|&key| block.find(key).is_some()));
        assert_eq!(block.find(99), None);
        for &key in keys.iter().filter(|key| *key % 2 == 0) {
            block.vacate(block.find(key).unwrap());
        }
        assert!(keys.iter().all(|&key| block.find(key).is_some() == (key % 2 == 1)));
        let mut left: Vec<_> = block.occupied().map(|slot| block.slot(slot).entry().0).collect();
        left.sort_unstable();
        assert_eq!(left, (0..24).filter(|key| key % 2 == 1).collect::<Vec<_>>());
    }

    #[test]
    fn a_vacated_slot_is_used_again_and_does_not_end_a_search() {
        let block = Block::new(1);
        (0..12).for_each(|key| assert!(insert(&block, key)));
        assert!(!insert(&block, 12), "three quarters of 16 slots are used");
        for key in 0..12 {
            block.vacate(block.find(key).expect("it was inserted"));
            assert!((0..12).all(|it| block.find(it).is_some() == (it != key)));
            assert!(insert(&block, key), "its search comes by the slot that it had");
        }
        assert_eq!(block.len(), 12);
    }

    #[test]
    fn a_search_looks_at_few_slots_whatever_there_are() {
        let block = Block::new(10_000);
        (0..10_000).for_each(|key| assert!(insert(&block, key)));
        let looks = |key| {
            let slot = block.find(key).expect("it was inserted");
            1 + block.probe(key).position(|it| it == slot).expect("found on its way")
        };
        let mean = (0..10_000).map(looks).sum::<usize>() as f64 / 10_000.0;
        assert!(mean < 2.0, "{mean} slots a search");
    }
}
