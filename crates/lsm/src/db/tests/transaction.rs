//! Transactions: alone against a model, and with others against what they must keep.

use std::ops::ControlFlow;
use std::thread;

use harness::sim::SimDisk;

use super::*;
use crate::{Error, Isolation, Transaction};

fn store() -> Db {
    open(&SimDisk::new(1).mount(), &tiny()).expect("the disk is well")
}

fn number(bytes: Option<Vec<u8>>) -> u64 {
    bytes.map_or(0, |it| u64::from_le_bytes(it.try_into().expect("eight bytes")))
}

fn is_conflict(outcome: &Result<()>) -> bool {
    match outcome {
        Ok(()) => false,
        Err(Error::Conflict { .. }) => true,
        Err(cause) => panic!("{cause}"),
    }
}

fn change(transaction: &mut Transaction, changes: &Changes) {
    for step in changes {
        match step {
            Step::Put(key, value) => transaction.put(key, value),
            Step::Remove(key) => transaction.delete(key),
            Step::Merge(key, operand) => transaction.merge(key, operand),
            Step::RemoveRange(start, end) => transaction.delete_range(start, end),
        }
        .expect("they are small");
    }
}

/// A commit leaves what the same changes leave without a transaction.
#[test]
fn a_commit_does_what_its_changes_do() {
    for round in 0..60 {
        let [with, without] = [store(), store()];
        let before: Changes = batches(round, 40, 40).concat();
        let own: Changes = batches(1_000 + round, 25, 20).concat();
        for db in [&with, &without] {
            write(db, &before).expect("the disk is well");
        }
        let mut transaction = with.transaction(Isolation::Snapshot);
        change(&mut transaction, &own);
        transaction.commit().expect("nobody is in its way");
        write(&without, &own).expect("the disk is well");
        let expected = contents(&without).expect("the disk is well");
        assert_eq!(contents(&with).expect("the disk is well"), expected, "round {round}");
    }
}

