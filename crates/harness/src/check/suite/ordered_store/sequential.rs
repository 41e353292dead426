//! One thread: the store against a `BTreeMap`.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{failure, fresh_directory, open};
use crate::check::suite::{Examination, Mismatch};
use crate::contract::OrderedStore;

/// What a store should hold.
pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One change: a value sets the key, `None` removes it.
type Change = (Vec<u8>, Option<Vec<u8>>);

/// One request of a random sequence.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Put(Vec<u8>, Vec<u8>),
    Get(Vec<u8>),
    Delete(Vec<u8>),
    Batch(Vec<Change>),
    Scan(Vec<u8>, usize),
    Settle,
    Reopen,
}

/// Short keys of few letters: each is met often, and many are prefixes of others.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0, b'a', b'b', 0xFF]), 1..4)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => Just(Vec::new()),
        6 => prop::collection::vec(any::<u8>(), 1..8),
        // Larger than a block of most engines.
        1 => (any::<u8>(), 5_000_usize..9_000).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let change = (key(), prop::option::weighted(0.7, value()));
    let request = prop_oneof![
        8 => (key(), value()).prop_map(|(key, value)| Request::Put(key, value)),
        6 => key().prop_map(Request::Get),
        4 => key().prop_map(Request::Delete),
        3 => prop::collection::vec(change, 0..6).prop_map(Request::Batch),
        4 => (key(), 0_usize..40).prop_map(|(from, limit)| Request::Scan(from, limit)),
        1 => Just(Request::Settle),
        1 => Just(Request::Reopen),
    ];
    prop::collection::vec(request, 1..60)
}

/// Applies a request (all but [`Request::Reopen`]) to store and model and compares the answers.
pub(super) fn step<S: OrderedStore>(
    store: &S,
    model: &mut Model,
    request: &Request,
) -> Result<(), Mismatch> {
    match request {
        Request::Put(key, value) => {
            store.put(key, value).map_err(|cause| failure("a put", &cause))?;
            model.insert(key.clone(), value.clone());
        }
        Request::Get(key) => return compare_get(store, model, key),
        Request::Delete(key) => {
            store.delete(key).map_err(|cause| failure("a delete", &cause))?;
            model.remove(key);
        }
        Request::Batch(changes) => {
            let borrowed: Vec<(&[u8], Option<&[u8]>)> =
                changes.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
            store.write_batch(&borrowed).map_err(|cause| failure("a batch", &cause))?;
            for (key, value) in changes {
                match value {
                    Some(value) => model.insert(key.clone(), value.clone()),
                    None => model.remove(key),
                };
            }
        }
        Request::Scan(from, limit) => return compare_scan(store, model, from, *limit),
        Request::Settle => store.settle().map_err(|cause| failure("settling", &cause))?,
        Request::Reopen => unreachable!("the caller owns the store and reopens it"),
    }
    Ok(())
}

fn compare_get<S: OrderedStore>(store: &S, model: &Model, key: &[u8]) -> Result<(), Mismatch> {
    let got = store.get(key).map_err(|cause| failure("a get", &cause))?;
    let expected = model.get(key);
    if expected == got.as_ref() {
        return Ok(());
    }
    let key = key.escape_ascii();
    let (expected, got) = (show(expected), show(got.as_ref()));
    Err(Mismatch::new(format!("{expected} under key \"{key}\""), got))
}

/// Compares entries, their order, their number, and the returned count.
pub(super) fn compare_scan<S: OrderedStore>(
    store: &S,
    model: &Model,
    from: &[u8],
    limit: usize,
) -> Result<(), Mismatch> {
    let mut got = Vec::new();
    let count = store
        .scan(from, limit, |key, value| got.push((key.to_vec(), value.to_vec())))
        .map_err(|cause| failure("a scan", &cause))?;
    let expected = model.range(from.to_vec()..).take(limit);
    let scan = format!("a scan of {limit} from \"{}\"", from.escape_ascii());
    if count != got.len() {
        let expected = format!("{scan} to return the {} that it visited", got.len());
        return Err(Mismatch::new(expected, count.to_string()));
    }
    let expected: Vec<_> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
    if expected == got {
        return Ok(());
    }
    let differs = expected.iter().zip(&got).position(|(wanted, seen)| wanted != seen);
    let place = differs.unwrap_or(expected.len().min(got.len()));
    let describe = |entries: &[(Vec<u8>, Vec<u8>)]| {
        let entry = entries.get(place).map_or("none".to_owned(), |(key, value)| {
            format!("\"{}\" = {}", key.escape_ascii(), show(Some(value)))
        });
        format!("{} entries with {entry} as number {place}", entries.len())
    };
    Err(Mismatch::new(format!("{scan} to give {}", describe(&expected)), describe(&got)))
}

/// Values in a few characters.
fn show(value: Option<&Vec<u8>>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(value) if value.len() > 16 => format!("{} bytes", value.len()),
        Some(value) => format!("\"{}\"", value.escape_ascii()),
    }
}

/// Every answer of a sequence of requests is that of a `BTreeMap`, and closing and opening the
/// store in between changes nothing.
pub fn matches_model<S: OrderedStore>(examination: &mut Examination) {
    examination.begin("matches_model");
    examination.search("random requests", 60, &requests(), |requests| {
        let directory = fresh_directory();
        let mut store: S = open(directory.path())?;
        let mut model = Model::new();
        for request in requests {
            if matches!(request, Request::Reopen) {
                drop(store);
                store = open(directory.path())?;
            } else {
                step(&store, &mut model, request)?;
            }
        }
        compare_scan(&store, &model, &[], usize::MAX)
    });
}

/// Keys and values at the edges of what can be stored are kept apart, in order, and as they are.
pub fn odd_keys_and_values<S: OrderedStore>(examination: &mut Examination) {
    examination.begin("odd_keys_and_values");
    examination.once("fixed requests", || {
        let directory = fresh_directory();
        let store: S = open(directory.path())?;
        let mut model = Model::new();
        let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        keys.extend((1..40).map(|length| vec![0; length]));
        keys.extend((1..40).map(|length| vec![0xFF; length]));
        keys.extend([b"a\0".to_vec(), b"a\0\0".to_vec(), vec![b'k'; 1_000]]);
        for (number, key) in keys.iter().enumerate() {
            let value = vec![b'v'; number % 7];
            step(&store, &mut model, &Request::Put(key.clone(), value))?;
        }
        step(&store, &mut model, &Request::Put(b"large".to_vec(), vec![b'x'; 300_000]))?;
        // The last change of a key wins inside one batch.
        let value = |text: &str| Some(text.as_bytes().to_vec());
        let twice = vec![
            (b"twice".to_vec(), value("first")),
            (b"gone".to_vec(), value("never seen")),
            (b"twice".to_vec(), value("last")),
            (b"gone".to_vec(), None),
        ];
        step(&store, &mut model, &Request::Batch(twice))?;
        step(&store, &mut model, &Request::Batch(Vec::new()))?;
        step(&store, &mut model, &Request::Delete(b"never there".to_vec()))?;
        for settled in [false, true] {
            if settled {
                step(&store, &mut model, &Request::Settle)?;
            }
            for key in &keys {
                compare_get(&store, &model, key)?;
                compare_scan(&store, &model, key, 3)?;
            }
            for limit in [0, 1, usize::MAX] {
                compare_scan(&store, &model, &[], limit)?;
            }
            compare_get(&store, &model, b"twice")?;
            compare_get(&store, &model, b"gone")?;
        }
        Ok(())
    });
}
