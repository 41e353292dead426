//! Long histories are decided quickly, and hopeless ones are given up, not waited for.

use std::time::Duration;

use env::clock::{Clock, MonotonicClock};

use super::generate::{Shape, linearizable};
use crate::check::history::{History, Operation};
use crate::check::linearizable::{Checker, OPEN_MAX, Unknown, Verdict, check};
use crate::check::model::MapOp::{self, Get, Insert, Remove};
use crate::check::model::{
    FifoQueue, MapCell, QueueOp, QueueRet, Register, RegisterOp, RegisterRet, Specification,
};
use crate::rng::SplitMix64;

/// Generous: an idle machine needs a twentieth of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Judges `history`, which must not take longer than `PATIENCE`.
#[track_caller]
fn check_quickly<S: Specification>(initial: &S, history: &History<S::Op, S::Ret>) -> Verdict<S> {
    let clock = MonotonicClock::new();
    let start = clock.now();
    let verdict = check(initial, history);
    let elapsed = clock.now().saturating_since(start);
    assert!(elapsed < PATIENCE, "{} operations took {elapsed:?}", history.count());
    verdict
}

fn map_history(operations: usize, threads: usize) -> History<MapOp<u64>, Option<u64>> {
    let shape = Shape { operations, threads, pending_percent: 0 };
    linearizable(&mut SplitMix64::new(1), &MapCell::default(), shape, |rng| {
        let key = rng.below(1_000);
        match rng.below(4) {
            0 => Insert(key, rng.below(100)),
            1 => Remove(key),
            _ => Get(key),
        }
    })
}

fn register_history(
    operations: usize,
    threads: usize,
    pending_percent: u64,
) -> History<RegisterOp, RegisterRet> {
    let shape = Shape { operations, threads, pending_percent };
    linearizable(&mut SplitMix64::new(2), &Register::default(), shape, |rng| {
        if rng.chance(1, 2) { RegisterOp::Write(1 + rng.next_u64() / 2) } else { RegisterOp::Read }
    })
}

/// Makes the last read that returned wrong: the whole history has to be searched in vain.
fn with_phantom(history: &History<RegisterOp, RegisterRet>) -> History<RegisterOp, RegisterRet> {
    let mut lines = history.operations().to_vec();
    let mut read = lines.iter_mut().rev().filter(|it| it.op == RegisterOp::Read);
    let response = read.find_map(|it| it.response.as_mut()).expect("some read returned");
    response.ret = RegisterRet::Value(u64::MAX);
    History::from_operations(lines)
}

#[test]
fn forty_thousand_operations_on_a_thousand_keys() {
    assert!(check_quickly(&MapCell::default(), &map_history(40_000, 8)).is_linearizable());
}

#[test]
fn forty_thousand_operations_on_one_register() {
    let history = register_history(40_000, 8, 0);
    assert!(check_quickly(&Register::default(), &history).is_linearizable());
}

#[test]
fn violation_at_the_end_of_a_long_history() {
    let history = with_phantom(&register_history(10_000, 8, 0));
    assert!(check_quickly(&Register::default(), &history).violation().is_some());
}

#[test]
fn violation_among_dozens_of_operations_that_never_return() {
    let history = register_history(3_000, 4, 1);
    let pending = history.operations().iter().filter(|it| it.response.is_none()).count();
    assert!(pending >= 20, "only {pending} are pending");
    assert!(check_quickly(&Register::default(), &history).is_linearizable());
    assert!(check_quickly(&Register::default(), &with_phantom(&history)).violation().is_some());
}

#[test]
fn more_open_calls_than_a_word_has_bits() {
    for threads in [70, 300] {
        let write =
            |thread| Operation::pending(thread, thread as u64, RegisterOp::Write(thread as u64));
        let read = |stamp: u64, value: usize| {
            let ret = RegisterRet::Value(value as u64);
            Operation::done(threads, stamp..stamp + 1, RegisterOp::Read, ret)
        };
        // Each write is read once, the last first: all of them must be told apart.
        let reads = (0..threads).rev().zip((threads as u64..).step_by(2));
        let mut lines: Vec<_> = (0..threads).map(write).collect();
        lines.extend(reads.map(|(value, stamp)| read(stamp, value)));
        let verdict = check_quickly(&Register::default(), &History::from_operations(lines.clone()));
        assert!(verdict.is_linearizable(), "{verdict}");
        // No write is left that could bring the first value back. To see that takes a number of
        // steps cubic in the pending writes.
        if threads > 200 {
            continue;
        }
        lines.push(read(10_000, threads - 1));
        let verdict = check_quickly(&Register::default(), &History::from_operations(lines));
        assert!(verdict.violation().is_some(), "{verdict}");
    }
}

#[test]
fn too_many_open_calls_are_no_verdict() {
    let line = |thread| Operation::pending(thread, 0, RegisterOp::Write(1));
    let mut lines: Vec<_> = (0..OPEN_MAX).map(line).collect();
    lines.push(Operation::done(OPEN_MAX, 0..1, RegisterOp::Read, RegisterRet::Value(1)));
    let verdict = check(&Register::default(), &History::from_operations(lines));
    let Verdict::Unknown(unknown @ Unknown::TooManyOpen { .. }) = verdict else {
        panic!("{verdict}");
    };
    assert!(unknown.to_string().contains("1025 calls are open at once"), "{unknown}");
}

/// Overlapping enqueues whose order only the distant dequeues reveal, and reveal to be impossible.
fn hopeless() -> History<QueueOp, QueueRet> {
    let enqueue = |value: u64| {
        let thread = usize::try_from(value).expect("small");
        Operation::done(thread, value..100, QueueOp::Enqueue(value), QueueRet::Enqueued)
    };
    let dequeue = |index: u64, value| {
        let at = 200 + 2 * index;
        Operation::done(0, at..at + 1, QueueOp::Dequeue, QueueRet::Dequeued(Some(value)))
    };
    let dequeued = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1];
    History::from_operations(
        (0..12).map(enqueue).chain((0..).zip(dequeued).map(|(index, value)| dequeue(index, value))),
    )
}

#[test]
fn hopeless_history_is_given_up() {
    let checker = Checker { steps_max: 10_000 };
    let verdict = checker.check(&FifoQueue::default(), &hopeless());
    let Verdict::Unknown(unknown) = &verdict else {
        panic!("{verdict}");
    };
    let expected = Unknown::TooManySteps { key: "()".to_owned(), steps_max: 10_000 };
    assert_eq!(*unknown, expected);
}

#[test]
fn violation_of_an_easy_key_is_found_beside_a_hopeless_one() {
    // Key 0 needs more steps than there are; key 1 is plainly wrong.
    let mut lines = Vec::new();
    for thread in 0..10 {
        let stamp = thread as u64;
        lines.push(Operation::done(thread, stamp..100, Insert(0, stamp), Some(stamp + 1)));
    }
    lines.push(Operation::done(0, 200..201, Get(1), Some(1)));
    let checker = Checker { steps_max: 5 };
    let verdict = checker.check(&MapCell::default(), &History::from_operations(lines));
    assert_eq!(verdict.violation().expect("a read of an absent key").key, 1);
}
