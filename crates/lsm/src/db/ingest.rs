//! Bringing in sorted entries as tables, past log, memtable and merges.
//!
//! ```text
//!   put, put, ...      tables are written, of which nobody knows
//!   finish             writers wait     write out memtables that hold keys of this range
//!                                       one sequence number for all of it: the next
//!                                       as deep as nothing lies above or beside it
//!                                       one edit of the manifest
//! ```
//!
//! The sequence number is known last, and is in no file: the manifest says what is to be added to
//! the numbers in such a table (RocksDB calls it the global sequence number). So each entry is
//! written once, and never again where the range was free.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wal::Position;

use super::core::{Core, FamilyCore, State};
use super::{Family, output};
use crate::batch::{KEY_LEN_MAX, VALUE_LEN_MAX, bounded};
use crate::manifest::Edit;
use crate::options::Shape;
use crate::planted::planted;
use crate::run::Run;
use crate::stamp::{Kind, Stamp};
use crate::table::{Load, Origin, Table, TableBuilder, TableMeta};
use crate::version::{Change, Place, Version};
use crate::{Error, Result};

/// Sorted entries on their way into a family: [`Family::ingest`].
///
/// Nothing of them is seen before [`Ingest::finish`], then all of it, and it survives a loss of
/// power. Dropped before, it leaves nothing behind.
#[derive(Debug)]
pub struct Ingest {
    family: Family,
    current: Option<TableBuilder>,
    metas: Vec<TableMeta>,
    entries: u64,
    /// The numbers of all tables that were begun.
    begun: Vec<u64>,
    last: Vec<u8>,
    is_finished: bool,
}

impl Ingest {
    pub(super) fn new(family: Family) -> Self {
        let (current, metas, last) = (None, Vec::new(), Vec::new());
        Self { family, current, metas, entries: 0, begun: Vec::new(), last, is_finished: false }
    }

    /// Adds an entry. Its key must be above all before it.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        bounded("a key", key.len(), KEY_LEN_MAX)?;
        bounded("a value", value.len(), VALUE_LEN_MAX)?;
        if self.entries > 0 && *key <= *self.last {
            return Err(Error::Order { key: crate::Key(key.to_vec()) });
        }
        let core = Arc::clone(self.family.shared_core());
        if self.current.as_ref().is_some_and(|it| it.bytes() >= core.options.table_size) {
            self.end_table()?;
        }
        if self.current.is_none() {
            let number = core.new_table_number();
            self.begun.push(number);
            self.current = Some(core.ingest_builder(&self.family.core, number, self.begun[0])?);
        }
        let builder = self.current.as_mut().expect("it was just made");
        builder.add(key, Stamp::new(0, Kind::Value), value)?;
        self.last.clear();
        self.last.extend_from_slice(key);
        self.entries += 1;
        Ok(())
    }

    /// Shows all entries at once, as if they were written now, and makes them durable. Returns how
    /// many there are.
    pub fn finish(mut self) -> Result<u64> {
        self.end_table()?;
        if !self.metas.is_empty() {
            let core = Arc::clone(self.family.shared_core());
            core.ingest(&self.family.core, &self.metas)?;
        }
        self.is_finished = true;
        Ok(self.entries)
    }

    fn end_table(&mut self) -> Result<()> {
        if let Some(mut builder) = self.current.take() {
            builder.load_after(self.family.shared_core().visible());
            self.metas.push(builder.finish()?);
        }
        Ok(())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if !self.is_finished {
            output::discard(self.family.shared_core(), self.begun.drain(..));
        }
    }
}

impl Core {
    fn ingest_builder(&self, family: &FamilyCore, number: u64, first: u64) -> Result<TableBuilder> {
        let version = Arc::clone(&family.share().version);
        let level = if self.is_fifo() { 0 } else { version.lowest().max(1) };
        let options = self.table_options(level, &version, self.birth());
        let load = Load { first, after: 0 };
        let flushed = Position { segment: 0, offset: 0 };
        let origin = Origin::of_flush(family.id, &family.name, flushed);
        let origin = Origin { level, load: Some(load), ..origin };
        TableBuilder::new(&*self.fs, &self.tables_folder(), number, options, origin)
    }

