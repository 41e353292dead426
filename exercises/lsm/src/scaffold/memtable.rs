//! One memtable: sorted versions that threads insert and read.

use std::collections::BTreeSet;

use harness::sync::RwLock;

use super::Version;

/// Versions in their order. It knows nothing of the moment at which it is full.
#[derive(Debug, Default)]
pub struct Memtable(RwLock<(BTreeSet<Version>, usize)>);

impl Memtable {
    /// Inserts a version, in the place of one of the same key and number; the bytes that the
    /// memtable takes now.
    pub fn insert(&self, version: Version) -> usize {
        let mut versions = self.0.write().expect("no holder panics");
        versions.1 += version.size();
        versions.0.replace(version);
        versions.1
    }

    /// The first version that is not before the target.
    pub fn first_from(&self, target: &Version) -> Option<Version> {
        self.0.read().expect("no holder panics").0.range(target..).next().cloned()
    }

    /// Copies of all versions that are not before the target.
    pub fn all_from(&self, target: &Version) -> Vec<Version> {
        self.0.read().expect("no holder panics").0.range(target..).cloned().collect()
    }
}
