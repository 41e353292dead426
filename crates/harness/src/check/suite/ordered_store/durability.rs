//! What is still there afterwards.

use std::io;
use std::path::Path;

use super::sequential::{Model, Request, compare_scan, step};
use super::{fresh_directory, open};
use crate::check::suite::{Examination, Mismatch};
use crate::contract::OrderedStore;
use crate::rng::SplitMix64;

const KEYS: u64 = 400;

fn key(number: u64) -> Vec<u8> {
    format!("key {number:05}").into_bytes()
}

/// A change of one of `keys` keys, one in five a removal; values of about two hundred bytes.
fn random_change(keys: u64, rng: &mut SplitMix64) -> Request {
    let key = key(rng.below(keys));
    if rng.chance(1, 5) {
        Request::Delete(key)
    } else {
        let size = usize::try_from(100 + rng.below(200)).expect("a small size");
        Request::Put(key, vec![rng.next_u64().to_le_bytes()[0]; size])
    }
}

/// Several megabytes of versions of few keys go through the store, with reopenings. Old versions
/// and removed keys never come back.
pub fn survives_overwriting<S: OrderedStore>(examination: &mut Examination) {
    examination.begin("survives_overwriting");
    let seed = examination.seed();
    examination.once(format!("{KEYS} keys, 20000 changes"), || {
        let directory = fresh_directory();
        let mut store: S = open(directory.path())?;
        let mut model = Model::new();
        let mut rng = SplitMix64::new(seed);
        for round in 0..4 {
            for _ in 0..5_000 {
                step(&store, &mut model, &random_change(KEYS, &mut rng))?;
                step(&store, &mut model, &Request::Get(key(rng.below(KEYS))))?;
            }
            compare_scan(&store, &model, &[], usize::MAX)?;
            step(&store, &mut model, &Request::Settle)?;
            compare_scan(&store, &model, &[], usize::MAX)?;
            if round % 2 == 1 {
                drop(store);
                store = open(directory.path())?;
                compare_scan(&store, &model, &[], usize::MAX)?;
            }
        }
        Ok(())
    });
}

/// After each of some writes the directory is copied while the store is open. The copy opens and
/// holds every write that was acknowledged.
pub fn survives_a_kill<S: OrderedStore>(examination: &mut Examination) {
    examination.begin("survives_a_kill");
    let seed = examination.seed();
    examination.once("a copy of the directory after every seventh write", || {
        let directory = fresh_directory();
        let store: S = open(directory.path())?;
        let mut model = Model::new();
        let mut rng = SplitMix64::new(seed);
        for write in 0..140 {
            // Few keys: most removals must find something to remove.
            step(&store, &mut model, &random_change(20, &mut rng))?;
            if write % 7 == 0 {
                let image = fresh_directory();
                let copy = image.path().join("copy");
                copy_directory(directory.path(), &copy).map_err(|cause| {
                    Mismatch::new("files that can be copied", cause.to_string())
                })?;
                compare_scan(&open::<S>(&copy)?, &model, &[], usize::MAX).map_err(|it| {
                    let expected = format!("after a kill, {}", it.expected);
                    Mismatch::new(expected, it.got)
                })?;
            }
        }
        Ok(())
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "stores of every kind are examined, on the file system that they use themselves"
)]
fn copy_directory(source: &Path, target: &Path) -> io::Result<()> {
    std::fs::create_dir_all(target)?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let place = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &place)?;
        } else {
            std::fs::copy(entry.path(), &place)?;
        }
    }
    Ok(())
}
