use std::time::Duration;

use harness::contract::LimiterSpec;
use harness::model::ExactBucket;
use harness::rng::SplitMix64;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{TAT_BITS, parts};
use crate::{Clock, Decision, KeyedLimiter, ManualClock, Quota, TableError, Timestamp};

const SECOND: Duration = Duration::from_secs(1);

fn limiter(quota: Quota, keys: usize) -> KeyedLimiter<ManualClock> {
    try_limiter(quota, keys).unwrap()
}

fn try_limiter(quota: Quota, keys: usize) -> Result<KeyedLimiter<ManualClock>, TableError> {
    KeyedLimiter::builder(quota, keys).compact().clock(ManualClock::default()).build()
}

proptest! {
    /// Admitted as the exact bucket says, or at most two parts earlier; denied never later.
    #[test]
    fn a_bucket_is_exact_but_for_two_parts(
        (cells, burst) in (1..2_000_u64, 1..50_u32),
        requests in vec((0..60_000_000_u64, 1..6_u32), 1..80),
    ) {
        let quota = Quota::new(cells, SECOND).unwrap().with_burst(burst.into()).unwrap();
        let limiter = limiter(quota, 100);
        let scale = parts::scale(&quota).unwrap();
        prop_assert!(scale.ticks_per_cell >= 1 << 18);
        let early = Duration::from_nanos(parts::nanos(&scale, 2));
        let spec = LimiterSpec { cells, period: SECOND, burst };
        let mut bucket = ExactBucket::new(&spec);
        for (step, cost) in requests {
            limiter.clock().advance(Duration::from_nanos(step));
            let now = limiter.clock().now();
            let at = now.saturating_since(Timestamp::ZERO);
            match limiter.check_at(now, "key", cost.into()) {
                Decision::Admitted => {
                    prop_assert!(bucket.verdict(at + early, cost).is_admit(), "too early");
                    bucket.follow(at, cost, harness::contract::Verdict::Admit);
                }
                Decision::Denied(denial) => {
                    let before = at.saturating_sub(early);
                    prop_assert!(!bucket.verdict(before, cost).is_admit(), "too late");
                    prop_assert!(denial.retry_at() > now);
                }
                Decision::Impossible { .. } => prop_assert!(cost > burst),
            }
        }
    }
}

#[test]
fn a_denial_says_when_it_is_over() {
    let limiter = limiter(Quota::per_second(3).unwrap(), 100);
    for _ in 0..200 {
        if let Decision::Denied(denial) = limiter.check("key") {
            assert!(denial.retry_after() <= SECOND / 3 + Duration::from_micros(10));
            limiter.clock().set(denial.retry_at());
            assert!(limiter.check("key").is_admitted(), "still denied at {denial:?}");
        }
    }
}

#[test]
fn rates_are_exact_in_the_long_run() {
    for rate in [3, 7, 999, 1_000_003] {
        let limiter = limiter(Quota::per_second(rate).unwrap().with_burst(2).unwrap(), 100);
        let mut admitted = 0;
        let step = Duration::from_nanos(1_000_000_000 / rate / 2 + 1);
        while limiter.clock().now() < Timestamp::ZERO + SECOND * 100 {
            admitted += u64::from(limiter.check("key").is_admitted());
            limiter.clock().advance(step);
            if admitted > 1_000_000 {
                break;
            }
        }
        let elapsed = limiter.clock().now().as_nanos();
        let expected = u128::from(elapsed) * u128::from(rate) / 1_000_000_000;
        let off = i128::from(admitted) - i128::try_from(expected).unwrap();
        assert!((0..=3).contains(&off), "{rate} a second: {admitted} for {expected}");
    }
}

#[test]
fn a_clock_that_jumps_back_only_denies() {
    let limiter = limiter(Quota::per_second(10).unwrap(), 100);
    let drain = || (0..100).filter(|_| limiter.check("key").is_admitted()).count();
    limiter.clock().set(Timestamp::ZERO + SECOND * 1_000);
    assert_eq!(drain(), 10);
    for back in [999, 900, 500, 1] {
        limiter.clock().set(Timestamp::ZERO + SECOND * (1_000 - back));
        assert_eq!(drain(), 0, "{back} seconds back");
    }
    limiter.clock().set(Timestamp::ZERO + SECOND * 1_002);
    assert_eq!(drain(), 10);
}

