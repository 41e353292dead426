//! Values apart from their keys: the same answers, written once, and garbage that is bounded.

use env::fs::{Fs, FsExt};
use harness::sim::SimDisk;

use super::*;
use crate::{Error, Reader};

/// Two values in three lie apart.
pub(super) fn apart() -> Options {
    Options { value_threshold: Some(60), ..tiny() }
}

fn files(fs: &SimFs) -> Vec<(String, u64)> {
    let folder = folder().join("values");
    let size = |name: &std::ffi::OsString| fs.size(&folder.join(name)).expect("it is there");
    let list = fs.list(&folder).expect("it is there");
    list.iter().map(|it| (it.name.to_string_lossy().into_owned(), size(&it.name))).collect()
}

fn large(number: u64, round: u64) -> Vec<u8> {
    (number * 1_000 + round).to_le_bytes().repeat(50)
}

#[test]
fn values_are_read_from_memtables_tables_and_after_a_reopening() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &apart()).expect("the disk is well");
    for number in 0..400 {
        db.put(&key(number), &large(number, 0)).expect("the disk is well");
        assert_eq!(db.get(&key(number)).expect("well"), Some(large(number, 0)));
    }
    let require = |db: &Db| {
        for number in 0..400 {
            assert_eq!(db.get(&key(number)).expect("well"), Some(large(number, 0)), "{number}");
        }
        assert_eq!(contents(db).expect("well").len(), 400);
        db.verify().expect("nothing is damaged");
    };
    require(&db);
    db.compact().expect("the disk is well");
    require(&db);
    let written = db.stats().merged_bytes + db.stats().flushed_bytes;
    assert!(written < 400 * 400 / 2, "values are in tables: {written} bytes");
    let shared: Arc<dyn Fs> = Arc::<SimFs>::clone(&fs);
    let reader = Reader::open_on(&shared, folder(), &apart()).expect("it can be read");
    assert_eq!(reader.get(&key(399)).expect("well"), Some(large(399, 0)));
    reader.verify().expect("nothing is damaged");
    drop(db);
    // What lies apart is found whatever the options say now.
    for options in [tiny(), apart()] {
        let db = open(&fs, &options).expect("the disk is well");
        require(&db);
        db.put(&key(0), &large(0, 0)).expect("the disk is well");
    }
}

/// Overwritten again and again, what is kept in vain stays below its share, and at the end a merge
/// of all leaves no file that nobody needs.
#[test]
fn garbage_is_bounded_and_goes() {
    let fs = SimDisk::new(1).mount();
    let options = Options { value_garbage_percent: 40, ..apart() };
    let db = open(&fs, &options).expect("the disk is well");
    let mut random = SplitMix64::new(5);
    let mut newest = Model::new();
    for round in 0..6_000 {
        let number = random.below(100);
        db.put(&key(number), &large(number, round)).expect("the disk is well");
        newest.insert(key(number), large(number, round));
        if round % 50 == 0 {
            let bytes: u64 = files(&fs).iter().map(|it| it.1).sum();
            assert!(bytes < 100 * 400 * 100 / (100 - 50) + (64 << 10), "{bytes} after {round}");
        }
    }
    assert_eq!(contents(&db).expect("well"), newest);
    assert!(files(&fs).iter().any(|it| it.0.starts_with('8')), "merges copied values");
    db.delete_range(b"", b"z").and_then(|()| db.compact()).expect("the disk is well");
    assert!(files(&fs).is_empty(), "{:?}", files(&fs));
}

