//! Memtables: right on one thread, and none of them loses what is written while they are switched.

use exercise_lsm::exercise::Memtables;
use exercise_lsm::scaffold::Version;
use harness::check::schedule::explore;
use harness::sync::{Arc, Mutex};

use crate::kit::{Job, together};

#[cfg(not(shuttle))]
mod alone {
    use exercise_lsm::exercise::Memtables;
    use exercise_lsm::scaffold::Version;
    use harness::check::replay::with_seeds;
    use harness::rng::SplitMix64;

    use crate::kit::{all_whole, key, newest, value, whole};

    #[test]
    fn matches_model() {
        with_seeds("stage_2::alone::matches_model", 200, |seed| {
            let mut rng = SplitMix64::new(seed);
            let memtables = Memtables::new();
            let (mut active, mut frozen) = (Vec::new(), Vec::new());
            let sorted = |versions: &[Version]| {
                let mut versions = versions.to_vec();
                versions.sort();
                versions
            };
            for sequence in 1..120 {
                match rng.below(30) {
                    0 => {
                        frozen = std::mem::take(&mut active);
                        let found = memtables.freeze();
                        assert_eq!(all_whole(found), all_whole(sorted(&frozen)), "frozen");
                    }
                    1 => {
                        memtables.forget_frozen();
                        frozen.clear();
                    }
                    _ => {
                        let key = key(&mut rng, 12);
                        let version = Version { key, sequence, value: value(&mut rng, 20) };
                        active.push(version.clone());
                        let bytes = memtables.insert(version);
                        let least = active.iter().map(|it| it.key.len()).sum();
                        assert!(bytes >= least, "{bytes} bytes for keys of {least}");
                    }
                }
                let both = [&active[..], &frozen].concat();
                let (key, moment) = (key(&mut rng, 12), rng.below(sequence + 1));
                assert_eq!(
                    memtables.get(&key, moment).map(whole),
                    newest(&both, &key, moment).map(whole),
                    "{} at moment {moment}: yours, then the model's",
                    key.escape_ascii()
                );
                let found = memtables.scan(&key).concat();
                let from = both.into_iter().filter(|it| it.key >= key).collect::<Vec<_>>();
                assert_eq!(all_whole(sorted(&found)), all_whole(sorted(&from)), "a scan");
            }
        });
    }

    /// A batch has one number, and the last change of a key in it counts.
    #[test]
    fn the_last_of_one_number_counts() {
        let memtables = Memtables::new();
        memtables.insert(Version::new(b"key", 1, Some(b"first")));
        memtables.insert(Version::new(b"key", 1, None));
        let found = memtables.get(b"key", 1).map(whole);
        assert_eq!(found, Some((b"key".to_vec(), 1, None)));
    }
}

/// What was frozen is complete when `freeze` returns; what comes later is in the next memtable.
/// Here the frozen one is written out and forgotten at once, as a store does.
#[test]
fn switching_loses_nothing() {
    explore("stage_2::switching_loses_nothing", || {
        let shared = Arc::new((Memtables::new(), Mutex::new(Vec::new())));
        let writer = |name: &'static [u8]| -> Job<(Memtables, Mutex<Vec<Version>>)> {
            Box::new(move |(memtables, _)| {
                for sequence in 1..=2 {
                    memtables.insert(Version::new(name, sequence, Some(name)));
                }
            })
        };
        let switch: Job<(Memtables, Mutex<Vec<Version>>)> = Box::new(|(memtables, table)| {
            let versions = memtables.freeze();
            table.lock().expect("no holder panics").extend(versions);
            memtables.forget_frozen();
        });
        together(&shared, vec![writer(b"a"), writer(b"b"), switch]);
        let (memtables, table) = &*shared;
        let table = table.lock().expect("no holder panics");
        for (name, sequence) in [(b"a", 1), (b"a", 2), (b"b", 1), (b"b", 2)] {
            let is_in = |versions: &[Version]| {
                versions.iter().any(|it| it.key == name && it.sequence == sequence)
            };
            assert!(
                is_in(&table) || is_in(&memtables.scan(b"").concat()),
                "version {sequence} of \"{}\" is in no memtable and in no table",
                name.escape_ascii()
            );
        }
    });
}
