//! Iterators and snapshots against a model, over memtables and every level.

use harness::sim::SimDisk;

use super::*;
use crate::Iter;

/// Random walks of an iterator beside those of a model.
#[test]
fn an_iterator_walks_as_the_model_does() {
    for seed in 0..20 {
        let db = open(&SimDisk::new(seed).mount(), &tiny()).expect("the disk is well");
        let mut model = Model::new();
        for changes in batches(seed, 150, 60) {
            write(&db, &changes).expect("the disk is well");
            apply(&mut model, &changes);
        }
        for (lower, upper) in
            [(None, None), (Some("key 010"), Some("key 030")), (Some("key 0101"), None)]
        {
            let (lower, upper) = (lower.map(str::as_bytes), upper.map(str::as_bytes));
            let seen: Vec<_> = model
                .iter()
                .filter(|it| lower.is_none_or(|lower| **it.0 >= *lower))
                .filter(|it| upper.is_none_or(|upper| **it.0 < *upper))
                .collect();
            let iter = match (lower, upper) {
                (None, _) => db.iter(),
                (Some(lower), None) => db.range(lower..),
                (Some(lower), Some(upper)) => db.range(lower..upper),
            };
            walk(iter, &seen, &mut SplitMix64::new(seed));
        }
    }
}

fn walk(mut iter: Iter, seen: &[(&Vec<u8>, &Vec<u8>)], random: &mut SplitMix64) {
    let mut at: Option<usize> = None;
    for step in 0..300 {
        let probe = format!("key {:03}", random.below(42)).into_bytes();
        let (outcome, expected) = match (random.below(6), at) {
            (0, _) => (iter.seek(&probe), Some(seen.partition_point(|it| *it.0 < probe))),
            (1, _) => {
                let below = seen.partition_point(|it| *it.0 < probe).checked_sub(1);
                (iter.seek_below(&probe), below)
            }
            (2, _) => (iter.seek_first(), Some(0)),
            (3, _) => (iter.seek_last(), seen.len().checked_sub(1)),
            (4, Some(place)) => (iter.forward(), Some(place + 1)),
            (_, Some(place)) => (iter.backward(), place.checked_sub(1)),
            (_, None) => continue,
        };
        outcome.expect("the disk is well");
        at = expected.filter(|place| *place < seen.len());
        let expected = at.map(|place| (&**seen[place].0, &**seen[place].1));
        assert_eq!(iter.entry(), expected, "step {step}");
    }
}

/// Snapshots and iterators see their moment, whatever is written, merged and removed meanwhile.
#[test]
fn a_moment_stays_as_it_was() {
    let db = open(&SimDisk::new(1).mount(), &tiny()).expect("the disk is well");
    let batches = batches(5, 200, 80);
    let history = history(&batches);
    let mut held = Vec::new();
    for (number, changes) in batches.iter().enumerate() {
        if number % 20 == 0 {
            held.push((number, db.snapshot(), db.iter()));
        }
        write(&db, changes).expect("the disk is well");
    }
    db.compact().expect("the disk is well");
    for (number, snapshot, iter) in held {
        let seen = iter.collect::<Result<Model>>().expect("the disk is well");
        assert_eq!(seen, history[number], "iterator of {number}");
        let seen = snapshot.iter().collect::<Result<Model>>().expect("the disk is well");
        assert_eq!(seen, history[number], "snapshot of {number}");
        for key in (0..40).map(|it| format!("key {it:03}").into_bytes()) {
            let got = snapshot.get(&key).expect("the disk is well");
            assert_eq!(got.as_ref(), history[number].get(&key), "snapshot of {number}");
        }
    }
    // Nobody looks back any more: one version of each key is left, and no tombstone.
    db.compact().expect("the disk is well");
    let last = history.last().expect("there is one");
    assert_eq!(contents(&db).expect("the disk is well"), *last);
}
