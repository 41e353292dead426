//! Sorted entries brought in: above all that was written before, whole, and for good.

use std::sync::atomic::AtomicBool;

use harness::sim::{DiskFault, Dose, SimDisk, crash_at_every_io};

use super::*;
use crate::{Error, Isolation, Shape};

fn ingest(db: &Db, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<u64> {
    let mut ingest = db.ingest();
    for (key, value) in entries {
        ingest.put(key, value)?;
    }
    ingest.finish()
}

/// Some entries in order, of keys from `from` on, a step apart.
fn entries(from: u64, count: u64, step: u64, value: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..count).map(|it| (key(from + it * step), vec![value; 30])).collect()
}

/// Writes and loads in turns, under several shapes, read in all ways.
#[test]
fn what_is_ingested_is_newer_than_what_was_written() {
    loads_between_writes();
}

pub(super) fn loads_between_writes() {
    let runs = NonZeroUsize::new(3).expect("not zero");
    for shape in [Shape::Leveled, Shape::LazyLeveled { runs }, Shape::Tiered { runs }] {
        let options = Options { shape, prefix_len: std::num::NonZeroU16::new(5), ..tiny() };
        let fs = SimDisk::new(1).mount();
        let mut db = open(&fs, &options).expect("the disk is well");
        let (mut model, mut random) = (Model::new(), SplitMix64::new(9));
        for (round, changes) in batches(23, 500, 60).iter().enumerate() {
            write(&db, changes).expect("the disk is well");
            apply(&mut model, changes);
            if round % 7 == 0 {
                let value = random.next_u64().to_le_bytes()[0];
                let load = entries(random.below(60), 1 + random.below(20), 2, value);
                let before = (db.snapshot(), model.clone());
                let count = ingest(&db, &load).expect("the disk is well");
                assert_eq!(count, load.len() as u64);
                model.extend(load);
                let seen: Model = before.0.iter().map(|it| it.expect("the disk is well")).collect();
                assert_eq!(seen, before.1, "a snapshot sees nothing of it");
                assert_eq!(contents(&db).expect("the disk is well"), model, "round {round}");
                for key in (0..100).map(key) {
                    let found = db.get(&key).expect("the disk is well");
                    assert_eq!(found.as_ref(), model.get(&key), "round {round}");
                }
            }
            if round % 90 == 0 {
                db.verify().expect("the disk is well");
                drop(db);
                db = open(&fs, &options).expect("the disk is well");
            }
        }
        db.compact().expect("the disk is well");
        assert_eq!(contents(&db).expect("the disk is well"), model);
    }
}

#[test]
fn a_free_range_takes_it_on_the_lowest_level_for_good() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    for number in 0..500 {
        db.put(&key(number), &[1; 50]).expect("the disk is well");
    }
    db.compact().expect("the disk is well");
    let before = db.stats();
    let lowest = before.levels.iter().rposition(|it| it.0 > 0).expect("there are tables");
    ingest(&db, &entries(500, 300, 1, 2)).expect("the disk is well");
    let after = db.stats();
    assert!(after.levels[lowest].0 > before.levels[lowest].0, "{after}");
    assert_eq!((after.flushes, after.merged_bytes), (before.flushes, before.merged_bytes));
    ingest(&db, &entries(600, 1, 1, 3)).expect("the disk is well");
    assert_eq!(db.get(&key(600)).expect("the disk is well"), Some(vec![3; 30]));
    assert_eq!(db.stats().levels[lowest].0, after.levels[lowest].0, "above what it replaces");
    assert_eq!(db.iter().count(), 800);
}