    /// Makes these tables part of a family.
    fn ingest(&self, family: &Arc<FamilyCore>, metas: &[TableMeta]) -> Result<()> {
        self.fs.sync_dir(&self.tables_folder())?;
        let mut tables = Vec::new();
        for meta in metas {
            let (fs, values) = (&*self.fs, &self.meaning.values);
            tables.push(Table::open(fs, &self.tables_folder(), meta.clone(), &self.cache, values)?);
        }
        let smallest = metas.first().map_or(&[][..], |it| &it.smallest);
        let largest = metas.last().map_or(&[][..], |it| &it.largest);
        // Once while others write, so that little is left for when they wait.
        let is_above =
            || holds_keys_between(&family.share(), smallest, largest) && !planted!(IngestedBelow);
        if is_above() {
            self.switch_and_flush(family)?;
        }
        let mut writer = self.writer.lock();
        writer.family(family.id).ok_or(Error::Dropped(family.id))?;
        let _no_flush = self.flushing.lock();
        if is_above() {
            self.switch(family, 0);
            self.flush_family(family)?;
        }
        // What was written before must not be lost where this is not.
        self.log.sync()?;
        // A merge under way may write tables around this range.
        let merging = self.compacting.try_lock();
        let version = Arc::clone(&family.share().version);
        let place = self.place_between(&version, smallest, largest, merging.is_some());
        let sequence = writer.last + 1;
        let mut edits = vec![Edit::Sequence(sequence)];
        let mut change = Change::default();
        for mut table in tables {
            table.meta.newest = sequence;
            table.meta.special.base = sequence;
            edits.push(Edit::Add(family.id, place, table.meta.clone()));
            change.added.push((place, Arc::new(table)));
        }
        self.install_change(family, &edits, &change)?;
        if !planted!(GapLoaded) {
            family.share().gaps.clear();
        }
        writer.last = sequence;
        // Release: who reads the number finds the tables.
        self.visible.store(sequence, Ordering::Release);
        drop(merging);
        self.wake_workers();
        Ok(())
    }

    /// The place for a run of these keys that is newer than all tables.
    fn place_between(
        &self,
        version: &Version,
        smallest: &[u8],
        largest: &[u8],
        may_go_down: bool,
    ) -> Place {
        let is_taken =
            |level: usize| version.tables_at(level).any(|it| it.meta.overlaps(smallest, largest));
        let free = (0..=version.lowest().max(1)).take_while(|level| !is_taken(*level)).last();
        match free {
            Some(level) if level > 0 && may_go_down && !self.is_fifo() => {
                Place::new(level, version.level(level).first().map_or(0, Run::number))
            }
            // No flush is under way: tables of later ones have larger numbers.
            _ => Place::new(0, self.new_table_number()),
        }
    }

    /// Writes out all that a family has in memory.
    fn switch_and_flush(&self, family: &Arc<FamilyCore>) -> Result<()> {
        {
            let _writer = self.writer.lock();
            self.switch(family, 0);
        }
        let _one_at_a_time = self.flushing.lock();
        self.flush_family(family)
    }

    /// Writes out the memtables of a family that take no more writes. The lock of flushes is held.
    fn flush_family(&self, family: &Arc<FamilyCore>) -> Result<()> {
        // An edit would bring one back that was dropped meanwhile.
        if !self.has_family(family.id) {
            return Err(Error::Dropped(family.id));
        }
        while let Some(oldest) = family.share().immutables.last().map(Arc::clone) {
            self.flush(family, &oldest)?;
        }
        Ok(())
    }

    /// Whether tables are only ever removed.
    pub(super) fn is_fifo(&self) -> bool {
        matches!(self.options.shape, Shape::Fifo { .. })
    }

    /// The date of a table that is written now, where dates matter.
    pub(super) fn birth(&self) -> u64 {
        match self.options.shape {
            Shape::Fifo { age: Some(_), .. } => self.meaning.now().as_secs(),
            _ => 0,
        }
    }
}

/// Whether some memtable has a key of a closed range.
fn holds_keys_between(state: &State, smallest: &[u8], largest: &[u8]) -> bool {
    let mut memtables = std::iter::once(&state.memtable).chain(&state.immutables);
    memtables.any(|it| match (it.first_key(), it.last_key()) {
        (Some(first), Some(last)) => *first <= *largest && *smallest <= *last,
        _ => false,
    })
}
