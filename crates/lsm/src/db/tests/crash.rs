//! Power cuts and kills, in the midst of every I/O, also of those of the recovery.
//!
//! After each the store must be what it was after some batch: after the last that was promised, or
//! after a later one. Batches are never there in part, and none is missing in the middle.

use harness::sim::{DiskFault, Dose, SimDisk, crash_at_every_io};

use super::*;
use crate::Shape;
use crate::manifest::Edit;

/// What a run had promised when it ended.
#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    acknowledged: usize,
    synced: usize,
}

/// Writes the batches, with a sync after each tenth.
fn run(fs: &Arc<SimFs>, options: &Options, batches: &[Changes]) -> Promised {
    let mut promised = Promised::default();
    let mut work = || -> Result<()> {
        let db = open(fs, options)?;
        for (number, changes) in (1..).zip(batches) {
            write(&db, changes)?;
            promised.acknowledged = number;
            if options.durability == Durability::Sync {
                promised.synced = number;
            } else if number % 10 == 0 {
                db.sync()?;
                promised.synced = number;
            }
        }
        Ok(())
    };
    work().ok();
    promised
}

/// The number of batches whose outcome the store holds, at least `at_least`.
fn require_prefix(db: &Db, history: &[Model], at_least: usize, context: &str) {
    let found = contents(db).expect("what survives can be read");
    let matches = history.iter().rposition(|model| *model == found);
    assert!(
        matches.is_some_and(|count| count >= at_least),
        "{context}: the store is as after {matches:?} of {} batches, {at_least} were promised",
        history.len() - 1,
    );
}

fn survives_power_cuts(options: &Options, seeds: u64) {
    for seed in 0..seeds {
        let batches = batches(seed, 130, 250);
        let history = history(&batches);
        let ios = crash_at_every_io(
            seed * 10_000,
            |fs| run(fs, options, &batches),
            |io, promised, disk| {
                let context = format!("seed {seed}, I/O {io}");
                // The recovery is cut off too, at a place that moves along.
                disk.crash_after(io % 23);
                if let Ok(db) = open(&disk.mount(), options) {
                    require_prefix(&db, &history, promised.synced, &context);
                }
                if !disk.is_down() {
                    disk.crash();
                }
                let db = open(&disk.mount(), options).expect("a crash damages nothing");
                require_prefix(&db, &history, promised.synced, &context);
                db.verify().expect("a crash damages nothing");
                // And it goes on: what is written now is not taken for something older.
                db.put(b"after", b"1").and_then(|()| db.sync()).expect("the disk is well");
                drop(db);
                disk.crash();
                let db = open(&disk.mount(), options).expect("a crash damages nothing");
                let after = db.get(b"after").expect("it can be read");
                assert_eq!(after.as_deref(), Some(&b"1"[..]), "{context}");
            },
        );
        assert!(ios > 250, "only {ios} I/Os were cut");
    }
}

/// One run of power cuts.
pub(super) fn power_cuts() {
    survives_power_cuts(&with_durability(Durability::Os), 4);
}

#[test]
fn a_power_cut_takes_at_most_what_was_not_synced() {
    survives_power_cuts(&with_durability(Durability::Os), 3);
}

/// The same with most values apart.
pub(super) fn power_cuts_with_values_apart() {
    survives_power_cuts(&Options { value_garbage_percent: 10, ..values::apart() }, 3);
}

#[test]
fn values_apart_survive_as_their_keys_do() {
    power_cuts_with_values_apart();
}

#[test]
fn with_sync_a_power_cut_takes_nothing_that_was_acknowledged() {
    survives_power_cuts(&with_durability(Durability::Sync), 2);
}

#[test]
fn a_log_written_by_calls_survives_as_well() {
    let options = Options { log: crate::Backend::Written, ..tiny() };
    survives_power_cuts(&options, 1);
}

#[test]
fn several_runs_a_level_survive_as_well() {
    let runs = NonZeroUsize::new(2).expect("not zero");
    survives_power_cuts(&Options { shape: Shape::LazyLeveled { runs }, ..tiny() }, 1);
}