/// While snapshots are held their values take space; then that comes back without a write.
#[test]
fn what_snapshots_held_is_within_the_limit_after_them() {
    for background in [Background::Inline, Background::Threads] {
        let fs = SimDisk::new(1).mount();
        let options = Options { background, value_garbage_percent: 40, ..apart() };
        let db = open(&fs, &options).expect("the disk is well");
        let mut snapshots = Vec::new();
        for round in 0..20 {
            for number in 0..100 {
                db.put(&key(number), &large(number, round)).expect("the disk is well");
            }
            snapshots.push(db.snapshot());
        }
        let bytes = || files(&fs).iter().map(|it| it.1).sum::<u64>();
        db.settle().expect("the disk is well");
        // Not by sizes: a flushed memtable keeps its segments in the log until it is freed, which
        // readers of other stores in the process, those of the tests beside this one, hold up.
        for (round, snapshot) in (0..).zip(&snapshots) {
            for number in 0..100 {
                let found = snapshot.get(&key(number)).expect("the disk is well");
                assert_eq!(found, Some(large(number, round)), "a snapshot lost its values");
            }
        }
        drop(snapshots);
        db.compact().expect("the disk is well");
        db.settle().expect("the disk is well");
        assert!(bytes() <= 100 * 400 * 100 / (100 - 40), "{} bytes", bytes());
    }
}

/// Values that nobody can reach any more but an old iterator are there for it.
#[test]
fn an_old_iterator_reads_what_was_overwritten_and_collected() {
    for background in [Background::Inline, Background::Threads] {
        let fs = SimDisk::new(1).mount();
        let db = open(&fs, &Options { background, ..apart() }).expect("the disk is well");
        let mut held = Vec::new();
        for round in 0..30 {
            for number in 0..40 {
                db.put(&key(number), &large(number, round)).expect("the disk is well");
            }
            if round % 3 == 0 {
                held.push((round, db.iter()));
            }
            if round % 7 == 0 {
                db.compact().expect("the disk is well");
            }
        }
        db.compact().expect("the disk is well");
        for (round, iter) in held {
            let seen = iter.collect::<Result<Vec<_>>>().expect("the values are there");
            assert!(seen.iter().zip(0..).all(|(it, number)| it.1 == large(number, round)));
            assert_eq!(seen.len(), 40);
        }
    }
}

#[test]
fn a_copy_has_its_values() {
    for by_link in [false, true] {
        let fs = SimDisk::new(1).mount();
        let db = open(&fs, &apart()).expect("the disk is well");
        let copy = Path::new("/copy");
        for round in 0..4 {
            for number in 0..150 {
                db.put(&key(number), &large(number, round)).expect("the disk is well");
            }
            if by_link { db.checkpoint(copy) } else { db.backup(copy) }.expect("well");
        }
        for number in 0..150 {
            db.put(&key(number), &large(number, 9)).expect("the disk is well");
        }
        db.compact().expect("the disk is well");
        let open = || Db::open_on(Arc::<SimFs>::clone(&fs), copy, apart()).expect("it opens");
        let restored = open();
        restored.verify().expect("nothing is damaged");
        for number in 0..150 {
            assert_eq!(restored.get(&key(number)).expect("well"), Some(large(number, 3)));
            restored.put(&key(number), &large(number, 5)).expect("the disk is well");
        }
        drop(restored);
        let restored = open();
        restored.compact().expect("the disk is well");
        for number in 0..150 {
            assert_eq!(restored.get(&key(number)).expect("well"), Some(large(number, 5)));
        }
    }
}

/// While a copy keeps the files, garbage cannot go: writers go on, and afterwards it goes.
#[test]
fn a_copy_that_takes_long_holds_up_no_writer() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &Options { value_garbage_percent: 5, ..apart() }).expect("well");
    let core = db.default_family().shared_core();
    core.kept.lock().copies += 1;
    let bytes = |fs: &SimFs| files(fs).iter().map(|it| it.1).sum::<u64>();
    let mut round = 0;
    while bytes(&fs) < 400 << 10 {
        for number in 0..40 {
            db.put(&key(number), &large(number, round)).expect("the disk is well");
        }
        round += 1;
    }
    core.kept.lock().copies -= 1;
    let before = bytes(&fs);
    db.settle().expect("the disk is well");
    assert!(bytes(&fs) < before / 4, "{} of {before}", bytes(&fs));
    db.verify().expect("nothing is damaged");
}

