use super::generate::{Shape, linearizable};
use crate::check::history::*;
use crate::check::linearizable::*;
use crate::check::model::*;
use crate::rng::SplitMix64;
use env::clock::{Clock, MonotonicClock};

fn time<S: Specification>(name: &str, initial: &S, h: &History<S::Op, S::Ret>) {
    let clock = MonotonicClock::new();
    let t = clock.now();
    let v = check(initial, h);
    let d = clock.now().saturating_since(t);
    println!("{name}: {d:?} {}", v.to_string().lines().take(12).collect::<Vec<_>>().join("\n"));
}

#[test]
fn smoke() {
    for threads in [2, 4, 8, 16] {
        let mut rng = SplitMix64::new(1);
        let h = linearizable(
            &mut rng,
            &MapCell::<u64>::default(),
            Shape { operations: 40_000, threads, pending_percent: 0 },
            |rng| {
                let k = rng.below(1000);
                match rng.below(4) {
                    0 => MapOp::Insert(k, rng.below(100)),
                    1 => MapOp::Remove(k),
                    _ => MapOp::Get(k),
                }
            },
        );
        time("map1000", &MapCell::default(), &h);
        let h = linearizable(
            &mut rng,
            &MapCell::<u64>::default(),
            Shape { operations: 40_000, threads, pending_percent: 0 },
            |rng| {
                let k = rng.below(1);
                match rng.below(4) {
                    0 => MapOp::Insert(k, rng.below(100)),
                    1 => MapOp::Remove(k),
                    _ => MapOp::Get(k),
                }
            },
        );
        time("map1", &MapCell::default(), &h);
        for n in [4000, 40000] {
            let mut h = linearizable(
                &mut rng,
                &Register::default(),
                Shape { operations: n, threads, pending_percent: 0 },
                |rng| match rng.below(2) {
                    0 => RegisterOp::Write(rng.next_u64()),
                    _ => RegisterOp::Read,
                },
            );
            time("register", &Register::default(), &h);
            let mut ops = h.operations().to_vec();
            let i = ops.iter().rposition(|o| matches!(o.op, RegisterOp::Read)).unwrap();
            ops[i].response.as_mut().unwrap().ret = RegisterRet::Value(5);
            h = History::from_operations(ops);
            time("register bad", &Register::default(), &h);
        }
        for n in [4000] {
            let mut h = linearizable(
                &mut rng,
                &Register::default(),
                Shape { operations: n, threads, pending_percent: 1 },
                |rng| match rng.below(2) {
                    0 => RegisterOp::Write(rng.next_u64()),
                    _ => RegisterOp::Read,
                },
            );
            time("register pending", &Register::default(), &h);
            let mut ops = h.operations().to_vec();
            let i = ops
                .iter()
                .rposition(|o| matches!(o.op, RegisterOp::Read) && o.response.is_some())
                .unwrap();
            ops[i].response.as_mut().unwrap().ret = RegisterRet::Value(5);
            h = History::from_operations(ops);
            time("register pending bad", &Register::default(), &h);
        }
    }
    let h = linearizable(
        &mut SplitMix64::new(1),
        &FifoQueue::default(),
        Shape { operations: 4000, threads: 8, pending_percent: 0 },
        |rng| match rng.below(2) {
            0 => QueueOp::Enqueue(rng.next_u64()),
            _ => QueueOp::Dequeue,
        },
    );
    time("queue", &FifoQueue::default(), &h);
    let h = linearizable(
        &mut SplitMix64::new(1),
        &AppendLog::default(),
        Shape { operations: 4000, threads: 8, pending_percent: 0 },
        |rng| match rng.below(2) {
            0 => LogOp::Append(rng.next_u64()),
            _ => LogOp::Count,
        },
    );
    time("log", &AppendLog::default(), &h);
}
