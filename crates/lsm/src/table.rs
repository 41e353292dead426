//! A table: sorted entries in a file that never changes.
//!
//! ```text
//!   get(key):  filter --may hold--> index --block--> cache, else file --> bucket --> entry
//!              one miss             two or three     one                  two
//! ```
//!
//! Filter and index stay in memory while the table is open; blocks come and go through the cache.
//! Nothing that was read is used before its checksum was computed.

mod block;
mod builder;
mod dump;
mod file;
mod filter;
mod index;
mod meta;
mod origin;
mod sink;
mod survey;

use std::path::Path;
use std::sync::Arc;

use crossbeam_epoch::{self as epoch, Guard};
use env::fs::{File, Fs, OpenMode};

pub(crate) use self::block::Block;
pub(crate) use self::builder::{TableBuilder, TableOptions};
pub(crate) use self::dump::dump_table;
pub use self::file::Codec;
use self::file::Footer;
pub(crate) use self::file::{damaged, number, path};
use self::filter::Filter;
use self::index::{Extent, Index};
pub(crate) use self::meta::{Special, TableMeta};
pub(crate) use self::origin::{Load, Origin};
pub(crate) use self::survey::{Entries, Entry, Survey, survey};
use crate::cache::{Cache, Slots};
use crate::codec::Taker;
use crate::stamp::{Kind, Sequence, Stamp};
use crate::tally::Met;
use crate::values::{Pointer, ValueFile, Values};
use crate::{Result, resident};

/// The hash of a key in filters and blocks. It is on disk.
#[inline]
pub(crate) fn hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// An open table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) meta: TableMeta,
    file: Box<dyn File>,
    filter: Filter,
    index: Index,
    slots: Arc<Slots<Block>>,
    cache: Arc<Cache>,
    /// The files that it points into, open for as long as it is.
    values: Vec<Arc<ValueFile>>,
}

impl Table {
    /// Opens the table that the manifest speaks of.
    pub(crate) fn open(
        fs: &dyn Fs,
        folder: &Path,
        meta: TableMeta,
        cache: &Arc<Cache>,
        values: &Values,
    ) -> Result<Self> {
        let file = fs.open(&path(folder, meta.number), OpenMode::READ)?;
        if file.size()? != meta.size {
            return Err(damaged(&*file, 0, "length"));
        }
        let footer = Footer::read(&*file, meta.number, meta.size)?;
        let part = |at: Extent, what| file::read(&*file, meta.number, at, what);
        let filter = Filter::decode(&part(footer.filter, "filter")?)
            .map_err(|what| damaged(&*file, footer.filter.offset, what))?;
        let bytes = part(footer.index, "index")?;
        let corrupt = || damaged(&*file, footer.index.offset, "index");
        let index = read_index(&bytes, footer.filter.offset).ok_or_else(corrupt)?;
        let values = meta.values.iter().map(|it| values.open(it.0)).collect::<Result<_>>()?;
        let slots = Slots::new(meta.number, index.len());
        cache.pin(&slots, filter.bytes() + index.bytes());
        Ok(Self { meta, file, filter, index, slots, cache: Arc::clone(cache), values })
    }

