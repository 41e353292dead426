//! The checker against the definition, on histories small enough to try every order.

use std::collections::HashSet;
use std::fmt::Debug;

use super::brute_force;
use super::generate::{Shape, linearizable};
use super::spurious::SpuriousRegister;
use crate::check::history::{History, Operation};
use crate::check::linearizable::{Violation, check};
use crate::check::model::{
    AppendLog, Counter, CounterOp, FifoQueue, LogOp, LogRet, MapCell, MapOp, Model, QueueOp,
    QueueRet, Register, RegisterOp, RegisterRet, Specification,
};
use crate::check::replay::with_seeds;
use crate::rng::SplitMix64;

/// Most operations of a tiny history: 7! orders are soon tried.
const TINY_MAX: u64 = 7;

/// Stamps of a tiny history; fewer than two an operation, so that equal stamps occur too.
const STAMPS: u64 = 11;

const SEEDS: u64 = 6_000;

/// Operations with random intervals and random answers, most of them nonsense.
fn random_lines<Op, Ret>(
    rng: &mut SplitMix64,
    mut next_op: impl FnMut(&mut SplitMix64) -> Op,
    mut next_ret: impl FnMut(&mut SplitMix64, &Op) -> Ret,
) -> Vec<Operation<Op, Ret>> {
    let count = usize::try_from(rng.below(TINY_MAX) + 1).expect("small");
    (0..count)
        .map(|thread| {
            let op = next_op(rng);
            let invoked = rng.below(STAMPS);
            if rng.chance(1, 6) {
                return Operation::pending(thread, invoked, op);
            }
            let ret = next_ret(rng, &op);
            Operation::done(thread, invoked..invoked + 1 + rng.below(STAMPS / 2), op, ret)
        })
        .collect()
}

/// Compares the verdict with the definition; where it is no, the explanation too.
fn agree<S: Specification>(initial: &S, lines: &[Operation<S::Op, S::Ret>]) -> bool {
    let history = History::from_operations(lines.to_vec());
    let verdict = check(initial, &history);
    let expected = brute_force::is_linearizable(initial, history.operations());
    assert_eq!(verdict.is_linearizable(), expected, "the definition differs:\n{history}{verdict}");
    if let Some(violation) = verdict.violation() {
        explanation_is_true_and_minimal(initial, &history, violation);
    }
    expected
}

/// The evidence must be a contradiction from every entry state, whatever the other operations that
/// overlap the culprit did, and cease to be one when any of it but the culprit is relaxed.
fn explanation_is_true_and_minimal<S: Specification>(
    initial: &S,
    history: &History<S::Op, S::Ret>,
    violation: &Violation<S>,
) {
    assert!(!violation.entry.is_empty(), "the prefix before the culprit has an order:\n{history}");
    let kept: Vec<usize> = violation.evidence.iter().map(|it| it.thread).collect();
    assert!(
        !has_order(history, violation, &kept),
        "the explanation is no contradiction:\n{violation}of\n{history}"
    );
    let culprit = violation.evidence[violation.culprit].thread;
    for &dropped in kept.iter().filter(|&&thread| thread != culprit) {
        let fewer: Vec<usize> = kept.iter().copied().filter(|&thread| thread != dropped).collect();
        assert!(
            has_order(history, violation, &fewer),
            "thread {dropped} is no part of the contradiction:\n{violation}of\n{history}"
        );
    }
    // Where nothing is open when the culprit is called, the entry states are the possible outcomes
    // of all that came before.
    let invoked = violation.evidence[violation.culprit].invoked;
    let before = history.operations().iter().filter(|it| S::key(&it.op) == violation.key);
    let past: Vec<_> = before.filter(|it| it.invoked < invoked).collect();
    if past.iter().all(|it| it.returned() < invoked) {
        let expected = brute_force::outcomes(initial, &past);
        let found: HashSet<S> = violation.entry.iter().map(|entry| entry.state.clone()).collect();
        assert_eq!(found, expected, "{violation}of\n{history}");
    }
}

