//! What flushes and merges make of the levels, and equal answers under any options.

use std::num::NonZeroU16;
use std::thread;

use harness::sim::SimDisk;

use super::*;
use crate::{Codec, Shape, TableInfo};

/// One list of changes under many options gives one answer, before and after a reopening.
#[test]
fn options_change_the_shape_and_never_the_answer() {
    under_all_options();
}

pub(super) fn under_all_options() {
    let base = tiny();
    let variants = [
        Options { memtable_size: 16 << 10, ..base.clone() },
        Options { block_size: 4 << 10, ..base.clone() },
        Options { bits_per_key: 0, ..base.clone() },
        Options { bits_per_key: 30, level0_tables: 5, ..base.clone() },
        Options { cache_size: 0, ..base.clone() },
        Options { cache_size: 3_000, ..base.clone() },
        Options { codec: Codec::Lz4, level_ratio: 3, ..base.clone() },
        Options { merge_threads: NonZeroUsize::new(3).expect("not zero"), ..base.clone() },
        Options { direct_writes: true, shape: tiered(2), ..base.clone() },
        Options { prefix_len: NonZeroU16::new(5), shape: lazy(2), ..base.clone() },
        Options { codec: Codec::Lz4, codec_lowest: Some(small()), ..base.clone() },
        Options { value_threshold: Some(32), value_garbage_percent: 5, ..base.clone() },
        Options { table_size: 1 << 20, level1_size: 1 << 20, ..base.clone() },
        Options { shape: tiered(2), ..base.clone() },
        Options { shape: tiered(4), value_threshold: Some(32), ..base.clone() },
        Options { shape: lazy(3), ..base.clone() },
        Options { shape: Shape::Fifo { size: u64::MAX, age: None }, ..base.clone() },
        Options { background: Background::Threads, ..base.clone() },
        Options { background: Background::Threads, shape: lazy(2), ..base.clone() },
        Options { log: crate::Backend::Written, durability: Durability::Sync, ..base.clone() },
        base,
    ];
    let batches = batches(11, 400, 100);
    let expected = history(&batches).pop().expect("the last one");
    for options in variants {
        let fs = SimDisk::new(1).mount();
        let db = open(&fs, &options).expect("the disk is well");
        for (number, changes) in batches.iter().enumerate() {
            write(&db, changes).expect("the disk is well");
            if number == 200 {
                db.compact().expect("the disk is well");
            }
        }
        let read = |db: &Db| {
            let found = contents(db).expect("the disk is well");
            assert_eq!(found, expected, "{options:?}");
            for key in (0..45).map(|it| format!("key {it:03}").into_bytes()) {
                let got = db.get(&key).expect("the disk is well");
                assert_eq!(got.as_ref(), expected.get(&key), "{options:?}");
                let many = db.get_many(&[&key]).expect("the disk is well");
                assert_eq!(many[0].as_ref(), expected.get(&key), "{options:?}");
            }
        };
        read(&db);
        drop(db);
        read(&open(&fs, &options).expect("the disk is well"));
    }
}

/// The smallest that there is.
fn small() -> Codec {
    if cfg!(feature = "zstd") { Codec::Zstd } else { Codec::Lz4 }
}

/// Text, which each codec makes smaller than the one before it.
#[test]
fn a_codec_makes_levels_smaller() {
    let size = |codec, codec_lowest| {
        let (block_size, table_size) = (4 << 10, 32 << 10);
        let options = Options { block_size, codec, codec_lowest, table_size, ..tiny() };
        let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
        let words = ["lock", "memtable", "table", "level", "merge", "snapshot", "log", "the"];
        let mut random = SplitMix64::new(1);
        for number in 0..1_000 {
            let mut word = || words[random.next_u64().to_le_bytes()[0] as usize % words.len()];
            let value: Vec<_> = (0..20).map(|_| word()).collect();
            db.put(&key(number), value.join(" ").as_bytes()).expect("the disk is well");
        }
        db.compact().expect("the disk is well");
        db.verify().expect("the disk is well");
        assert_eq!(db.iter().count(), 1_000);
        db.stats().levels.iter().map(|it| it.1).sum::<u64>()
    };
    let (none, lz4) = (size(Codec::None, None), size(Codec::Lz4, None));
    assert!(lz4 * 3 < none * 2, "{lz4} of {none}");
    let lowest = size(Codec::None, Some(small()));
    assert!(lowest <= lz4, "{lowest}, lz4 {lz4}");
    if cfg!(feature = "zstd") {
        let zstd = size(Codec::Zstd, None);
        assert!(zstd * 5 < lz4 * 4, "{zstd}, lz4 {lz4}");
    } else {
        let options = Options { codec: Codec::Zstd, ..tiny() };
        let cause = open(&SimDisk::new(1).mount(), &options).expect_err("it is not there");
        assert!(matches!(cause, crate::Error::NoZstd), "{cause}");
    }
}

