//! A block: sorted entries with fixed offsets behind one shared prefix.
//!
//! ```text
//! | prefix | suffix 0 | value 0 | suffix 1 | value 1 | .. | slots | count | prefix len | crc32c |
//!                                                         8 each     u32       u32        u32
//! slot = offset of the suffix: u32 | length of the suffix: u32
//! ```
//!
//! Every number is little-endian. The value of an entry ends where the next suffix, or the list of
//! slots, begins. Slots have one size, so a search jumps to the middle of the block and compares
//! there; nothing before it is decoded. The prefix that all keys share is stored and compared once.
//! The suffix is always compared whole: no key is ever judged by its first bytes.
//!
//! The checksum covers all that lies before it. [`Block::parse`] checks it and then every slot, so
//! that a lookup cannot leave the block even where the sum of damaged bytes happens to match.
//!
//! # What this module does not do
//!
//! It neither compresses nor caches, and it knows nothing of sequence numbers or tombstones.

use std::cmp::Ordering;
use std::ops::Range;

#[cfg(test)]
mod tests;

const SLOT_BYTES: usize = 8;
const TRAILER_BYTES: usize = 12;
/// Offsets are 32 bits wide.
const BLOCK_BYTES_MAX: usize = u32::MAX as usize;

/// Why a block cannot be built or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Keys must rise; the block is as it was before.
    #[error("entry {index} of the block has a key that does not follow the last; sort the entries")]
    OutOfOrder {
        /// Which entry was refused.
        index: usize,
    },
    /// The entry would not fit; the block is as it was before.
    #[error("the block would outgrow 4 GiB; finish it and begin another")]
    TooLarge,
    /// The bytes are not a block that [`BlockBuilder::finish`] returned.
    #[error("the block is damaged ({what}); restore its file from a copy")]
    Damaged {
        /// Which part was found wrong.
        what: &'static str,
    },
}

/// Collects the entries of one block.
#[derive(Debug, Default)]
pub struct BlockBuilder {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// What the entries take at most: whole keys, values and slots.
    bytes: usize,
}

impl BlockBuilder {
    /// An empty block.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry, whose key must be above all before it.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), BlockError> {
        if self.entries.last().is_some_and(|(last, _)| last.as_slice() >= key) {
            return Err(BlockError::OutOfOrder { index: self.entries.len() });
        }
        let bytes = [key.len(), value.len(), SLOT_BYTES]
            .iter()
            .try_fold(self.bytes, |sum, &part| sum.checked_add(part))
            .filter(|&sum| sum <= BLOCK_BYTES_MAX - TRAILER_BYTES)
            .ok_or(BlockError::TooLarge)?;
        self.bytes = bytes;
        self.entries.push((key.to_vec(), value.to_vec()));
        Ok(())
    }

    /// The bytes of the block.
    pub fn finish(self) -> Vec<u8> {
        let prefix_len = self.shared_prefix();
        let mut bytes = Vec::with_capacity(self.bytes + TRAILER_BYTES);
        if let Some((first, _)) = self.entries.first() {
            bytes.extend_from_slice(&first[..prefix_len]);
        }
        let mut slots = Vec::with_capacity(self.entries.len() * SLOT_BYTES);
        for (key, value) in &self.entries {
            let suffix = &key[prefix_len..];
            slots.extend_from_slice(&narrow(bytes.len()).to_le_bytes());
            slots.extend_from_slice(&narrow(suffix.len()).to_le_bytes());
            bytes.extend_from_slice(suffix);
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(&slots);
        bytes.extend_from_slice(&narrow(self.entries.len()).to_le_bytes());
        bytes.extend_from_slice(&narrow(prefix_len).to_le_bytes());
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Keys are sorted: what the first and the last share, all share.
    fn shared_prefix(&self) -> usize {
        let (Some((first, _)), Some((last, _))) = (self.entries.first(), self.entries.last())
        else {
            return 0;
        };
        first.iter().zip(last).take_while(|(a, b)| a == b).count()
    }
}

/// A checked block.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    count: usize,
    prefix_len: usize,
    /// Where the list of slots begins.
    slots_at: usize,
}

impl Block {
    /// Checks the bytes of a block.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BlockError> {
        let damaged = |what| BlockError::Damaged { what };
        let trailer_at =
            bytes.len().checked_sub(TRAILER_BYTES).ok_or_else(|| damaged("too short"))?;
        let sum_at = trailer_at + 8;
        if crc32c::crc32c(&bytes[..sum_at]) != read_u32(&bytes, sum_at) {
            return Err(damaged("checksum"));
        }
        let count = read_u32(&bytes, trailer_at) as usize;
        let prefix_len = read_u32(&bytes, trailer_at + 4) as usize;
        let slots_at = count
            .checked_mul(SLOT_BYTES)
            .and_then(|slots| trailer_at.checked_sub(slots))
            .ok_or_else(|| damaged("count"))?;
        let block = Self { bytes, count, prefix_len, slots_at };
        block.check_slots()?;
        Ok(block)
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it holds no entry.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let index = self.lower_bound(key);
        (index < self.count && self.compare(index, key) == Ordering::Equal)
            .then(|| &self.bytes[self.value_range(index)])
    }

    /// The entries from `from` on, in order.
    pub fn scan(&self, from: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
        (self.lower_bound(from)..self.count).map(|index| {
            let key = [self.prefix(), &self.bytes[self.suffix_range(index)]].concat();
            (key, &self.bytes[self.value_range(index)])
        })
    }

    /// Each entry must begin where the last one's suffix ends, or later, and end before the slots.
    fn check_slots(&self) -> Result<(), BlockError> {
        let mut floor = self.prefix_len;
        for index in 0..self.count {
            let (offset, len) = self.slot(index);
            let end = offset.checked_add(len).ok_or(BlockError::Damaged { what: "slot" })?;
            if offset < floor || end > self.slots_at {
                return Err(BlockError::Damaged { what: "slot" });
            }
            floor = end;
        }
        if floor > self.slots_at {
            return Err(BlockError::Damaged { what: "prefix" });
        }
        Ok(())
    }

    /// The first entry whose key is not below `key`.
    fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.compare(middle, key) == Ordering::Less {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// How the key of an entry compares with `key`.
    fn compare(&self, index: usize, key: &[u8]) -> Ordering {
        let (head, tail) = key.split_at(key.len().min(self.prefix_len));
        self.prefix().cmp(head).then_with(|| self.bytes[self.suffix_range(index)].cmp(tail))
    }

    fn prefix(&self) -> &[u8] {
        &self.bytes[..self.prefix_len]
    }

    fn slot(&self, index: usize) -> (usize, usize) {
        let at = self.slots_at + index * SLOT_BYTES;
        (read_u32(&self.bytes, at) as usize, read_u32(&self.bytes, at + 4) as usize)
    }

    fn suffix_range(&self, index: usize) -> Range<usize> {
        let (offset, len) = self.slot(index);
        offset..offset + len
    }

    fn value_range(&self, index: usize) -> Range<usize> {
        let next = index + 1;
        let end = if next < self.count { self.slot(next).0 } else { self.slots_at };
        self.suffix_range(index).end..end
    }
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("`push` keeps a block below 4 GiB")
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let word = bytes[at..at + 4].try_into().expect("the range is four bytes long");
    u32::from_le_bytes(word)
}
