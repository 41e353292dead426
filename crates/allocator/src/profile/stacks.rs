//! Every call stack that was ever sampled, once, with its sums.
//!
//! ```text
//!   places: hash -> number     records: frames | allocated | in use
//! ```
//!
//! Both lie in a mapping that is made when the profile starts and of which only what is used costs
//! memory. When it is full, what comes from other stacks is counted for a stack without frames.

#![expect(unsafe_code, reason = "the records lie in a mapping")]

use std::ptr::NonNull;

use super::capture::Stack;
use super::numeric;
use crate::os::{Linux, Os};

/// Stacks that are kept.
const RECORDS: usize = 1 << 15;
/// Places to look for them; a power of two.
const PLACES: usize = 2 * RECORDS;

/// Blocks and bytes that a sample stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) blocks: u64,
    pub(super) bytes: u64,
}

impl Weight {
    /// What a block of this size stands for: the inverse of the chance that it is hit. It follows
    /// from the size alone, so that a free takes off exactly what the allocation added.
    pub(super) fn of(size: usize, rate: usize) -> Self {
        let chance = numeric::one_minus_exp(size.max(1) as f64 / rate as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "above one, and far below 2^63 for every size there is"
        )]
        let rounded = |value: f64| (value + 0.5) as u64;
        Self { blocks: rounded(1.0 / chance), bytes: rounded(size as f64 / chance) }
    }

    fn add(&mut self, more: Self) {
        self.blocks = self.blocks.saturating_add(more.blocks);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }

    fn remove(&mut self, less: Self) {
        self.blocks = self.blocks.saturating_sub(less.blocks);
        self.bytes = self.bytes.saturating_sub(less.bytes);
    }
}

/// A stack and its sums.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Record {
    hash: u64,
    pub(super) stack: Stack,
    pub(super) allocated: Weight,
    pub(super) in_use: Weight,
}

/// See the module's header. Behind a lock.
pub(super) struct Stacks {
    /// The number of a record and one; zero for an empty place.
    places: &'static mut [u32],
    records: &'static mut [Record],
    /// The first one is that of all stacks that there is no room for.
    used: usize,
}

impl Stacks {
    pub(super) const fn new() -> Self {
        Self { places: &mut [], records: &mut [], used: 0 }
    }

    /// Maps the room; false where there is none.
    pub(super) fn start(&mut self) -> bool {
        let bytes = PLACES * size_of::<u32>() + RECORDS * size_of::<Record>();
        let Some(start) = NonNull::new(Linux.map(0, bytes)) else { return false };
        // SAFETY: the mapping begins with room for them, zeroed, and is never unmapped.
        self.places = unsafe { std::slice::from_raw_parts_mut(start.as_ptr().cast(), PLACES) };
        // SAFETY: within the mapping.
        let records = unsafe { start.add(PLACES * size_of::<u32>()) };
        // SAFETY: as above; zero bytes are a sound record.
        self.records = unsafe { std::slice::from_raw_parts_mut(records.as_ptr().cast(), RECORDS) };
        self.used = 1;
        true
    }

    /// Adds a sample; returns the number of its stack.
    pub(super) fn add(&mut self, stack: &Stack, weight: Weight) -> u32 {
        let number = self.number_of(stack);
        let record = &mut self.records[number as usize];
        record.allocated.add(weight);
        record.in_use.add(weight);
        number
    }

    /// A sample of this stack was freed.
    pub(super) fn remove(&mut self, number: u32, weight: Weight) {
        self.records[number as usize].in_use.remove(weight);
    }

    fn number_of(&mut self, stack: &Stack) -> u32 {
        let hash = hash(stack.frames());
        let mut place = usize::try_from(hash >> 32).expect("32 bits") % PLACES;
        while let Some(number) = self.places[place].checked_sub(1) {
            let record = &self.records[number as usize];
            if record.hash == hash && record.stack.frames() == stack.frames() {
                return number;
            }
            place = (place + 1) % PLACES;
        }
        if self.used == RECORDS {
            return 0;
        }
        let none = Weight::default();
        self.records[self.used] = Record { hash, stack: *stack, allocated: none, in_use: none };
        let number = u32::try_from(self.used).expect("fewer than 2^32 records");
        self.places[place] = number + 1;
        self.used += 1;
        number
    }

    /// All stacks that were sampled.
    pub(super) fn records(&self) -> &[Record] {
        &self.records[..self.used]
    }
}

/// FNV-1a over words, with a last multiplication to spread it to the upper bits.
fn hash(frames: &[usize]) -> u64 {
    let step = |hash: u64, frame: &usize| (hash ^ *frame as u64).wrapping_mul(0x0100_0000_01B3);
    let hash = frames.iter().fold(0xCBF2_9CE4_8422_2325, step);
    (hash ^ (hash >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