/// Whether, from some entry state, an order explains the answers of the threads `kept` up to the
/// return of the culprit, all other operations that overlap it being relaxed.
fn has_order<S: Specification>(
    history: &History<S::Op, S::Ret>,
    violation: &Violation<S>,
    kept: &[usize],
) -> bool {
    let culprit = &violation.evidence[violation.culprit];
    violation.entry.iter().any(|entry| {
        let window: Vec<_> = history
            .operations()
            .iter()
            .filter(|it| S::key(&it.op) == violation.key)
            .filter(|it| !it.precedes(culprit) && !culprit.precedes(it))
            .filter(|it| !(kept.contains(&it.thread) && entry.done.contains(&it.thread)))
            .map(|it| match &it.response {
                Some(response) if kept.contains(&it.thread) => {
                    // What returns after the culprit need not have taken effect by then.
                    let is_late = response.at > culprit.returned();
                    let at = if is_late { u64::MAX } else { response.at };
                    let ret = response.ret.clone();
                    Operation::done(it.thread, it.invoked..at, it.op.clone(), ret)
                }
                _ => Operation::pending(it.thread, it.invoked, it.op.clone()),
            })
            .collect();
        brute_force::is_linearizable(&entry.state, &window)
    })
}

/// Runs `SEEDS` random histories through [`agree`]; both verdicts must occur often.
fn agrees_on_nonsense<S: Specification>(
    name: &str,
    initial: &S,
    next_op: impl Fn(&mut SplitMix64) -> S::Op,
    next_ret: impl Fn(&mut SplitMix64, &S::Op) -> S::Ret,
) {
    let (mut accepted, mut runs) = (0, 0);
    with_seeds(name, SEEDS, |seed| {
        let lines = random_lines(&mut SplitMix64::new(seed), &next_op, &next_ret);
        accepted += u64::from(agree(initial, &lines));
        runs += 1;
    });
    assert!(runs < SEEDS || accepted > SEEDS / 50, "{accepted} of {runs} accepted: too few");
    assert!(
        runs < SEEDS || accepted < SEEDS - SEEDS / 50,
        "{accepted} of {runs} accepted: too many"
    );
}

/// Right histories must be accepted, and with one answer replaced the definition decides.
fn agrees_on_near_misses<M: Model>(
    name: &str,
    initial: &M,
    next_op: impl Fn(&mut SplitMix64) -> M::Op,
    next_ret: impl Fn(&mut SplitMix64, &M::Op) -> M::Ret,
) {
    let mut rejected = 0;
    with_seeds(name, SEEDS, |seed| {
        let mut rng = SplitMix64::new(seed);
        let operations = usize::try_from(rng.below(TINY_MAX) + 1).expect("small");
        let shape = Shape { operations, threads: 3, pending_percent: 10 };
        let history = linearizable(&mut rng, initial, shape, &next_op);
        // Names of their own, since `agree` tells operations apart by thread.
        let mut lines = history.operations().to_vec();
        for (thread, line) in lines.iter_mut().enumerate() {
            line.thread = thread;
        }
        assert!(agree(initial, &lines), "a history made from a linearization is rejected");
        let mutated = usize::try_from(rng.below(lines.len() as u64)).expect("an index");
        let ret = next_ret(&mut rng, &lines[mutated].op);
        if let Some(response) = &mut lines[mutated].response {
            response.ret = ret;
        }
        rejected += u64::from(!agree(initial, &lines));
    });
    assert!(rejected > 0, "no mutation was wrong, which tests nothing");
}

/// Long right histories, pending operations included, of every kind.
fn accepts_what_is_right<M: Model>(
    name: &str,
    initial: &M,
    operations: usize,
    next_op: impl Fn(&mut SplitMix64) -> M::Op,
) where
    M::Ret: Debug,
{
    with_seeds(name, 200, |seed| {
        let mut rng = SplitMix64::new(seed);
        let threads = usize::try_from(rng.below(6) + 1).expect("small");
        let shape = Shape { operations, threads, pending_percent: rng.below(4) };
        let history = linearizable(&mut rng, initial, shape, &next_op);
        let verdict = check(initial, &history);
        assert!(verdict.is_linearizable(), "{shape:?} is right by construction\n{verdict}");
    });
}

