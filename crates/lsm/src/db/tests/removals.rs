//! Removed ranges: what they hide, from whom, and what they leave behind.

use harness::sim::SimDisk;

use super::*;

fn tables(db: &Db) -> usize {
    db.stats().levels.iter().map(|it| it.0).sum()
}

fn filled(fs: &Arc<SimFs>, count: u64) -> Db {
    let db = open(fs, &tiny()).expect("the disk is well");
    (0..count).for_each(|it| db.put(&key(it), &[1; 50]).expect("the disk is well"));
    db
}

#[test]
fn a_range_goes_and_its_borders_stay() {
    let db = filled(&SimDisk::new(1).mount(), 500);
    for settled in [false, true] {
        db.delete_range(&key(100), &key(200)).expect("the disk is well");
        db.delete_range(&key(300), &key(300)).expect("an empty range is one");
        db.delete_range(&key(400), &key(10)).expect("and so is one the wrong way round");
        if settled {
            db.settle().expect("the disk is well");
        }
        let get = |number| db.get(&key(number)).expect("the disk is well").is_some();
        assert_eq!([99, 100, 150, 199, 200, 300].map(get), [true, false, false, false, true, true]);
        assert_eq!(contents(&db).expect("the disk is well").len(), 400);
    }
}

/// What was written before the removal is hidden, what was written after is not, at every depth.
#[test]
fn what_is_written_later_stays() {
    let fs = SimDisk::new(1).mount();
    let db = filled(&fs, 300);
    db.compact().expect("the disk is well");
    let before = db.snapshot();
    db.delete_range(&key(0), &key(300)).expect("the disk is well");
    let between = db.snapshot();
    db.put(&key(7), b"new").expect("the disk is well");
    let mut batch = Batch::new();
    batch.put(&key(8), b"hidden").and_then(|()| batch.delete_range(&key(8), &key(9))).expect("ok");
    batch.delete_range(&key(9), &key(10)).and_then(|()| batch.put(&key(9), b"new")).expect("ok");
    db.write(&mut batch).expect("the disk is well");
    for step in 0..3 {
        let expected = [(key(7), b"new".to_vec()), (key(9), b"new".to_vec())].into();
        assert_eq!(contents(&db).expect("the disk is well"), expected, "step {step}");
        assert_eq!(before.iter().count(), 300, "step {step}");
        assert_eq!(before.get(&key(8)).expect("well").as_deref(), Some(&[1; 50][..]));
        assert_eq!(between.iter().count(), 0, "step {step}");
        assert_eq!(between.get(&key(8)).expect("well"), None);
        match step {
            0 => db.settle().expect("the disk is well"),
            _ => db.compact().expect("the disk is well"),
        }
    }
    drop((before, between));
    db.compact().expect("the disk is well");
    drop(db);
    let db = open(&fs, &tiny()).expect("the disk is well");
    assert_eq!(db.iter().count(), 2);
}

/// Tables within the range go unread, the removal with them, once no snapshot looks at them.
#[test]
fn space_comes_back_and_the_removal_is_forgotten() {
    let db = filled(&SimDisk::new(1).mount(), 1_000);
    db.compact().expect("the disk is well");
    let (before, merged) = (tables(&db), db.stats().merged_bytes);
    let held = db.snapshot();
    db.delete_range(&key(50), &key(950)).expect("the disk is well");
    db.settle().expect("the disk is well");
    assert!(tables(&db) >= before, "a snapshot looks at them");
    assert_eq!(held.iter().count(), 1_000);
    drop(held);
    db.settle().expect("the disk is well");
    let removals = |db: &Db| {
        let core = db.default_family().core();
        core.share().version.removals.all().len() + core.fences.lock().len()
    };
    assert!(tables(&db) < before / 5, "{} of {before} tables", tables(&db));
    assert_eq!(removals(&db), 0, "nothing needs it");
    let rewritten = db.stats().merged_bytes - merged;
    assert!(rewritten < 20_000, "{rewritten} bytes were written to remove 900 keys");
    assert_eq!(db.iter().count(), 100);
}

/// A queue: what was taken is removed from the front, again and again.
#[test]
fn removals_do_not_pile_up() {
    let db = open(&SimDisk::new(1).mount(), &tiny()).expect("the disk is well");
    for round in 0..300_u64 {
        for number in 0..10 {
            db.put(&(round * 10 + number).to_be_bytes(), &[7; 30]).expect("the disk is well");
        }
        db.delete_range(&[], &(round * 10 + 5).to_be_bytes()).expect("the disk is well");
    }
    db.settle().expect("the disk is well");
    assert_eq!(db.iter().count(), 5);
    assert!(tables(&db) <= 2, "{}", db.stats());
    assert!(db.default_family().core().share().version.removals.is_empty());
}

/// Each removal of a queue's reader, one after another, and all of them at once as one table has
/// them: neither to add one nor to ask for one sorts the others.
#[test]
fn ten_thousand_removals_are_as_quick_as_few() {
    const COUNT: u64 = 10_000;
    let key = |number: u64| number.to_be_bytes().to_vec();
    let fs = SimDisk::new(1).mount();
    let options = Options { memtable_size: 1 << 20, cache_size: 4 << 20, ..tiny() };
    let db = open(&fs, &options).expect("the disk is well");
    for number in 0..2 * COUNT {
        db.put(&key(number), b"value").expect("the disk is well");
    }
    db.settle().expect("the disk is well");
    let before = db.snapshot();
    for number in 0..COUNT {
        // Every other key by itself; and each time all that was read.
        let from = if number % 2 == 0 { number } else { 0 };
        db.delete_range(&key(2 * from), &key(2 * number + 1)).expect("the disk is well");
        if number % 100 == 0 {
            assert_eq!(db.get(&key(2 * number)).expect("well"), None);
            assert!(db.get(&key(2 * number + 1)).expect("well").is_some());
            let first = db.range(&key(2 * number)[..]..).next().expect("more follows");
            assert_eq!(first.expect("the disk is well").0, key(2 * number + 1));
        }
    }
    let require = |db: &Db| {
        let left = contents(db).expect("the disk is well");
        assert_eq!(left.keys().next(), Some(&key(2 * COUNT - 1)));
        assert_eq!(left.len(), 1);
        assert_eq!(before.iter().count() as u64, 2 * COUNT);
    };
    require(&db);
    db.compact().expect("the disk is well");
    require(&db);
    drop(before);
    db.compact().expect("the disk is well");
    assert_eq!(contents(&db).expect("the disk is well").len(), 1);
    assert_eq!(db.stats().levels.iter().map(|it| it.0).sum::<usize>(), 1);
}
