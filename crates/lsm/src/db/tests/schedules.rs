//! Commits, flushes and reads under every schedule that an explorer can think of.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p lsm --target-dir target/shuttle --lib -- schedules`

use std::num::NonZeroUsize;

use env::fs::Fs;
use harness::check::schedule::explore;
#[cfg(shuttle)]
use harness::check::schedule::find_failure;
use harness::sim::SimDisk;
use harness::sync::{Arc, thread};

use super::{contents, folder, tiny};
#[cfg(shuttle)]
use crate::planted::{Bug, plant};
use crate::{Background, Batch, Db, Options};

/// Schedules in which a planted bug must be found. Real threads need luck, so that there the bugs
/// are not asked for.
#[cfg(shuttle)]
const TRIES: u64 = 20_000;

fn open() -> Arc<Db> {
    let fs: Arc<dyn Fs> = SimDisk::new(1).mount();
    Arc::new(Db::open_on(fs, folder(), tiny()).expect("the disk is well"))
}

/// Runs some work beside what `here` does with the store.
fn beside(db: &Arc<Db>, work: impl Fn(&Db) + Send + 'static, here: impl FnOnce(&Db)) {
    let shared = Arc::clone(db);
    let other = thread::spawn(move || work(&shared));
    here(db);
    other.join().expect("nobody panics");
}

fn settle_twice(db: &Db) {
    for _ in 0..2 {
        db.settle().expect("the disk is well");
    }
}

/// What a thread wrote it finds, at once and in the end, while memtables become tables.
fn writes_are_found() {
    let db = open();
    beside(&db, settle_twice, |db| {
        for number in 0..3_u8 {
            db.put(&[number], &[number]).expect("the disk is well");
            let found = db.get(&[number]).expect("the disk is well");
            assert_eq!(found.as_deref(), Some(&[number][..]), "right after it was written");
        }
    });
    settle_twice(&db);
    let expected = (0..3).map(|it| (vec![it], vec![it])).collect();
    assert_eq!(contents(&db).expect("the disk is well"), expected, "in the end");
}

/// A write beside the one moment at which its memtable is frozen is in that or in the next. Little
/// else happens, so that few schedules are enough to come between.
fn a_write_meets_a_freeze() {
    let db = open();
    db.put(b"a", b"1").expect("the disk is well");
    let freeze = |db: &Db| db.settle().expect("the disk is well");
    beside(&db, freeze, |db| db.put(b"b", b"2").expect("the disk is well"));
    assert!(db.get(b"b").expect("the disk is well").is_some(), "a write is lost");
}

/// What was there before is there all the time, for gets and for iterators.
fn nothing_disappears() {
    let db = open();
    db.put(b"a", b"1").expect("the disk is well");
    beside(&db, settle_twice, |db| {
        for _ in 0..3 {
            assert!(db.get(b"a").expect("the disk is well").is_some(), "a get misses it");
            assert_eq!(db.iter().count(), 1, "an iterator misses it");
        }
    });
}

/// Two keys that are only written together are never seen apart.
fn batches_are_whole() {
    let db = open();
    let write = |db: &Db, value: u8| {
        let mut batch = Batch::new();
        batch.put(b"a", &[value]).and_then(|()| batch.put(b"b", &[value])).expect("it is small");
        db.write(&mut batch).expect("the disk is well");
    };
    write(&db, 0);
    let work = move |db: &Db| {
        write(db, 1);
        db.settle().expect("the disk is well");
        write(db, 2);
    };
    beside(&db, work, |db| {
        for _ in 0..3 {
            let found = db.get_many(&[b"a", b"b"]).expect("the disk is well");
            assert_eq!(found[0], found[1], "half a batch is seen");
        }
    });
}

