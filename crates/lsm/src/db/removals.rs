//! What becomes of removed ranges: tables that go as a whole, and removals that are forgotten.
//!
//! A removal is needed for as long as some table may hold a key that it hides. Tables written from
//! now on do not, once no snapshot is older than the removal, because merges leave such keys out.
//! So each removal gets a fence, the number of the next table, and is forgotten when no table below
//! its fence overlaps it. Merges run one at a time, and fences are set between them: none that is
//! still to write a table began without knowing the removal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::{Core, FamilyCore, State};
use crate::Result;
use crate::compact::{self, Job};
use crate::manifest::Edit;
use crate::planted::planted;
use crate::stamp::Sequence;
use crate::version::{Change, Version};

/// For removals, by their number, the number of the first table that has nothing to do with them.
pub(crate) type Fences = BTreeMap<Sequence, u64>;

/// What removals make due.
#[derive(Debug)]
pub(super) enum Upkeep {
    /// A fence for these.
    Fence(Vec<Sequence>),
    /// These tables hold nothing that is not removed.
    Drop(BTreeSet<u64>),
    /// These are of no use any more. The numbers ascend.
    Forget(Vec<Sequence>),
    /// Tables hold some keys that are removed; less urgent than merges.
    Merge(Job),
}

/// What is due next, if anything is: each time all of one kind, since there may be thousands.
pub(super) fn due(version: &Version, snapshots: &[Sequence], fences: &Fences) -> Option<Upkeep> {
    if version.removals.is_empty() {
        return None;
    }
    let needless = version.removals.needless(snapshots);
    if !needless.is_empty() {
        return Some(Upkeep::Forget(needless));
    }
    let oldest = snapshots.first().copied().unwrap_or(Sequence::MAX);
    let (mut unfenced, mut whole, mut idle) = (Vec::new(), BTreeSet::new(), Vec::new());
    let mut merge = None;
    for removal in version.removals.all().iter().filter(|it| it.sequence <= oldest) {
        let Some(&fence) = fences.get(&removal.sequence) else {
            unfenced.push(removal.sequence);
            continue;
        };
        let mut is_idle = true;
        for (place, table) in version.between(&removal.start, &removal.end) {
            let meta = &table.meta;
            if meta.number >= fence {
                continue;
            }
            if removal.contains(&meta.smallest, &meta.largest) && meta.newest < removal.sequence {
                whole.insert(meta.number);
                is_idle = false;
            } else if !planted!(RemovalForgottenEarly) {
                merge = merge.or_else(|| Some(compact::rewrite(place, table)));
                is_idle = false;
            }
        }
        if is_idle {
            idle.push(removal.sequence);
        }
    }
    if !unfenced.is_empty() {
        Some(Upkeep::Fence(unfenced))
    } else if !whole.is_empty() {
        Some(Upkeep::Drop(whole))
    } else if !idle.is_empty() {
        Some(Upkeep::Forget(idle))
    } else {
        merge.map(Upkeep::Merge)
    }
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
            Some(Upkeep::Fence(unfenced)) => {
                // Relaxed: tables of flushes that get numbers meanwhile are newer than the removal.
                let next = self.next_table.load(Ordering::Relaxed);
                family.fences.lock().extend(unfenced.into_iter().map(|it| (it, next)));
            }
            Some(Upkeep::Drop(tables)) => {
                let edits: Vec<_> = tables.iter().map(|it| Edit::Remove(family.id, *it)).collect();
                let tables: Vec<_> = tables.into_iter().collect();
                let change = Change { removed: tables.clone(), ..Change::default() };
                self.install_change(family, &edits, &change)?;
                self.remove_tables(&tables)?;
                self.sweep_values()?;
            }
            Some(Upkeep::Forget(forgotten)) => {
                let edits: Vec<_> =
                    forgotten.iter().map(|it| Edit::Forget(family.id, *it)).collect();
                family.fences.lock().retain(|it, _| forgotten.binary_search(it).is_err());
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
