//! A data block: some sorted entries, found without decoding what lies before them.
//!
//! ```text
//! | prefix | suffixes | values | stamps | key ends | value ends | buckets | trailer |
//!                                8 each   2 or 4     2 or 4       1 each    16
//! ```
//!
//! * All keys of a block share the prefix; it is stored and compared once.
//! * Ends have one width, so a search jumps to any entry; keys lie apart from values, so it touches
//!   few cache lines on its way.
//! * Stamps are left out where all are those of the oldest possible value, as at the bottom.
//! * `buckets` is a hash index: a byte for each of some more buckets than keys, the number of the
//!   key's newest entry. A look-up of one key costs one bucket and one comparison instead of a
//!   search. Keys that fall into one bucket send the reader to the search.
//!
//! The versions of a key stand side by side, the newest first, and never in two blocks.
//!
//! # What this module does not do
//!
//! It neither reads files nor checks sums; `table/file.rs` does. [`Block::parse`] still trusts no
//! number: bytes that check may have been written by somebody else.

use std::cmp::Ordering;
use std::ops::Range;

use crate::cache::{self, Bytes, Cached, Uses};
use crate::head::shared_len;
use crate::stamp::{Kind, Stamp};

const TRAILER: usize = 16;
const WIDE: u32 = 1;
const STAMPED: u32 = 2;
/// No key hashes to the bucket.
const EMPTY: u8 = 0xff;
/// Several keys do.
const CROWDED: u8 = 0xfe;

/// What stands for a stamp that is left out.
fn oldest() -> Stamp {
    Stamp::new(0, Kind::Value)
}

/// Collects the entries of a block.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    hashes: Vec<u64>,
    values: Vec<u8>,
    value_ends: Vec<usize>,
    stamps: Vec<Stamp>,
}

impl BlockBuilder {
    /// Adds an entry, behind all before it in the order of keys, then of stamps from the newest on.
    pub(crate) fn push(&mut self, key: &[u8], hash: u64, stamp: Stamp, value: &[u8]) {
        debug_assert!(self.is_empty() || self.last_key() <= key, "entries come sorted");
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len());
        self.hashes.push(hash);
        self.values.extend_from_slice(value);
        self.value_ends.push(self.values.len());
        self.stamps.push(stamp);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.key_ends.is_empty()
    }

    /// About what the block will take.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.len() + self.values.len() + 5 * self.key_ends.len() + TRAILER
    }

    pub(crate) fn first_key(&self) -> &[u8] {
        &self.keys[..self.key_ends[0]]
    }

    pub(crate) fn last_key(&self) -> &[u8] {
        self.key(self.key_ends.len() - 1)
    }

    fn key(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.key_ends[at - 1] };
        &self.keys[start..self.key_ends[at]]
    }

    /// Appends the block to `bytes` and is empty again.
    pub(crate) fn finish(&mut self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let count = self.key_ends.len();
        let prefix = if count == 0 { 0 } else { shared_len(self.first_key(), self.last_key()) };
        bytes.extend_from_slice(&self.keys[..prefix]);
        for at in 0..count {
            bytes.extend_from_slice(&self.key(at)[prefix..]);
        }
        bytes.extend_from_slice(&self.values);
        let is_stamped = self.stamps.iter().any(|it| *it != oldest());
        if is_stamped {
            self.stamps.iter().for_each(|it| bytes.extend_from_slice(&it.bits().to_le_bytes()));
        }
        let is_wide = u16::try_from(bytes.len() - start).is_err();
        self.put_ends(prefix, is_wide, bytes);
        let buckets = self.put_buckets(bytes);
        let flags = if is_wide { WIDE } else { 0 } | if is_stamped { STAMPED } else { 0 };
        for word in [narrow(count), narrow(prefix), narrow(buckets), flags] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.clear();
    }

    fn put_ends(&self, prefix: usize, is_wide: bool, bytes: &mut Vec<u8>) {
        let mut put = |end: usize| {
            let end = narrow(end).to_le_bytes();
            bytes.extend_from_slice(if is_wide { &end } else { &end[..2] });
        };
        // The prefix stands once before the suffixes, which are that much shorter than the keys.
        let mut end = 0;
        for (count, key_end) in (1..).zip(&self.key_ends) {
            end = prefix + key_end - count * prefix;
            put(end);
        }
        self.value_ends.iter().for_each(|value_end| put(end + value_end));
    }

    fn put_buckets(&self, bytes: &mut Vec<u8>) -> usize {
        let count = self.key_ends.len();
        if count >= usize::from(CROWDED) {
            return 0;
        }
        let buckets = count + count / 2 + 1;
        let start = bytes.len();
        bytes.resize(start + buckets, EMPTY);
        for at in 0..count {
            if at > 0 && self.key(at) == self.key(at - 1) {
                continue;
            }
            let slot = &mut bytes[start + bucket(self.hashes[at], buckets)];
            *slot = match *slot {
                EMPTY => u8::try_from(at).expect("below `CROWDED`"),
                _ => CROWDED,
            };
        }
        buckets
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.key_ends.clear();
        self.hashes.clear();
        self.values.clear();
        self.value_ends.clear();
        self.stamps.clear();
    }
}

/// Which bucket a hash falls into. The filter uses the other half of the bits.
fn bucket(hash: u64, buckets: usize) -> usize {
    let low = hash & u64::from(u32::MAX);
    usize::try_from((low * buckets as u64) >> 32).expect("it is below `buckets`")
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("a block is below 4 GiB: keys and values are")
}

