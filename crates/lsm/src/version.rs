//! A version: which tables there are at one moment, and on which level.
//!
//! ```text
//!   level 0   [run] [run] [run]      a memtable each, the newest first; their keys overlap
//!   level 1   [ table | table | table ]                     one run
//!   level 2   [ table | table | table | table | ... ]       one run, larger
//! ```
//!
//! A version never changes. Readers hold one; a flush or a merge puts another in its place.

use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::Result;
use crate::removal::{Removal, Removals};
use crate::run::Run;
use crate::stamp::{Sequence, Stamp};
use crate::table::Table;

/// How many levels there are: with the usual ratio the last holds millions of memtables.
pub(crate) const LEVELS: usize = 7;

/// The tables of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    /// For each level its runs, the newest first.
    levels: [Vec<Run>; LEVELS],
    /// Removed ranges that tables may still hold keys of.
    pub(crate) removals: Arc<Removals>,
}

/// What a flush or merge changes.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) removed: Vec<u64>,
    /// Tables and the level on which each goes.
    pub(crate) added: Vec<(usize, Arc<Table>)>,
    pub(crate) removals: Vec<Removal>,
    /// The numbers of removals that have done their work.
    pub(crate) forgotten: Vec<Sequence>,
}

impl Version {
    /// The version with these tables and removals.
    pub(crate) fn of(tables: Vec<(usize, Arc<Table>)>, removals: Vec<Removal>) -> Self {
        Self::default().with(&Change { added: tables, removals, ..Change::default() })
    }

    /// The version after a change.
    pub(crate) fn with(&self, change: &Change) -> Self {
        let levels = std::array::from_fn(|level| {
            let stay = self.tables_at(level).filter(|it| !change.removed.contains(&it.meta.number));
            let added = change.added.iter().filter(|it| it.0 == level).map(|it| &it.1);
            let mut tables: Vec<_> = stay.chain(added).map(Arc::clone).collect();
            if tables.is_empty() {
                Vec::new()
            } else if level > 0 {
                vec![Run::new(tables)]
            } else {
                // Memtables are written in their order, so that later tables have larger numbers.
                tables.sort_by_key(|it| std::cmp::Reverse(it.meta.number));
                tables.into_iter().map(|it| Run::new(vec![it])).collect()
            }
        });
        let removals = if change.removals.is_empty() && change.forgotten.is_empty() {
            Arc::clone(&self.removals)
        } else {
            let added = self.removals.with(change.removals.iter().cloned());
            Arc::new(added.without(&change.forgotten))
        };
        Self { levels, removals }
    }

    pub(crate) fn level(&self, level: usize) -> &[Run] {
        &self.levels[level]
    }

    /// All runs, the newest first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.levels.iter().flatten()
    }

    pub(crate) fn tables_at(&self, level: usize) -> impl Iterator<Item = &Arc<Table>> {
        self.levels[level].iter().flat_map(Run::tables)
    }

    /// All tables with their levels.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        (0..LEVELS).flat_map(|level| self.tables_at(level).map(move |it| (level, it)))
    }

    pub(crate) fn bytes_at(&self, level: usize) -> u64 {
        self.levels[level].iter().map(Run::bytes).sum()
    }

    /// Tables of a level that may hold keys of a closed range.
    pub(crate) fn overlapping(
        &self,
        level: usize,
        smallest: &[u8],
        largest: &[u8],
    ) -> Vec<Arc<Table>> {
        let tables = self.tables_at(level);
        tables.filter(|it| it.meta.overlaps(smallest, largest)).map(Arc::clone).collect()
    }

    /// Whether no table from a level on may hold keys of a closed range.
    pub(crate) fn is_bottom(&self, from: usize, smallest: &[u8], largest: &[u8]) -> bool {
        (from..LEVELS)
            .all(|level| self.tables_at(level).all(|it| !it.meta.overlaps(smallest, largest)))
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
        for run in self.runs() {
            let found = run.get(key, hash, sequence, guard)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}
