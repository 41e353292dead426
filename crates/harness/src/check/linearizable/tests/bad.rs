//! One test for each classic way to be wrong.
//!
//! Each gives a history that is wrong and the one line that makes it right: the first must be
//! rejected at the operation that is named, the second accepted, and the definition must agree.

use super::brute_force;
use crate::check::history::{History, Operation};
use crate::check::linearizable::check;
use crate::check::model::{
    AppendLog, BucketOp, Counter, CounterOp, FifoQueue, LogOp, LogRet, MapCell, MapOp, QueueOp,
    QueueRet, Register, RegisterOp, RegisterRet, Specification, TokenBucket,
};
use crate::contract::LimiterSpec;
use std::time::Duration;

use CounterOp::{FetchAdd, Load};
use LogOp::Append;
use LogRet::{Entry, Index};
use MapOp::{Add, CompareExchange, Get, Insert, Remove};
use QueueOp::{Dequeue, Enqueue};
use QueueRet::{Dequeued, Enqueued};
use RegisterOp::{Read, Write};
use RegisterRet::{Exchanged, Value, Written};

type Line<S> = Operation<<S as Specification>::Op, <S as Specification>::Ret>;

/// Asserts that `lines` is rejected because of the answer in line `culprit`, and accepted once line
/// `index` is `corrected`.
#[track_caller]
fn rejected<S>(initial: &S, lines: &[Line<S>], culprit: usize, index: usize, corrected: Line<S>)
where
    S: Specification,
    S::Ret: PartialEq,
    S::Op: PartialEq,
{
    let mut right = lines.to_vec();
    right[index] = corrected;

    let verdict = check(initial, &History::from_operations(lines.to_vec()));
    let violation = verdict.violation().unwrap_or_else(|| panic!("accepted: {lines:#?}"));
    assert_eq!(violation.evidence[violation.culprit], lines[culprit], "{violation}");
    assert!(!brute_force::is_linearizable(initial, lines), "the definition accepts {lines:#?}");

    let verdict = check(initial, &History::from_operations(right.clone()));
    assert!(verdict.is_linearizable(), "the corrected history is rejected: {verdict}");
    assert!(brute_force::is_linearizable(initial, &right), "the definition rejects {right:#?}");
}

/// The same key for all: an untouched map cell of a map from numbers to numbers.
fn absent() -> MapCell<u64> {
    MapCell::default()
}

const KEY: u64 = 7;

#[test]
fn stale_read() {
    let lines = [
        Operation::done(0, 0..1, Write(1), Written),
        Operation::done(0, 2..3, Write(2), Written),
        Operation::done(1, 4..5, Read, Value(1)),
    ];
    // The read begins while the second write is open.
    let corrected = Operation::done(0, 2..6, Write(2), Written);
    rejected(&Register::default(), &lines, 2, 1, corrected);
}

#[test]
fn future_read() {
    let lines =
        vec![Operation::done(0, 0..1, Read, Value(1)), Operation::done(1, 2..3, Write(1), Written)];
    let corrected = Operation::done(0, 0..4, Read, Value(1));
    rejected(&Register::default(), &lines, 0, 0, corrected);
}

#[test]
fn phantom_that_nobody_wrote() {
    let lines =
        vec![Operation::done(0, 0..3, Write(1), Written), Operation::done(1, 1..2, Read, Value(9))];
    rejected(&Register::default(), &lines, 1, 1, Operation::done(1, 1..2, Read, Value(1)));
}

#[test]
fn reads_of_two_readers_go_backwards() {
    // The write overlaps both reads, so that each read alone may see either value.
    let lines = [
        Operation::done(0, 0..9, Write(1), Written),
        Operation::done(1, 1..2, Read, Value(1)),
        Operation::done(2, 3..4, Read, Value(0)),
    ];
    rejected(&Register::default(), &lines, 2, 2, Operation::done(2, 3..4, Read, Value(1)));
}

#[test]
fn two_readers_see_two_writes_in_opposite_orders() {
    let lines = [
        Operation::done(0, 0..1, Write(1), Written),
        Operation::done(1, 0..1, Write(2), Written),
        Operation::done(2, 2..3, Read, Value(1)),
        Operation::done(3, 4..5, Read, Value(2)),
    ];
    rejected(&Register::default(), &lines, 3, 3, Operation::done(3, 4..5, Read, Value(1)));
}

#[test]
fn both_compare_exchanges_succeed() {
    let exchange = |new| RegisterOp::CompareExchange { current: 0, new };
    let lines = [
        Operation::done(0, 0..3, exchange(1), Exchanged(true)),
        Operation::done(1, 1..4, exchange(2), Exchanged(true)),
    ];
    let corrected = Operation::done(1, 1..4, exchange(2), Exchanged(false));
    rejected(&Register::default(), &lines, 1, 1, corrected);
}

#[test]
fn compare_exchange_fails_although_the_value_is_there() {
    let exchange = RegisterOp::CompareExchange { current: 1, new: 2 };
    let lines = [
        Operation::done(0, 0..1, Write(1), Written),
        Operation::done(1, 2..3, exchange, Exchanged(false)),
    ];
    let corrected = Operation::done(0, 0..3, Write(1), Written);
    rejected(&Register::default(), &lines, 1, 0, corrected);
}