/// Keys of many users; a walk through one whom no table knows reads no block.
#[test]
fn a_prefix_that_no_table_has_is_looked_up_in_filters_alone() {
    let key = |user: u32, item: u32| format!("user {user:04}/{item:04}").into_bytes();
    let options = |prefix_len| Options { prefix_len, table_size: 64 << 10, ..tiny() };
    let fs = SimDisk::new(1).mount();
    let with = options(NonZeroU16::new(9));
    let db = open(&fs, &with).expect("the disk is well");
    for user in (0..400).step_by(2) {
        (0..3).for_each(|it| db.put(&key(user, it), &[7; 20]).expect("the disk is well"));
    }
    db.compact().expect("the disk is well");
    drop(db);
    for (with_filter, options) in [(true, with), (false, options(None))] {
        let db = open(&fs, &options).expect("the disk is well");
        if !with_filter {
            // What is written from now on does without.
            db.put(&key(0, 0), b"").expect("the disk is well");
            db.compact().expect("the disk is well");
        }
        let mut missed = 0;
        for user in (1..399).step_by(2) {
            let before = db.stats().cached_bytes;
            let prefix = format!("user {user:04}");
            assert_eq!(db.prefix(prefix.as_bytes()).count(), 0);
            let mut backward = db.range(&*key(user, 0)..&key(user, 99));
            backward.seek_last().expect("the disk is well");
            assert_eq!(backward.entry(), None);
            missed += u32::from(db.stats().cached_bytes > before);
        }
        assert_eq!(missed < 20, with_filter, "blocks were read for {missed} of 199");
        for user in (0..400).step_by(2) {
            let found = db.prefix(format!("user {user:04}").as_bytes()).count();
            assert_eq!(found, 3, "user {user}");
            assert_eq!(db.range(&*key(user, 1)..).take(4).count(), if user == 398 { 2 } else { 4 });
        }
        // Shorter than the filters' prefixes, and over several.
        assert_eq!(db.prefix(b"user 00").count(), 150);
        assert_eq!(db.range(&key(10, 2)[..]..&key(14, 1)).count(), 5);
    }
}

/// Parts that meet between two keys give the tables of one merge, but for where they end.
#[test]
fn a_merge_in_parts_is_a_merge() {
    let outcome = |threads| {
        let merge_threads = NonZeroUsize::new(threads).expect("not zero");
        let options = Options { merge_threads, ..tiny() };
        let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
        let mut random = SplitMix64::new(8);
        let held: Vec<_> = (0..3_000_u32)
            .filter_map(|number| {
                let key = random.below(700).to_be_bytes();
                match random.below(5) {
                    0 => db.delete(&key),
                    1 => db.merge(&key, &number.to_be_bytes()),
                    _ => db.put(&key, &[1; 20]),
                }
                .expect("the disk is well");
                (number % 1_000 == 0).then(|| db.snapshot())
            })
            .collect();
        db.compact().expect("the disk is well");
        db.verify().expect("the disk is well");
        let seen: Vec<Model> = held
            .iter()
            .map(|it| it.iter().map(|entry| entry.expect("the disk is well")).collect())
            .collect();
        let entries: u64 = db.default_family().tables().iter().map(|it| it.entries).sum();
        (contents(&db).expect("the disk is well"), seen, entries)
    };
    assert_eq!(outcome(4), outcome(1));
}

