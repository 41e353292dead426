//! Collecting the garbage of files with values.
//!
//! Overwritten values stay in their files until merges leave out what points to them. When too much
//! of all files is garbage, those that hold most of it are given up: tables that point into them
//! are written anew one by one, and what lives is copied on the way, so that values which are read
//! together come to lie together. A file goes when no table points into it any more. Writers wait
//! where they are faster than that: the share of garbage has a limit, not only a goal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::core::{Core, FamilyCore};
use crate::Result;
use crate::compact::{self, Job};
use crate::table::Table;
use crate::values::{self, Garbage};
use crate::version::Version;

/// Writers wait where so many in a hundred bytes more are garbage than there should be.
const LENIENCE: u64 = 10;

impl Core {
    /// The files that tables point into, and for how many bytes.
    fn pointed(&self) -> BTreeMap<u64, u64> {
        let states: Vec<_> = self.families.read().iter().map(|it| it.share()).collect();
        let metas = states.iter().flat_map(|it| it.version.tables()).map(|it| &it.1.meta);
        values::pointed(metas)
    }

    /// The same without the bytes.
    pub(crate) fn needed_values(&self) -> BTreeSet<u64> {
        self.pointed().into_keys().collect()
    }

    fn garbage(&self) -> Garbage {
        self.meaning.values.garbage(&self.pointed(), self.options.value_garbage_percent)
    }

    /// The files that are to be given up now; none as long as there is little garbage in all.
    pub(super) fn given_up(&self) -> BTreeSet<u64> {
        if self.meaning.values.is_empty() {
            return BTreeSet::new();
        }
        let garbage = self.garbage();
        if garbage.share() > self.options.value_garbage_percent {
            garbage.files
        } else {
            BTreeSet::new()
        }
    }

    /// Whether writers must wait: there is too much garbage, and a merge that makes it less. Files
    /// into which no table points are kept while a copy is made, and nobody waits for that.
    pub(super) fn has_too_much_garbage(&self) -> bool {
        !self.meaning.values.is_empty()
            && self.garbage().share() > self.options.value_garbage_percent + LENIENCE
            && self.all_families().iter().any(|it| self.collection(&it.share().version).is_some())
    }

    /// The job that takes a table of a family out of the files that are given up.
    pub(super) fn collection(&self, version: &Version) -> Option<Job> {
        let given_up = self.given_up();
        let points_there =
            |it: &Arc<Table>| it.meta.values.iter().any(|(file, _)| given_up.contains(file));
        let (place, table) = version.places().filter(|it| points_there(it.1)).last()?;
        Some(compact::rewrite(place, table))
    }

    /// Removes files into which no table points. The lock of merges is held: those that a merge
    /// writes have no table yet.
    pub(super) fn sweep_values(&self) -> Result<()> {
        if self.meaning.values.is_empty() || self.kept.lock().copies > 0 {
            return Ok(());
        }
        self.meaning.values.sweep(|| self.needed_values())
    }

    /// What a family makes due besides merges that keep the levels in shape.
    pub(super) fn chore(&self, family: &FamilyCore, version: &Version) -> Option<Job> {
        match self.upkeep(family, version) {
            Some(super::removals::Upkeep::Merge(job)) => Some(job),
            _ => self.collection(version),
        }
    }
}
