//! Which tables are merged next.
//!
//! A pure function from a version to a job, so that it can be tested without a disk. The shape is
//! *leveled*: below level 0 each level is one run and [`Options::level_ratio`] times the size of
//! the one above. The level that exceeds its size by most is taken first.
//!
//! ```text
//!   level 0 has `level0_tables` runs    all of them, and what they overlap of level 1
//!   level n is too large                one table, and what it overlaps of level n + 1
//!   nothing is overlapped               the table is moved as it is, and nothing is written
//! ```
//!
//! Of a level that is too large the table goes which drags along least from the next level,
//! measured against its own size: that is the cheapest way to shrink the level.

use std::sync::Arc;

use crate::Options;
use crate::table::Table;
use crate::version::{LEVELS, Version};

/// Tables to be merged.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The level the tables come from; those of the next level are merged with them.
    pub(crate) level: usize,
    pub(crate) upper: Vec<Arc<Table>>,
    pub(crate) lower: Vec<Arc<Table>>,
    /// The tables are written anew where they are, to be rid of what nobody sees.
    pub(crate) is_rewrite: bool,
}

impl Job {
    /// Whether the table only changes its level.
    pub(crate) fn is_move(&self) -> bool {
        !self.is_rewrite && self.lower.is_empty() && self.upper.len() == 1
    }

    /// The level on which the outcome goes.
    pub(crate) fn target(&self) -> usize {
        if self.is_rewrite { self.level.max(1) } else { self.level + 1 }
    }

    /// The smallest and the largest key.
    pub(crate) fn bounds(&self) -> (&[u8], &[u8]) {
        bounds(self.upper.iter().chain(&self.lower)).expect("a job has a table")
    }
}

/// The job that is due, if any is.
pub(crate) fn pick(version: &Version, options: &Options) -> Option<Job> {
    let (level, urgency) = (0..LEVELS - 1)
        .map(|level| (level, urgency(version, options, level)))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    if urgency < 1.0 {
        return None;
    }
    if level == 0 { from_level0(version) } else { from_level(version, level) }
}

/// How much a level has in relation to what it should have at most.
pub(crate) fn urgency(version: &Version, options: &Options, level: usize) -> f64 {
    if level == 0 {
        version.level(0).len() as f64 / options.level0_tables as f64
    } else {
        version.bytes_at(level) as f64 / level_size(options, level) as f64
    }
}

fn level_size(options: &Options, level: usize) -> u64 {
    (1..level).fold(options.level1_size, |size, _| size.saturating_mul(options.level_ratio))
}

/// The job that merges everything that a level has with the next one.
pub(crate) fn whole_level(version: &Version, level: usize) -> Option<Job> {
    let upper: Vec<_> = version.tables_at(level).map(Arc::clone).collect();
    job(version, level, upper)
}

fn from_level0(version: &Version) -> Option<Job> {
    let oldest = version.level(0).last()?.tables().first()?;
    // Ascending keys make tables that overlap nothing.
    let meta = &oldest.meta;
    let alone = version.overlapping(0, &meta.smallest, &meta.largest).len() == 1;
    if alone && version.overlapping(1, &meta.smallest, &meta.largest).is_empty() {
        return job(version, 0, vec![Arc::clone(oldest)]);
    }
    whole_level(version, 0)
}

fn from_level(version: &Version, level: usize) -> Option<Job> {
    let cost = |table: &Table| {
        let dragged = version.overlapping(level + 1, &table.meta.smallest, &table.meta.largest);
        let bytes: u64 = dragged.iter().map(|it| it.meta.size).sum();
        bytes as f64 / table.meta.size as f64
    };
    let cheapest = version.tables_at(level).min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    job(version, level, vec![Arc::clone(cheapest)])
}

fn job(version: &Version, level: usize, upper: Vec<Arc<Table>>) -> Option<Job> {
    let (smallest, largest) = bounds(upper.iter())?;
    let lower = version.overlapping(level + 1, smallest, largest);
    Some(Job { level, upper, lower, is_rewrite: false })
}

/// The job that writes tables of a level anew. Those of level 0 must be all that there is.
pub(crate) fn rewrite(level: usize, upper: Vec<Arc<Table>>) -> Job {
    Job { level, upper, lower: Vec::new(), is_rewrite: true }
}

fn bounds<'a>(
    tables: impl Iterator<Item = &'a Arc<Table>> + Clone,
) -> Option<(&'a [u8], &'a [u8])> {
    let smallest = tables.clone().map(|it| &*it.meta.smallest).min()?;
    Some((smallest, tables.map(|it| &*it.meta.largest).max()?))
}
