//! A run: tables one behind the other, whose keys do not overlap.
//!
//! A memtable becomes a run of one table; merges make longer ones.

use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::Result;
use crate::stamp::{Sequence, Stamp};
use crate::table::{Block, Table};

/// Tables in the order of their keys.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    number: u64,
    tables: Arc<[Arc<Table>]>,
}

impl Run {
    /// A run of these tables, which are sorted here.
    pub(crate) fn new(number: u64, mut tables: Vec<Arc<Table>>) -> Self {
        tables.sort_by(|a, b| a.meta.smallest.cmp(&b.meta.smallest));
        debug_assert!(
            tables.is_sorted_by(|a, b| a.meta.largest < b.meta.smallest),
            "tables of a run do not overlap"
        );
        Self { number, tables: tables.into() }
    }

    /// The run of one table, which is for its own use.
    pub(crate) fn of(table: &Arc<Table>) -> Self {
        Self::new(table.meta.number, vec![Arc::clone(table)])
    }

    /// Among the runs of a level it tells which is newer.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }

    /// The tables that may hold keys from `lower` on, below `upper` if there is one.
    pub(crate) fn between(&self, lower: &[u8], upper: Option<&[u8]>) -> &[Arc<Table>] {
        let tables = &self.tables[self.first_from(lower)..];
        let begins_before = |it: &Arc<Table>| upper.is_none_or(|upper| *it.meta.smallest < *upper);
        &tables[..tables.partition_point(begins_before)]
    }

    /// The part of it that may hold keys of a closed range, if there is any.
    pub(crate) fn touching(&self, smallest: &[u8], largest: &[u8]) -> Option<Self> {
        let tables = &self.tables[self.first_from(smallest)..];
        let part = &tables[..tables.partition_point(|it| *it.meta.smallest <= *largest)];
        (!part.is_empty()).then(|| Self { number: self.number, tables: part.into() })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.tables.iter().map(|it| it.meta.size).sum()
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
        match self.tables.get(self.first_from(key)) {
            Some(table) if *table.meta.smallest <= *key => table.get(key, hash, sequence, guard),
            _ => Ok(None),
        }
    }

    /// The first table that does not end below `key`.
    #[inline]
    fn first_from(&self, key: &[u8]) -> usize {
        if self.tables.len() == 1 {
            return usize::from(*self.tables[0].meta.largest < *key);
        }
        self.tables.partition_point(|it| *it.meta.largest < *key)
    }
}

/// A place in a run, which it keeps alive.
#[derive(Debug)]
pub(crate) struct RunCursor {
    run: Run,
    /// Whether the blocks that it reads are cached.
    keep: bool,
    at: Option<Place>,
    /// The key at the place.
    key: Vec<u8>,
}

#[derive(Debug)]
struct Place {
    table: usize,
    block: usize,
    data: Arc<Block>,
    entry: usize,
}

impl RunCursor {
    pub(crate) fn new(run: Run, keep: bool) -> Self {
        Self { run, keep, at: None, key: Vec::new() }
    }

    /// The smallest and the greatest key of the run; nothing where it has no tables.
    pub(crate) fn bounds(&self) -> Option<(&[u8], &[u8])> {
        let (first, last) = (self.run.tables.first()?, self.run.tables.last()?);
        Some((&first.meta.smallest, &last.meta.largest))
    }

    #[inline]
    pub(crate) fn is_valid(&self) -> bool {
        self.at.is_some()
    }

    /// The key here. Empty at an end.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The entry here. Panics at an end.
    #[inline]
    pub(crate) fn entry(&self) -> (Stamp, &[u8]) {
        let place = self.at.as_ref().expect("the cursor is asked only where it is valid");
        let base = self.run.tables[place.table].meta.special.base;
        (place.data.stamp(place.entry).later(base), place.data.value(place.entry))
    }

    pub(crate) fn seek_last(&mut self) -> Result<()> {
        self.enter_last(self.run.tables.len())
    }

    /// To the first entry whose key is not below.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<()> {
        let table = self.run.first_from(key);
        let Some(inside) = self.run.tables.get(table) else {
            self.leave();
            return Ok(());
        };
        let block = inside.block_of(key).unwrap_or(0);
        let data = inside.block(block, self.keep)?;
        let entry = data.lower_bound(key);
        if entry < data.count() {
            self.settle(Place { table, block, data, entry });
            Ok(())
        } else {
            self.behind_block(table, block)
        }
    }

    /// To the last entry whose key is below.
    pub(crate) fn seek_below(&mut self, key: &[u8]) -> Result<()> {
        let table = self.run.first_from(key);
        let Some(inside) = self.run.tables.get(table) else { return self.enter_last(table) };
        let Some(block) = inside.block_of(key) else { return self.enter_last(table) };
        let data = inside.block(block, self.keep)?;
        match data.lower_bound(key).checked_sub(1) {
            Some(entry) => {
                self.settle(Place { table, block, data, entry });
                Ok(())
            }
            None => self.before_block(table, block),
        }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<()> {
        let Some(place) = &mut self.at else { return Ok(()) };
        place.entry += 1;
        if place.entry == place.data.count() {
            let (table, block) = (place.table, place.block);
            return self.behind_block(table, block);
        }
        self.key.truncate(place.data.prefix().len());
        self.key.extend_from_slice(place.data.suffix(place.entry));
        Ok(())
    }

    pub(crate) fn prev(&mut self) -> Result<()> {
        let Some(place) = &mut self.at else { return Ok(()) };
        let Some(entry) = place.entry.checked_sub(1) else {
            let (table, block) = (place.table, place.block);
            return self.before_block(table, block);
        };
        place.entry = entry;
        self.key.truncate(place.data.prefix().len());
        self.key.extend_from_slice(place.data.suffix(entry));
        Ok(())
    }

    fn behind_block(&mut self, table: usize, block: usize) -> Result<()> {
        if block + 1 < self.run.tables[table].blocks() {
            let data = self.run.tables[table].block(block + 1, self.keep)?;
            self.settle(Place { table, block: block + 1, data, entry: 0 });
            Ok(())
        } else {
            self.enter_first(table + 1)
        }
    }

    fn before_block(&mut self, table: usize, block: usize) -> Result<()> {
        match block.checked_sub(1) {
            Some(before) => self.enter_block_end(table, before),
            None => self.enter_last(table),
        }
    }

    /// To the first entry of a table, if there is one of this number.
    fn enter_first(&mut self, table: usize) -> Result<()> {
        let Some(inside) = self.run.tables.get(table) else {
            self.leave();
            return Ok(());
        };
        let data = inside.block(0, self.keep)?;
        self.settle(Place { table, block: 0, data, entry: 0 });
        Ok(())
    }

    /// To the last entry of the table before this one.
    fn enter_last(&mut self, behind: usize) -> Result<()> {
        let Some(table) = behind.checked_sub(1) else {
            self.leave();
            return Ok(());
        };
        self.enter_block_end(table, self.run.tables[table].blocks() - 1)
    }

    fn enter_block_end(&mut self, table: usize, block: usize) -> Result<()> {
        let data = self.run.tables[table].block(block, self.keep)?;
        let entry = data.count() - 1;
        self.settle(Place { table, block, data, entry });
        Ok(())
    }

    fn settle(&mut self, place: Place) {
        self.key.clear();
        self.key.extend_from_slice(place.data.prefix());
        self.key.extend_from_slice(place.data.suffix(place.entry));
        self.at = Some(place);
    }

    fn leave(&mut self) {
        self.key.clear();
        self.at = None;
    }
}
