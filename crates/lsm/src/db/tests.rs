//! Tests of the store.

mod contract;
mod crash;
mod damage;
mod disk;
mod iterate;
mod planted;
mod shape;
mod transaction;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use harness::rng::SplitMix64;
use harness::sim::SimFs;

use crate::{Background, Batch, Db, Durability, Options, Result};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

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

/// One batch: keys, and values where they are not removed.
type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Some batches over few keys, one change in five a removal.
fn batches(seed: u64, count: usize, value_len: u64) -> Vec<Changes> {
    let mut random = SplitMix64::new(seed);
    let change = move |random: &mut SplitMix64| {
        let key = format!("key {:03}", random.below(40)).into_bytes();
        let len = usize::try_from(random.below(value_len)).expect("small");
        let value = vec![random.next_u64().to_le_bytes()[0]; len];
        (key, (!random.chance(1, 5)).then_some(value))
    };
    (0..count).map(|_| (0..=random.below(3)).map(|_| change(&mut random)).collect()).collect()
}

fn write(db: &Db, changes: &Changes) -> Result<()> {
    let mut batch = Batch::new();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(key, value)?,
            None => batch.delete(key)?,
        }
    }
    db.write(&mut batch)
}

fn apply(model: &mut Model, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
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