/// A block in memory.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Bytes,
    count: usize,
    prefix: usize,
    is_wide: bool,
    /// Where the parts begin; the stamps are empty where they were left out.
    stamps: Range<usize>,
    key_ends: usize,
    value_ends: usize,
    buckets: Range<usize>,
    uses: Uses,
}

impl Cached for Block {
    fn bytes(&self) -> usize {
        self.bytes.capacity() + size_of::<Self>() + cache::BESIDE
    }

    fn moved(self, to: impl FnOnce(Bytes) -> Bytes) -> Self {
        Self { bytes: to(self.bytes), ..self }
    }

    fn uses(&self) -> &Uses {
        &self.uses
    }
}

impl Block {
    /// Reads the bytes of a block; the error says which part makes no sense.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, &'static str> {
        let trailer = bytes.len().checked_sub(TRAILER).ok_or("block too short")?;
        let [count, prefix, buckets, flags] = [0, 4, 8, 12].map(|at| word(&bytes, trailer + at));
        let (count, prefix, buckets) = (count as usize, prefix as usize, buckets as usize);
        let is_wide = flags & WIDE != 0;
        let before = |end: usize, width: usize| {
            count.checked_mul(width).and_then(|len| end.checked_sub(len)).ok_or("block count")
        };
        let hash_at = trailer.checked_sub(buckets).ok_or("block buckets")?;
        let width = if is_wide { 4 } else { 2 };
        let value_ends = before(hash_at, width)?;
        let key_ends = before(value_ends, width)?;
        let stamps_at = before(key_ends, if flags & STAMPED != 0 { 8 } else { 0 })?;
        let block = Self {
            bytes: bytes.into(),
            count,
            prefix,
            is_wide,
            stamps: stamps_at..key_ends,
            key_ends,
            value_ends,
            buckets: hash_at..trailer,
            uses: Uses::default(),
        };
        if count == 0 {
            return Err("block count");
        }
        block.check()?;
        Ok(block)
    }

    /// Each part must lie within the one before the stamps, and in its order.
    fn check(&self) -> Result<(), &'static str> {
        let ends = (0..self.count).map(|at| self.key_end(at));
        let ends = ends.chain((0..self.count).map(|at| self.value_end(at)));
        let mut floor = self.prefix;
        for end in ends {
            if end < floor {
                return Err("block ends");
            }
            floor = end;
        }
        if floor > self.stamps.start {
            return Err("block ends");
        }
        let stamps = self.bytes[self.stamps.clone()].chunks_exact(8);
        for stamp in stamps {
            let bits = u64::from_le_bytes(stamp.try_into().expect("eight bytes"));
            Stamp::from_bits(bits).ok_or("block stamps")?;
        }
        let is_place = |&it: &u8| it >= CROWDED || usize::from(it) < self.count;
        if self.bytes[self.buckets.clone()].iter().all(is_place) { Ok(()) } else { Err("buckets") }
    }

    /// How many entries there are.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What all keys begin with.
    #[inline]
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.bytes[..self.prefix]
    }

    /// What a key has behind the prefix.
    #[inline]
    pub(crate) fn suffix(&self, at: usize) -> &[u8] {
        let start = if at == 0 { self.prefix } else { self.key_end(at - 1) };
        &self.bytes[start..self.key_end(at)]
    }

    #[inline]
    pub(crate) fn value(&self, at: usize) -> &[u8] {
        let start = if at == 0 { self.key_end(self.count - 1) } else { self.value_end(at - 1) };
        &self.bytes[start..self.value_end(at)]
    }

    #[inline]
    pub(crate) fn stamp(&self, at: usize) -> Stamp {
        if self.stamps.is_empty() {
            return oldest();
        }
        let from = self.stamps.start + 8 * at;
        let bits = self.bytes[from..from + 8].try_into().map(u64::from_le_bytes);
        bits.ok().and_then(Stamp::from_bits).expect("`check` has seen it")
    }

    /// The newest entry of a key.
    #[inline]
    pub(crate) fn find(&self, key: &[u8], hash: u64) -> Option<usize> {
        if !self.buckets.is_empty() {
            let at = self.bytes[self.buckets.start + bucket(hash, self.buckets.len())];
            if at == EMPTY {
                return None;
            }
            if at != CROWDED {
                return self.is_key(usize::from(at), key).then_some(usize::from(at));
            }
        }
        let at = self.lower_bound(key);
        (at < self.count && self.is_key(at, key)).then_some(at)
    }

    /// The first entry whose key is not below `key`.
    pub(crate) fn lower_bound(&self, key: &[u8]) -> usize {
        let shared = key.len().min(self.prefix);
        match self.prefix().cmp(&key[..shared]) {
            Ordering::Less => return self.count,
            Ordering::Greater => return 0,
            Ordering::Equal => {}
        }
        let rest = &key[shared..];
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.suffix(middle) < rest {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    #[inline]
    fn is_key(&self, at: usize, key: &[u8]) -> bool {
        key.strip_prefix(self.prefix()) == Some(self.suffix(at))
    }

    #[inline]
    fn key_end(&self, at: usize) -> usize {
        self.end(self.key_ends, at)
    }

    #[inline]
    fn value_end(&self, at: usize) -> usize {
        self.end(self.value_ends, at)
    }

    #[inline]
    fn end(&self, from: usize, at: usize) -> usize {
        if self.is_wide {
            word(&self.bytes, from + 4 * at) as usize
        } else {
            let from = from + 2 * at;
            usize::from(u16::from_le_bytes([self.bytes[from], self.bytes[from + 1]]))
        }
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("the range has four bytes"))
}

#[cfg(test)]
mod tests;
