//! A violation must be found in a long history, cut down to a few lines, and be readable.

use super::generate::{Shape, linearizable};
use crate::check::history::{History, Operation};
use crate::check::linearizable::{EntryState, check};
use crate::check::model::MapOp::{self, Get, Insert};
use crate::check::model::{MapCell, Register, RegisterOp, RegisterRet};
use crate::check::replay::with_seeds;
use crate::rng::SplitMix64;

fn map_op(rng: &mut SplitMix64, key_count: u64) -> MapOp<u64> {
    let key = rng.below(key_count);
    // Values are never repeated, so that 0 is surely one that nobody wrote.
    match rng.below(3) {
        0 => Insert(key, 1 + rng.below(u64::MAX - 1)),
        1 => MapOp::Remove(key),
        _ => Get(key),
    }
}

#[test]
fn one_wrong_answer_among_thousands_is_named_alone() {
    with_seeds("one_wrong_answer_among_thousands_is_named_alone", 40, |seed| {
        let mut rng = SplitMix64::new(seed);
        let shape = Shape { operations: 4_000, threads: 6, pending_percent: 0 };
        let history = linearizable(&mut rng, &MapCell::default(), shape, |rng| map_op(rng, 20));
        let mut lines = history.operations().to_vec();
        let mut wrong = usize::try_from(rng.below(lines.len() as u64)).expect("an index");
        while !matches!(lines[wrong].op, Get(_)) {
            wrong = (wrong + 1) % lines.len();
        }
        lines[wrong].response.as_mut().expect("nothing is pending").ret = Some(0);
        let culprit = lines[wrong].clone();

        let verdict = check(&MapCell::default(), &History::from_operations(lines));
        let violation = verdict.violation().expect("nobody wrote that value");
        assert_eq!(violation.evidence, [culprit], "{violation}");
        assert!(violation.context.len() <= 4, "{violation}");
    });
}

#[test]
fn overlapping_writes_that_matter_are_kept_and_others_dropped() {
    let history = History::from_operations([
        Operation::done(0, 0..1, Insert(7, 1), None),
        // The write that could explain the read, did it not answer what it answers.
        Operation::done(1, 2..9, Insert(7, 2), Some(3)),
        // A write of another value, and a read: whatever they do, the contradiction stays.
        Operation::done(2, 3..8, Get(7), Some(1)),
        Operation::done(3, 4..7, Get(7), Some(2)),
        Operation::done(4, 5..6, Get(7), Some(1)),
    ]);
    let verdict = check(&MapCell::default(), &history);
    let violation = verdict.violation().expect("nobody inserted 3");
    let threads: Vec<usize> = violation.evidence.iter().map(|it| it.thread).collect();
    assert_eq!(threads, [1, 3], "{violation}");
    assert_eq!(violation.bystanders, 2, "{violation}");
    let entry = EntryState { state: MapCell::new(Some(1)), done: Vec::new() };
    assert_eq!(violation.entry, [entry], "{violation}");
}

#[test]
fn report_is_drawn_like_this() {
    let history = History::from_operations([
        Operation::done(0, 0..1, RegisterOp::Write(1), RegisterRet::Written),
        Operation::done(0, 2..3, RegisterOp::Write(2), RegisterRet::Written),
        Operation::done(1, 4..7, RegisterOp::Read, RegisterRet::Value(1)),
        Operation::done(2, 5..6, RegisterOp::Read, RegisterRet::Value(2)),
        Operation::pending(3, 8, RegisterOp::Write(3)),
    ]);
    let expected = "\
not linearizable: for key () no order explains the answer marked *
  thread 0  Write(1) -> Written   0..1  |-|
  thread 0  Write(2) -> Written   2..3      |-|
  thread 1  Read -> Value(1)    * 4..7          |-|
  Possible states when it was called, at 4:
    Register(2)
  1 more overlap it, but whatever they did, no order exists.
";
    let verdict = check(&Register::default(), &history);
    assert_eq!(verdict.to_string(), expected, "\n{verdict}");
}
