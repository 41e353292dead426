//! What becomes of removed ranges: tables that go as a whole, and removals that are forgotten.
//!
//! A removal is needed for as long as some table may hold a key that it hides. Tables written from
//! now on do not, once no snapshot is older than the removal, because merges leave such keys out.
//! So each removal gets a fence, the number of the next table, and is forgotten when no table below
//! its fence overlaps it. Merges run one at a time, and fences are set between them: none that is
//! still to write a table began without knowing the removal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::{Core, FamilyCore, State};
use crate::Result;
use crate::compact::{self, Job};
use crate::manifest::Edit;
use crate::planted::planted;
use crate::stamp::Sequence;
use crate::table::Table;
use crate::version::{Change, Version};

/// For removals, by their number, the number of the first table that has nothing to do with them.
pub(crate) type Fences = BTreeMap<Sequence, u64>;

/// What removals make due.
#[derive(Debug)]
pub(super) enum Upkeep {
    /// A fence for this one.
    Fence(Sequence),
    /// These tables hold nothing that is not removed.
    Drop(Vec<u64>),
    /// These are of no use any more.
    Forget(Vec<Sequence>),
    /// Tables hold some keys that are removed; less urgent than merges.
    Merge(Job),
}

/// What is due next, if anything is.
pub(super) fn due(version: &Version, snapshots: &[Sequence], fences: &Fences) -> Option<Upkeep> {
    if version.removals.is_empty() {
        return None;
    }
    let needless = version.removals.needless(snapshots);
    if !needless.is_empty() {
        return Some(Upkeep::Forget(needless));
    }
    let oldest = snapshots.first().copied().unwrap_or(Sequence::MAX);
    let mut merge = None;
    for removal in version.removals.all().iter().filter(|it| it.sequence <= oldest) {
        let Some(&fence) = fences.get(&removal.sequence) else {
            return Some(Upkeep::Fence(removal.sequence));
        };
        let may_hold = |it: &&Arc<Table>| {
            it.meta.number < fence && removal.overlaps(&it.meta.smallest, &it.meta.largest)
        };
        let (mut whole, mut part) = (Vec::new(), None);
        for (place, table) in version.places().filter(|(_, it)| may_hold(it)) {
            let meta = &table.meta;
            if removal.contains(&meta.smallest, &meta.largest) && meta.newest < removal.sequence {
                whole.push(meta.number);
            } else {
                part = part.or(Some((place, table)));
            }
        }
        if !whole.is_empty() {
            return Some(Upkeep::Drop(whole));
        }
        match part {
            Some(_) if planted!(RemovalForgottenEarly) => {
                return Some(Upkeep::Forget(vec![removal.sequence]));
            }
            None => return Some(Upkeep::Forget(vec![removal.sequence])),
            Some((place, table)) => merge = merge.or_else(|| Some(compact::rewrite(place, table))),
        }
    }
    merge.map(Upkeep::Merge)
}

impl Core {
    /// What removals of a family make due.
    pub(super) fn upkeep(&self, family: &FamilyCore, version: &Version) -> Option<Upkeep> {
        due(version, &self.snapshots.list(), &family.fences.lock())
    }

    /// Does one thing that removals make due, but for merges. False where there is none. The lock
    /// of merges is held.
    pub(super) fn tidy_removals(&self, family: &FamilyCore) -> Result<bool> {
        let version = Arc::clone(&family.share().version);
        match self.upkeep(family, &version) {
            None | Some(Upkeep::Merge(_)) => return Ok(false),
            Some(Upkeep::Fence(sequence)) => {
                // Relaxed: tables of flushes that get numbers meanwhile are newer than the removal.
                let next = self.next_table.load(Ordering::Relaxed);
                family.fences.lock().insert(sequence, next);
            }
            Some(Upkeep::Drop(tables)) => {
                let edits: Vec<_> = tables.iter().map(|it| Edit::Remove(family.id, *it)).collect();
                let change = Change { removed: tables.clone(), ..Change::default() };
                self.install_change(family, &edits, &change)?;
                self.remove_tables(&tables)?;
                self.sweep_values()?;
            }
            Some(Upkeep::Forget(forgotten)) => {
                let edits: Vec<_> =
                    forgotten.iter().map(|it| Edit::Forget(family.id, *it)).collect();
                family.fences.lock().retain(|it, _| !forgotten.contains(it));
                let change = Change { forgotten, ..Change::default() };
                self.install_change(family, &edits, &change)?;
            }
        }
        Ok(true)
    }

    /// Makes an edit of a family's tables and shows it to readers.
    pub(super) fn install_change(
        &self,
        family: &FamilyCore,
        edits: &[Edit],
        change: &Change,
    ) -> Result<()> {
        self.install(family, edits, |state| State {
            version: Arc::new(state.version.with(change)),
            ..state.clone()
        })
    }
}