/// Past the page cache of the machine's own disk, where it has such a way.
#[test]
fn tables_written_past_the_cache_are_whole() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let options = Options { direct_writes: true, ..Options::with_budget(5 << 20) };
    let db = Db::open(folder.path(), options).expect("the disk is well");
    for number in 0..40_000_u64 {
        db.put(&(number * 7_919 % 40_000).to_be_bytes(), &[3; 100]).expect("the disk is well");
    }
    db.compact().expect("the disk is well");
    let pieces = db.default_family().tables().iter().filter(|it| it.size > 1 << 20).count();
    assert!(pieces > 2, "tables of several pieces: {}", db.stats());
    db.verify().expect("the disk is well");
    assert_eq!(db.iter().count(), 40_000);
}

#[test]
fn ascending_keys_are_written_once() {
    let db = open(&SimDisk::new(1).mount(), &tiny()).expect("the disk is well");
    for number in 0..2_000 {
        db.put(format!("{number:08}").as_bytes(), &[1; 50]).expect("the disk is well");
    }
    db.settle().expect("the disk is well");
    let stats = db.stats();
    assert_eq!(stats.merges, 0, "tables that overlap nothing are moved: {stats}");
    assert!(stats.moves > 10, "{stats}");
    assert_eq!(db.iter().count(), 2_000);
}

#[test]
fn a_merge_leaves_neither_old_versions_nor_tombstones_nor_files() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    for round in 0..30_u8 {
        for number in 0..40 {
            db.put(format!("{number:08}").as_bytes(), &[round; 50]).expect("the disk is well");
        }
    }
    (0..39).for_each(|it| db.delete(format!("{it:08}").as_bytes()).expect("the disk is well"));
    db.compact().expect("the disk is well");
    let stats = db.stats();
    let tables: usize = stats.levels.iter().map(|it| it.0).sum();
    assert_eq!((db.iter().count(), tables), (1, 1), "{stats}");
    let files = env::fs::Fs::list(&*fs, &folder().join("tables")).expect("it is there");
    assert_eq!(files.len(), 1, "{files:?}");
    let log = env::fs::Fs::list(&*fs, &folder().join("log")).expect("it is there");
    assert!(log.len() <= 5, "{log:?}");
}

/// Enough keys for four levels; what was removed above stays removed while it lies below.
#[test]
fn deep_levels_answer_as_the_model_does() {
    deep_levels();
}

#[test]
fn deep_levels_of_every_shape_answer_as_the_model_does() {
    deep_levels_of(tiered(3));
    deep_levels_of(lazy(3));
}

fn tiered(runs: usize) -> Shape {
    Shape::Tiered { runs: NonZeroUsize::new(runs).expect("not zero") }
}

fn lazy(runs: usize) -> Shape {
    Shape::LazyLeveled { runs: NonZeroUsize::new(runs).expect("not zero") }
}

pub(super) fn deep_levels() {
    deep_levels_of(Shape::Leveled);
}

fn deep_levels_of(shape: Shape) {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &Options { shape, ..tiny() }).expect("the disk is well");
    let (mut model, mut random) = (Model::new(), SplitMix64::new(3));
    for step in 0..4_000_u32 {
        let at = random.below(900);
        let key = |number: u64| format!("{number:08}").into_bytes();
        let changes = vec![match random.below(90) {
            0 => Step::RemoveRange(key(at), key(at + random.below(60))),
            1..30 => Step::Remove(key(at)),
            30..40 => Step::Merge(key(at), vec![step.to_le_bytes()[0]; 5]),
            _ => Step::Put(key(at), vec![step.to_le_bytes()[0]; 40]),
        }];
        write(&db, &changes).expect("the disk is well");
        apply(&mut model, &changes);
        if step % 500 == 0 {
            assert_eq!(contents(&db).expect("the disk is well"), model, "after {step}");
        }
    }
    let stats = db.stats();
    assert!(stats.levels[3].0 > 0, "four levels are in use: {shape:?}, {stats}");
    require_shape(&db, shape);
    assert_eq!(contents(&db).expect("the disk is well"), model);
    db.verify().expect("the disk is well");
}

