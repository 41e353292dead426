//! What a store refuses: with a typed error, before anything has changed.

use harness::sim::SimDisk;

use super::*;
use crate::{Error, Isolation};

/// A store with a family of its own.
fn with_family(options: &Options, name: &str) -> (Db, crate::Family) {
    let db = open(&SimDisk::new(1).mount(), options).expect("the disk is well");
    let family = db.family(name).expect("the disk is well");
    (db, family)
}

/// Both stores have a family of number 1: only the handle tells them apart.
#[test]
fn a_family_of_another_store_is_refused() {
    let (here, ours) = with_family(&tiny(), "ours");
    let (_there, theirs) = with_family(&tiny(), "theirs");
    let require_foreign = |outcome: Result<()>| {
        let cause = outcome.expect_err("it is of another store");
        assert!(matches!(cause, Error::Foreign), "{cause}");
    };
    ours.put(b"a", b"1").expect("the disk is well");
    let mut batch = Batch::new();
    batch.put_in(&ours, b"b", b"1").expect("it is small");
    require_foreign(batch.put_in(&theirs, b"b", b"2"));
    assert_eq!(batch.len(), 1, "what was refused is not in it");
    here.write(&mut batch).expect("the disk is well");
    batch.clear();
    batch.delete_in(&theirs, b"a").expect("a batch is of the store that it is made for");
    require_foreign(here.write(&mut batch));
    require_foreign(here.try_write(&mut batch));
    let snapshot = here.snapshot();
    require_foreign(snapshot.get_in(&theirs, b"a").map(drop));
    let mut iter = snapshot.iter_in(&theirs);
    require_foreign(iter.forward());
    require_foreign(iter.seek_first());
    require_foreign(iter.seek_last());
    let entries: Vec<_> = snapshot.iter_in(&theirs).collect();
    let [only] = <[_; 1]>::try_from(entries).expect("it is said once");
    require_foreign(only.map(drop));
    let mut transaction = here.transaction(Isolation::Serializable);
    require_foreign(transaction.get_in(&theirs, b"a").map(drop));
    require_foreign(transaction.put_in(&theirs, b"a", b"2"));
    require_foreign(transaction.delete_in(&theirs, b"a"));
    require_foreign(transaction.scan_in(&theirs, .., |_, _| std::ops::ControlFlow::Continue(())));
    transaction.put_in(&ours, b"c", b"1").expect("it is ours");
    transaction.commit().expect("nothing is in the way");
    require_foreign(here.drop_family(&theirs));
    assert_eq!(here.families(), ["default", "ours"]);
    assert_eq!(ours.iter().count(), 3);
}

#[test]
fn the_default_family_stays() {
    let db = open(&SimDisk::new(1).mount(), &tiny()).expect("the disk is well");
    let cause = db.drop_family(db.default_family()).expect_err("it is always there");
    assert!(matches!(cause, Error::DefaultFamily), "{cause}");
    db.put(b"a", b"1").expect("it is there");
}

/// Such an entry could not be read, nor merged away.
#[test]
fn an_operand_is_refused_where_nothing_says_what_it_means() {
    let options = Options { merge_operator: None, ..tiny() };
    let (db, family) = with_family(&options, "other");
    db.put(b"a", b"1").expect("the disk is well");
    let mut batch = Batch::new();
    batch.put(b"b", b"1").expect("it is small");
    batch.merge_in(&family, b"a", b"2").expect("a batch knows no store");
    let causes = [db.write(&mut batch), db.try_write(&mut batch), db.merge(b"a", b"2")];
    for cause in causes.map(|it| it.expect_err("nothing says what it means")) {
        assert!(matches!(cause, Error::NoMergeOperator), "{cause}");
    }
    assert_eq!(db.iter().count(), 1, "all of the batch or nothing");
}

/// It is refused before the memtable makes way for one as large as the batch.
#[test]
fn a_batch_that_fits_into_no_segment_changes_nothing() {
    let db = open(&SimDisk::new(1).mount(), &tiny()).expect("the disk is well");
    db.put(b"a", b"1").expect("the disk is well");
    let before = db.stats();
    let mut batch = Batch::new();
    batch.put(b"b", &vec![7; 20_000]).expect("a batch knows no store");
    let cause = db.write(&mut batch).expect_err("it is larger than a segment");
    let Error::TooLarge { len, limit, .. } = cause else { panic!("{cause}") };
    let after = db.stats();
    let memory = |it: &crate::Stats| (it.flushes, it.memtable_bytes);
    assert_eq!(memory(&before), memory(&after));
    // What the documentation promises: four memtables, but for some bytes.
    assert!(limit > 4 * tiny().memtable_size - 100, "{limit}");
    let room = 20_000 - (len - limit);
    batch.clear();
    batch.put(b"b", &vec![7; room]).expect("a batch knows no store");
    db.write(&mut batch).expect("it has the largest length");
    assert_eq!(db.get(b"b").expect("the disk is well"), Some(vec![7; room]));
}
