use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{
    AppendLog, BucketOp, Counter, CounterOp, FifoQueue, LogOp, LogRet, MapCell, MapOp, Model,
    QueueOp, QueueRet, Register, RegisterOp, RegisterRet, Specification, TokenBucket,
};
use crate::check::replay::with_seeds;
use crate::contract::LimiterSpec;
use crate::rng::SplitMix64;

/// Applies `ops` in turn and collects the answers.
fn run<M: Model>(mut model: M, ops: &[M::Op]) -> Vec<M::Ret> {
    ops.iter().map(|op| model.apply(op)).collect()
}

#[test]
fn map_cells_together_are_a_map() {
    with_seeds("map_cells_together_are_a_map", 50, |seed| {
        let mut rng = SplitMix64::new(seed);
        let mut map: HashMap<u64, u64> = HashMap::new();
        let mut cells: HashMap<u64, MapCell<u64>> = HashMap::new();
        for _ in 0..200 {
            let (key, a, b) = (rng.below(3), rng.below(4), rng.below(4));
            let (op, expected) = match rng.below(5) {
                0 => (MapOp::Get(key), map.get(&key).copied()),
                1 => (MapOp::Insert(key, a), map.insert(key, a)),
                2 => (MapOp::Remove(key), map.remove(&key)),
                3 => {
                    let value = map.get_mut(&key).map(|value| {
                        *value += a;
                        *value
                    });
                    (MapOp::Add(key, a), value)
                }
                _ => {
                    let found = map.get(&key).copied();
                    if found == Some(a) {
                        map.insert(key, b);
                    }
                    (MapOp::CompareExchange(key, a, b), found)
                }
            };
            assert_eq!(<MapCell<u64> as Model>::key(&op), key);
            assert_eq!(cells.entry(key).or_default().apply(&op), expected, "{op:?}");
        }
    });
}

#[test]
fn register_counter_queue_and_log_answer_as_defined() {
    use RegisterRet::{Exchanged, Value, Written};
    let exchange = |current, new| RegisterOp::CompareExchange { current, new };
    assert_eq!(
        run(
            Register::default(),
            &[
                RegisterOp::Read,
                RegisterOp::Write(4),
                exchange(3, 5),
                exchange(4, 6),
                RegisterOp::Read
            ]
        ),
        [Value(0), Written, Exchanged(false), Exchanged(true), Value(6)]
    );
    assert_eq!(
        run(Counter(u64::MAX), &[CounterOp::FetchAdd(2), CounterOp::Load, CounterOp::FetchAdd(1)]),
        [u64::MAX, 1, 1],
        "a counter answers the count before, and wraps"
    );
    let dequeue = [QueueOp::Dequeue; 2];
    assert_eq!(
        run(FifoQueue(VecDeque::from([8, 9])), &dequeue),
        [QueueRet::Dequeued(Some(8)), QueueRet::Dequeued(Some(9))]
    );
    assert_eq!(
        run(AppendLog(vec![7]), &[LogOp::Append(8), LogOp::Read(1), LogOp::Read(2), LogOp::Count]),
        [LogRet::Index(1), LogRet::Entry(Some(8)), LogRet::Entry(None), LogRet::Count(2)]
    );
}

/// The bucket again, the long way: fractions of cells in it, time that only grows.
#[test]
fn token_bucket_is_the_textbook_bucket_while_time_grows() {
    with_seeds("token_bucket_is_the_textbook_bucket_while_time_grows", 200, |seed| {
        let mut rng = SplitMix64::new(seed);
        let spec = LimiterSpec {
            cells: rng.below(7) + 1,
            period: Duration::from_nanos(rng.below(50) + 1),
            burst: u32::try_from(rng.below(5) + 1).unwrap(),
        };
        let period = spec.period.as_nanos();
        let mut bucket = TokenBucket::new(spec);
        // Level in units of 1 / period cells: each nanosecond adds `cells` of them.
        let full = u128::from(spec.burst) * period;
        let (mut level, mut now) = (full, 0_u64);
        for _ in 0..300 {
            let pause = rng.below(20);
            now += pause;
            level = full.min(level + u128::from(pause) * u128::from(spec.cells));
            let cost = u32::try_from(rng.below(4) + 1).unwrap();
            let price = u128::from(cost) * period;
            let expected = price <= level;
            if expected {
                level -= price;
            }
            let op = BucketOp { key: 0, now: Duration::from_nanos(now), cost };
            assert_eq!(bucket.apply(&op), expected, "{spec:?} {op:?}");
        }
    });
}

#[test]
fn token_bucket_survives_the_largest_numbers() {
    let spec = LimiterSpec {
        cells: u64::MAX,
        period: Duration::from_nanos(i64::MAX.unsigned_abs()),
        burst: u32::MAX,
    };
    let now = Duration::from_nanos(i64::MAX.unsigned_abs());
    let take = BucketOp { key: 0, now, cost: u32::MAX };
    assert_eq!(run(TokenBucket::new(spec), &[take, take]), [true, false]);
}

/// A wrong hint would make the checker wrong, so each is compared with its definition.
fn observations_change_nothing<M: Model>(states: &[M], ops: &[M::Op]) {
    for op in ops {
        let mut next = Vec::new();
        for answering in states {
            let ret = answering.clone().apply(op);
            if !M::is_observation(op, &ret) {
                continue;
            }
            for state in states {
                next.clear();
                state.successors(op, Some(&ret), &mut next);
                let changed = next.iter().any(|after| after != state);
                assert!(!changed, "{op:?} -> {ret:?} is said to change nothing, but: {state:?}");
            }
        }
    }
}

#[test]
fn hints_are_true() {
    let values = || 0..3_u64;
    let pairs = || values().flat_map(move |a| values().map(move |b| (a, b)));

    let states: Vec<_> = values().map(Register).collect();
    let exchanges = pairs().map(|(current, new)| RegisterOp::CompareExchange { current, new });
    let writes = values().map(RegisterOp::Write);
    let ops: Vec<_> = exchanges.chain(writes).chain([RegisterOp::Read]).collect();
    observations_change_nothing(&states, &ops);

    let states: Vec<MapCell<u64>> = values().map(Some).chain([None]).map(MapCell::new).collect();
    let mut ops = vec![MapOp::Get(0), MapOp::Remove(0)];
    ops.extend(values().flat_map(|value| [MapOp::Insert(0, value), MapOp::Add(0, value)]));
    ops.extend(pairs().map(|(a, b)| MapOp::CompareExchange(0, a, b)));
    observations_change_nothing(&states, &ops);

    let states: Vec<_> = values().map(Counter).collect();
    observations_change_nothing(&states, &[CounterOp::Load, CounterOp::FetchAdd(1)]);

    let states = [FifoQueue::default(), FifoQueue(VecDeque::from([1, 2]))];
    observations_change_nothing(&states, &[QueueOp::Dequeue, QueueOp::Enqueue(1)]);

    let states = [AppendLog::default(), AppendLog(vec![1])];
    observations_change_nothing(&states, &[LogOp::Append(1), LogOp::Read(0), LogOp::Count]);

    let spec = LimiterSpec { cells: 1, period: Duration::from_nanos(10), burst: 1 };
    let take = |nanos| BucketOp { key: 0, now: Duration::from_nanos(nanos), cost: 1 };
    let mut empty = TokenBucket::new(spec);
    assert!(empty.apply(&take(0)));
    observations_change_nothing(&[TokenBucket::new(spec), empty], &[take(0), take(5), take(10)]);
}
