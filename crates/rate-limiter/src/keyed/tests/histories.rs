//! Recorded histories of threads, judged by the linearizability checker.
//!
//! All requests of a round carry one moment, and a barrier parts the rounds: to a thread whose
//! clock is behind, a bucket that another thread's clock has let expire may be gone, which no
//! order of requests explains and which is what a clock that jumps back does. The keys wander, so
//! that in each round some take over the slots of those that have expired.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use harness::check::history::{History, Log, Recorder};
use harness::check::linearizable::{assert_linearizable, check};
use harness::check::model::{BucketOp, TokenBucket};
use harness::contract::LimiterSpec;
use harness::rng::SplitMix64;

use crate::{KeyedLimiter, ManualClock, OwnedKeyLimiter, Quota, Timestamp, WhenFull};

const THREADS: u64 = 3;
const ROUNDS: u64 = 40;

/// Longer than a bucket takes to fill up, but not always.
const STEPS: [u64; 4] = [5, 25, 10, 40];

/// Two at once, and one each ten nanoseconds.
const SPEC: LimiterSpec = LimiterSpec { cells: 1, period: Duration::from_nanos(10), burst: 2 };

fn quota() -> Quota {
    Quota::new(SPEC.cells, SPEC.period).unwrap().with_burst(SPEC.burst.into()).unwrap()
}

/// Lets threads ask `decide` and returns what each was told.
fn history(
    seed: u64,
    decide: impl Fn(&BucketOp) -> bool + Send + Sync + 'static,
) -> History<BucketOp, bool> {
    let (decide, barrier) = (Arc::new(decide), Arc::new(Barrier::new(3)));
    let recorder = Recorder::new();
    let workers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let mut log: Log<BucketOp, bool> = recorder.log();
            let (decide, barrier) = (Arc::clone(&decide), Arc::clone(&barrier));
            thread::spawn(move || {
                let mut rng = SplitMix64::new(seed * THREADS + thread);
                let mut now = 0;
                for round in 0..ROUNDS {
                    now += STEPS[usize::try_from(round).unwrap() % STEPS.len()];
                    barrier.wait();
                    for _ in 0..6 {
                        let (key, cost) =
                            (round * 2 + rng.below(6), 1 + u32::from(rng.below(4) == 0));
                        log.record(BucketOp { key, now: Duration::from_nanos(now), cost }, |op| {
                            decide(op)
                        });
                    }
                    barrier.wait();
                }
                log
            })
        })
        .collect();
    History::from_logs(workers.into_iter().map(|worker| worker.join().unwrap()))
}

fn at(op: &BucketOp) -> Timestamp {
    Timestamp::ZERO + op.now
}

#[test]
fn a_table_is_linearizable() {
    for seed in 0..20 {
        let builder = KeyedLimiter::builder(quota(), 1).clock(ManualClock::default());
        let limiter = builder.build().unwrap();
        let told = history(seed, move |op| {
            limiter.check_at(at(op), &op.key, op.cost.into()).is_admitted()
        });
        assert_linearizable(&TokenBucket::new(SPEC), &told);
    }
}

#[test]
fn a_map_of_keys_is_linearizable() {
    for seed in 0..20 {
        let clock = ManualClock::default();
        let limiter: OwnedKeyLimiter<u64, ManualClock> =
            OwnedKeyLimiter::with_clock(quota(), 1_000, WhenFull::Deny, clock).unwrap();
        let told = history(seed, move |op| {
            if op.key % 5 == 0 {
                limiter.forget_full(at(op));
            }
            limiter.check_at(at(op), &op.key, op.cost.into()).is_admitted()
        });
        assert_linearizable(&TokenBucket::new(SPEC), &told);
    }
}

/// The planted bug: a look, and then a request whatever the look said.
#[test]
fn planted_look_before_a_request_is_found() {
    let found = (0..20).any(|seed| {
        let builder = KeyedLimiter::builder(quota(), 1).clock(ManualClock::default());
        let limiter = builder.build().unwrap();
        let told = history(seed, move |op| {
            let admitted = limiter.peek_at(at(op), &op.key, op.cost.into()).is_admitted();
            thread::yield_now();
            limiter.check_at(at(op), &op.key, op.cost.into()).is_admitted() || admitted
        });
        !check(&TokenBucket::new(SPEC), &told).is_linearizable()
    });
    assert!(found, "no history showed the race");
}
