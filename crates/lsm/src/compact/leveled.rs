//! Leveled: below level 0 each level is one run, and `level_ratio` times the size of the one above.
//!
//! ```text
//!   level 0 has `level0_tables` runs    all of them, and what they overlap of level 1
//!   level n is too large                one table, and what it overlaps of level n + 1
//!   nothing is overlapped               the table is moved as it is, and nothing is written
//! ```
//!
//! The level that exceeds its size by most is taken first. Of its tables that goes which drags
//! along least from the next level, measured against its own size: the cheapest way to shrink it.

use super::{Job, divided, into_next, level_size, middle, unite};
use crate::Options;
use crate::run::Run;
use crate::table::Table;
use crate::version::{LEVELS, Version};

pub(super) fn pick(version: &Version, options: &Options) -> Option<Job> {
    // Another shape left more runs than this one has.
    if let Some(level) = divided(version, 1..LEVELS) {
        return Some(unite(version, level));
    }
    let (level, urgency) = std::iter::once(0)
        .chain(middle())
        .map(|level| (level, urgency(version, options, level)))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    if urgency < 1.0 {
        None
    } else if level == 0 {
        from_level0(version)
    } else {
        from_level(version, level)
    }
}

/// How much a level has in relation to what it should have at most.
fn urgency(version: &Version, options: &Options, level: usize) -> f64 {
    if level == 0 {
        version.level(0).len() as f64 / options.level0_tables as f64
    } else {
        version.bytes_at(level) as f64 / level_size(options, level) as f64
    }
}

fn from_level0(version: &Version) -> Option<Job> {
    let (oldest, newer) = version.level(0).split_last()?;
    // Ascending keys make tables that overlap nothing.
    let overlaps = |run: &Run| {
        let mut tables = oldest.tables().iter().map(|it| &it.meta);
        tables.any(|it| run.touching(&it.smallest, &it.largest).is_some())
    };
    if !newer.iter().chain(version.level(1)).any(overlaps) {
        return into_next(version, 0, vec![oldest.clone()]);
    }
    into_next(version, 0, version.level(0).to_vec())
}

fn from_level(version: &Version, level: usize) -> Option<Job> {
    let next = version.level(level + 1).first();
    let cost = |table: &Table| {
        let dragged = next.and_then(|it| it.touching(&table.meta.smallest, &table.meta.largest));
        dragged.map_or(0, |it| it.bytes()) as f64 / table.meta.size as f64
    };
    let cheapest = version.tables_at(level).min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    into_next(version, level, vec![Run::of(cheapest)])
}
