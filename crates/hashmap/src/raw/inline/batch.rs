//! Many keys at once.
//!
//! One search waits for memory; sixteen wait together. For each window of keys, all hashes are
//! computed and all heads asked for; then all slots whose tags are equal; then the searches run, on
//! lines that are on their way or there.
//!
//! ```text
//!   hash 0..16   |  prefetch head 0..16   |  tags, prefetch slot 0..16   |  search 0..16
//! ```
//!
//! The keys of a batch are independent operations: each is atomic, the batch is not.

use std::hash::BuildHasher;

use super::session::Session;
use super::table::Table;
use super::tags::tag_of;
use crate::prefetch;

/// Keys whose memory is asked for together. About as many as a processor fetches at a time.
const WINDOW: usize = 16;

impl<S: BuildHasher> Session<'_, S> {
    /// Calls `found` with the number of each key and its value.
    #[inline]
    pub(crate) fn get_many(
        &self,
        count: usize,
        key_at: impl Fn(usize) -> u64,
        mut found: impl FnMut(usize, Option<u64>),
    ) {
        let mut hashes = [0; WINDOW];
        for start in (0..count).step_by(WINDOW) {
            let end = (start + WINDOW).min(count);
            self.fetch(start..end, &key_at, &mut hashes, true);
            for index in start..end {
                let (hash, key) = (hashes[index - start], key_at(index));
                found(index, self.with_table(|table| table.get(hash, key)));
            }
        }
    }

    /// Sets the value of each key; calls `former` with its number and the value before.
    #[inline]
    pub(crate) fn insert_many(
        &self,
        count: usize,
        entry_at: impl Fn(usize) -> (u64, u64),
        mut former: impl FnMut(usize, Option<u64>),
    ) {
        let mut hashes = [0; WINDOW];
        for start in (0..count).step_by(WINDOW) {
            let end = (start + WINDOW).min(count);
            self.fetch(start..end, |index| entry_at(index).0, &mut hashes, false);
            for index in start..end {
                let (key, value) = entry_at(index);
                former(index, self.insert_hashed(hashes[index - start], key, value));
            }
        }
    }

    /// Computes the hashes of a window of keys and asks for the memory that they need.
    #[inline(always)]
    fn fetch(
        &self,
        window: std::ops::Range<usize>,
        key_at: impl Fn(usize) -> u64,
        hashes: &mut [u64; WINDOW],
        slots: bool,
    ) {
        let count = window.len();
        for (hash, index) in hashes.iter_mut().zip(window) {
            *hash = self.hash(key_at(index));
        }
        self.with_table(|table| {
            hashes[..count].iter().for_each(|&hash| table.bin(hash).head.prefetch());
            if slots {
                hashes[..count].iter().for_each(|&hash| table.prefetch_slot(hash));
            }
        });
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
