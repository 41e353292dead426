//! A sketch of the keys that came lately and have no bucket yet.
//!
//! A flood of made-up keys, each of which comes once, would fill a table with buckets of a single
//! cell, and keys that come again and again would find no room. With this in front, a key gets a
//! slot when it comes for the second time. The first time leaves a few bits in a Bloom filter, a
//! tenth of a slot.
//!
//! # Layout
//!
//! Time is cut into *generations*, as long as the quota's interval, in which one cell comes back. A
//! *block* is one cache line with the bits of two of them:
//!
//! ```text
//!   | generation | bits, this generation   | bits, the one before    | unused |
//!   |   8 bytes  |  24 bytes               |  24 bytes               |        |
//! ```
//!
//! A key's hash names a block and [`PROBES`] bits in it. A block that is touched in a later
//! generation first moves its bits on, so that nothing ever sweeps the sketch, and a clock that
//! jumps back finds a later generation and leaves its bits there.
//!
//! # What a key is charged
//!
//! A key whose bits were all set in a generation may have taken one cell in it. Its bucket begins
//! as if it had, at the generation's end:
//!
//! ```text
//!   generation   |------ g ------|---- g + 1 ----|
//!                     ^ a cell        ^ the key comes again: its bucket begins
//!                                   as if that cell had been taken here, at the end of g
//! ```
//!
//! # Error bounds
//!
//! 1. *Never more than the quota*: no bucket begins with more than it would hold without a sketch.
//! 2. A key that came before begins with at most one cell less than it would hold.
//! 3. A key that never came is taken for one that did with a chance of about 4 % while as many
//!    strangers come in an interval as the sketch was made for. Its bucket then begins with one to
//!    two cells less than full: with a burst of one it is denied, for two intervals at most. Of
//!    a flood twice as large it is about 30 %, and in the end every key gets a slot, as without.
//! 4. What is given back of a first cell makes a slot that says so; where there is no room for
//!    it, [`Refund::NoRoom`](super::Refund::NoRoom) is the answer.
//!
//! # When the quota changes
//!
//! A generation is as long as the new interval from then on. All bits are taken for bits of the
//! first of them: who owed a cell owes one, until that generation's end.
//!
//! # What this module does not do
//!
//! It remembers requests of one cell only; larger ones get a slot at once.

use super::TableError;
use crate::live::Carry;
use crate::quota::{Quota, Scale};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Words of a generation in a block.
const WORDS: usize = 3;

/// Bits of a generation in a block.
const BITS: u64 = 64 * WORDS as u64;

/// Bits that a key sets.
const PROBES: u32 = 4;

/// Strangers of one generation that a block is made for: ten bits for each.
const STRANGERS: usize = 19;

/// Locks that the blocks are spread over.
const LOCKS: usize = 64;

/// A generation that has not come yet, one ahead so that zero is none.
const NEVER: u64 = 0;

/// The sketch.
pub(super) struct Strangers {
    blocks: Box<[Block]>,
    locks: Box<[Mutex<()>]>,
    /// Nanoseconds of a generation: those of a cell, rounded up.
    interval_ns: AtomicU64,
    /// The first generation of that length, one ahead, and when it began.
    first: AtomicU64,
    start_ns: AtomicU64,
    /// Keys that were let pass without a slot.
    passed: AtomicU64,
}

/// See the module's header. Only changed by who holds the block's lock, and a word at a time, so
/// that who looks without the lock sees at worst bits of another generation.
#[derive(Debug)]
#[repr(align(64))]
struct Block {
    /// The generation, one ahead.
    generation: AtomicU64,
    present: [AtomicU64; WORDS],
    before: [AtomicU64; WORDS],
}

/// What the sketch knows of a key without a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It did not come lately. Its bucket is full.
    Stranger,
    /// It may have taken a cell, at this nanosecond at the latest.
    TookAt(u64),
}

/// The bits of a key.
type Mask = [u64; WORDS];

impl Strangers {
    /// A sketch for `count` strangers in each interval of `quota`, from `start_ns` on.
    pub(super) fn new(count: usize, quota: &Quota, start_ns: u64) -> Result<Self, TableError> {
        let (blocks, bytes) = (count.div_ceil(STRANGERS).max(1), size_of::<Block>());
        let bytes = blocks.checked_mul(bytes).ok_or(TableError::TooLarge { keys: count })?;
        let mut memory = Vec::new();
        let refused = |_| TableError::OutOfMemory { keys: count, bytes };
        memory.try_reserve_exact(blocks).map_err(refused)?;
        memory.resize_with(blocks, Block::empty);
        Ok(Self {
            blocks: memory.into_boxed_slice(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            interval_ns: AtomicU64::new(interval_ns(quota)),
            first: AtomicU64::new(NEVER + 1),
            start_ns: AtomicU64::new(start_ns),
            passed: AtomicU64::new(0),
        })
    }

    /// What is known of the key with this hash. Writes nothing.
    pub(super) fn look(&self, hash: u64, now_ns: u64) -> Known {
        let block = &self.blocks[self.index(hash)];
        self.known(block, mask(hash), self.generation(now_ns))
    }

    /// As [`look`](Self::look); a stranger is remembered, and is none from now on.
    pub(super) fn meet(&self, hash: u64, now_ns: u64) -> Known {
        let (index, mask) = (self.index(hash), mask(hash));
        let block = &self.blocks[index];
        let _guard = self.locks[index % LOCKS].lock().expect("no holder of this lock panics");
        let now = self.generation(now_ns);
        block.move_on(now);
        let known = self.known(block, mask, now);
        if known == Known::Stranger {
            block.mark(mask);
            // Relaxed: a count.
            self.passed.fetch_add(1, Ordering::Relaxed);
        }
        known
    }

    /// Bytes of the sketch.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.blocks)
    }

