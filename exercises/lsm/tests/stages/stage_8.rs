//! Snapshots: one moment, for as long as somebody looks; and then the whole suite.

use exercise_lsm::exercise::Store;
use harness::check::schedule::explore;
use harness::sim::SimDisk;
use harness::sync::Arc;

use crate::kit::{Job, TINY, open, together};

#[cfg(not(shuttle))]
mod alone {
    use std::collections::BTreeMap;

    use exercise_lsm::Judged;
    use harness::check::replay::with_seeds;
    use harness::rng::SplitMix64;
    use harness::sim::SimDisk;

    use crate::kit::{TINY, key, open, value};

    harness::ordered_store_suite!(suite, Judged);

    /// Snapshots are taken and given back while everything beneath them is rewritten.
    #[test]
    fn snapshots_stay() {
        with_seeds("stage_8::alone::snapshots_stay", 40, |seed| {
            let mut rng = SplitMix64::new(seed);
            let store = open(&SimDisk::new(seed).mount(), TINY).expect("it can be made");
            let mut model = BTreeMap::new();
            let mut held = Vec::new();
            for _ in 0..250 {
                let (key, value) = (key(&mut rng, 20), value(&mut rng, 100));
                store.write(&[(&key, value.as_deref())]).expect("the disk is well");
                match value {
                    Some(value) => model.insert(key.clone(), value),
                    None => model.remove(&key),
                };
                if rng.chance(1, 20) {
                    held.push((store.snapshot(), model.clone()));
                }
                if held.len() > 3 {
                    let gone = usize::try_from(rng.below(4)).expect("small");
                    drop(held.swap_remove(gone));
                }
                for (snapshot, model) in &held {
                    let found = snapshot.get(&key).expect("the disk is well");
                    assert_eq!(found.as_ref(), model.get(&key), "a get of an earlier moment");
                }
            }
            for (snapshot, model) in &held {
                let found = snapshot.scan(&[], usize::MAX).expect("the disk is well");
                let expected: Vec<_> = model.clone().into_iter().collect();
                assert_eq!(found, expected, "a scan of an earlier moment");
            }
        });
    }
}

/// A batch changes two keys while tables are made and merged. Whoever looks at one moment sees both
/// changes or neither, and the same again when he looks once more.
#[test]
fn a_snapshot_is_one_moment() {
    explore("stage_8::a_snapshot_is_one_moment", || {
        let store = Arc::new(open(&SimDisk::new(1).mount(), TINY).expect("it can be made"));
        let put = |store: &Store, value: &[u8]| {
            store.write(&[(b"a", Some(value)), (b"b", Some(value))]).expect("the disk is well");
        };
        for value in [b"0", b"1", b"2"] {
            put(&store, value);
            store.settle().expect("the disk is well");
        }
        let writer: Job<Store> = Box::new(move |store| {
            put(store, b"3");
            // The fourth table of level 0: all are merged.
            store.settle().expect("the disk is well");
            put(store, b"4");
        });
        let reader: Job<Store> = Box::new(|store| {
            let snapshot = store.snapshot();
            let look = || {
                let get = |key: &[u8]| snapshot.get(key).expect("the disk is well");
                (get(b"a"), get(b"b"))
            };
            let first = look();
            assert!(first.0.is_some(), "a key that was always there is gone");
            assert_eq!(first.0, first.1, "half a batch");
            let entries = snapshot.scan(&[], 9).expect("the disk is well");
            let values = entries.into_iter().map(|it| Some(it.1)).collect::<Vec<_>>();
            assert_eq!(values, [first.0.clone(), first.1.clone()], "a scan of the same moment");
            assert_eq!(look(), first, "the same moment, a little later");
        });
        together(&store, vec![writer, reader]);
    });
}
