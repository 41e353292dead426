//! Many threads: statements that hold whatever the order was.

use std::sync::atomic::{AtomicBool, Ordering};

use super::sequential::{Model, Request, compare_scan, step};
use super::{failure, fresh_directory, open};
use crate::check::suite::fresh::single_writer;
use crate::check::suite::together::{SetAtEnd, together};
use crate::check::suite::{Examination, Mismatch};
use crate::contract::OrderedStore;
use crate::rng::SplitMix64;
use crate::workload::scatter;

/// Keys that each batch sets, all to the number of the batch.
const BATCH_KEYS: u32 = 8;
const BATCHES: u32 = 1_500;

/// One thread writes batches, each of which sets the same keys to one number; two read. Every scan
/// sees one number under all keys, and a later scan never an earlier number.
pub fn batches_are_atomic<S: OrderedStore>(examination: &mut Examination) {
    examination.begin("batches_are_atomic");
    examination.once(format!("{BATCHES} batches of {BATCH_KEYS} keys"), || {
        let directory = fresh_directory();
        let store: S = open(directory.path())?;
        let keys: Vec<Vec<u8>> =
            (0..BATCH_KEYS).map(|number| format!("key {number}").into_bytes()).collect();
        write_one(&store, &keys, 0)?;
        let done = AtomicBool::new(false);
        let outcomes = together(3, |thread| {
            let _end = SetAtEnd(&done);
            if thread > 0 {
                return read_until(&store, &done);
            }
            (1..=BATCHES).try_for_each(|number| write_one(&store, &keys, number))
        });
        outcomes.into_iter().collect()
    });
}

fn write_one<S: OrderedStore>(store: &S, keys: &[Vec<u8>], number: u32) -> Result<(), Mismatch> {
    let value = number.to_be_bytes();
    let batch: Vec<(&[u8], Option<&[u8]>)> =
        keys.iter().map(|key| (&key[..], Some(&value[..]))).collect();
    store.write_batch(&batch).map_err(|cause| failure("a batch", &cause))
}

fn read_until<S: OrderedStore>(store: &S, done: &AtomicBool) -> Result<(), Mismatch> {
    let mut latest = vec![0; 4];
    // Acquire: pairs with the Release store of `SetAtEnd`.
    while !done.load(Ordering::Acquire) {
        let mut values: Vec<Vec<u8>> = Vec::new();
        store
            .scan(&[], usize::MAX, |_key, value| values.push(value.to_vec()))
            .map_err(|cause| failure("a scan", &cause))?;
        let whole =
            values.len() == BATCH_KEYS as usize && values.windows(2).all(|it| it[0] == it[1]);
        if !whole {
            let expected = format!("one number under {BATCH_KEYS} keys");
            return Err(Mismatch::new(expected, format!("{values:?}")));
        }
        if values[0] < latest {
            let expected = format!("batch {latest:?} or a later one");
            return Err(Mismatch::new(expected, format!("{:?}", values[0])));
        }
        latest.clone_from(&values[0]);
    }
    Ok(())
}

/// One thread writes versions of a value, and now and then removes it; no read is stale, be it a
/// get or a scan, while buffers fill and are written out.
pub fn reads_are_fresh<S: OrderedStore>(examination: &mut Examination) {
    const KEY: &[u8] = b"key";
    /// Pads each version, so that the versions are several times the memory of the store.
    const PADDING: [u8; 1_000] = [0; 1_000];
    // Sorts behind the key, so that a scan of one entry sees it only where the key is absent.
    let neighbour = |version: Option<u64>| format!("neighbour {}", version.unwrap_or(0) % 50);
    examination.begin("reads_are_fresh");
    for by_scan in [false, true] {
        let subject =
            format!("one writer, two readers by {}", if by_scan { "scan" } else { "get" });
        examination.once(subject, || {
            let directory = fresh_directory();
            let store: S = open(directory.path())?;
            let write = |version: Option<u64>| {
                match version {
                    Some(version) => {
                        store.put(KEY, &[&version.to_be_bytes()[..], &PADDING].concat())
                    }
                    None => store.delete(KEY),
                }
                .and_then(|()| store.put(neighbour(version).as_bytes(), &PADDING))
                .map_err(|cause| failure("a write", &cause))
            };
            let version = |value: &[u8]| value[..8].try_into().map(u64::from_be_bytes);
            let read = || {
                let mut value = None;
                if by_scan {
                    store
                        .scan(KEY, 1, |key, found| value = (key == KEY).then(|| found.to_vec()))
                        .map_err(|cause| failure("a scan", &cause))?;
                } else {
                    value = store.get(KEY).map_err(|cause| failure("a get", &cause))?;
                }
                Ok(value.map(|value| version(&value).expect("eight bytes")))
            };
            single_writer(3_000, write, read)
        });
    }
}

/// Threads share the store but no key. Each compares every answer with a map of its own; scans in
/// between cover the keys of all.
pub fn own_keys<S: OrderedStore>(examination: &mut Examination) {
    const THREADS: u32 = 4;
    examination.begin("own_keys");
    let seed = examination.seed();
    examination.once(format!("{THREADS} threads"), || {
        let directory = fresh_directory();
        let store: S = open(directory.path())?;
        let models = together(THREADS, |thread| {
            let mut rng = SplitMix64::new(seed ^ scatter(u64::from(thread) + 1));
            let mut model = Model::new();
            for _ in 0..1_500 {
                let key = format!("{:04} of {thread}", rng.below(200)).into_bytes();
                let request = match rng.below(5) {
                    0 | 1 => Request::Put(key, vec![b'v'; 1 + model.len() % 90]),
                    2 => Request::Delete(key),
                    _ => Request::Get(key),
                };
                step(&store, &mut model, &request)?;
            }
            Ok(model)
        });
        let mut whole = Model::new();
        for model in models {
            whole.extend(model?);
        }
        compare_scan(&store, &whole, &[], usize::MAX)
    });
}
