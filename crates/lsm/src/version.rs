//! A version: which tables there are at one moment, and where each is.
//!
//! ```text
//!   level 0   [run 9] [run 8] [run 7]      a memtable each, the newest first; their keys overlap
//!   level 1   [ table | table | table ]                        one run, or several
//!   level 2   [ table | table | table | table | ... ]          of larger ones
//! ```
//!
//! A run is newer than another if its level is above, or on the same level its number is larger.
//! How many runs a level has is the business of the shape: see `compact.rs`.
//!
//! A version never changes. Readers hold one; a flush or a merge puts another in its place.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::Result;
use crate::removal::{Removal, Removals};
use crate::run::Run;
use crate::stamp::{Sequence, Stamp};
use crate::table::Table;

/// How many levels there are: with the usual ratio the last holds millions of memtables.
pub(crate) const LEVELS: usize = 7;

/// Where a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) level: usize,
    /// The number of its run. On level 0 zero stands for the table's own number.
    pub(crate) run: u64,
}

impl Place {
    /// The place of a table that a flush wrote.
    pub(crate) const TOP: Self = Self { level: 0, run: 0 };

    pub(crate) fn new(level: usize, run: u64) -> Self {
        Self { level, run }
    }

    /// The number of its run for a table of this number.
    fn run_of(self, table: u64) -> u64 {
        if self == Self::TOP { table } else { self.run }
    }
}

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
    /// Tables and where each goes.
    pub(crate) added: Vec<(Place, Arc<Table>)>,
    pub(crate) removals: Vec<Removal>,
    /// The numbers of removals that have done their work.
    pub(crate) forgotten: Vec<Sequence>,
}

impl Version {
    /// The version with these tables and removals.
    pub(crate) fn of(tables: Vec<(Place, Arc<Table>)>, removals: Vec<Removal>) -> Self {
        Self::default().with(&Change { added: tables, removals, ..Change::default() })
    }

    /// The version after a change.
    pub(crate) fn with(&self, change: &Change) -> Self {
        let stay = self.places().filter(|it| !change.removed.contains(&it.1.meta.number));
        let mut levels: [BTreeMap<Reverse<u64>, Vec<Arc<Table>>>; LEVELS] = Default::default();
        for (place, table) in stay.chain(change.added.iter().map(|(place, it)| (*place, it))) {
            let run = Reverse(place.run_of(table.meta.number));
            levels[place.level].entry(run).or_default().push(Arc::clone(table));
        }
        let levels = levels.map(|runs| {
            runs.into_iter().map(|(Reverse(number), tables)| Run::new(number, tables)).collect()
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
        self.places().map(|(place, table)| (place.level, table))
    }

    /// All tables with their places, the newest run first.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Place, &Arc<Table>)> {
        self.placed(Run::tables)
    }

    /// Those of them that may hold keys from `start` on and below `end`.
    pub(crate) fn between(
        &self,
        start: &[u8],
        end: &[u8],
    ) -> impl Iterator<Item = (Place, &Arc<Table>)> {
        self.placed(move |run| run.between(start, Some(end)))
    }

    fn placed<'v>(
        &'v self,
        part: impl Fn(&'v Run) -> &'v [Arc<Table>],
    ) -> impl Iterator<Item = (Place, &'v Arc<Table>)> {
        let runs =
            (0..LEVELS).flat_map(|level| self.levels[level].iter().map(move |it| (level, it)));
        runs.flat_map(move |(level, run)| {
            let place = move |table: &Table| {
                // As the manifest says it of a table that a flush wrote.
                let is_own = level == 0 && run.number() == table.meta.number;
                if is_own { Place::TOP } else { Place::new(level, run.number()) }
            };
            part(run).iter().map(move |it| (place(it), it))
        })
    }

    /// The lowest level that holds anything; 0 where none does.
    pub(crate) fn lowest(&self) -> usize {
        (0..LEVELS).rev().find(|it| !self.levels[*it].is_empty()).unwrap_or(0)
    }

    pub(crate) fn bytes_at(&self, level: usize) -> u64 {
        self.levels[level].iter().map(Run::bytes).sum()
    }

    /// Whether no table may hold keys of a closed range.
    pub(crate) fn is_free(&self, smallest: &[u8], largest: &[u8]) -> bool {
        self.tables().all(|(_, it)| !it.meta.overlaps(smallest, largest))
    }

    /// The runs that are older than one in this place.
    pub(crate) fn beneath(&self, place: Place) -> impl Iterator<Item = &Run> {
        let is_older = move |level: usize, run: &Run| {
            level > place.level || level == place.level && run.number() < place.run
        };
        let levels = (place.level..LEVELS).map(|level| (level, &self.levels[level]));
        levels.flat_map(move |(level, runs)| runs.iter().filter(move |it| is_older(level, it)))
    }

    /// Whether no run that is older than one in this place may hold keys of a closed range.
    pub(crate) fn is_bottom(&self, place: Place, smallest: &[u8], largest: &[u8]) -> bool {
        let mut tables = self.beneath(place).flat_map(Run::tables);
        tables.all(|it| !it.meta.overlaps(smallest, largest))
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
