//! Which tables are on which level.

use harness::sync::Arc;

use super::{Files, Result, Source};
use crate::exercise::Table;

/// The open tables of each level: of level 0 the newest first, and below it at most one each.
#[derive(Clone, Debug, Default)]
pub struct Levels(Vec<Vec<(u64, Arc<Table>)>>);

impl Levels {
    /// Opens the tables of a manifest.
    pub fn open(files: &Files) -> Result<Self> {
        let open = |&number: &u64| {
            let table = Table::open(files.fs(), &files.table(number))?;
            Ok((number, Arc::new(table)))
        };
        let level = |numbers: &Vec<u64>| numbers.iter().map(open).collect();
        Ok(Self(files.manifest.levels.iter().map(level).collect::<Result<_>>()?))
    }

    /// The sizes of all tables, as [`due`](crate::exercise::due) wants them.
    pub fn sizes(&self) -> Vec<Vec<u64>> {
        self.0.iter().map(|level| level.iter().map(|it| it.1.size()).collect()).collect()
    }

    /// The numbers of all tables, as a manifest has them.
    pub fn numbers(&self) -> Vec<Vec<u64>> {
        self.0.iter().map(|level| level.iter().map(|it| it.0).collect()).collect()
    }

    /// All tables: of two that have a key, the one with its newer versions comes first.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.0.iter().flatten().map(|(_, table)| &**table)
    }

    /// Whether there is no table on a level or below.
    pub fn is_empty_from(&self, level: usize) -> bool {
        self.0.iter().skip(level).all(Vec::is_empty)
    }

    /// Writes a new table and puts it on a level, in front of those that are there.
    pub fn add(&mut self, level: usize, files: &mut Files, versions: Source<'_>) -> Result<()> {
        let (number, path) = files.new_table();
        Table::write(files.fs(), &path, versions)?;
        let table = Table::open(files.fs(), &path)?;
        if self.0.len() <= level {
            self.0.resize_with(level + 1, Vec::new);
        }
        self.0[level].insert(0, (number, Arc::new(table)));
        Ok(())
    }

    /// Takes all tables off a level.
    pub fn take(&mut self, level: usize) -> Vec<Arc<Table>> {
        let taken = self.0.get_mut(level).map(std::mem::take).unwrap_or_default();
        taken.into_iter().map(|(_, table)| table).collect()
    }
}