#[test]
fn pending_write_took_effect_and_vanished() {
    let lines = [
        Operation::pending(0, 0, Write(1)),
        Operation::done(1, 1..2, Read, Value(1)),
        Operation::done(1, 3..4, Read, Value(0)),
    ];
    rejected(&Register::default(), &lines, 2, 1, Operation::done(1, 1..2, Read, Value(0)));
}

#[test]
fn pending_write_took_effect_before_it_was_called() {
    let lines = [Operation::done(1, 0..1, Read, Value(1)), Operation::pending(0, 2, Write(1))];
    rejected(&Register::default(), &lines, 0, 1, Operation::pending(0, 0, Write(1)));
}

#[test]
fn pending_write_took_effect_twice() {
    let lines = [
        Operation::pending(0, 0, Write(1)),
        Operation::done(1, 1..2, Read, Value(1)),
        Operation::done(2, 3..4, Write(2), Written),
        Operation::done(1, 5..6, Read, Value(1)),
    ];
    rejected(&Register::default(), &lines, 3, 1, Operation::done(1, 1..2, Read, Value(0)));
}

#[test]
fn lost_update() {
    let lines = [
        Operation::done(0, 0..1, Insert(KEY, 10), None),
        Operation::done(0, 2..5, Add(KEY, 1), Some(11)),
        Operation::done(1, 3..6, Add(KEY, 1), Some(11)),
    ];
    rejected(&absent(), &lines, 2, 2, Operation::done(1, 3..6, Add(KEY, 1), Some(12)));
}

#[test]
fn value_is_read_after_its_removal() {
    let lines = [
        Operation::done(0, 0..1, Insert(KEY, 1), None),
        Operation::done(0, 2..3, Remove(KEY), Some(1)),
        Operation::done(1, 4..5, Get(KEY), Some(1)),
    ];
    rejected(&absent(), &lines, 2, 2, Operation::done(1, 4..5, Get(KEY), None));
}

#[test]
fn removed_value_is_resurrected() {
    let lines = [
        Operation::done(0, 0..1, Insert(KEY, 1), None),
        Operation::done(0, 2..3, Remove(KEY), Some(1)),
        Operation::done(1, 4..5, Get(KEY), None),
        Operation::done(1, 6..7, Get(KEY), Some(1)),
    ];
    rejected(&absent(), &lines, 3, 3, Operation::done(1, 6..7, Get(KEY), None));
}

#[test]
fn both_removals_succeed() {
    let lines = [
        Operation::done(0, 0..1, Insert(KEY, 1), None),
        Operation::done(0, 2..5, Remove(KEY), Some(1)),
        Operation::done(1, 3..4, Remove(KEY), Some(1)),
    ];
    rejected(&absent(), &lines, 1, 2, Operation::done(1, 3..4, Remove(KEY), None));
}

#[test]
fn insert_answers_a_wrong_former_value() {
    let lines = [
        Operation::done(0, 0..1, Insert(KEY, 1), None),
        Operation::done(1, 2..3, Insert(KEY, 2), None),
    ];
    rejected(&absent(), &lines, 1, 1, Operation::done(1, 2..3, Insert(KEY, 2), Some(1)));
}

#[test]
fn both_inserts_find_the_key_absent() {
    // What a racy insert does: get, unlock, lock, put.
    let lines = [
        Operation::done(0, 0..2, Insert(KEY, 1), None),
        Operation::done(1, 1..3, Insert(KEY, 2), None),
    ];
    rejected(&absent(), &lines, 1, 0, Operation::done(0, 0..2, Insert(KEY, 1), Some(2)));
}

#[test]
fn insert_is_lost_in_a_resize() {
    let lines = [
        Operation::done(0, 0..1, Insert(KEY, 1), None),
        Operation::done(1, 2..3, Get(KEY), None),
        Operation::done(1, 4..5, Get(KEY), Some(1)),
    ];
    rejected(&absent(), &lines, 1, 1, Operation::done(1, 2..3, Get(KEY), Some(1)));
}

#[test]
fn update_of_an_absent_key_makes_it() {
    let lines =
        [Operation::done(0, 0..1, Add(KEY, 5), Some(5)), Operation::done(0, 2..3, Get(KEY), None)];
    rejected(&absent(), &lines, 0, 0, Operation::done(0, 0..1, Add(KEY, 5), None));
}

#[test]
fn both_exchanges_of_a_map_succeed() {
    let lines = [
        Operation::done(0, 0..1, Insert(KEY, 1), None),
        Operation::done(0, 2..5, CompareExchange(KEY, 1, 2), Some(1)),
        Operation::done(1, 3..6, CompareExchange(KEY, 1, 3), Some(1)),
    ];
    let corrected = Operation::done(1, 3..6, CompareExchange(KEY, 1, 3), Some(2));
    rejected(&absent(), &lines, 2, 2, corrected);
}

