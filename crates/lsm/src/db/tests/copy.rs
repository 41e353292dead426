//! Copies: of one moment, taken while the store goes on, and whole after any interruption.

use std::thread;

use env::fs::Fs;
use harness::sim::{SimDisk, crash_at_every_io};

use super::*;
use crate::Error;

fn target() -> &'static Path {
    Path::new("/copy")
}

fn open_copy(fs: &Arc<SimFs>) -> Db {
    let options = Options { create: false, ..tiny() };
    Db::open_on(Arc::<SimFs>::clone(fs), target(), options).expect("a copy can be opened")
}

#[test]
fn a_copy_is_of_its_moment_and_lives_on_its_own() {
    for by_link in [false, true] {
        let fs = SimDisk::new(1).mount();
        let db = open(&fs, &tiny()).expect("the disk is well");
        let batches = batches(2, 200, 60);
        let history = history(&batches);
        for changes in &batches {
            write(&db, changes).expect("the disk is well");
        }
        let other = db.family("other").expect("the disk is well");
        other.put(b"a", b"1").expect("the disk is well");
        let copy = if by_link { db.checkpoint(target()) } else { db.backup(target()) };
        assert!(copy.expect("the disk is well").tables > 1);
        db.delete_range(b"", b"z").and_then(|()| db.compact()).expect("the disk is well");
        let copy = open_copy(&fs);
        assert_eq!(contents(&copy).expect("well"), history[200]);
        assert_eq!(copy.family("other").expect("well").get(b"a").expect("well").unwrap(), b"1");
        copy.verify().expect("nothing is damaged");
        // Both go on, and neither is seen by the other.
        copy.put(b"new", b"1").and_then(|()| copy.compact()).expect("the disk is well");
        assert_eq!(db.iter().count(), 0);
        assert!(matches!(db.backup(target()), Err(Error::Fs(_))), "it is open");
        drop(copy);
        assert!(matches!(db.backup(target()), Err(Error::NotACopy(_))), "it has changes");
        assert_eq!(open_copy(&fs).get(b"new").expect("well").as_deref(), Some(&b"1"[..]));
    }
}

#[test]
fn a_copy_made_anew_takes_what_is_new_and_drops_what_is_old() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    (0..900).for_each(|it| db.put(&key(it), &[1; 50]).expect("the disk is well"));
    db.compact().expect("the disk is well");
    let first = db.backup(target()).expect("the disk is well");
    assert_eq!(first.had, 0);
    let again = db.backup(target()).expect("the disk is well");
    assert_eq!((again.tables, again.had), (0, first.tables), "nothing is new");
    (0..30).for_each(|it| db.put(&key(it), &[2; 50]).expect("the disk is well"));
    let third = db.backup(target()).expect("the disk is well");
    assert!(third.tables < 5 && third.had > 20, "{third:?}");
    db.delete_range(&key(0), &key(999)).and_then(|()| db.compact()).expect("the disk is well");
    db.put(b"last", b"1").expect("the disk is well");
    db.backup(target()).expect("the disk is well");
    let files = fs.list(&target().join("tables")).expect("it is there");
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(contents(&open_copy(&fs)).expect("well").len(), 1);
}

/// Another store may have tables of the same numbers, lengths and keys.
#[test]
fn tables_of_another_store_are_not_taken_for_ours() {
    let fs = SimDisk::new(1).mount();
    for value in [1, 2] {
        let folder = Path::new(if value == 1 { "/one" } else { "/two" });
        let shared = Arc::<SimFs>::clone(&fs);
        let db = Db::open_on(shared, folder, tiny()).expect("the disk is well");
        (0..50).for_each(|it| db.put(&key(it), &[value; 50]).expect("the disk is well"));
        assert_eq!(db.backup(target()).expect("the disk is well").had, 0);
    }
    let found = contents(&open_copy(&fs)).expect("well");
    assert!(found.values().all(|it| *it == [2; 50]), "all is of the second");
}

/// Writers on threads, a batch over two families, and copies meanwhile: each has whole batches.
#[test]
fn a_copy_beside_writers_has_whole_batches() {
    let options = Options { background: Background::Threads, ..tiny() };
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &options).expect("the disk is well");
    let other = db.family("other").expect("the disk is well");
    let is_done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..3_000_u32 {
                let mut batch = Batch::new();
                batch.put(&key(u64::from(number % 50)), &number.to_le_bytes()).expect("small");
                batch.put(b"a", &number.to_le_bytes()).expect("it is small");
                batch.put_in(&other, b"a", &number.to_le_bytes()).expect("it is small");
                db.write(&mut batch).expect("the disk is well");
            }
            is_done.store(true, Ordering::Relaxed);
        });
        let mut copies = 0;
        while !is_done.load(Ordering::Relaxed) || copies == 0 {
            db.checkpoint(target()).expect("the disk is well");
            // Opened as a copy of the copy, so that the first can be made anew.
            let seen = Path::new("/seen");
            env::fs::FsExt::remove_dir_all(&*fs, seen).ok();
            fs.create_dir_all(&seen.join("tables")).expect("the disk is well");
            fs.create_dir_all(&seen.join("manifest")).expect("the disk is well");
            for part in ["tables", "manifest"] {
                for entry in fs.list(&target().join(part)).expect("it is there") {
                    let name = |folder: &Path| folder.join(part).join(&entry.name);
                    fs.link(&name(target()), &name(seen)).expect("it is new");
                }
            }
            let copy = Db::open_on(Arc::<SimFs>::clone(&fs), seen, tiny()).expect("it opens");
            let one = copy.get(b"a").expect("well");
            assert_eq!(one, copy.family("other").expect("well").get(b"a").expect("well"));
            if let Some(one) = one {
                let number = u32::from_le_bytes(one.clone().try_into().expect("four bytes"));
                let same = copy.get(&key(u64::from(number % 50))).expect("well");
                assert_eq!(same, Some(one));
            }
            copies += 1;
        }
    });
}

/// Cut off at any I/O, a copy is the old one or the new one.
#[test]
fn a_power_cut_leaves_the_old_copy_or_the_new_one() {
    let batches = batches(4, 60, 200);
    let history = history(&batches);
    for by_link in [false, true] {
        let work = |fs: &Arc<SimFs>| -> Result<usize> {
            let db = open(fs, &tiny())?;
            for (number, changes) in batches.iter().enumerate() {
                write(&db, changes)?;
                if number % 20 == 9 {
                    if by_link {
                        db.checkpoint(target())?
                    } else {
                        db.backup(target())?
                    };
                }
            }
            Ok(0)
        };
        let mut seen = [0; 4];
        crash_at_every_io(7, work, |io, _, disk| {
            let options = Options { create: false, ..tiny() };
            match Db::open_on(disk.mount(), target(), options) {
                Ok(copy) => {
                    let found = contents(&copy).expect("it can be read");
                    copy.verify().expect("nothing is damaged");
                    let moments = [0, 10, 30, 50];
                    let moment = moments.iter().position(|it| history[*it] == found);
                    seen[moment.unwrap_or_else(|| panic!("I/O {io}: no copy was like it"))] += 1;
                }
                Err(Error::Missing(_)) => {}
                Err(cause) => panic!("I/O {io}: {cause}"),
            }
            let db = open(&disk.mount(), &tiny()).expect("a crash damages nothing");
            db.verify().expect("nothing is damaged");
        });
        assert!(seen[1..].iter().all(|it| *it > 0), "{seen:?}");
    }
}
