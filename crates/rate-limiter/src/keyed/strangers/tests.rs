use std::collections::HashMap;
use std::time::Duration;

use harness::contract::{LimiterSpec, Verdict};
use harness::model::ExactBucket;
use harness::rng::SplitMix64;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Known, Strangers};
use crate::{Clock, Decision, KeyedLimiter, ManualClock, Quota, Timestamp};

const SECOND: u64 = 1_000_000_000;

fn per_second() -> Quota {
    Quota::per_second(1).unwrap()
}

fn limiter(quota: Quota, keys: usize, strangers: usize) -> KeyedLimiter<ManualClock> {
    let builder = KeyedLimiter::builder(quota, keys).strangers(strangers);
    builder.clock(ManualClock::default()).build().unwrap()
}

#[test]
fn who_came_is_known_until_the_cell_is_back() {
    let sketch = Strangers::new(1_000, &per_second(), 0).unwrap();
    assert_eq!(sketch.look(7, SECOND / 2), Known::Stranger);
    assert_eq!(sketch.meet(7, SECOND / 2), Known::Stranger);
    for seen in [SECOND / 2, SECOND, 2 * SECOND - 1] {
        assert_eq!(sketch.look(7, seen), Known::TookAt(SECOND), "at {seen}");
        assert_eq!(sketch.look(8, seen), Known::Stranger, "another key, at {seen}");
    }
    assert_eq!(sketch.look(7, 2 * SECOND), Known::Stranger);
    assert_eq!(sketch.meet(7, 2 * SECOND), Known::Stranger);
    assert_eq!(sketch.passed(), 2);
}

#[test]
fn a_block_that_moves_on_keeps_the_generation_before() {
    let sketch = Strangers::new(1, &per_second(), 0).unwrap();
    assert_eq!(sketch.meet(7, SECOND - 1), Known::Stranger);
    assert_eq!(sketch.meet(8, SECOND), Known::Stranger);
    assert_eq!(sketch.meet(7, SECOND), Known::TookAt(SECOND), "it came a nanosecond ago");
    assert_eq!(sketch.meet(9, 2 * SECOND), Known::Stranger);
    assert_eq!(sketch.meet(8, 2 * SECOND), Known::TookAt(2 * SECOND));
    assert_eq!(sketch.meet(7, 2 * SECOND), Known::Stranger, "its cell is back");
}

#[test]
fn a_clock_that_jumps_back_forgets_nobody() {
    let sketch = Strangers::new(1, &per_second(), 0).unwrap();
    assert_eq!(sketch.meet(7, 100 * SECOND), Known::Stranger);
    assert_eq!(sketch.look(7, 0), Known::TookAt(101 * SECOND));
    assert_eq!(sketch.meet(8, 0), Known::Stranger);
    assert_eq!(sketch.look(8, 0), Known::TookAt(101 * SECOND));
    assert_eq!(sketch.meet(9, u64::MAX), Known::Stranger);
    assert!(matches!(sketch.look(9, u64::MAX), Known::TookAt(_)));
}

#[test]
fn few_of_as_many_as_it_was_made_for_are_mistaken() {
    let count = 100_000;
    let sketch = Strangers::new(count, &per_second(), 0).unwrap();
    assert!(sketch.bytes() <= count * 7 / 2, "{} bytes", sketch.bytes());
    let mut rng = SplitMix64::new(1);
    let mut mistaken_of = |now: u64, share: usize| {
        let keys = (0..count * share).map(|_| rng.next_u64());
        keys.filter(|&key| sketch.meet(key, now) != Known::Stranger).count()
    };
    // In the long run each meets those of its own generation and all of the one before.
    mistaken_of(0, 1);
    let mistaken = mistaken_of(SECOND, 1);
    assert!(mistaken <= count * 6 / 100, "{mistaken} of {count}");
    let flooded = mistaken_of(2 * SECOND, 2);
    assert!(flooded <= count * 2 * 35 / 100, "{flooded} of {}", count * 2);
}