#[test]
fn a_bucket_that_rests_for_ages_denies_for_one_burst_at_most() {
    let quota = Quota::per_second(1_000_000).unwrap();
    let limiter = limiter(quota, 100);
    let wrap = Duration::from_nanos(parts::nanos(&parts::scale(&quota).unwrap(), 1 << TAT_BITS));
    assert!(limiter.check_at(limiter.clock().now(), "key", 1_000).is_admitted());
    for _ in 0..1_000 {
        limiter.clock().advance(wrap / 100 * 37);
        let now = limiter.clock().now();
        if !limiter.check_at(now, "key", 1).is_admitted() {
            limiter.clock().advance(SECOND * 2);
            let now = limiter.clock().now();
            assert!(limiter.check_at(now, "key", 1).is_admitted());
        }
    }
}

/// The word of a slot never used is a TAT like any other where the clock wraps.
#[test]
fn a_slot_never_used_is_free_at_every_time() {
    let quota = Quota::per_second(1_000_000).unwrap();
    let scale = parts::scale(&quota).unwrap();
    for before in [1, scale.tolerance / 2, scale.tolerance] {
        let limiter = limiter(quota, 100);
        let wraps = Duration::from_nanos(parts::nanos(&scale, (1 << TAT_BITS) - before));
        limiter.clock().advance(wraps);
        assert!(limiter.check("key").is_admitted(), "{before} parts before the clock wraps");
        let now = limiter.clock().now();
        assert_eq!(limiter.standing_at(now, "key").remaining(), quota.burst() - 1);
        assert_eq!(limiter.stats().inserted, 1);
    }
}

#[test]
fn ten_bytes_a_key_and_room_for_nearly_all() {
    let keys = 200_000;
    let limiter = limiter(Quota::per_hour(1).unwrap(), keys);
    let mut rng = SplitMix64::new(1);
    let drawn: Vec<u64> = (0..keys).map(|_| rng.next_u64()).collect();
    let admitted = drawn.iter().filter(|key| limiter.check(*key).is_admitted()).count();
    let stats = limiter.stats();
    assert!(stats.bytes <= keys * 10 + 64, "{} bytes", stats.bytes);
    let missing = keys - admitted;
    assert!(missing <= keys / 200, "{missing} of {keys} found no room or a tag like theirs");
    assert!(drawn.iter().all(|key| !limiter.check(key).is_admitted()), "a bucket was lost");
}

/// governor's table grows with every key that was ever seen.
#[test]
fn like_a_flood_of_ten_million_keys() {
    let limiter = limiter(Quota::per_second(1).unwrap(), 10_000);
    let bytes = limiter.stats().bytes;
    for key in 0..10_000_000_u64 {
        let _: Decision = limiter.check(&key);
        if key % 1_000 == 0 {
            limiter.clock().advance(Duration::from_millis(100));
        }
    }
    let stats = limiter.stats();
    assert_eq!(stats.bytes, bytes);
    assert!(stats.overwritten > 9_000_000, "{stats:?}");
}

#[test]
fn quotas_beyond_eight_bytes_are_refused() {
    let refused = |quota: Quota| try_limiter(quota, 1).unwrap_err();
    let per_second = |cells| Quota::per_second(cells).unwrap();
    assert_eq!(refused(per_second(2_000_000_000).with_burst(1).unwrap()), TableError::NotCompact);
    assert_eq!(refused(per_second(1).with_burst((1 << 24) + 1).unwrap()), TableError::NotCompact);
    assert_eq!(try_limiter(per_second(1), 0).unwrap_err(), TableError::Zero);
}

#[test]
fn threads_together_give_one_key_one_bucket() {
    let quota = Quota::per_hour(1_000).unwrap();
    for round in 0..20 {
        let limiter = limiter(quota, 100);
        let admitted: usize = std::thread::scope(|scope| {
            let count = || (0..500).filter(|_| limiter.check(&round).is_admitted()).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1_000);
    }
}

#[test]
fn the_end_of_the_clock_neither_wraps_nor_panics() {
    // Nearly a part a nanosecond, so that the parts come to the end of 64 bits as well.
    let quota = Quota::per_second(999_999_999).unwrap().with_burst(2).unwrap();
    let limiter = limiter(quota, 100);
    for now in [Timestamp::ZERO, Timestamp::MAX - SECOND, Timestamp::MAX, Timestamp::MAX] {
        let drained = (0..5).filter(|_| limiter.check_at(now, "key", 1).is_admitted()).count();
        assert!(drained <= 2, "{drained} at {now}");
    }
    let Decision::Denied(denial) = limiter.check_at(Timestamp::MAX, "key", 1) else {
        panic!("the bucket is empty")
    };
    assert_eq!(denial.retry_at(), Timestamp::MAX);
}