fn register_op(rng: &mut SplitMix64) -> RegisterOp {
    match rng.below(5) {
        0 => RegisterOp::CompareExchange { current: rng.below(3), new: rng.below(3) },
        1 | 2 => RegisterOp::Write(rng.below(3)),
        _ => RegisterOp::Read,
    }
}

fn register_ret(rng: &mut SplitMix64, op: &RegisterOp) -> RegisterRet {
    match op {
        RegisterOp::Read => RegisterRet::Value(rng.below(3)),
        RegisterOp::Write(_) => RegisterRet::Written,
        RegisterOp::CompareExchange { .. } => RegisterRet::Exchanged(rng.chance(1, 2)),
    }
}

fn map_op(rng: &mut SplitMix64) -> MapOp<u64> {
    let key = rng.below(2);
    match rng.below(6) {
        0 => MapOp::Insert(key, rng.below(3)),
        1 => MapOp::Remove(key),
        2 => MapOp::Add(key, 1),
        3 => MapOp::CompareExchange(key, rng.below(3), rng.below(3)),
        _ => MapOp::Get(key),
    }
}

fn map_ret(rng: &mut SplitMix64, _op: &MapOp<u64>) -> Option<u64> {
    rng.chance(2, 3).then(|| rng.below(3))
}

fn counter_op(rng: &mut SplitMix64) -> CounterOp {
    if rng.chance(2, 3) { CounterOp::FetchAdd(1) } else { CounterOp::Load }
}

fn counter_ret(rng: &mut SplitMix64, _op: &CounterOp) -> u64 {
    rng.below(3)
}

fn queue_op(rng: &mut SplitMix64) -> QueueOp {
    if rng.chance(1, 2) { QueueOp::Enqueue(rng.below(3)) } else { QueueOp::Dequeue }
}

fn queue_ret(rng: &mut SplitMix64, op: &QueueOp) -> QueueRet {
    match op {
        QueueOp::Enqueue(_) => QueueRet::Enqueued,
        QueueOp::Dequeue => QueueRet::Dequeued(rng.chance(2, 3).then(|| rng.below(3))),
    }
}

fn log_op(rng: &mut SplitMix64) -> LogOp {
    match rng.below(4) {
        0 | 1 => LogOp::Append(rng.below(3)),
        2 => LogOp::Read(usize::try_from(rng.below(3)).expect("small")),
        _ => LogOp::Count,
    }
}

fn log_ret(rng: &mut SplitMix64, op: &LogOp) -> LogRet {
    let number = usize::try_from(rng.below(3)).expect("small");
    match op {
        LogOp::Append(_) => LogRet::Index(number),
        LogOp::Read(_) => LogRet::Entry(rng.chance(2, 3).then(|| rng.below(3))),
        LogOp::Count => LogRet::Count(number),
    }
}

macro_rules! agreement {
    ($($family:ident: $initial:expr, $operations:expr, $next_op:expr, $next_ret:expr;)*) => {$(
        mod $family {
            use super::*;

            #[test]
            fn verdict_is_that_of_the_definition() {
                let name = concat!(stringify!($family), "::verdict_is_that_of_the_definition");
                agrees_on_nonsense(name, &$initial, $next_op, $next_ret);
            }

            #[test]
            fn one_wrong_answer_is_judged_as_the_definition_does() {
                let name = concat!(
                    stringify!($family),
                    "::one_wrong_answer_is_judged_as_the_definition_does"
                );
                agrees_on_near_misses(name, &$initial, $next_op, $next_ret);
            }

            #[test]
            fn right_histories_are_accepted() {
                let name = concat!(stringify!($family), "::right_histories_are_accepted");
                accepts_what_is_right(name, &$initial, $operations, $next_op);
            }
        }
    )*};
}

agreement! {
    register: Register::default(), 300, register_op, register_ret;
    map: MapCell::default(), 300, map_op, map_ret;
    counter: Counter::default(), 300, counter_op, counter_ret;
    queue: FifoQueue::default(), 40, queue_op, queue_ret;
    log: AppendLog::default(), 300, log_op, log_ret;
}

#[test]
fn verdict_on_a_relation_is_that_of_the_definition() {
    agrees_on_nonsense(
        "verdict_on_a_relation_is_that_of_the_definition",
        &SpuriousRegister::default(),
        register_op,
        register_ret,
    );
}
