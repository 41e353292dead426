//! Writing tables: what a flush or merge gives, in files that are durable with their names.

use std::collections::BTreeSet;
use std::sync::Arc;

use env::fs::Fs;

use super::core::Core;
use crate::fold::Fold;
use crate::meaning;
use crate::merge::{Merge, To};
use crate::planted::planted;
use crate::range::Range;
use crate::snapshot::Retain;
use crate::stamp::{Kind, Stamp};
use crate::table::{self, Codec, Origin, Table, TableBuilder, TableMeta, TableOptions};
use crate::values::{Pointer, ValueBuilder};
use crate::version::Version;
use crate::{Error, Result};

/// Each level above the lowest gets so many bits of filter more for each key.
const BITS_PER_LEVEL: usize = 3;
/// A table ends, too, when the values copied for it take so many times its size.
const VALUES_PER_TABLE: u64 = 4;

impl Core {
    /// How tables for this place are written, whose youngest entries are of that second.
    pub(super) fn table_options(&self, level: usize, version: &Version, born: u64) -> TableOptions {
        let options = &self.options;
        // Filters save reads of what is not there; a level with few keys is the cheapest place to.
        let above = version.lowest().max(1).saturating_sub(level);
        let more = if options.bits_per_key == 0 { 0 } else { BITS_PER_LEVEL * above };
        TableOptions {
            block_size: options.block_size,
            bits_per_key: options.bits_per_key + more,
            codec: match options.codec_lowest {
                _ if level < 2 => Codec::None,
                Some(codec) if level >= version.lowest() => codec,
                _ => options.codec,
            },
            table_size: options.table_size,
            direct: options.direct_writes && level > 0,
            prefix_len: options.prefix_len.map_or(0, |it| u32::from(it.get())),
            born,
        }
    }

    /// Writes what a merge gives in a range, as tables that are durable with their names.
    pub(super) fn write_tables(
        &self,
        merge: &mut Merge,
        range: &Range,
        retain: &mut Retain,
        options: TableOptions,
        origin: Origin,
    ) -> Result<Vec<TableMeta>> {
        let mut output = Output {
            core: self,
            options,
            origin,
            given_up: self.given_up(),
            values: None,
            current: None,
            begun: Vec::new(),
            metas: Vec::new(),
        };
        let outcome = output.fill(merge, range, retain);
        if let Err(cause) = outcome {
            output.discard();
            return Err(cause);
        }
        let metas = output.metas;
        if metas.iter().any(|it| !it.values.is_empty()) {
            self.fs.sync_dir(self.meaning.values.folder())?;
        }
        if !metas.is_empty() && !planted!(SkippedDirectorySync) {
            self.fs.sync_dir(&self.tables_folder())?;
        }
        Ok(metas)
    }

    /// Opens tables that were just written; where that fails they go.
    pub(super) fn open_tables(&self, metas: &[TableMeta]) -> Result<Vec<Arc<Table>>> {
        let folder = self.tables_folder();
        let open = |meta: &TableMeta| {
            let (fs, values) = (&*self.fs, &self.meaning.values);
            Table::open(fs, &folder, meta.clone(), &self.cache, values).map(Arc::new)
        };
        let outcome: Result<_> = metas.iter().map(open).collect();
        if outcome.is_err() {
            discard(self, metas.iter().map(|it| it.number));
        }
        outcome
    }
}

/// The tables that a merge writes.
struct Output<'a> {
    core: &'a Core,
    options: TableOptions,
    origin: Origin,
    /// Files with values out of which all goes that lives.
    given_up: BTreeSet<u64>,
    /// Where it goes.
    values: Option<ValueBuilder>,
    current: Option<TableBuilder>,
    /// The numbers of all tables that were begun, also of one that failed.
    begun: Vec<u64>,
    metas: Vec<TableMeta>,
}

