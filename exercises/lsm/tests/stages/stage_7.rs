//! The store: what was acknowledged is there, whatever happens.

use exercise_lsm::scaffold::Options;
use harness::check::schedule::explore;
use harness::sim::SimDisk;
use harness::sync::Arc;

use crate::kit::{Job, TINY, open, together};

#[cfg(not(shuttle))]
mod suite {
    use exercise_lsm::Judged;

    super::super::suite_properties!(ordered_store, Judged:
        matches_model, odd_keys_and_values, survives_overwriting, survives_a_kill, own_keys,
    );
}

#[cfg(not(shuttle))]
mod crash {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use env::fs::Fs;
    use exercise_lsm::exercise::Store;
    use exercise_lsm::scaffold::Result;
    use harness::check::replay::with_seeds;
    use harness::rng::SplitMix64;
    use harness::sim::{DiskFault, Dose, SimDisk, SimFs, crash_at_every_io};

    use crate::kit::{TINY, folder, key, open, value};

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;
    type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

    /// Some batches over few keys.
    fn batches(seed: u64, count: usize) -> Vec<Changes> {
        let mut rng = SplitMix64::new(seed);
        let mut change = |_| (key(&mut rng, 30), value(&mut rng, 150));
        (0..count).map(|batch| (0..=batch % 3).map(&mut change).collect()).collect()
    }

    fn write(store: &Store, changes: &Changes) -> Result<()> {
        let changes: Vec<_> = changes.iter().map(|(key, it)| (&key[..], it.as_deref())).collect();
        store.write(&changes)
    }

    fn apply(model: &mut Model, changes: &Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(key),
            };
        }
    }

    fn history(batches: &[Changes]) -> Vec<Model> {
        let mut history = vec![Model::new()];
        for changes in batches {
            let mut model = history[history.len() - 1].clone();
            apply(&mut model, changes);
            history.push(model);
        }
        history
    }

    /// The store must be as after some batch: the last that was acknowledged, or a later one.
    fn require(fs: &Arc<SimFs>, history: &[Model], acknowledged: usize, context: &str) -> Store {
        let store = open(fs, TINY).unwrap_or_else(|error| panic!("{context}: {error}"));
        let found = store.scan(&[], usize::MAX).expect("what survives can be read");
        let found: Model = found.into_iter().collect();
        let batch = history.iter().rposition(|model| *model == found);
        assert!(
            batch.is_some_and(|batch| batch >= acknowledged),
            "{context}: the store is as after batch {batch:?} of {}, and {acknowledged} were \
             acknowledged",
            history.len() - 1
        );
        for (key, value) in &found {
            assert_eq!(store.get(key).expect("it can be read").as_ref(), Some(value), "{context}");
        }
        store
    }

    /// Cuts the power in the midst of every I/O, and of the recovery as well.
    pub(crate) fn survives_power_cuts(seeds: u64, count: usize) {
        for seed in 0..seeds {
            let batches = batches(seed, count);
            let history = history(&batches);
            let work = |fs: &Arc<SimFs>| {
                let mut acknowledged = 0;
                let mut write_all = || -> Result<()> {
                    let store = open(fs, TINY)?;
                    for changes in &batches {
                        write(&store, changes)?;
                        acknowledged += 1;
                    }
                    Ok(())
                };
                write_all().ok();
                acknowledged
            };
            let ios = crash_at_every_io(seed * 10_000, work, |io, acknowledged, disk| {
                let context = format!("seed {seed}, power cut in I/O {io}");
                disk.crash_after(io % 19);
                open(&disk.mount(), TINY).ok();
                disk.crash();
                let store = require(&disk.mount(), &history, acknowledged, &context);
                // And it goes on: what is written now is not taken for something older.
                store.write(&[(b"key 001", Some(b"after"))]).expect("the disk is well");
                disk.crash();
                let store = open(&disk.mount(), TINY).expect("a crash damages nothing");
                let found = store.get(b"key 001").expect("it can be read");
                assert_eq!(found.as_deref(), Some(&b"after"[..]), "{context}, written afterwards");
            });
            assert!(ios > 200, "only {ios} I/Os: does it write to the disk?");
        }
    }

    #[test]
    fn a_power_cut_takes_nothing_that_was_acknowledged() {
        survives_power_cuts(2, 60);
    }

    /// A disk that fails now and then: nothing that was acknowledged is lost, nothing made up.
    #[test]
    fn a_failing_disk_takes_nothing_that_was_acknowledged() {
        with_seeds("stage_7::crash::a_failing_disk_takes_nothing", 100, |seed| {
            let batches = batches(seed, 60);
            let disk = SimDisk::new(seed);
            let store = open(&disk.mount(), TINY).expect("it can be made");
            let chance = Dose::Chance(20_000);
            let faults = [DiskFault::WriteError(chance), DiskFault::SyncError(chance)];
            disk.inject(&faults[usize::try_from(seed % 2).expect("small")]);
            // Of a batch that was refused nobody knows whether it is there. The first one must be
            // the last that can be: afterwards the store refuses, or all goes well.
            let (mut sure, mut unsure) = (Model::new(), None);
            for changes in &batches {
                if write(&store, changes).is_ok() {
                    assert!(unsure.is_none(), "it promises again after a failure");
                    apply(&mut sure, changes);
                } else if unsure.is_none() {
                    let mut model = sure.clone();
                    apply(&mut model, changes);
                    unsure = Some(model);
                }
            }
            disk.crash();
            disk.heal();
            let store = open(&disk.mount(), TINY).expect("the disk is well again");
            let found = store.scan(&[], usize::MAX).expect("it can be read");
            let found: Model = found.into_iter().collect();
            assert!(found == sure || Some(found) == unsure, "not what was acknowledged");
        });
    }

    /// Logs and tables that nobody needs are removed.
    #[test]
    fn files_do_not_pile_up() {
        let fs = SimDisk::new(1).mount();
        let store = open(&fs, TINY).expect("it can be made");
        for changes in batches(1, 1_500) {
            write(&store, &changes).expect("the disk is well");
        }
        store.settle().expect("the disk is well");
        let files = fs.list(folder()).expect("it is there");
        assert!(files.len() < 12, "{} files: {files:?}", files.len());
        let bytes: u64 =
            files.iter().map(|it| fs.size(&folder().join(&it.name)).expect("it is there")).sum();
        assert!(bytes < 100_000, "{bytes} bytes for thirty keys: old versions are not dropped");
    }
}