proptest! {
    /// Never more than the exact bucket admits, and denied only what a bucket with two cells less
    /// would deny.
    #[test]
    fn no_key_gets_more_than_its_quota(
        (cells, burst) in (1..60_u64, 1..5_u32),
        requests in vec((0..60_000_000_u64, 0..12_u64, 1..3_u32), 1..120),
        compact in any::<bool>(),
    ) {
        let period = Duration::from_secs(1);
        let quota = Quota::new(cells, period).unwrap().with_burst(burst.into()).unwrap();
        // A block for all, so that many are mistaken.
        let builder = KeyedLimiter::builder(quota, 100).strangers(1).clock(ManualClock::default());
        let builder = if compact { builder.compact() } else { builder };
        let limiter = builder.build().unwrap();
        let early = if compact { Duration::from_micros(10) } else { Duration::ZERO };
        let spec = LimiterSpec { cells, period, burst };
        let mut buckets: HashMap<u64, ExactBucket> = HashMap::new();
        for (step, key, cost) in requests {
            limiter.clock().advance(Duration::from_nanos(step));
            let now = limiter.clock().now();
            let at = now.saturating_since(Timestamp::ZERO);
            let bucket = buckets.entry(key).or_insert_with(|| ExactBucket::new(&spec));
            match limiter.check_at(now, &key, cost.into()) {
                Decision::Admitted => {
                    prop_assert!(bucket.verdict(at + early, cost).is_admit(), "too much");
                    bucket.follow(at, cost, Verdict::Admit);
                }
                Decision::Denied(denial) => {
                    prop_assert!(!bucket.verdict(at, cost + 2).is_admit(), "too little");
                    prop_assert!(denial.retry_at() > now);
                }
                Decision::Impossible { .. } => prop_assert!(cost > burst),
            }
        }
    }
}

/// A table for ten thousand keys, a flood of ten times as many each second, and five thousand
/// regulars in it.
#[test]
fn regulars_find_room_in_a_flood() {
    let quota = Quota::per_second(1).unwrap().with_burst(5).unwrap();
    let served = |strangers: usize| {
        let limiter = limiter(quota, 10_000, strangers);
        let mut rng = SplitMix64::new(3);
        let mut served = 0;
        for step in 0..1_000_u64 {
            for _ in 0..1_000 {
                let _: Decision = limiter.check(&rng.next_u64());
            }
            let regulars = (0..50).map(|regular| step % 100 * 50 + regular);
            served += regulars.filter(|key| limiter.check(key).is_admitted()).count();
            limiter.clock().advance(Duration::from_millis(10));
        }
        let stats = limiter.stats();
        assert!(stats.bytes <= 320_000 + strangers * 7 / 2 + 64, "{stats:?}");
        served
    };
    let (without, with) = (served(0), served(100_000));
    assert_eq!(with, 50_000, "with the sketch");
    assert!(without <= 15_000, "{without} of 50,000 without it");
}

/// A cell in a generation, and years of them: what a clock counts ends before the sum of both.
#[test]
fn decades_between_two_cells_do_not_add_up_to_more() {
    let years = Duration::from_hours(8_760);
    for (period, burst, started) in [(34, 8, 10), (140, 1, 1), (140, 60, 400)] {
        let quota = Quota::new(1, years * period).unwrap().with_burst(burst).unwrap();
        let limiter = limiter(quota, 100, 10);
        limiter.clock().set(Timestamp::ZERO + years * started);
        let admitted = (0..burst + 2).filter(|_| limiter.check("ada").is_admitted()).count() as u64;
        assert!((burst.saturating_sub(1)..=burst).contains(&admitted), "{admitted} of {burst}");
    }
}

#[test]
fn one_key_on_many_threads_has_one_first_cell() {
    let quota = Quota::per_hour(1).unwrap();
    for round in 0..50_u64 {
        let limiter = limiter(quota, 100, 10);
        let admitted: usize = std::thread::scope(|scope| {
            let ask = || usize::from(limiter.check(&round).is_admitted());
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1);
    }
}
