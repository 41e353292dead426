//! The block cache: which blocks stay in memory, by S3-FIFO.
//!
//! A table has a [`Slot`] for each of its blocks. A block in its slot is cached, and a hit is one
//! load of that pointer: no hash table, no list, no lock, and only the first three hits between two
//! looks of the cache write anything. What the cache decides is who leaves:
//!
//! ```text
//!             miss                        used at least once
//!   file ------------> | small, a tenth | ------------------> | main |--. used since: to the back
//!            |                | not used                          ^  '--'
//!            |                v                                   |
//!            |         | ghost: names only |                      | not used: out
//!            '--------------- if the ghost knows it --------------'
//! ```
//!
//! Most blocks of a scan are used once and leave from the small queue; they never push out what is
//! used again (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023).
//!
//! The budget covers what cannot leave as well: the filters and indexes of open tables.

mod queues;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_epoch::Guard;
use parking_lot::Mutex;

use self::queues::{Entry, Queues};
use crate::slot::Slot;
use crate::table::Block;

/// Misses of so many threads go on side by side.
const SHARDS: usize = 8;

/// The cached blocks of one table.
#[derive(Debug)]
pub(crate) struct Slots {
    /// The number of the table.
    pub(crate) table: u64,
    blocks: Box<[Slot<Block>]>,
}

/// Decides which blocks stay.
#[derive(Debug)]
pub(crate) struct Cache {
    capacity: usize,
    /// Bytes of cached blocks.
    used: AtomicUsize,
    /// Bytes that cannot leave.
    pinned: AtomicUsize,
    shards: [Mutex<Queues>; SHARDS],
}

impl Slots {
    pub(crate) fn new(table: u64, blocks: usize) -> Arc<Self> {
        Arc::new(Self { table, blocks: (0..blocks).map(|_| Slot::new(None)).collect() })
    }

    /// The block, where it is cached.
    #[inline]
    pub(crate) fn get<'g>(&self, block: usize, guard: &'g Guard) -> Option<&'g Block> {
        self.blocks[block].load(guard).inspect(|it| it.touch())
    }

    /// The same with a count of one's own.
    pub(crate) fn share(&self, block: usize, guard: &Guard) -> Option<Arc<Block>> {
        self.blocks[block].share(guard).inspect(|it| it.touch())
    }

    fn bytes(&self) -> usize {
        self.blocks.len() * size_of::<Slot<Block>>()
    }
}

impl Cache {
    /// A cache of so many bytes, filters and indexes included.
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let (used, pinned) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shards = std::array::from_fn(|_| Mutex::new(Queues::default()));
        Arc::new(Self { capacity, used, pinned, shards })
    }

    /// Bytes of the blocks that are cached.
    pub(crate) fn used(&self) -> usize {
        // Relaxed: a size, nothing is reached through it.
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes of filters and indexes.
    pub(crate) fn pinned(&self) -> usize {
        // Relaxed: as above.
        self.pinned.load(Ordering::Relaxed)
    }

    /// Counts what an open table keeps in memory.
    pub(crate) fn pin(&self, slots: &Slots, bytes: usize) {
        // Relaxed: a size.
        self.pinned.fetch_add(bytes + slots.bytes(), Ordering::Relaxed);
    }

    /// Caches a block that was just read, and lets others go for it. The block can be used for as
    /// long as the guard lives, even where there was no room for it.
    pub(crate) fn insert<'g>(
        &self,
        slots: &Arc<Slots>,
        block: usize,
        value: Arc<Block>,
        guard: &'g Guard,
    ) -> &'g Block {
        let bytes = value.bytes();
        let (inside, is_new) = slots.blocks[block].fill(value, guard);
        if is_new {
            // Relaxed: a size; the queues are behind their lock.
            self.used.fetch_add(bytes, Ordering::Relaxed);
            let entry = Entry { slots: Arc::downgrade(slots), table: slots.table, block, bytes };
            let mut queues = self.shards[block % SHARDS].lock();
            queues.push(entry);
            while self.used() + self.pinned() > self.capacity
                && queues.evict(|it| self.out(it, guard))
            {}
        }
        inside
    }

    /// Empties the slots of a table that is closed.
    pub(crate) fn forget(&self, slots: &Arc<Slots>, bytes: usize, guard: &Guard) {
        // Relaxed: a size.
        self.pinned.fetch_sub(bytes + slots.bytes(), Ordering::Relaxed);
        for slot in &slots.blocks {
            if let Some(block) = slot.replace(None, guard) {
                self.used.fetch_sub(block.bytes(), Ordering::Relaxed);
            }
        }
        for shard in &self.shards {
            shard.lock().forget(slots.table);
        }
    }

    /// Takes a block out, unless it is gone or was used; says which.
    fn out(&self, entry: &Entry, guard: &Guard) -> Outcome {
        let Some(slots) = entry.slots.upgrade() else { return Outcome::Gone };
        let slot = &slots.blocks[entry.block];
        match slot.load(guard) {
            None => Outcome::Gone,
            Some(block) if block.was_used() => Outcome::Used,
            Some(_) => {
                if let Some(block) = slot.replace(None, guard) {
                    // Relaxed: a size.
                    self.used.fetch_sub(block.bytes(), Ordering::Relaxed);
                }
                Outcome::Evicted
            }
        }
    }
}

/// What became of a block that was to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its table is closed, or somebody else took it out.
    Gone,
    /// It was used since the last look, and stays.
    Used,
    /// It left.
    Evicted,
}

/// Slots of a table that may be closed by now.
type Slotted = Weak<Slots>;

#[cfg(test)]
mod tests;
