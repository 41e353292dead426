//! Operands and dates: what a key comes to, at every depth and for every snapshot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::sim::SimDisk;

use super::*;
use crate::Error;

fn counts(db: &Db) -> (usize, u64) {
    let levels = db.stats().levels;
    (db.iter().count(), levels.iter().map(|it| it.1).sum())
}

#[test]
fn operands_add_up_and_are_worked_out_for_good() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    db.put(b"a", b"0").expect("the disk is well");
    let mut expected = b"0".to_vec();
    let mut held = Vec::new();
    for step in 0..600_u32 {
        let digit = step.to_string().into_bytes();
        db.merge(b"a", &digit).expect("the disk is well");
        expected.extend_from_slice(&digit);
        if step % 150 == 0 {
            held.push((expected.clone(), db.snapshot()));
        }
        db.put(&key(u64::from(step) % 90), &[1; 30]).expect("the disk is well");
    }
    for step in 0..3 {
        assert_eq!(db.get(b"a").expect("well"), Some(expected.clone()), "step {step}");
        assert_eq!(contents(&db).expect("well").get(&b"a"[..]), Some(&expected), "step {step}");
        for (then, snapshot) in &held {
            assert_eq!(snapshot.get(b"a").expect("well").as_ref(), Some(then), "step {step}");
            let first = snapshot.iter().next().expect("there is one").expect("well");
            assert_eq!(first.1, *then, "step {step}");
        }
        db.compact().expect("the disk is well");
    }
    drop(held);
    db.compact().expect("the disk is well");
    drop(db);
    // What was worked out needs no operator any more.
    let options = Options { merge_operator: None, ..tiny() };
    let db = open(&fs, &options).expect("the disk is well");
    assert_eq!(db.get(b"a").expect("well"), Some(expected));
    assert!(matches!(db.merge(b"a", b"1"), Err(Error::NoMergeOperator)));
}

#[test]
fn operands_without_an_operator_are_kept_and_refused() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    let held = db.snapshot();
    (0..3).for_each(|_| db.merge(b"a", b"1").expect("the disk is well"));
    drop((held, db));
    let options = Options { merge_operator: None, ..tiny() };
    let db = open(&fs, &options).expect("the disk is well");
    for _ in 0..2 {
        assert!(matches!(db.get(b"a"), Err(Error::NoMergeOperator)));
        assert!(matches!(db.iter().next(), Some(Err(Error::NoMergeOperator))));
        db.compact().expect("operands are merged as they are");
    }
    drop(db);
    let db = open(&fs, &tiny()).expect("the disk is well");
    assert_eq!(db.get(b"a").expect("well").as_deref(), Some(&b"111"[..]));
}

#[test]
fn a_dated_value_is_there_until_its_date_and_then_its_space_comes_back() {
    let calendar = Arc::new(Calendar::default());
    let clock: Arc<dyn WallClock> = Arc::<Calendar>::clone(&calendar);
    let fs = SimDisk::new(1).mount();
    let options = Options { clock, ..tiny() };
    let db = open(&fs, &options).expect("the disk is well");
    for number in 0..200 {
        let time = Duration::from_secs(10 + 10 * (number % 2));
        db.put_for(&key(number), &[1; 30], time).expect("the disk is well");
    }
    db.put(&key(0), b"for ever").expect("the disk is well");
    db.put_for(&key(1), b"a moment", Duration::from_secs(5)).expect("the disk is well");
    for settled in [false, true] {
        calendar.0.store(4, Ordering::Relaxed);
        if settled {
            db.compact().expect("the disk is well");
        }
        let full = contents(&db).expect("well");
        assert_eq!(full.len(), 200);
        assert_eq!(full[&key(2)], [1; 30]);
        assert_eq!(db.get(&key(1)).expect("well").as_deref(), Some(&b"a moment"[..]));
        calendar.0.store(10, Ordering::Relaxed);
        // The value before the one that is over does not come back.
        assert_eq!(db.get(&key(1)).expect("well"), None);
        assert_eq!(db.get(&key(2)).expect("well"), None);
        assert_eq!(db.get(&key(3)).expect("well").as_deref(), Some(&[1; 30][..]));
        assert_eq!(contents(&db).expect("well").len(), 1 + 99);
    }
    let before = counts(&db);
    db.put(&key(2), b"again").and_then(|()| db.delete(&key(2))).expect("well");
    db.compact().expect("the disk is well");
    assert!(counts(&db).1 < before.1 * 2 / 3, "{:?} after {before:?}", counts(&db));
    calendar.0.store(20, Ordering::Relaxed);
    db.merge(&key(3), b"new").expect("the disk is well");
    assert_eq!(db.get(&key(3)).expect("well").as_deref(), Some(&b"new"[..]));
    let left = [(key(0), b"for ever".to_vec()), (key(3), b"new".to_vec())].into();
    assert_eq!(contents(&db).expect("well"), left);
    drop(db);
    assert_eq!(contents(&open(&fs, &options).expect("well")).expect("well"), left);
}

/// Panics while it is told to.
#[derive(Debug, Default)]
struct Moody(AtomicBool);

impl MergeOperator for Moody {
    fn merge(&self, key: &[u8], value: Option<&[u8]>, operands: &[&[u8]]) -> Vec<u8> {
        assert!(!self.0.load(Ordering::Relaxed), "in a mood");
        Concat.merge(key, value, operands)
    }
}

/// Writers are told, and everything goes on once the operator does.
#[test]
fn an_operator_that_panics_stops_nothing_for_good() {
    let operator = Arc::new(Moody::default());
    operator.0.store(true, Ordering::Relaxed);
    let options = Options {
        merge_operator: Some(Arc::<Moody>::clone(&operator) as Arc<dyn MergeOperator>),
        background: Background::Threads,
        ..tiny()
    };
    let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
    let mut written = 0;
    let outcome = (0..10_000).try_for_each(|_| {
        db.merge(b"a", &[7; 10])?;
        written += 10;
        Ok(())
    });
    assert!(matches!(outcome, Err(Error::Panicked)), "{outcome:?}");
    operator.0.store(false, Ordering::Relaxed);
    db.settle().expect("it is in a better mood");
    assert_eq!(db.get(b"a").expect("well"), Some(vec![7; written]));
}