    /// Keys that were let pass without a slot.
    pub(super) fn passed(&self) -> u64 {
        // Relaxed: a count.
        self.passed.load(Ordering::Relaxed)
    }

    /// Makes generations as long as an interval of `quota` from `now_ns` on.
    ///
    /// The caller keeps out all who meet somebody. Who looks meanwhile may be told either.
    pub(super) fn change(&self, quota: &Quota, now_ns: u64, carry: Carry) {
        let latest = self.blocks.iter().map(|it| it.generation.load(Ordering::Relaxed)).max();
        let first = self.generation(now_ns).max(latest.unwrap_or(NEVER)).saturating_add(1);
        for block in &self.blocks {
            block.begin(first, carry == Carry::Full || !block.is_recent(first));
        }
        // Relaxed, all, and in `generation`: the locks of those who meet somebody order them.
        self.interval_ns.store(interval_ns(quota), Ordering::Relaxed);
        self.first.store(first, Ordering::Relaxed);
        self.start_ns.store(now_ns, Ordering::Relaxed);
    }

    /// The number of the present generation, one ahead.
    fn generation(&self, now_ns: u64) -> u64 {
        let since = now_ns.saturating_sub(self.start_ns.load(Ordering::Relaxed));
        let passed = since / self.interval_ns.load(Ordering::Relaxed);
        self.first.load(Ordering::Relaxed).saturating_add(passed)
    }

    /// When a generation ends.
    fn end_ns(&self, generation: u64) -> u64 {
        let passed = (generation + 1).saturating_sub(self.first.load(Ordering::Relaxed));
        let since = passed.saturating_mul(self.interval_ns.load(Ordering::Relaxed));
        self.start_ns.load(Ordering::Relaxed).saturating_add(since)
    }

    /// The middle bits of the hash decide: the table's lines follow from the high ones, the slots
    /// from the low ones.
    fn index(&self, hash: u64) -> usize {
        let turned = hash.rotate_left(32);
        #[expect(clippy::cast_possible_truncation, reason = "below the number of blocks")]
        let index = ((u128::from(turned) * self.blocks.len() as u128) >> 64) as usize;
        index
    }

    fn known(&self, block: &Block, mask: Mask, now: u64) -> Known {
        // Relaxed, here and in `Block`: the bits of one key are set and read under the lock of its
        // block; a look without it is a guess anyway.
        let kept = block.generation.load(Ordering::Relaxed);
        let has = |bits: &[AtomicU64; WORDS]| {
            bits.iter().zip(mask).all(|(word, bits)| word.load(Ordering::Relaxed) & bits == bits)
        };
        let latest = if kept != NEVER && kept >= now - 1 && has(&block.present) {
            kept
        } else if kept > 1 && kept >= now && has(&block.before) {
            kept - 1
        } else {
            return Known::Stranger;
        };
        Known::TookAt(self.end_ns(latest))
    }
}

impl Block {
    fn empty() -> Self {
        let words = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { generation: AtomicU64::new(NEVER), present: words(), before: words() }
    }

    /// Makes `now` the present generation, unless a later one is.
    fn move_on(&self, now: u64) {
        let kept = self.generation.load(Ordering::Relaxed);
        if now <= kept {
            return;
        }
        for (present, before) in self.present.iter().zip(&self.before) {
            let word = if kept == now - 1 { present.load(Ordering::Relaxed) } else { 0 };
            before.store(word, Ordering::Relaxed);
            present.store(0, Ordering::Relaxed);
        }
        self.generation.store(now, Ordering::Relaxed);
    }

    /// Whether a bit may be of a key that took a cell within the last two generations before
    /// `first`.
    fn is_recent(&self, first: u64) -> bool {
        let kept = self.generation.load(Ordering::Relaxed);
        kept != NEVER && kept.saturating_add(2) >= first
    }

    /// Makes `first` the present generation, of all bits or of none.
    fn begin(&self, first: u64, forgets: bool) {
        for (present, before) in self.present.iter().zip(&self.before) {
            let bits = present.load(Ordering::Relaxed) | before.load(Ordering::Relaxed);
            present.store(if forgets { 0 } else { bits }, Ordering::Relaxed);
            before.store(0, Ordering::Relaxed);
        }
        self.generation.store(first, Ordering::Relaxed);
    }

    fn mark(&self, mask: Mask) {
        for (word, bits) in self.present.iter().zip(mask) {
            word.store(word.load(Ordering::Relaxed) | bits, Ordering::Relaxed);
        }
    }
}

/// The nanoseconds in which a cell comes back, rounded up.
fn interval_ns(quota: &Quota) -> u64 {
    let wide = Scale::wide(quota);
    wide.nanos_at(wide.ticks_per_cell).max(1)
}

/// The bits of the key with this hash, from a hash of it.
fn mask(hash: u64) -> Mask {
    let mut drawn = (hash ^ hash >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut mask = [0; WORDS];
    for _ in 0..PROBES {
        // The high 16 bits, mapped to the bits of the block.
        let bit = ((drawn >> 48) * BITS) >> 16;
        mask[(bit / 64) as usize] |= 1 << (bit % 64);
        drawn = drawn.rotate_left(16);
    }
    mask
}

impl std::fmt::Debug for Strangers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Strangers").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
