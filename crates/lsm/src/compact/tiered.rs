//! Tiered: a level collects runs, and when it has enough they become one run of the next level.
//!
//! Each entry is written once a level, so that this is the shape for more writes than reads. The
//! price is that a key may lie in every run, and garbage as well: a value that is overwritten all
//! the time is there once in each.
//!
//! Lazy-leveled is the same with a lowest level that is one run. It holds nearly all that there is,
//! so that space and long scans are those of the leveled shape, while the levels above, where an
//! entry is only on its way, are written as little as in the tiered one.

use super::{Job, divided, into_next, level_size, middle, unite};
use crate::Options;
use crate::run::Run;
use crate::version::{LEVELS, Place, Version};

pub(super) fn pick(version: &Version, options: &Options, runs: usize, lazy: bool) -> Option<Job> {
    let lowest = version.lowest();
    if lazy && lowest > 0 && divided(version, lowest..=lowest).is_some() {
        return Some(unite(version, lowest));
    }
    if version.level(0).len() >= options.level0_tables {
        return down(version, 0, lazy);
    }
    let last = if lazy { lowest } else { LEVELS };
    let full = middle().filter(|it| *it < last).find(|it| version.level(*it).len() >= runs);
    if let Some(level) = full {
        return down(version, level, lazy);
    }
    if lazy && middle().contains(&lowest) {
        // The levels above grow with the lowest one, which moves down to make room for them.
        let is_too_large = version.bytes_at(lowest) > level_size(options, lowest);
        return is_too_large.then(|| {
            let run = version.level(lowest)[0].clone();
            let target = Place::new(lowest + 1, run.number());
            Job::new(vec![run], target)
        });
    }
    // There is no level below the last one.
    (version.level(LEVELS - 1).len() >= runs.max(2)).then(|| unite(version, LEVELS - 1))
}

/// The job that takes all runs of a level down.
fn down(version: &Version, level: usize, lazy: bool) -> Option<Job> {
    let sources = version.level(level).to_vec();
    let into_lowest = lazy && level + 1 >= version.lowest();
    if into_lowest {
        return into_next(version, level, sources);
    }
    // Of runs that come down one after the other the later has the larger number.
    let newest = sources.first().map(Run::number)?;
    Some(Job::new(sources, Place::new(level + 1, newest)))
}