    /// The newest version of a key that is not above `sequence`.
    #[inline]
    pub(crate) fn get<'g>(
        &self,
        key: &[u8],
        hash: u64,
        sequence: Sequence,
        guard: &'g Guard,
    ) -> Result<Option<(Stamp, &'g [u8])>> {
        let tally = &self.cache.tally;
        if !self.filter.may_hold(hash) {
            tally.add(Met::Filtered);
            return Ok(None);
        }
        let Some(at) = self.index.find(key) else { return Ok(None) };
        let block = match self.slots.get(at, guard) {
            Some(block) => {
                tally.add(Met::BlockHit);
                block
            }
            None => self.cache.insert(&self.slots, at, self.missed(at, guard)?, guard),
        };
        let Some(mut entry) = block.find(key, hash) else {
            if !self.filter.is_empty() {
                tally.add(Met::FilteredInVain);
            }
            return Ok(None);
        };
        let base = self.meta.special.base;
        // Older versions of the key follow.
        while block.stamp(entry).sequence() + base > sequence {
            let suffix = block.suffix(entry);
            entry += 1;
            if entry == block.count() || block.suffix(entry) != suffix {
                return Ok(None);
            }
        }
        Ok(Some((block.stamp(entry).later(base), block.value(entry))))
    }

    /// Whether a key, or the beginning of one, of this hash may be in it.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        self.filter.may_hold(hash)
    }

    /// About how many bytes of the file lie between two keys, the second excluded.
    pub(crate) fn bytes_between(&self, lower: &[u8], upper: Option<&[u8]>) -> u64 {
        let end = |key: &[u8]| if *key > *self.meta.largest { self.blocks() } else { 0 };
        let from = end(lower).max(self.index.find(lower).unwrap_or(0));
        let to = upper.map_or(self.blocks(), |upper| {
            end(upper).max(self.index.find(upper).map_or(0, |at| at + 1))
        });
        (from..to).map(|at| u64::from(self.index.extent(at).len)).sum()
    }

    /// How many blocks it has.
    pub(crate) fn blocks(&self) -> usize {
        self.index.len()
    }

    /// The last block whose first key is not above `key`.
    pub(crate) fn block_of(&self, key: &[u8]) -> Option<usize> {
        self.index.find(key)
    }

    /// A block for longer use. With `keep` it is cached.
    pub(crate) fn block(&self, at: usize, keep: bool) -> Result<Arc<Block>> {
        let guard = epoch::pin();
        if let Some(block) = self.slots.share(at, &guard) {
            if keep {
                self.cache.tally.add(Met::BlockHit);
            }
            return Ok(block);
        }
        if !keep {
            return self.read(at).map(Arc::new);
        }
        let block = self.missed(at, &guard)?;
        self.cache.insert(&self.slots, at, Arc::clone(&block), &guard);
        Ok(block)
    }

    /// A block that a reader did not find, read to be cached.
    fn missed(&self, at: usize, guard: &Guard) -> Result<Arc<Block>> {
        let block = self.read(at)?;
        self.cache.tally.add(Met::BlockMiss);
        Ok(Arc::new(self.cache.house(&self.slots, at, block, guard)))
    }

    /// Reads and checks every part of the file.
    pub(crate) fn verify(&self) -> Result<()> {
        let footer = Footer::read(&*self.file, self.meta.number, self.meta.size)?;
        for (at, what) in
            [(footer.filter, "filter"), (footer.index, "index"), (footer.properties, "properties")]
        {
            file::read(&*self.file, self.meta.number, at, what)?;
        }
        let mut last: Option<Vec<u8>> = None;
        for at in 0..self.blocks() {
            let block = self.read(at)?;
            for entry in 0..block.count() {
                let key = [block.prefix(), block.suffix(entry)].concat();
                if last.as_ref().is_some_and(|last| *last > key)
                    || !self.filter.may_hold(hash(&key))
                {
                    return Err(damaged(&*self.file, self.index.extent(at).offset, "order"));
                }
                last = Some(key);
                if block.stamp(entry).is(Kind::Pointer) {
                    self.verify_value(block.value(entry), self.index.extent(at).offset)?;
                }
            }
        }
        if last.is_some_and(|last| last != self.meta.largest) {
            return Err(damaged(&*self.file, self.meta.size, "largest key"));
        }
        Ok(())
    }

    fn verify_value(&self, entry: &[u8], block: u64) -> Result<()> {
        let pointer = Pointer::decode(entry);
        let pointer = pointer.ok_or_else(|| damaged(&*self.file, block, "pointer to a value"))?;
        let file = self.values.iter().find(|it| it.number == pointer.file);
        let file = file.ok_or_else(|| damaged(&*self.file, block, "list of files with values"))?;
        file.read(pointer).map(|_| ())
    }

    #[cold]
    fn read(&self, at: usize) -> Result<Block> {
        resident::may_read_disk()?;
        let extent = self.index.extent(at);
        let bytes = file::read(&*self.file, self.meta.number, extent, "block")?;
        Block::parse(bytes).map_err(|what| damaged(&*self.file, extent.offset, what))
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let bytes = self.filter.bytes() + self.index.bytes();
        self.cache.forget(&self.slots, bytes, &epoch::pin());
    }
}

/// A block of one entry.
#[cfg(test)]
pub(crate) fn test_block(key: &[u8], stamp: Stamp, value: &[u8]) -> Block {
    let mut builder = block::BlockBuilder::default();
    builder.push(key, hash(key), stamp, value);
    let mut bytes = Vec::new();
    builder.finish(&mut bytes);
    Block::parse(bytes).expect("it was just built")
}

/// Reads the index, whose blocks must follow each other up to `end`.
fn read_index(bytes: &[u8], end: u64) -> Option<Index> {
    let mut taker = Taker(bytes);
    let (mut blocks, mut offset) = (Vec::new(), 0_u64);
    while !taker.is_empty() {
        let key = taker.bytes()?;
        let extent = Extent { offset: taker.u64()?, len: taker.u32()? };
        let is_sorted = blocks.last().is_none_or(|(last, _): &(&[u8], Extent)| *last < key);
        if extent.offset != offset || !is_sorted {
            return None;
        }
        offset += u64::from(extent.len);
        blocks.push((key, extent));
    }
    (offset == end).then(|| Index::build(blocks.iter().copied()))
}
