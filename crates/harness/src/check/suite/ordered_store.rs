//! What an ordered store must do.
//!
//! | property                 | the contract demands                                              |
//! |--------------------------|-------------------------------------------------------------------|
//! | [`matches_model`]        | every answer is that of a `BTreeMap`, also after a reopening      |
//! | [`odd_keys_and_values`]  | empty, binary, long, prefixes of each other: all are kept apart   |
//! | [`survives_overwriting`] | of many versions of a key only the last one is ever seen          |
//! | [`survives_a_kill`]      | what was acknowledged is in the files at every moment             |
//! | [`batches_are_atomic`]   | no reader sees a part of a batch                                  |
//! | [`reads_are_fresh`]      | no read is older than a write or a read that ended before it      |
//! | [`own_keys`]             | a thread's own keys behave as if no other thread existed          |
//!
//! A kill is imitated by copying the directory while the store is open and idle: that copy is what
//! `kill -9` would leave, with nothing that the process still held in memory.
//!
//! # What this suite does not do
//!
//! It never cuts the power. What a store makes of writes that were not synced, of torn sectors and
//! of failing disks is for the simulated disk of [`crate::sim`], in the build's own tests.

mod contention;
mod durability;
mod sequential;

use std::path::Path;

pub use contention::{batches_are_atomic, own_keys, reads_are_fresh};
pub use durability::{survives_a_kill, survives_overwriting};
pub use sequential::{matches_model, odd_keys_and_values};
use tempfile::TempDir;

use super::{Examination, Finding, Mismatch, Report};
use crate::contract::{Durability, OrderedStore, StoreError, StoreSpec};

/// Makes a module of tests for a store: `ordered_store_suite!(name, Store)`.
#[macro_export]
macro_rules! ordered_store_suite {
    ($name:ident, $store:ty) => {
        mod $name {
            use super::*;

            $crate::suite_properties!(ordered_store, $store:
                matches_model, odd_keys_and_values, survives_overwriting, survives_a_kill,
                batches_are_atomic, reads_are_fresh, own_keys,
            );
        }
    };
}

/// Examines a store by every property.
pub fn examine<S: OrderedStore>() -> Report {
    let mut examination = Examination::new();
    matches_model::<S>(&mut examination);
    odd_keys_and_values::<S>(&mut examination);
    survives_overwriting::<S>(&mut examination);
    survives_a_kill::<S>(&mut examination);
    batches_are_atomic::<S>(&mut examination);
    reads_are_fresh::<S>(&mut examination);
    own_keys::<S>(&mut examination);
    examination.into_report()
}

/// The findings of [`examine`] alone.
pub fn findings<S: OrderedStore>() -> Vec<Finding> {
    examine::<S>().findings
}

/// Little memory, so that a few hundred entries reach the disk.
const SPEC: StoreSpec =
    StoreSpec { durability: Durability::Os, memory_budget: 1 << 20, compressed: false };

/// A directory of its own, removed in the end.
fn fresh_directory() -> TempDir {
    tempfile::tempdir().expect("the temporary directory of this machine is writable")
}

fn open<S: OrderedStore>(directory: &Path) -> Result<S, Mismatch> {
    S::open(directory, &SPEC).map_err(|cause| failure("opening", &cause))
}

/// An error where none was called for.
fn failure(doing: &str, cause: &StoreError) -> Mismatch {
    Mismatch::new(format!("{doing} to succeed"), format!("the error: {cause}"))
}

#[cfg(test)]
mod tests;
