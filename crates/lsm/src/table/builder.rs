//! Writing a table.

use std::collections::BTreeMap;
use std::path::Path;

use env::fs::Fs;

use super::block::BlockBuilder;
use super::file::{self, Codec, Footer};
use super::filter::Filter;
use super::index::Extent;
use super::sink::Sink;
use super::{Origin, Special, TableMeta, hash};
use crate::Result;
use crate::codec::Put;
use crate::planted::planted;
use crate::stamp::{Kind, Sequence, Stamp};
use crate::values::Pointer;

/// How tables are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableOptions {
    pub(crate) block_size: usize,
    pub(crate) bits_per_key: usize,
    pub(crate) codec: Codec,
    /// Who writes several tables begins another at this size.
    pub(crate) table_size: u64,
    /// Whether it is written past the page cache.
    pub(crate) direct: bool,
    /// The filter holds what keys begin with as well; 0 if it does not.
    pub(crate) prefix_len: u32,
    /// When the table is written, in seconds since 1970, where that matters.
    pub(crate) born: u64,
}

/// Writes one table; its entries come in their order.
#[derive(Debug)]
pub(crate) struct TableBuilder {
    sink: Sink,
    options: TableOptions,
    origin: Origin,
    block: BlockBuilder,
    hashes: Vec<u64>,
    index: Vec<u8>,
    meta: TableMeta,
    /// Bytes of values that it points to, by their file.
    values: BTreeMap<u64, u64>,
}

impl TableBuilder {
    /// Begins the table of this number, over whatever an earlier life left half written.
    pub(crate) fn new(
        fs: &dyn Fs,
        folder: &Path,
        number: u64,
        options: TableOptions,
        origin: Origin,
    ) -> Result<Self> {
        Ok(Self {
            sink: Sink::new(fs, &file::path(folder, number), options.direct)?,
            options,
            origin,
            block: BlockBuilder::default(),
            hashes: Vec::new(),
            index: Vec::new(),
            values: BTreeMap::new(),
            meta: TableMeta {
                number,
                size: 0,
                entries: 0,
                garbage: 0,
                newest: 0,
                smallest: Vec::new(),
                largest: Vec::new(),
                values: Vec::new(),
                special: Special { base: 0, prefix_len: options.prefix_len, born: options.born },
            },
        })
    }

    /// Adds an entry, behind all before it: keys ascend, and of one key the newest comes first.
    pub(crate) fn add(&mut self, key: &[u8], stamp: Stamp, value: &[u8]) -> Result<()> {
        let is_new_key = self.meta.entries == 0 || *self.meta.largest != *key;
        if is_new_key {
            if self.block.bytes() >= self.options.block_size {
                self.end_block()?;
            }
            let len = self.options.prefix_len as usize;
            if let Some(prefix) = key.get(..len).filter(|_| len > 0)
                && (self.meta.entries == 0 || self.meta.largest.get(..len) != Some(prefix))
            {
                self.hashes.push(hash(prefix));
            }
            let other = planted!(FilterOfWrongKeys) && key.ends_with(b"7");
            self.hashes.push(if other { 0 } else { hash(key) });
            if self.meta.entries == 0 {
                self.meta.smallest = key.to_vec();
            }
            self.meta.largest.clear();
            self.meta.largest.extend_from_slice(key);
        }
        let hash = *self.hashes.last().expect("the key of this entry is in it");
        self.block.push(key, hash, stamp, value);
        self.meta.entries += 1;
        let is_final = matches!(stamp.kind(), Kind::Value | Kind::Pointer);
        self.meta.garbage += u64::from(!is_new_key || !is_final);
        if let Some(pointer) = Pointer::decode(value).filter(|_| stamp.is(Kind::Pointer)) {
            *self.values.entry(pointer.file).or_default() += pointer.bytes();
        }
        self.meta.newest = self.meta.newest.max(stamp.sequence());
        Ok(())
    }

    /// All of a load that it is of was written after this one.
    pub(crate) fn load_after(&mut self, after: Sequence) {
        if let Some(load) = &mut self.origin.load {
            load.after = after;
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.meta.number
    }

    /// About how long the file will be.
    pub(crate) fn bytes(&self) -> u64 {
        self.sink.end() + self.block.bytes() as u64
    }

    /// Whether the next entry may begin another table: versions of a key stay together.
    pub(crate) fn can_end_before(&self, key: &[u8]) -> bool {
        *self.meta.largest != *key
    }

    /// Ends the table and makes it durable, apart from its name.
    pub(crate) fn finish(mut self) -> Result<TableMeta> {
        self.end_block()?;
        let filter = Filter::build(&self.hashes, self.options.bits_per_key);
        let filter = self.part(|it| filter.encode(it));
        let index_bytes = std::mem::take(&mut self.index);
        let index = self.part(|it| it.extend_from_slice(&index_bytes));
        self.meta.values = std::mem::take(&mut self.values).into_iter().collect();
        let mut meta = self.meta.clone();
        let origin = self.origin.clone();
        let properties = self.part(|it| {
            meta.encode(it);
            meta.encode_values(it);
            origin.encode(it);
        });
        let footer = Footer { filter, index, properties }.encode(meta.number, self.sink.end());
        self.sink.pending.extend_from_slice(&footer);
        meta.size = self.sink.finish()?;
        if !planted!(ManifestBeforeTable) {
            self.sink.sync()?;
        }
        Ok(meta)
    }

    fn part(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Extent {
        let (offset, start) = (self.sink.end(), self.sink.pending.len());
        encode(&mut self.sink.pending);
        self.sealed(offset, start, Codec::None)
    }

    fn sealed(&mut self, offset: u64, start: usize, codec: Codec) -> Extent {
        file::seal(self.meta.number, offset, codec, &mut self.sink.pending, start);
        let len = u32::try_from(self.sink.pending.len() - start).expect("a part is below 4 GiB");
        Extent { offset, len }
    }

    fn end_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let (offset, start) = (self.sink.end(), self.sink.pending.len());
        self.index.put_bytes(self.block.first_key());
        self.block.finish(&mut self.sink.pending);
        let extent = self.sealed(offset, start, self.options.codec);
        self.index.put_u64(extent.offset);
        self.index.put_u32(extent.len);
        self.sink.write_some()
    }
}