impl Output<'_> {
    fn fill(&mut self, merge: &mut Merge, range: &Range, retain: &mut Retain) -> Result<()> {
        let core = self.core;
        let now = core.meaning.now();
        let mut fold = Fold::new(&core.meaning);
        merge.go(To::AtLeast(&range.lower))?;
        while let Some(key) =
            merge.key().filter(|it| range.upper.as_ref().is_none_or(|upper| **it < **upper))
        {
            let (mut stamp, mut value) = merge.entry();
            if stamp.is(Kind::Dated) && meaning::dated_value(stamp, value, now).is_none() {
                (stamp, value) = (stamp.as_kind(Kind::Tombstone), &[]);
            }
            if fold.waits_for_other(key) {
                fold.end(retain.is_bottom(), &mut |key, stamp, it| self.add(key, stamp, it))?;
            }
            if let Some(kept) = retain.keep(key, stamp) {
                if fold.is_free_for(kept) {
                    self.add(key, kept, value)?;
                } else if kept.is(Kind::Pointer) {
                    let (stripe, kept) = (retain.stripe_of(stamp), kept.as_kind(Kind::Value));
                    let value = core.meaning.values.read(value)?;
                    let mut add = |key: &[u8], stamp, it: &[u8]| self.add(key, stamp, it);
                    fold.push(key, kept, stripe, &value, &mut add)?;
                } else {
                    let stripe = retain.stripe_of(stamp);
                    let mut add = |key: &[u8], stamp, it: &[u8]| self.add(key, stamp, it);
                    fold.push(key, kept, stripe, value, &mut add)?;
                }
            }
            merge.next()?;
        }
        fold.end(retain.is_bottom(), &mut |key, stamp, it| self.add(key, stamp, it))?;
        self.end_table()
    }

    fn add(&mut self, key: &[u8], stamp: Stamp, value: &[u8]) -> Result<()> {
        let builder = self.builder_for(key)?;
        if !stamp.is(Kind::Pointer) {
            return builder.add(key, stamp, value);
        }
        let number = builder.number();
        let moved = self.moved(number, value)?;
        let value = moved.as_ref().map_or(value, |it| &it[..]);
        self.builder_for(key)?.add(key, stamp, value)
    }

    /// The pointer to a value that was copied out of a file which is given up, if it was.
    fn moved(&mut self, table: u64, entry: &[u8]) -> Result<Option<[u8; Pointer::LEN]>> {
        let values = &self.core.meaning.values;
        let Some(pointer) = Pointer::decode(entry) else { return Ok(None) };
        if !self.given_up.contains(&pointer.file) {
            return Ok(None);
        }
        let value = values.read(entry)?;
        if self.values.is_none() {
            self.values = Some(ValueBuilder::new(values, table)?);
        }
        let builder = self.values.as_mut().expect("it was just made");
        // A full file: the rest waits for the next merge.
        if builder.has_room(value.len()) {
            builder.add(&value).map(|it| Some(it.encode()))
        } else {
            Ok(None)
        }
    }

    fn builder_for(&mut self, key: &[u8]) -> Result<&mut TableBuilder> {
        let values = self.values.as_ref().map_or(0, |it| it.bytes() / VALUES_PER_TABLE);
        let is_full = |it: &TableBuilder| {
            it.bytes().max(values) >= self.options.table_size && it.can_end_before(key)
        };
        if self.current.as_ref().is_some_and(is_full) {
            self.end_table()?;
        }
        if self.current.is_none() {
            let number = self.core.new_table_number();
            self.begun.push(number);
            let folder = self.core.tables_folder();
            let (fs, origin) = (&*self.core.fs, self.origin.clone());
            self.current = Some(TableBuilder::new(fs, &folder, number, self.options, origin)?);
        }
        Ok(self.current.as_mut().expect("it was just made"))
    }

    fn end_table(&mut self) -> Result<()> {
        if let Some(values) = self.values.take() {
            values.finish(&self.core.meaning.values)?;
        }
        if let Some(builder) = self.current.take() {
            self.metas.push(builder.finish()?);
        }
        Ok(())
    }

    /// After a failure: half a merge is of no use, and the disk may be full.
    fn discard(&mut self) {
        discard(self.core, self.begun.drain(..));
    }
}

/// Removes tables with the values that were copied for them, but for those that the manifest may
/// name when it is opened next: what it does not name then goes then.
pub(super) fn discard(core: &Core, tables: impl Iterator<Item = u64>) {
    let folder = core.tables_folder();
    let manifest = core.manifest.lock();
    for number in tables.filter(|it| !manifest.may_name(*it)) {
        core.fs.remove_file(&table::path(&folder, number)).ok();
        ValueBuilder::discard(&core.meaning.values, number);
    }
}

/// Removes files of tables that the manifest does not know: what a crash interrupted.
pub(crate) fn remove_strays(fs: &dyn Fs, core: &Core) -> Result<()> {
    let known: Vec<u64> = core
        .all_families()
        .iter()
        .flat_map(|it| {
            let version = Arc::clone(&it.share().version);
            version.tables().map(|it| it.1.meta.number).collect::<Vec<_>>()
        })
        .collect();
    let folder = core.tables_folder();
    for entry in fs.list(&folder)? {
        let number = entry.name.to_str().and_then(table::number);
        if number.is_some_and(|it| !known.contains(&it)) {
            fs.remove_file(&folder.join(&entry.name))?;
        }
    }
    Ok::<(), Error>(())
}
