//! Many keys at once.
//!
//! One search waits for memory twice, for the head of its bin and for a slot. The searches of a
//! batch wait together: keys go through three stages, a window of them at a time, and a window
//! does not enter a stage before another has worked while its memory was on the way.
//!
//! ```text
//!            hash, ask for heads     read tags, ask for slots     search
//!   step 0 |  window 0
//!   step 1 |  window 1                window 0
//!   step 2 |  window 2                window 1                     window 0
//!   step 3 |  ...
//! ```
//!
//! This is the software pipelining of Chen, Ailamaki, Gibbons and Mowry, "Improving hash join
//! performance through prefetching" (2004).
//!
//! The keys of a batch are independent operations: each is atomic, the batch is not.

use std::hash::BuildHasher;
use std::ops::Range;

use super::session::Session;
use super::table::Table;
use super::tags::tag_of;
use crate::prefetch;

/// Keys whose memory is asked for together. Two windows are on their way at a time, one asks for
/// heads and the other for slots: about as many lines as a processor fetches at once.
const WINDOW: usize = 12;

/// Windows that are under way at once.
const STAGES: usize = 3;

/// What is asked for besides heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    Read,
    Write,
}

/// The hashes of the windows that are under way.
struct Pipeline {
    hashes: [[u64; WINDOW]; STAGES],
    count: usize,
    aim: Aim,
}

impl<S: BuildHasher> Session<'_, S> {
    /// Calls `found` with the number of each key and its value.
    #[inline]
    pub(crate) fn get_many(
        &self,
        count: usize,
        key_at: impl Fn(usize) -> u64,
        mut found: impl FnMut(usize, Option<u64>),
    ) {
        self.pipeline(count, Aim::Read, &key_at, |index, hash| {
            let key = key_at(index);
            found(index, self.with_table(|table| table.get(hash, key)));
        });
    }

    /// Sets the value of each key; calls `former` with its number and the value before.
    #[inline]
    pub(crate) fn insert_many(
        &self,
        count: usize,
        entry_at: impl Fn(usize) -> (u64, u64),
        mut former: impl FnMut(usize, Option<u64>),
    ) {
        let key_at = |index| entry_at(index).0;
        self.pipeline(count, Aim::Write, &key_at, |index, hash| {
            let (key, value) = entry_at(index);
            former(index, self.insert_hashed(hash, key, value));
        });
    }

    /// Calls `work` with the number and the hash of each key, once its memory has been asked for.
    #[inline(always)]
    fn pipeline(
        &self,
        count: usize,
        aim: Aim,
        key_at: &impl Fn(usize) -> u64,
        mut work: impl FnMut(usize, u64),
    ) {
        let mut pipeline = Pipeline { hashes: [[0; WINDOW]; STAGES], count, aim };
        for step in 0..count.div_ceil(WINDOW) + STAGES - 1 {
            self.ask_for_heads(&mut pipeline, step, key_at);
            if let Some(earlier) = step.checked_sub(1) {
                self.ask_for_slots(&pipeline, earlier);
            }
            if let Some(earliest) = step.checked_sub(2) {
                let window = pipeline.window(earliest);
                for (index, &hash) in window.zip(pipeline.hashes(earliest)) {
                    work(index, hash);
                }
            }
        }
    }

    #[inline(always)]
    fn ask_for_heads(&self, pipeline: &mut Pipeline, step: usize, key_at: impl Fn(usize) -> u64) {
        let window = pipeline.window(step);
        let aim = pipeline.aim;
        let hashes = &mut pipeline.hashes[step % STAGES];
        self.with_table(|table| {
            for (index, hash) in window.zip(hashes) {
                *hash = self.hash(key_at(index));
                let head = table.bin(*hash).head;
                match aim {
                    Aim::Read => head.prefetch(),
                    Aim::Write => head.prefetch_to_write(),
                }
            }
        });
    }

    #[inline(always)]
    fn ask_for_slots(&self, pipeline: &Pipeline, step: usize) {
        let hashes = pipeline.hashes(step);
        self.with_table(|table| hashes.iter().for_each(|&hash| table.prefetch_slot(hash)));
    }
}

impl Pipeline {
    /// The numbers of the keys of a window; none behind the last.
    #[inline(always)]
    fn window(&self, step: usize) -> Range<usize> {
        let end = self.count.min((step + 1) * WINDOW);
        (step * WINDOW).min(end)..end
    }

    #[inline(always)]
    fn hashes(&self, step: usize) -> &[u64] {
        &self.hashes[step % STAGES][..self.window(step).len()]
    }
}

impl Table {
    /// Asks for the slot that most likely has the key of a hash.
    #[inline(always)]
    fn prefetch_slot(&self, hash: u64) {
        let bin = self.bin(hash);
        if let Some(slot) = bin.head.tags().equal(tag_of(hash)).next() {
            prefetch::read(&raw const bin.slots[slot]);
        }
    }
}