#[test]
fn neighbouring_key_is_hit() {
    let lines = [
        Operation::done(0, 0..1, Insert(KEY, 1), None),
        Operation::done(1, 2..3, Remove(KEY + 1), None),
        Operation::done(0, 4..5, Get(KEY), None),
    ];
    rejected(&absent(), &lines, 2, 1, Operation::done(1, 2..3, Remove(KEY), Some(1)));
}

#[test]
fn two_threads_draw_the_same_number() {
    let lines =
        vec![Operation::done(0, 0..2, FetchAdd(1), 0), Operation::done(1, 1..3, FetchAdd(1), 0)];
    rejected(&Counter::default(), &lines, 1, 1, Operation::done(1, 1..3, FetchAdd(1), 1));
}

#[test]
fn number_is_skipped() {
    let lines = [Operation::done(0, 0..1, FetchAdd(1), 0), Operation::done(1, 2..3, Load, 2)];
    rejected(&Counter::default(), &lines, 1, 1, Operation::done(1, 2..3, Load, 1));
}

#[test]
fn queue_reorders() {
    let lines = [
        Operation::done(0, 0..1, Enqueue(1), Enqueued),
        Operation::done(0, 2..3, Enqueue(2), Enqueued),
        Operation::done(1, 4..5, Dequeue, Dequeued(Some(2))),
        Operation::done(1, 6..7, Dequeue, Dequeued(Some(1))),
    ];
    // Were the first still open when the second was called, either could be ahead.
    let corrected = Operation::done(0, 0..3, Enqueue(1), Enqueued);
    rejected(&FifoQueue::default(), &lines, 2, 0, corrected);
}

#[test]
fn queue_hands_out_an_element_twice() {
    let lines = [
        Operation::done(0, 0..1, Enqueue(1), Enqueued),
        Operation::done(1, 2..4, Dequeue, Dequeued(Some(1))),
        Operation::done(2, 3..5, Dequeue, Dequeued(Some(1))),
    ];
    rejected(
        &FifoQueue::default(),
        &lines,
        2,
        2,
        Operation::done(2, 3..5, Dequeue, Dequeued(None)),
    );
}

#[test]
fn queue_is_empty_although_it_is_not() {
    let lines = [
        Operation::done(0, 0..1, Enqueue(1), Enqueued),
        Operation::done(1, 2..3, Dequeue, Dequeued(None)),
    ];
    rejected(&FifoQueue::default(), &lines, 1, 0, Operation::done(0, 0..3, Enqueue(1), Enqueued));
}

#[test]
fn two_appends_get_the_same_index() {
    let lines = [
        Operation::done(0, 0..2, Append(10), Index(0)),
        Operation::done(1, 1..3, Append(11), Index(0)),
    ];
    let corrected = Operation::done(1, 1..3, Append(11), Index(1));
    rejected(&AppendLog::default(), &lines, 1, 1, corrected);
}

#[test]
fn entry_of_a_log_changes() {
    let lines = [
        Operation::done(0, 0..2, Append(10), Index(0)),
        Operation::done(1, 1..3, Append(11), Index(1)),
        Operation::done(2, 4..5, LogOp::Read(0), Entry(Some(11))),
    ];
    let corrected = Operation::done(2, 4..5, LogOp::Read(0), Entry(Some(10)));
    rejected(&AppendLog::default(), &lines, 2, 2, corrected);
}

#[test]
fn acknowledged_entry_of_a_log_is_gone() {
    let lines = [
        Operation::done(0, 0..1, Append(10), Index(0)),
        Operation::done(1, 2..3, LogOp::Count, LogRet::Count(0)),
    ];
    let corrected = Operation::done(1, 2..3, LogOp::Count, LogRet::Count(1));
    rejected(&AppendLog::default(), &lines, 1, 1, corrected);
}

#[test]
fn limiter_admits_one_too_many() {
    // Two at once and one more each second: at 0.999 s the third is early, at 1 s it is due.
    let spec = LimiterSpec { cells: 1, period: Duration::from_secs(1), burst: 2 };
    let take = |millis| BucketOp { key: KEY, now: Duration::from_millis(millis), cost: 1 };
    let lines = [
        Operation::done(0, 0..2, take(0), true),
        Operation::done(1, 1..3, take(0), true),
        Operation::done(0, 4..5, take(999), true),
    ];
    rejected(&TokenBucket::new(spec), &lines, 2, 2, Operation::done(0, 4..5, take(1_000), true));
}

#[test]
fn limiter_denies_what_is_there() {
    let spec = LimiterSpec { cells: 3, period: Duration::from_micros(1), burst: 1 };
    let take = |nanos| BucketOp { key: KEY, now: Duration::from_nanos(nanos), cost: 1 };
    // A cell comes every 333 1/3 ns: not yet there at 333 ns, but there at 334 ns.
    let lines =
        vec![Operation::done(0, 0..1, take(0), true), Operation::done(1, 2..3, take(334), false)];
    rejected(&TokenBucket::new(spec), &lines, 1, 1, Operation::done(1, 2..3, take(333), false));
}