#[test]
fn families_keep_their_keys_apart_and_outlive_a_reopening() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    let users = db.family("users").expect("the disk is well");
    for number in 0..300_u32 {
        db.put(&number.to_be_bytes(), b"default").expect("the disk is well");
        users.put(&number.to_be_bytes(), &[b'u'; 40]).expect("the disk is well");
    }
    users.delete(&7_u32.to_be_bytes()).expect("the disk is well");
    drop((users, db));
    let db = open(&fs, &tiny()).expect("the disk is well");
    let users = db.family("users").expect("the disk is well");
    assert_eq!((db.iter().count(), users.iter().count()), (300, 299));
    assert_eq!(db.families(), ["default", "users"]);
    db.drop_family(&users).expect("the disk is well");
    assert!(users.put(b"a", b"b").is_err(), "it is gone");
    assert_eq!(db.families(), ["default"]);
    let again = db.family("users").expect("the disk is well");
    assert_eq!(again.iter().count(), 0, "a new family of an old name is empty");
}

/// A family that is written once and then never keeps no more of the log than one that is busy.
#[test]
fn a_family_at_rest_does_not_hold_the_log() {
    for background in [Background::Inline, Background::Threads] {
        let fs = SimDisk::new(1).mount();
        let options = Options { background, ..tiny() };
        let db = open(&fs, &options).expect("the disk is well");
        let resting = db.family("resting").expect("the disk is well");
        resting.put(b"a", b"1").expect("the disk is well");
        (0..6_000).for_each(|it| db.put(&key(it), &[1; 60]).expect("the disk is well"));
        // Unlike `settle` this writes out nothing that does not wait for it.
        db.core().wait_until_idle().expect("the disk is well");
        let log = env::fs::Fs::list(&*fs, &folder().join("log")).expect("it is there");
        assert!(db.core().log.end().segment > 20, "{:?}", db.core().log.end());
        assert!(log.len() < 12, "{background:?}: {log:?}");
        assert_eq!(resting.get(b"a").expect("the disk is well").as_deref(), Some(&b"1"[..]));
    }
}

/// The runs of each level, the newest first.
fn runs(db: &Db) -> Vec<Vec<Vec<TableInfo>>> {
    let mut levels = vec![Vec::<Vec<TableInfo>>::new(); crate::version::LEVELS];
    for table in db.default_family().tables() {
        let level = &mut levels[table.level];
        match level.last_mut().filter(|it| it[0].run == table.run) {
            Some(run) => run.push(table),
            None => level.push(vec![table]),
        }
    }
    levels
}

/// What the documentation promises of the runs, once no merge is due.
fn require_shape(db: &Db, shape: Shape) {
    db.settle().expect("the disk is well");
    let runs = runs(db);
    let options = tiny();
    let counts: Vec<_> = runs.iter().map(Vec::len).collect();
    let lowest = counts.iter().rposition(|it| *it > 0).unwrap_or(0);
    assert!(counts[0] < options.level0_tables, "{shape:?}: {counts:?}");
    for (level, &count) in counts.iter().enumerate().skip(1) {
        let at_most = match shape {
            Shape::Leveled => 1,
            Shape::LazyLeveled { .. } if level == lowest => 1,
            Shape::Tiered { runs } | Shape::LazyLeveled { runs } => runs.get() - 1,
            Shape::Fifo { .. } => 0,
        };
        assert!(count <= at_most, "{shape:?}: {counts:?}");
    }
    for run in runs.iter().flatten() {
        assert!(run.is_sorted_by(|a, b| a.largest < b.smallest), "{shape:?}: {run:?}");
    }
}

#[test]
fn a_store_takes_the_shape_that_it_is_opened_with() {
    let fs = SimDisk::new(1).mount();
    let batches = batches(17, 900, 60);
    let mut model = Model::new();
    let shapes = [Shape::Leveled, tiered(3), Shape::Leveled, lazy(2), tiered(4), lazy(3)];
    for (shape, batches) in shapes.into_iter().zip(batches.chunks(150)) {
        let db = open(&fs, &Options { shape, ..tiny() }).expect("the disk is well");
        for changes in batches {
            write(&db, changes).expect("the disk is well");
            apply(&mut model, changes);
        }
        require_shape(&db, shape);
        assert_eq!(contents(&db).expect("the disk is well"), model, "{shape:?}");
    }
}