/// A segment becomes a file of values while another thread sweeps.
#[test]
fn what_comes_in_during_a_sweep_is_left_alone() {
    let fs = SimDisk::new(1).mount();
    let cache = crate::cache::Cache::new(0);
    let fs_again: Arc<dyn Fs> = Arc::<SimFs>::clone(&fs);
    let values = crate::values::Values::new(fs_again, folder(), &cache).expect("well");
    fs.create_dir_all(&folder().join("values")).expect("the disk is well");
    let add = |number| {
        let fate = values.fate(number, 8, &[number].into());
        let wal::Fate::Move(path) = fate else { panic!("it is needed: {fate:?}") };
        fs.write_atomic(&path, &[7; 8]).expect("the disk is well");
    };
    add(1);
    let needed = || {
        add(2);
        [].into()
    };
    values.sweep(needed).expect("the disk is well");
    assert_eq!(files(&fs), [("0000000000000002.values".to_owned(), 8)]);
}

/// A flip in any byte of a file with values: the right value or an error.
#[test]
fn a_damaged_value_is_an_error() {
    let fs = SimDisk::new(1).mount();
    // Without a cache, from which whole values would still come.
    let options = Options { cache_size: 0, ..apart() };
    let db = open(&fs, &options).expect("the disk is well");
    for number in 0..80 {
        db.put(&key(number), &large(number, 0)).expect("the disk is well");
    }
    // Segments leave the log when no other thread is pinned that might read their memtable.
    while files(&fs).is_empty() {
        db.compact().expect("the disk is well");
    }
    let path = folder().join("values").join(&files(&fs)[0].0);
    let bytes = fs.read(&path).expect("it is there");
    let file = fs.open(&path, env::fs::OpenMode::WRITE).expect("it is there");
    let mut found = 0;
    for at in (0..bytes.len()).step_by(97) {
        file.write_all_at(&[bytes[at] ^ 4], at as u64).expect("the disk is well");
        for number in 0..80 {
            match db.get(&key(number)) {
                Ok(value) => assert_eq!(value, Some(large(number, 0)), "byte {at}"),
                Err(Error::Corrupt { what: "value", .. }) => {
                    assert!(db.verify().is_err(), "byte {at}");
                    found += 1;
                }
                Err(cause) => panic!("{cause}"),
            }
        }
        file.write_all_at(&bytes[at..=at], at as u64).expect("the disk is well");
    }
    assert!(found > 50, "only {found} flips were in a value");
}

/// What an iterator held becomes files of values when it has gone and somebody asks for work. Most
/// of that is garbage: it is collected without a write, and who waits for all work gets there.
#[test]
fn what_an_iterator_held_is_collected_without_a_write() {
    let options = Options { background: Background::Threads, value_garbage_percent: 10, ..apart() };
    for seed in 0..40 {
        let db = open(&SimDisk::new(seed).mount(), &options).expect("the disk is well");
        let mut iters = Vec::new();
        for round in 0..6 {
            // A quarter is written once.
            for number in (0..40).filter(|it| round == 0 || it % 4 > 0) {
                db.put(&key(number), &large(number, round)).expect("the disk is well");
            }
            iters.push(db.iter());
        }
        db.settle().expect("the disk is well");
        drop(iters);
        let (said, heard) = std::sync::mpsc::channel();
        let db = &Arc::new(db);
        let waiting = Arc::clone(db);
        std::thread::spawn(move || said.send(waiting.settle()));
        let settled = heard.recv_timeout(Duration::from_mins(1));
        settled.expect("all work has an end").expect("the disk is well");
        let is_collected = (0..1_000).any(|_| {
            crate::sync::nap(Duration::from_millis(5));
            db.core().given_up().is_empty()
        });
        assert!(is_collected, "seed {seed}: garbage is left");
    }
}