/// Writes what several memtables hold and no table: each that is full makes one write fail, until
/// there may be no more of them. Returns what was written.
fn run_without_flushes(fs: &Arc<SimFs>, disk: &SimDisk, options: &Options) -> Model {
    let db = open(fs, options).expect("the disk is well");
    disk.inject(&DiskFault::SyncError(Dose::Times(1)));
    db.core().manifest.lock().edit(&[Edit::Sequence(1)]).expect_err("its sync fails");
    let mut model = Model::new();
    for changes in batches(3, 250, 150) {
        if write(&db, &changes).is_ok() {
            apply(&mut model, &changes);
        }
    }
    assert!(db.core().log.end().segment > 1, "one segment holds all");
    model
}

/// What is flushed while the log is read again gives none of it back: the rest is in no memtable
/// yet, and the power may fail once more.
fn survives_power_cuts_of_a_long_recovery(options: &Options) {
    for io in 0.. {
        let disk = SimDisk::new(io);
        let model = run_without_flushes(&disk.mount(), &disk, options);
        disk.crash();
        disk.crash_after(io);
        let is_whole = open(&disk.mount(), options).is_ok();
        if !disk.is_down() {
            assert!(is_whole, "I/O {io}: nothing was wrong");
            disk.crash();
        }
        let db = open(&disk.mount(), options).expect("a crash damages nothing");
        assert_eq!(contents(&db).expect("it can be read"), model, "I/O {io}");
        if is_whole {
            break;
        }
    }
}

#[test]
fn a_power_cut_while_several_memtables_are_read_again_takes_nothing() {
    let memtables = NonZeroUsize::new(8).expect("not zero");
    let options = Options { memtables, ..with_durability(Durability::Sync) };
    survives_power_cuts_of_a_long_recovery(&options);
    survives_power_cuts_of_a_long_recovery(&Options { value_threshold: Some(60), ..options });
}

/// A kill takes nothing at all: every acknowledged write is in the page cache.
#[test]
fn a_kill_takes_nothing_that_was_acknowledged() {
    let options = tiny();
    let batches = batches(7, 90, 150);
    let history = history(&batches);
    for killed_after in 0..batches.len() {
        let disk = SimDisk::new(killed_after as u64);
        let promised = run(&disk.mount(), &options, &batches[..killed_after]);
        assert_eq!(promised.acknowledged, killed_after);
        disk.kill();
        let db = open(&disk.mount(), &options).expect("a kill damages nothing");
        require_prefix(&db, &history, killed_after, &format!("after {killed_after}"));
    }
}

/// A batch over two families is there in both or in none, although each has memtables of its own.
#[test]
fn a_batch_over_families_is_whole_after_a_power_cut() {
    let options = tiny();
    let pair = |db: &Db, value: Option<u32>| -> Result<(Option<u32>, Option<u32>)> {
        let other = db.family("other")?;
        if let Some(value) = value {
            let mut batch = Batch::new();
            batch.put(b"both", &value.to_le_bytes())?;
            batch.put_in(&other, b"both", &value.to_le_bytes())?;
            // One family fills faster than the other.
            batch.put(format!("{value}").as_bytes(), &[7; 300])?;
            db.write(&mut batch)?;
        }
        let number = |bytes: Option<Vec<u8>>| {
            bytes.map(|it| u32::from_le_bytes(it.try_into().expect("four bytes")))
        };
        Ok((number(db.get(b"both")?), number(other.get(b"both")?)))
    };
    let work = |fs: &Arc<SimFs>| -> Result<()> {
        let db = open(fs, &options)?;
        (0..40).try_for_each(|value| pair(&db, Some(value)).map(|_| ()))
    };
    crash_at_every_io(99, work, |io, _, disk| {
        let db = open(&disk.mount(), &options).expect("a crash damages nothing");
        let (one, other) = pair(&db, None).expect("it can be read");
        assert_eq!(one, other, "I/O {io}");
    });
}
