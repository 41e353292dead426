//! Which tables make up a store, where the manifest does not say it.
//!
//! All that there are, but for what a crash left behind of merges:
//!
//! ```text
//!   A, B  --merge-->  P        P names A and B
//!
//!   A and B are there          nobody removed them: they hold all that P does, and P may be half
//!                              of what the merge was to give. P is left out
//!   A or B is not there        it was removed, so P was made known before. A and B are left out
//! ```
//!
//! The second case matters: P may have dropped a tombstone of A, and what it hid in B with it. To
//! take B in without A would bring back what was deleted. Of a flush a crash may leave a table that
//! is torn; where the log still has its changes, it is left out too.

use std::collections::{BTreeMap, BTreeSet};

use wal::Position;

use super::look::Found;
use crate::batch::FamilyId;
use crate::stamp::Sequence;
use crate::table::{Origin, Survey};

/// The tables of each family, and those of which nobody knows the family.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) families: BTreeMap<FamilyId, Vec<Survey>>,
    pub(super) strangers: Vec<Survey>,
    /// The numbers of tables that others replaced.
    pub(super) replaced: BTreeSet<u64>,
}

/// Chooses among all tables whose files are there.
pub(super) fn choose(found: &Found, all: Vec<Survey>) -> Chosen {
    let whole: BTreeSet<u64> = all.iter().filter(|it| it.is_whole()).map(|it| it.number).collect();
    let mut chosen = Chosen::default();
    let mut unfinished = BTreeSet::new();
    for table in &all {
        let sources = table.origin.as_ref().map_or(&[][..], |it| &it.replaces);
        if sources.is_empty() {
            continue;
        }
        if sources.iter().all(|it| whole.contains(it)) {
            unfinished.insert(table.number);
        } else {
            chosen.replaced.extend(sources.iter().filter(|it| **it != table.number));
        }
    }
    let facts = &found.remains.facts;
    for table in all {
        if unfinished.contains(&table.number) || chosen.replaced.contains(&table.number) {
            continue;
        }
        let is_named = |it: &&super::look::Named| it.meta.number == table.number;
        let named = found.named.iter().find(is_named).map(|it| it.family);
        let own = table.origin.as_ref().map(|it| it.family);
        // Tables from before there were origins, when most stores had one family.
        let default = table.meta.as_ref().map(|_| 0);
        let Some(family) = named.or(own).or(default) else {
            chosen.strangers.push(table);
            continue;
        };
        let was_dropped = found.remains.is_whole
            && !facts.families.contains_key(&family)
            && family <= facts.last_family;
        if !was_dropped {
            chosen.families.entry(family).or_default().push(table);
        }
    }
    for (family, tables) in &mut chosen.families {
        let known = facts.families.get(family).and_then(|it| it.flushed);
        let flushed = known.max(flushed(tables));
        let log_has_all =
            found.log_begin.is_some_and(|it| it <= flushed.map_or(1, |place| place.segment));
        let is_torn_flush = |it: &Survey| {
            let is_flush = |origin: &Origin| origin.level == 0 && origin.replaces.is_empty();
            !it.is_whole() && it.origin.as_ref().is_some_and(is_flush)
        };
        tables.retain(|it| !log_has_all || !is_torn_flush(it));
    }
    chosen
}

/// What is to be added to the numbers in a table that was ingested, where the manifest does not say
/// it: the load is newer than all that was finished when the last of its tables was. What was
/// written in the moment before the load was made known is taken for newer.
pub(super) fn base(table: &Survey, tables: &[Survey]) -> Sequence {
    let load = |it: &Survey| it.origin.as_ref().and_then(|it| it.load);
    let Some(own) = load(table) else { return 0 };
    let of_load = tables.iter().filter_map(load).filter(|it| it.first == own.first);
    of_load.map(|it| it.after).max().map_or(0, |it| it + 1)
}

/// Up to which place of the log a family's changes are in these tables, by those that are whole.
pub(super) fn flushed(tables: &[Survey]) -> Option<Position> {
    let whole = tables.iter().filter(|it| it.is_whole());
    let places = whole.filter_map(|it| it.origin.as_ref()).map(|it| it.flushed);
    places.max().filter(|it| it.segment > 0)
}
