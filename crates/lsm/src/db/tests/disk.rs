//! Disks that are full or fail: a typed error, reads go on, writes come back by themselves.

use harness::sim::{DiskFault, Dose, SimDisk};

use super::*;
use crate::Error;
use crate::manifest::Edit;

/// Fills the disk, checks that everything acknowledged can be read, makes room, and goes on.
#[test]
fn writes_resume_by_themselves_once_there_is_room() {
    for room in [2_000, 9_000, 20_000, 33_000] {
        let disk = SimDisk::new(room);
        let fs = disk.mount();
        let db = open(&fs, &tiny()).expect("the disk is well");
        let batches = batches(room, 300, 150);
        let mut model = Model::new();
        disk.inject(&DiskFault::Full { room });
        let mut refused = 0;
        for (number, changes) in batches.iter().enumerate() {
            match write(&db, changes) {
                Ok(()) => apply(&mut model, changes),
                Err(cause) => {
                    assert!(cause.is_no_space(), "room {room}, batch {number}: {cause}");
                    refused += 1;
                    assert_eq!(contents(&db).expect("reads go on"), model);
                    // Each attempt would leave more, and there would never be room again.
                    let files = env::fs::Fs::list(&*fs, &folder().join("tables"));
                    let named = db.default_family().tables().len();
                    assert_eq!(files.expect("it is there").len(), named, "files of nobody");
                }
            }
            if refused == 3 {
                disk.heal();
            }
        }
        assert!(refused >= 3, "with {room} bytes of room nothing was refused");
        assert_eq!(contents(&db).expect("reads go on"), model);
        db.settle().expect("there is room");
        drop(db);
        disk.crash();
    }
}

#[test]
fn a_failed_sync_stops_the_store_and_says_so() {
    let disk = SimDisk::new(1);
    let db = open(&disk.mount(), &with_durability(Durability::Sync)).expect("the disk is well");
    db.put(b"a", b"1").expect("the disk is well");
    disk.inject(&DiskFault::SyncError(Dose::Times(1)));
    assert!(matches!(db.put(b"b", b"1"), Err(Error::Fs(_))));
    disk.heal();
    assert!(matches!(db.put(b"c", b"1"), Err(Error::Stopped(_))), "nobody syncs twice");
    assert_eq!(db.get(b"a").expect("reads go on").as_deref(), Some(&b"1"[..]));
}

fn tables(fs: &SimFs) -> usize {
    env::fs::Fs::list(fs, &folder().join("tables")).expect("it is there").len()
}

/// There is room for a table and none for the edit that names it: attempts leave nothing, or they
/// would take the room that somebody makes.
#[test]
fn a_manifest_without_room_costs_none() {
    let disk = SimDisk::new(1);
    let fs = disk.mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    // Its segment is full but for less than the next edit.
    let filling = Edit::Family(7, "f".repeat(65_350));
    db.core().manifest.lock().edit(&[filling]).expect("it fits");
    db.core().manifest.lock().edit(&[Edit::DropFamily(7)]).expect("it fits");
    (0..40).for_each(|it| db.put(&key(it), &[1; 20]).expect("the disk is well"));
    disk.inject(&DiskFault::Full { room: 30_000 });
    for _ in 0..5 {
        let cause = db.settle().expect_err("the manifest has no room");
        assert!(cause.is_no_space(), "{cause}");
        assert_eq!(tables(&fs), 0, "files of nobody");
    }
    disk.heal();
    db.settle().expect("there is room");
    drop(db);
    let db = open(&fs, &tiny()).expect("the disk is well");
    assert_eq!((db.iter().count(), tables(&fs)), (40, 1));
}

/// Nothing can name a table any more. So none is written, and what the last edit may have named
/// stays for the next opening.
#[test]
fn a_manifest_that_stopped_is_not_written_for() {
    let mut stopped = 0;
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let fs = disk.mount();
        let db = open(&fs, &tiny()).expect("the disk is well");
        let mut written = 0;
        let mut put = || {
            let outcome = db.put(&key(written), &[1; 100]);
            written += u64::from(outcome.is_ok());
            outcome
        };
        disk.inject(&DiskFault::SyncError(Dose::Chance(100_000)));
        while put().is_ok() {}
        disk.heal();
        let cause = loop {
            match put() {
                Ok(()) if db.stats().flushes > 20 => break None,
                Ok(()) => {}
                Err(cause) => break Some(cause),
            }
        };
        if matches!(cause, Some(Error::Stopped(_))) {
            stopped += 1;
            let before = tables(&fs);
            let refused = (0..300).filter(|_| matches!(put(), Err(Error::Stopped(_)))).count();
            assert!(refused > 100, "seed {seed}: {refused}");
            assert_eq!(tables(&fs), before, "seed {seed}");
        }
        drop(db);
        let db = open(&fs, &tiny()).expect("a failed sync damages nothing");
        assert_eq!(db.iter().count() as u64, written, "seed {seed}");
        db.verify().expect("a failed sync damages nothing");
    }
    assert!(stopped > 5, "the manifest stopped {stopped} times");
}

/// The threads do not try again what cannot succeed before the store is opened anew, unless they
/// are asked.
#[test]
fn threads_rest_when_the_manifest_has_stopped() {
    let disk = SimDisk::new(1);
    let options = Options { background: Background::Threads, ..tiny() };
    let db = open(&disk.mount(), &options).expect("the disk is well");
    db.put(b"a", b"1").expect("the disk is well");
    disk.inject(&DiskFault::SyncError(Dose::Times(1)));
    db.core().manifest.lock().edit(&[Edit::Sequence(1)]).expect_err("its sync fails");
    assert!(matches!(db.settle(), Err(Error::Stopped(_))));
    assert!(matches!(db.settle(), Err(Error::Stopped(_))), "who asks is told");
    let attempts = || db.core().work.lock().attempts;
    let before = attempts();
    crate::sync::nap(Duration::from_millis(700));
    assert!(attempts() <= before + 2, "{} attempts more", attempts() - before);
}

#[test]
fn a_directory_is_opened_once() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    let cause = open(&fs, &tiny()).expect_err("it is open");
    assert!(cause.to_string().contains("locked"), "{cause}");
    drop(db);
    open(&fs, &tiny()).expect("it is free again");
}

#[test]
fn what_is_not_there_is_not_made_unasked() {
    let options = Options { create: false, ..tiny() };
    let cause = open(&SimDisk::new(1).mount(), &options).expect_err("there is none");
    assert!(matches!(cause, Error::Missing(_)), "{cause}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let options = Options { block_size: 1, ..tiny() };
    let cause = open(&SimDisk::new(1).mount(), &options).expect_err("one byte is no block");
    assert!(matches!(cause, Error::Option { option: "block_size", value: 1, .. }), "{cause}");
}