/// A snapshot sees what it saw, whatever is written, merged and forgotten beside it.
fn snapshots_stay() {
    let db = open();
    db.put(b"a", b"1").expect("the disk is well");
    let work = |db: &Db| {
        db.put(b"a", b"2").expect("the disk is well");
        db.compact().expect("the disk is well");
        db.delete(b"a").expect("the disk is well");
        db.compact().expect("the disk is well");
    };
    beside(&db, work, |db| {
        let snapshot = db.snapshot();
        let first = snapshot.get(b"a").expect("the disk is well");
        for _ in 0..3 {
            assert_eq!(snapshot.get(b"a").expect("the disk is well"), first, "it changed");
        }
    });
}

/// Keys that are put where others were removed are found, while walks over those tell of them.
fn puts_among_removed_keys_are_found() {
    let db = open();
    for number in 0..4_u8 {
        db.put(&[number], b"old").and_then(|()| db.delete(&[number])).expect("the disk is well");
    }
    let walk = |db: &Db| {
        for _ in 0..3 {
            assert!(db.iter().count() <= 1, "one key is put at a time");
        }
    };
    beside(&db, walk, |db| {
        for number in [2, 1] {
            db.put(&[number], b"new").expect("the disk is well");
            assert_eq!(db.iter().count(), 1, "the walk jumps it");
            db.delete(&[number]).expect("the disk is well");
            assert_eq!(db.iter().count(), 0, "nothing is left");
        }
    });
}

/// Writers who fill one memtable after the other get on, with one more at most on its way to the
/// disk, and who waits for the end of all work gets there. The explorer knows no time: it calls it
/// a deadlock where only a look at the clock would help.
fn writers_get_on() {
    let fs: Arc<dyn Fs> = SimDisk::new(1).mount();
    let options = Options {
        memtables: NonZeroUsize::MIN.saturating_add(1),
        background: Background::Threads,
        ..tiny()
    };
    let db = Db::open_on(fs, folder(), options).expect("the disk is well");
    for number in 0..5_u8 {
        db.put(&[number], &[number; 2_500]).expect("the disk is well");
    }
    db.settle().expect("the disk is well");
}

#[test]
fn writers_get_on_in_all_schedules() {
    explore("writers_get_on_in_all_schedules", writers_get_on);
}

#[test]
fn writes_are_found_in_all_schedules() {
    explore("writes_are_found_in_all_schedules", writes_are_found);
}

#[test]
fn a_write_meets_a_freeze_in_all_schedules() {
    explore("a_write_meets_a_freeze_in_all_schedules", a_write_meets_a_freeze);
}

#[test]
fn nothing_disappears_in_all_schedules() {
    explore("nothing_disappears_in_all_schedules", nothing_disappears);
}

#[test]
fn batches_are_whole_in_all_schedules() {
    explore("batches_are_whole_in_all_schedules", batches_are_whole);
}

#[test]
fn snapshots_stay_in_all_schedules() {
    explore("snapshots_stay_in_all_schedules", snapshots_stay);
}

#[test]
fn puts_among_removed_keys_are_found_in_all_schedules() {
    explore(
        "puts_among_removed_keys_are_found_in_all_schedules",
        puts_among_removed_keys_are_found,
    );
}

/// The explorer runs all threads of a schedule on the thread that explores, so the bug is in each.
#[cfg(shuttle)]
fn require_found(bug: Bug, test: fn(), said: &str) {
    let failure = find_failure(TRIES, move || {
        plant(Some(bug));
        test();
    });
    plant(None);
    let failure = failure.unwrap_or_else(|| panic!("{bug:?} was not found"));
    assert!(failure.message().contains(said), "{bug:?} was found by: {}", failure.message());
}

#[cfg(shuttle)]
#[test]
fn planted_bugs_are_found_by_schedules() {
    require_found(Bug::FrozenUnlocked, a_write_meets_a_freeze, "a write is lost");
    require_found(Bug::SwappedInTwo, nothing_disappears, "misses it");
    require_found(Bug::VisibleEarly, batches_are_whole, "half a batch");
    require_found(Bug::GapUnwatched, puts_among_removed_keys_are_found, "jumps it");
}