/// A date counts for the transaction as it does for the store, also under operands.
#[test]
fn a_value_with_a_date_is_gone_on_its_day() {
    let calendar = Arc::new(Calendar::default());
    let clock: Arc<dyn WallClock> = Arc::<Calendar>::clone(&calendar);
    let options = Options { clock, ..tiny() };
    let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
    let mut transaction = db.transaction(Isolation::Serializable);
    transaction.put_until(b"a", b"1", Duration::from_secs(2)).expect("it is small");
    transaction.put_until(b"b", b"1", Duration::from_secs(2)).expect("it is small");
    transaction.merge(b"b", b"2").expect("there is an operator");
    let seen = |transaction: &mut Transaction| {
        let mut all = Vec::new();
        let visit = |key: &[u8], value: &[u8]| {
            all.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        transaction.scan(.., visit).expect("the disk is well");
        all
    };
    let entry = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
    assert_eq!(seen(&mut transaction), [entry(b"a", b"1"), entry(b"b", b"12")]);
    calendar.0.store(2, Ordering::Relaxed);
    assert_eq!(transaction.get(b"a").expect("well"), None);
    assert_eq!(seen(&mut transaction), [entry(b"b", b"2")]);
    transaction.commit().expect("nobody is in its way");
    assert_eq!(db.get(b"a").expect("well"), None);
    assert_eq!(db.get(b"b").expect("well").as_deref(), Some(&b"2"[..]));
}

#[test]
fn operands_without_an_operator_are_refused_at_once() {
    let options = Options { merge_operator: None, ..tiny() };
    let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
    let mut transaction = db.transaction(Isolation::Snapshot);
    assert!(matches!(transaction.merge(b"key", b"operand"), Err(Error::NoMergeOperator)));
    transaction.commit().expect("there is nothing to write");
}

/// Its own writes hide what there was, in `get` and in `scan`, and nobody else sees them before.
#[test]
fn a_transaction_sees_its_own_writes_and_one_moment() {
    let mut random = SplitMix64::new(3);
    for round in 0..60 {
        let db = store();
        let mut model = Model::new();
        for changes in batches(round, 60, 40) {
            write(&db, &changes).expect("the disk is well");
            apply(&mut model, &changes);
        }
        let before = model.clone();
        let mut transaction = db.transaction(Isolation::Serializable);
        db.put(b"key 005", b"of somebody else").expect("the disk is well");
        db.put(b"key 999", b"of somebody else").expect("the disk is well");
        let own: Changes = batches(1_000 + round, 12, 20).concat();
        change(&mut transaction, &own);
        apply(&mut model, &own);
        for key in (0..41).map(key) {
            assert_eq!(transaction.get(&key).expect("well").as_ref(), model.get(&key));
        }
        let (from, to) = (random.below(41), random.below(41));
        let [from, to] = [from, to].map(key);
        let limit = 1 + usize::try_from(random.below(10)).expect("small");
        let mut seen = Model::new();
        let visit = |key: &[u8], value: &[u8]| {
            seen.insert(key.to_vec(), value.to_vec());
            if seen.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        transaction.scan(&*from..&*to, visit).expect("the disk is well");
        let inside = model.iter().filter(|it| from <= *it.0 && *it.0 < to).take(limit);
        let expected: Model = inside.map(|it| (it.0.clone(), it.1.clone())).collect();
        assert_eq!(seen, expected, "round {round}, {from:?} to {to:?}");
        drop(transaction);
        let mut now = before;
        now.insert(b"key 005".to_vec(), b"of somebody else".to_vec());
        now.insert(b"key 999".to_vec(), b"of somebody else".to_vec());
        assert_eq!(contents(&db).expect("the disk is well"), now, "it wrote nothing");
    }
}

/// What a transaction read, and what another one does before it commits.
type Move = fn(&mut Transaction) -> Result<()>;

/// Whether `mine` conflicts with a commit of `theirs` that came in between.
fn conflicts(isolation: Isolation, with_flush: bool, mine: Move, theirs: Move) -> bool {
    let db = store();
    for number in 0..30 {
        db.put(format!("{number:02}").as_bytes(), b"before").expect("the disk is well");
    }
    let mut transaction = db.transaction(isolation);
    mine(&mut transaction).expect("the disk is well");
    let mut other = db.transaction(isolation);
    theirs(&mut other).expect("the disk is well");
    other.commit().expect("nobody is in its way");
    if with_flush {
        db.compact().expect("the disk is well");
    }
    is_conflict(&transaction.commit())
}

#[test]
fn what_was_read_must_not_have_changed() {
    use Isolation::{Serializable, Snapshot};
    let read_and_write: Move = |it| it.get(b"05").and_then(|_| it.put(b"06", b"mine"));
    let read_absent: Move = |it| it.get(b"absent").and_then(|_| it.put(b"06", b"mine"));
    let read_range: Move = |it| {
        it.scan(&b"10"[..]..&b"20"[..], |_, _| ControlFlow::Continue(()))?;
        it.put(b"06", b"mine")
    };
    let read_first: Move = |it| {
        it.scan(&b"10"[..]..&b"20"[..], |_, _| ControlFlow::Break(()))?;
        it.put(b"06", b"mine")
    };
    let only_read: Move = |it| it.get(b"05").map(|_| ());
    let only_write: Move = |it| it.put(b"05", b"mine");
    let change: Move = |it| it.put(b"05", b"theirs");
    let remove: Move = |it| it.delete(b"05");
    let make: Move = |it| it.put(b"absent", b"theirs");
    let phantom: Move = |it| it.put(b"155", b"theirs");
    let at_the_end: Move = |it| it.put(b"20", b"theirs");
    let merge: Move = |it| it.merge(b"05", b"!");
    let read_merged: Move = |it| it.merge(b"05", b"!").and_then(|()| it.get(b"05")).map(|_| ());
    let remove_range: Move = |it| it.delete_range(b"10", b"20");
    let read_removed: Move = |it| {
        it.delete_range(b"00", b"20")?;
        it.get(b"05").map(|_| ())
    };
    let write_within: Move = |it| it.put(b"15", b"mine");
    let read_within: Move = |it| it.get(b"15").and_then(|_| it.put(b"06", b"mine"));
    let cases = [
        (read_and_write, change, true, false),
        (read_and_write, remove, true, false),
        (read_and_write, make, false, false),
        (read_absent, make, true, false),
        (read_range, phantom, true, false),
        (read_range, at_the_end, false, false),
        (read_first, phantom, false, false),
        (only_read, change, false, false),
        (only_write, change, false, true),
        (merge, merge, false, true),
        (read_merged, merge, true, true),
        (remove_range, phantom, false, true),
        (remove_range, at_the_end, false, false),
        (write_within, remove_range, false, true),
        (read_within, remove_range, true, false),
        (read_range, remove_range, true, false),
        (remove_range, remove_range, false, true),
        (read_removed, change, false, true),
    ];
    for (case, (mine, theirs, serializable, snapshot)) in cases.into_iter().enumerate() {
        for with_flush in [false, true] {
            let found = conflicts(Serializable, with_flush, mine, theirs);
            assert_eq!(found, serializable, "case {case}, flush {with_flush}");
            let found = conflicts(Snapshot, with_flush, mine, theirs);
            assert_eq!(found, snapshot, "case {case} of snapshots, flush {with_flush}");
        }
    }
}

/// Each of two looks whether the other one is on call and goes; only one may.
#[test]
fn write_skew_is_refused_by_serializable_and_shown_by_snapshot() {
    for (isolation, may_both_go) in [(Isolation::Serializable, false), (Isolation::Snapshot, true)]
    {
        let db = store();
        db.put(b"alice", b"on call").and_then(|()| db.put(b"bob", b"on call")).expect("well");
        let mut alice = db.transaction(isolation);
        let mut bob = db.transaction(isolation);
        assert!(alice.get(b"bob").expect("well").is_some());
        assert!(bob.get(b"alice").expect("well").is_some());
        alice.delete(b"alice").and_then(|()| bob.delete(b"bob")).expect("well");
        alice.commit().expect("she is the first");
        assert_eq!(!is_conflict(&bob.commit()), may_both_go, "{isolation:?}");
    }
}

/// Money moves between accounts on many threads; the sum is the same at every moment.
#[test]
fn a_bank_loses_no_money() {
    const ACCOUNTS: u64 = 8;
    const EACH: u64 = 100;
    for isolation in [Isolation::Serializable, Isolation::Snapshot] {
        let options = Options { background: Background::Threads, ..tiny() };
        let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
        let key = |account: u64| account.to_be_bytes();
        for account in 0..ACCOUNTS {
            db.put(&key(account), &EACH.to_le_bytes()).expect("the disk is well");
        }
        let sum = |db: &Db| db.iter().map(|it| number(Some(it.expect("well").1))).sum::<u64>();
        let transfer = |random: &mut SplitMix64| -> Result<()> {
            let (from, to) = (key(random.below(ACCOUNTS)), key(random.below(ACCOUNTS)));
            let mut transaction = db.transaction(isolation);
            let (there, here) = (number(transaction.get(&from)?), number(transaction.get(&to)?));
            let amount = random.below(there + 1);
            if from != to {
                transaction.put(&from, &(there - amount).to_le_bytes())?;
                transaction.put(&to, &(here + amount).to_le_bytes())?;
            }
            transaction.commit()
        };
        let conflicts: usize = thread::scope(|scope| {
            let tellers: Vec<_> = (0..3)
                .map(|seed| {
                    let transfer = &transfer;
                    scope.spawn(move || {
                        let mut random = SplitMix64::new(seed);
                        (0..1_500).filter(|_| is_conflict(&transfer(&mut random))).count()
                    })
                })
                .collect();
            for _ in 0..200 {
                assert_eq!(sum(&db), ACCOUNTS * EACH);
            }
            tellers.into_iter().map(|it| it.join().expect("no teller fails")).sum()
        });
        assert_eq!(sum(&db), ACCOUNTS * EACH, "{conflicts} conflicts");
    }
}

/// Threads that count by `compare_and_set` lose no count.
#[test]
fn a_conditional_put_is_atomic() {
    let db = store();
    let counted: u64 = thread::scope(|scope| {
        let count = |_| {
            scope.spawn(|| {
                let step = || {
                    let old = db.get(b"count").expect("well");
                    let new = (number(old.clone()) + 1).to_le_bytes();
                    db.compare_and_set(b"count", old.as_deref(), Some(&new)).expect("well")
                };
                (0..500).map(|_| u64::from(step())).sum::<u64>()
            })
        };
        let threads: Vec<_> = (0..3).map(count).collect();
        threads.into_iter().map(|it| it.join().expect("no thread fails")).sum()
    });
    assert!(counted >= 500, "one of three gets on at every moment");
    assert_eq!(number(db.get(b"count").expect("well")), counted);
    assert!(!db.compare_and_set(b"count", None, None).expect("well"));
    let held = db.get(b"count").expect("well");
    assert!(db.compare_and_set(b"count", held.as_deref(), None).expect("well"));
    assert_eq!(db.get(b"count").expect("well"), None);
}