#[test]
fn what_is_not_in_order_or_not_finished_is_not_there() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    let mut load = db.ingest();
    (0..100).for_each(|it| load.put(&key(it), &[0; 40]).expect("it is in order"));
    for wrong in [key(99), key(98), Vec::new()] {
        let cause = load.put(&wrong, b"").expect_err("it is not in order");
        assert!(matches!(&cause, Error::Order { key } if key.0 == wrong), "{cause}");
    }
    drop(load);
    assert_eq!(db.ingest().finish().expect("nothing is to be done"), 0);
    assert_eq!(db.iter().count(), 0);
    let files = env::fs::Fs::list(&*fs, &folder().join("tables")).expect("it is there");
    assert!(files.is_empty(), "{files:?}");
    let users = db.family("users").expect("the disk is well");
    let mut load = users.ingest();
    load.put(b"a", b"1").expect("it is in order");
    db.drop_family(&users).expect("the disk is well");
    assert!(matches!(load.finish(), Err(Error::Dropped(_))));
}

/// What it has in memory is not written out any more: that edit would bring the family back, with
/// no name.
#[test]
fn a_load_into_a_dropped_family_does_not_bring_it_back() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    let users = db.family("users").expect("the disk is well");
    let mut load = users.ingest();
    load.put(b"a", b"1").expect("it is in order");
    users.put(b"a", b"0").expect("the disk is well");
    db.drop_family(&users).expect("the disk is well");
    assert!(matches!(load.finish(), Err(Error::Dropped(_))));
    drop((users, db));
    let db = open(&fs, &tiny()).expect("the disk is well");
    assert_eq!(db.families(), ["default"]);
}

/// The edit may be in the manifest although its sync failed, and then the tables must be there.
#[test]
fn a_load_whose_sync_failed_leaves_a_store_that_opens() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let db = open(&disk.mount(), &tiny()).expect("the disk is well");
        db.put(&key(900), b"before").expect("the disk is well");
        disk.inject(&DiskFault::SyncError(Dose::Chance(150_000)));
        let outcome = ingest(&db, &entries(0, 30, 1, 7));
        disk.heal();
        drop(db);
        let db = open(&disk.mount(), &tiny()).expect("a failed sync damages nothing");
        let found = db.iter().count();
        assert!(found == 31 || found == 1 && outcome.is_err(), "seed {seed}: {found}");
        db.verify().expect("a failed sync damages nothing");
        outcomes.insert((outcome.is_ok(), found));
    }
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
}

#[test]
fn a_transaction_notices_what_was_ingested_meanwhile() {
    let db = open(&SimDisk::new(1).mount(), &tiny()).expect("the disk is well");
    let mut transaction = db.transaction(Isolation::Serializable);
    transaction.get(&key(3)).expect("the disk is well");
    transaction.put(b"other", b"").expect("it is small");
    ingest(&db, &entries(0, 5, 1, 1)).expect("the disk is well");
    assert!(matches!(transaction.commit(), Err(Error::Conflict { .. })));
}

/// A power cut at every I/O: a load is there whole or not at all, and never without what was
/// written before it.
#[test]
fn a_power_cut_takes_a_whole_load_or_none_of_it() {
    let batches = batches(5, 40, 150);
    let load = |round: u64| entries(round * 7, 12, 1, u8::try_from(round).expect("few"));
    let mut model = Model::new();
    let mut history = vec![model.clone()];
    for (round, changes) in (0_u64..).zip(&batches) {
        apply(&mut model, changes);
        history.push(model.clone());
        if round % 8 == 7 {
            model.extend(load(round / 8));
            history.push(model.clone());
        }
    }
    let run = |fs: &Arc<SimFs>| {
        let mut durable = 0;
        let mut work = || -> Result<()> {
            let db = open(fs, &tiny())?;
            for (round, changes) in (0_u64..).zip(&batches) {
                write(&db, changes)?;
                if round % 8 == 7 {
                    ingest(&db, &load(round / 8))?;
                    durable = usize::try_from(round + 1 + (round + 1) / 8).expect("few");
                }
            }
            Ok(())
        };
        work().ok();
        durable
    };
    let ios = crash_at_every_io(77, run, |io, durable, disk| {
        disk.crash_after(io % 19);
        let opened = open(&disk.mount(), &tiny());
        drop(opened);
        if !disk.is_down() {
            disk.crash();
        }
        let db = open(&disk.mount(), &tiny()).expect("a crash damages nothing");
        let found = contents(&db).expect("what survives can be read");
        let matches = history.iter().rposition(|it| *it == found);
        assert!(
            matches.is_some_and(|it| it >= durable),
            "I/O {io}: {matches:?}, {durable} promised"
        );
        db.verify().expect("a crash damages nothing");
    });
    assert!(ios > 100, "only {ios} I/Os were cut");
}