#[cfg(not(shuttle))]
pub(crate) use crash::survives_power_cuts;

/// So small that each batch fills a memtable.
const ONE: Options = Options { sync: true, memtable_bytes: 1 };

/// Writers run while memtables are switched and tables are merged; whoever wrote finds what he
/// wrote, and so does the next process.
pub(crate) fn writes_are_found_while_memtables_are_switched(name: &str) {
    explore(name, || {
        let disk = SimDisk::new(1);
        let store = Arc::new(open(&disk.mount(), TINY).expect("it can be made"));
        let writer = |name: &'static [u8]| -> Job<_> {
            Box::new(move |store: &exercise_lsm::exercise::Store| {
                store.write(&[(name, Some(b"value"))]).expect("the disk is well");
                let found = store.get(name).expect("the disk is well");
                assert_eq!(found.as_deref(), Some(&b"value"[..]), "a write is lost");
            })
        };
        let switch: Job<_> = Box::new(|store: &exercise_lsm::exercise::Store| {
            store.settle().expect("the disk is well");
        });
        together(&store, vec![writer(b"a"), writer(b"b"), switch]);
        let require = |store: &exercise_lsm::exercise::Store, when: &str| {
            for name in [b"a", b"b"] {
                let found = store.get(name).expect("the disk is well");
                assert_eq!(found.as_deref(), Some(&b"value"[..]), "a write is lost {when}");
            }
        };
        require(&store, "at once");
        drop(store);
        disk.crash();
        require(&open(&disk.mount(), ONE).expect("a crash damages nothing"), "by a power cut");
    });
}

#[test]
fn a_write_is_found_while_memtables_are_switched() {
    writes_are_found_while_memtables_are_switched(
        "stage_7::a_write_is_found_while_memtables_are_switched",
    );
}
