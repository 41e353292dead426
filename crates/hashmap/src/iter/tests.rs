//! Tests of the walks.

use std::collections::BTreeSet;

use crate::HashMap;

/// Batches hold no pin in between, the table changes its size, and still each entry that stays
/// comes once.
#[test]
fn batches_survive_resizing() {
    let map: HashMap<u64, u64> = (0..1_000).map(|key| (key, key)).collect();
    let mut seen = Vec::new();
    for (turn, batch) in map.batches(10).enumerate() {
        assert!(!batch.is_empty());
        seen.extend(batch.into_iter().map(|(key, _)| key).filter(|&key| key < 1_000));
        if turn % 3 == 0 {
            map.pin().reserve(100_000).unwrap();
        } else {
            map.pin().shrink_to_fit().unwrap();
        }
    }
    assert_eq!(seen.len(), 1_000);
    assert!(seen.into_iter().collect::<BTreeSet<_>>().into_iter().eq(0..1_000));
}

/// A batch of none would be the end of the walk.
#[test]
fn batches_of_none_have_one() {
    let map: HashMap<u64, u64> = (0..100).map(|key| (key, key)).collect();
    let mut keys: Vec<_> = map.batches(0).flatten().map(|(key, _)| key).collect();
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..100));
}

#[test]
fn owned_entries_come_out() {
    let map: HashMap<String, Box<u64>> =
        (0..100).map(|it| (it.to_string(), Box::new(it))).collect();
    let mut entries = map.into_iter();
    assert_eq!(entries.len(), 100);
    let (key, value) = entries.next().unwrap();
    assert_eq!(key, value.to_string());
    assert_eq!(entries.count(), 99);
}