/// The same changes: what a shape is chosen for is so.
#[test]
fn shapes_cost_what_they_say() {
    let cost = |shape| {
        let options = Options { shape, level_ratio: 4, ..tiny() };
        let db = open(&SimDisk::new(1).mount(), &options);
        let db = db.expect("the disk is well");
        let mut random = SplitMix64::new(5);
        for _ in 0..12_000 {
            let key = random.below(4_000).to_be_bytes();
            db.put(&key, &[7; 40]).expect("the disk is well");
        }
        db.settle().expect("the disk is well");
        let stats = db.stats();
        let runs: usize = runs(&db).iter().map(Vec::len).sum();
        (stats.merged_bytes, stats.levels.iter().map(|it| it.1).sum::<u64>(), runs)
    };
    let (leveled, lazy, tiered) = (cost(Shape::Leveled), cost(lazy(4)), cost(tiered(4)));
    let costs = format!("leveled {leveled:?}, lazy {lazy:?}, tiered {tiered:?}");
    assert!(leveled.0 > lazy.0 && lazy.0 > tiered.0, "bytes written: {costs}");
    assert!(leveled.1 <= lazy.1 && lazy.1 < tiered.1, "space: {costs}");
    assert!(leveled.2 < tiered.2 && lazy.2 < tiered.2, "runs: {costs}");
}

#[test]
fn first_in_first_out_keeps_to_its_size_and_age() {
    let fs = SimDisk::new(1).mount();
    let clock = Arc::new(Calendar(AtomicU64::new(1_000_000)));
    let age = Some(Duration::from_mins(1));
    let options = Options {
        shape: Shape::Fifo { size: 20 << 10, age },
        clock: Arc::<Calendar>::clone(&clock),
        ..tiny()
    };
    let db = open(&fs, &options).expect("the disk is well");
    for number in 0..2_000_u32 {
        db.put(&number.to_be_bytes(), &[7; 50]).expect("the disk is well");
    }
    db.settle().expect("the disk is well");
    let stats = db.stats();
    let bytes: u64 = stats.levels.iter().map(|it| it.1).sum();
    assert!((10 << 10..=20 << 10).contains(&bytes), "{stats}");
    assert_eq!((stats.merges, stats.merged_bytes), (0, 0));
    let kept: Vec<_> = db.iter().map(|it| it.expect("the disk is well").0).collect();
    let first = 2_000 - u32::try_from(kept.len()).expect("few");
    assert!(kept.iter().zip(first..).all(|(key, it)| **key == it.to_be_bytes()), "the newest");
    drop(db);
    let db = open(&fs, &options).expect("the disk is well");
    assert_eq!(db.iter().count(), kept.len(), "the age outlives a reopening");
    clock.0.fetch_add(61, Ordering::Relaxed);
    db.put(b"new", b"").expect("the disk is well");
    db.settle().expect("the disk is well");
    assert_eq!(db.iter().count(), 1, "what is too old goes");
    let files = env::fs::Fs::list(&*fs, &folder().join("tables")).expect("it is there");
    assert_eq!(files.len(), 1, "{files:?}");
}

/// A reader that borrows the former state while a merge ends is not the one that ends the tables:
/// the merge waits for it, as long as that takes a few turns of the processor.
#[test]
fn who_replaced_tables_lets_go_of_them() {
    let options = Options { background: Background::Threads, level0_tables: 4, ..tiny() };
    // On a busy machine the reader may be away for too long.
    let waited = (0..50).any(|_| {
        let fs = SimDisk::new(1).mount();
        let db = open(&fs, &options).expect("the disk is well");
        for round in 0..2_u8 {
            for key in 0..40_u8 {
                db.put(&[key], &[round]).expect("the disk is well");
            }
            db.settle().expect("the disk is well");
        }
        let replaced: Vec<_> = {
            let state = db.default.core.share();
            state.version.tables().map(|(_, it)| Arc::downgrade(it)).collect()
        };
        assert!(replaced.len() >= 2, "there is nothing to merge");
        let before = db.default.tables();
        let guard = crossbeam_epoch::pin();
        thread::scope(|scope| {
            let merge = scope.spawn(|| db.compact().expect("the disk is well"));
            while db.default.tables() == before {
                thread::yield_now();
            }
            drop(guard);
            merge.join().expect("it ends");
        });
        replaced.iter().all(|it| it.strong_count() == 0)
    });
    assert!(waited, "tables outlived their merge each time");
}