/// Loads beside writers of keys in between, merges and readers: each reader sees one load.
#[test]
fn readers_see_a_load_whole_while_others_write() {
    let options = Options { background: Background::Threads, ..tiny() };
    let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
    let is_done = AtomicBool::new(false);
    let beside = |number: u64| [&key(number)[..], b" beside"].concat();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0_u64;
            while !is_done.load(Ordering::Relaxed) {
                db.put(&beside(written % 50), &written.to_be_bytes()).expect("the disk is well");
                written += 1;
            }
            written
        });
        let reader = scope.spawn(|| {
            let mut last = 0;
            while !is_done.load(Ordering::Relaxed) {
                let snapshot = db.snapshot();
                let first = snapshot.get(&key(0)).expect("the disk is well");
                for number in 1..50 {
                    let found = snapshot.get(&key(number)).expect("the disk is well");
                    assert_eq!(found, first, "{number} is of another load");
                }
                let round = first.map_or(0, |it| it[0]);
                assert!(round >= last, "{last} was seen before {round}");
                last = round;
            }
        });
        for round in 1..=200 {
            ingest(&db, &entries(0, 50, 1, round)).expect("the disk is well");
            let found = db.get(&key(round.into())).expect("the disk is well");
            let expected = (round < 50).then(|| vec![round; 30]);
            assert_eq!(found, expected, "it is there when it is finished");
        }
        is_done.store(true, Ordering::Relaxed);
        reader.join().expect("it saw what it had to");
        let written = writer.join().expect("it could write");
        for last in written.saturating_sub(50)..written {
            let found = db.get(&beside(last % 50)).expect("the disk is well");
            assert_eq!(found.as_deref(), Some(&last.to_be_bytes()[..]));
        }
    });
    db.compact().expect("the disk is well");
    db.verify().expect("the disk is well");
}

/// The disk is full after so many bytes: the load fails whole and leaves nothing, and can be made
/// again once there is room.
#[test]
fn a_full_disk_takes_a_load_later() {
    let load = entries(0, 200, 1, 7);
    let mut failed = 0;
    for room in (0..40).map(|it| it * 500) {
        let disk = SimDisk::new(1);
        let fs = disk.mount();
        let db = open(&fs, &tiny()).expect("the disk is well");
        db.put(&key(3), b"before").expect("the disk is well");
        db.put(&key(900), b"before").expect("the disk is well");
        let tables = || {
            let files = env::fs::Fs::list(&*fs, &folder().join("tables"));
            files.expect("it is there").len()
        };
        disk.inject(&DiskFault::Full { room });
        match ingest(&db, &load) {
            Ok(count) => assert_eq!(count, 200),
            Err(cause) => {
                assert!(cause.is_no_space(), "room {room}: {cause}");
                failed += 1;
                let named = db.default_family().tables().len();
                assert_eq!(tables(), named, "room {room}: files of nobody are left");
                let found = db.get(&key(3)).expect("reads go on");
                assert_eq!(found.as_deref(), Some(&b"before"[..]), "room {room}");
                disk.heal();
                assert_eq!(ingest(&db, &load).expect("there is room"), 200);
            }
        }
        disk.heal();
        assert_eq!(db.get(&key(3)).expect("the disk is well"), Some(vec![7; 30]));
        db.put(&key(901), b"after").expect("there is room");
        drop(db);
        let db = open(&fs, &tiny()).expect("the disk is well");
        assert_eq!(db.iter().count(), 202);
        db.verify().expect("the disk is well");
    }
    assert!(failed > 5, "the disk was full {failed} times");
}
