//! Tests of the store.

mod contract;
mod copy;
mod counts;
mod crash;
mod damage;
mod disk;
mod faults;
mod gaps;
mod histories;
mod ingest;
mod iterate;
mod meaning;
mod planted;
mod reader;
mod refused;
mod removals;
mod repair;
#[cfg(not(loom))]
mod schedules;
mod shape;
mod stall;
mod transaction;
mod values;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::clock::WallClock;
use harness::rng::SplitMix64;
use harness::sim::SimFs;

use crate::{Background, Batch, Db, Durability, MergeOperator, Options, Result};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Bytes go behind bytes.
#[derive(Debug)]
struct Concat;

impl MergeOperator for Concat {
    fn merge(&self, _key: &[u8], value: Option<&[u8]>, operands: &[&[u8]]) -> Vec<u8> {
        [value.unwrap_or_default(), &operands.concat()].concat()
    }
}

/// A date that tests set, in seconds.
#[derive(Debug, Default)]
struct Calendar(AtomicU64);

impl WallClock for Calendar {
    fn unix_time(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// So small that a hundred changes reach every level.
fn tiny() -> Options {
    Options {
        memtable_size: 4 << 10,
        memtables: NonZeroUsize::new(3).expect("not zero"),
        block_size: 128,
        level0_tables: 2,
        level1_size: 4 << 10,
        level_ratio: 2,
        table_size: 1 << 10,
        background: Background::Inline,
        merge_operator: Some(Arc::new(Concat)),
        ..Options::with_budget(1 << 20)
    }
}

fn folder() -> &'static Path {
    Path::new("/db")
}

fn open(fs: &Arc<SimFs>, options: &Options) -> Result<Db> {
    Db::open_on(Arc::<SimFs>::clone(fs), folder(), options.clone())
}

/// All entries, by a walk in both directions.
fn contents(db: &Db) -> Result<Model> {
    let forward = db.iter().collect::<Result<Model>>()?;
    let mut iter = db.iter();
    let mut backward = Model::new();
    iter.seek_last()?;
    while let Some((key, value)) = iter.entry() {
        backward.insert(key.to_vec(), value.to_vec());
        iter.backward()?;
    }
    assert_eq!(forward, backward, "both directions show the same");
    Ok(forward)
}

/// A change as the tests make it.
#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    /// Bytes behind those that there are.
    Merge(Vec<u8>, Vec<u8>),
    /// Keys from the first on, below the second.
    RemoveRange(Vec<u8>, Vec<u8>),
}

/// One batch.
type Changes = Vec<Step>;

fn key(number: u64) -> Vec<u8> {
    format!("key {number:03}").into_bytes()
}

/// Some batches over few keys: of thirty changes five remove, four merge, one removes a range.
fn batches(seed: u64, count: usize, value_len: u64) -> Vec<Changes> {
    let mut random = SplitMix64::new(seed);
    let step = move |random: &mut SplitMix64| {
        let at = random.below(40);
        let len = usize::try_from(random.below(value_len)).expect("small");
        let value = vec![random.next_u64().to_le_bytes()[0]; len];
        match random.below(30) {
            0 => Step::RemoveRange(key(at), key(at + random.below(12))),
            1..6 => Step::Remove(key(at)),
            6..10 => Step::Merge(key(at), value[..len / 4].to_vec()),
            _ => Step::Put(key(at), value),
        }
    };
    (0..count).map(|_| (0..=random.below(3)).map(|_| step(&mut random)).collect()).collect()
}

fn write(db: &Db, changes: &Changes) -> Result<()> {
    let mut batch = Batch::new();
    for step in changes {
        match step {
            Step::Put(key, value) => batch.put(key, value)?,
            Step::Remove(key) => batch.delete(key)?,
            Step::Merge(key, operand) => batch.merge(key, operand)?,
            Step::RemoveRange(start, end) => batch.delete_range(start, end)?,
        }
    }
    db.write(&mut batch)
}

fn apply(model: &mut Model, changes: &Changes) {
    for step in changes {
        match step {
            Step::Put(key, value) => {
                model.insert(key.clone(), value.clone());
            }
            Step::Remove(key) => {
                model.remove(key);
            }
            Step::Merge(key, operand) => {
                model.entry(key.clone()).or_default().extend_from_slice(operand);
            }
            Step::RemoveRange(start, end) => model.retain(|key, _| key < start || end <= key),
        }
    }
}

/// What there was after no batch, after the first, and so on.
fn history(batches: &[Changes]) -> Vec<Model> {
    let mut model = Model::new();
    let mut history = vec![model.clone()];
    for changes in batches {
        apply(&mut model, changes);
        history.push(model.clone());
    }
    history
}

fn with_durability(durability: Durability) -> Options {
    Options { durability, ..tiny() }
}
