//! Which tables are merged next.
//!
//! A pure function from a version to a job, so that it can be tested without a disk. What is due is
//! a question of the [`Shape`], and each shape has a file of its own:
//!
//! ```text
//!                  leveled           lazy-leveled          tiered              fifo
//!   level 0    [] [] [] []           [] [] [] []        [] [] [] []        [] [] [] [] [] [] ...
//!   level 1    [----------]          [--] [--] [--]     [--] [--] [--]     and the oldest go
//!   level 2    [--------------...    [----------...     [-----] [-----]
//!
//!   written    once a level and      less               least of those     once
//!              `level_ratio` / 2                        that keep all
//!   read       one run a level       one run, and       several runs       every run
//!                                    few keys above     a level
//!   space      a tenth more          a few tenths more  several times      as told
//! ```
//!
//! The names and what they cost are from Dayan and Idreos, "Dostoevsky" (SIGMOD 2018); leveling and
//! tiering are older (O'Neil et al., 1996; Jagadish et al., 1997).

mod fifo;
mod leveled;
mod tiered;

use std::sync::Arc;
use std::time::Duration;

use crate::options::Shape;
use crate::range::Range;
use crate::run::Run;
use crate::table::Table;
use crate::version::{LEVELS, Place, Version};
use crate::{Options, planted::planted};

/// What is done to some tables.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) action: Action,
    /// The runs, or parts of runs, that it takes, the newest first.
    pub(crate) sources: Vec<Run>,
    /// Where what becomes of them goes.
    pub(crate) target: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// They are merged into new tables.
    Merge,
    /// They change their place, and nothing is written.
    Move,
    /// They go, with all that they hold.
    Drop,
}

impl Job {
    /// The job that merges these, or moves them where there is nothing to merge.
    fn new(sources: Vec<Run>, target: Place) -> Self {
        let action = if sources.len() == 1 { Action::Move } else { Action::Merge };
        Self { action, sources, target }
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> + Clone {
        self.sources.iter().flat_map(Run::tables)
    }

    /// The smallest and the largest key.
    pub(crate) fn bounds(&self) -> (&[u8], &[u8]) {
        bounds(self.tables()).expect("a job has a table")
    }

    /// The parts in which it is done side by side, about equally large: they begin where tables do.
    pub(crate) fn parts(&self, options: &Options) -> Vec<Range> {
        let total: u64 = self.tables().map(|it| it.meta.size).sum();
        let count = (total / options.table_size).clamp(1, options.merge_threads.get() as u64);
        let mut tables: Vec<_> = self.tables().map(|it| &it.meta).collect();
        tables.sort_by(|a, b| a.smallest.cmp(&b.smallest));
        let mut parts = vec![Range::default()];
        let mut before = 0;
        for meta in tables {
            let end = total * parts.len() as u64 / count;
            let last = parts.last_mut().expect("there is one");
            if before >= end && *meta.smallest > *last.lower {
                last.upper = Some(meta.smallest.clone());
                parts.push(Range { lower: meta.smallest.clone(), upper: None });
            }
            before += meta.size;
        }
        parts
    }

    /// Whether nothing that lies below may hold keys of it.
    pub(crate) fn is_bottom(&self, version: &Version) -> bool {
        let (smallest, largest) = self.bounds();
        version.is_bottom(self.target, smallest, largest) || planted!(DroppedTombstone)
    }
}

/// The job that is due at this time, if any is.
pub(crate) fn pick(version: &Version, options: &Options, now: Duration) -> Option<Job> {
    match options.shape {
        Shape::Leveled => leveled::pick(version, options),
        Shape::Tiered { runs } => tiered::pick(version, options, runs.get(), false),
        Shape::LazyLeveled { runs } => tiered::pick(version, options, runs.get(), true),
        Shape::Fifo { size, age } => fifo::pick(version, size, age, now),
    }
}

/// The job that merges everything into one run, unless that is how things are. With `anew` it is
/// written again even then.
pub(crate) fn everything(version: &Version, anew: bool) -> Option<Job> {
    let sources: Vec<_> = version.runs().cloned().collect();
    let level = version.lowest();
    let is_one = sources.len() == 1 && level > 0;
    let target = Place::new(level.max(1), 0);
    let action = if sources.len() == 1 && !anew { Action::Move } else { Action::Merge };
    (!sources.is_empty() && (anew || !is_one)).then_some(Job { action, sources, target })
}

/// The job that writes a table anew where it is, to be rid of what nobody needs.
pub(crate) fn rewrite(place: Place, table: &Arc<Table>) -> Job {
    let run = if place == Place::TOP { table.meta.number } else { place.run };
    let target = Place::new(place.level, run);
    Job { action: Action::Merge, sources: vec![Run::of(table)], target }
}

/// The size from which on a level below the first is too large.
fn level_size(options: &Options, level: usize) -> u64 {
    (1..level).fold(options.level1_size, |size, _| size.saturating_mul(options.level_ratio))
}

/// The job that makes one run of those that a level below the first has.
fn unite(version: &Version, level: usize) -> Job {
    let sources: Vec<_> = version.level(level).to_vec();
    let newest = sources.first().map_or(0, Run::number);
    Job::new(sources, Place::new(level, newest))
}

/// The job that merges these runs with the part that they overlap of the next level, which is one
/// run at most.
fn into_next(version: &Version, level: usize, mut sources: Vec<Run>) -> Option<Job> {
    let (smallest, largest) = bounds(sources.iter().flat_map(Run::tables))?;
    let next = version.level(level + 1).first();
    let lower = next.and_then(|it| it.touching(smallest, largest));
    sources.extend(lower);
    Some(Job::new(sources, Place::new(level + 1, next.map_or(0, Run::number))))
}

/// The first of these levels that has more runs than one.
fn divided(version: &Version, mut levels: impl Iterator<Item = usize>) -> Option<usize> {
    levels.find(|it| version.level(*it).len() > 1)
}

fn bounds<'a>(
    tables: impl Iterator<Item = &'a Arc<Table>> + Clone,
) -> Option<(&'a [u8], &'a [u8])> {
    let smallest = tables.clone().map(|it| &*it.meta.smallest).min()?;
    Some((smallest, tables.map(|it| &*it.meta.largest).max()?))
}

/// All levels below the first but the lowest that there can be.
fn middle() -> std::ops::Range<usize> {
    1..LEVELS - 1
}
