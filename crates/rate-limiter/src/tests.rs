//! The limiters as a user sees them, on a clock that the test sets.
//!
//! The tests named `like_*` repeat, on ours, a defect that was measured in another limiter.

mod contract;
mod simple;

use std::time::Duration;

use crate::{
    Clock, Decision, DirectLimiter, KeyedLimiter, ManualClock, Quota, Timestamp, WhenFull,
};

const SECOND: Duration = Duration::from_secs(1);

fn manual(quota: Quota) -> DirectLimiter<ManualClock> {
    DirectLimiter::with_clock(quota, ManualClock::default())
}

/// Cells that the limiter admits at its present moment before it denies.
fn drain(limiter: &DirectLimiter<ManualClock>) -> u64 {
    let mut admitted = 0;
    while limiter.check().is_admitted() {
        admitted += 1;
    }
    admitted
}

/// Cells that are admitted over `elapsed`, polled every `step`, after the burst is gone.
fn admitted_over(quota: Quota, elapsed: Duration, step: Duration) -> u64 {
    // A burst of two keeps what is left of a cell when a poll comes late.
    let limiter = manual(quota.with_burst(2).unwrap());
    assert_eq!(drain(&limiter), 2);
    let mut admitted = 0;
    while limiter.clock().now().saturating_since(Timestamp::ZERO) < elapsed {
        limiter.clock().advance(step);
        admitted += u64::from(limiter.check().is_admitted());
    }
    admitted
}

#[test]
fn the_burst_is_there_at_once_and_the_rate_after_it() {
    let limiter = manual(Quota::per_second(100).unwrap().with_burst(20).unwrap());
    assert_eq!(drain(&limiter), 20);
    limiter.clock().advance(Duration::from_millis(10));
    assert_eq!(drain(&limiter), 1);
    limiter.clock().advance(SECOND);
    assert_eq!(drain(&limiter), 20, "a bucket holds no more than its burst");
}

#[test]
fn a_denial_names_the_first_nanosecond_that_is_admitted() {
    for cells in [1, 2, 3] {
        let limiter = manual(Quota::per_second(3).unwrap());
        assert_eq!(drain(&limiter), 3);
        let Decision::Denied(denial) = limiter.check_n(cells) else {
            panic!("the bucket is empty")
        };
        limiter.clock().set(denial.retry_at() - Duration::from_nanos(1));
        assert!(!limiter.check_n(cells).is_admitted(), "{cells} cells, one nanosecond early");
        limiter.clock().set(denial.retry_at());
        assert!(limiter.check_n(cells).is_admitted(), "{cells} cells, {denial:?}");
    }
}

#[test]
fn a_request_above_the_burst_is_impossible_and_takes_nothing() {
    let limiter = manual(Quota::per_second(5).unwrap());
    assert_eq!(limiter.check_n(6), Decision::Impossible { burst: 5 });
    assert_eq!(limiter.check_n(u64::MAX), Decision::Impossible { burst: 5 });
    assert_eq!(limiter.check_n(0), Decision::Admitted);
    assert_eq!(drain(&limiter), 5);
}

#[test]
fn a_clock_that_jumps_back_only_denies() {
    let limiter = manual(Quota::per_second(10).unwrap());
    limiter.clock().set(Timestamp::ZERO + SECOND * 100);
    assert_eq!(drain(&limiter), 10);
    limiter.clock().set(Timestamp::ZERO + SECOND * 50);
    assert_eq!(drain(&limiter), 0);
    limiter.clock().set(Timestamp::ZERO + SECOND * 101);
    assert_eq!(drain(&limiter), 10);
}

#[test]
fn a_clock_near_its_end_neither_wraps_nor_panics() {
    for quota in [Quota::per_second(7).unwrap(), Quota::per_second(999_999_937).unwrap()] {
        let limiter = manual(quota.with_burst(2).unwrap());
        assert_eq!(drain(&limiter), 2);
        limiter.clock().set(Timestamp::MAX);
        assert_eq!(drain(&limiter), 2);
        let Decision::Denied(denial) = limiter.check() else { panic!("the bucket is empty") };
        assert_eq!(denial.retry_at(), Timestamp::MAX);
    }
}

#[test]
fn a_limiter_may_start_near_the_end_of_its_clock() {
    let start = Timestamp::MAX - SECOND;
    let quota = Quota::per_second(10).unwrap();
    let limiter = DirectLimiter::with_clock(quota, ManualClock::new(start));
    assert_eq!(drain(&limiter), 10);
    limiter.clock().advance(Duration::from_millis(100));
    assert_eq!(drain(&limiter), 1);
}

/// governor 0.10.4 truncates the interval to whole nanoseconds and admits 1.01 to 1.67 times, or
/// half of, these rates.
#[test]
fn like_governor_truncating_the_interval() {
    for rate in [30_000_000, 150_000_000, 300_000_000, 600_000_000, 700_000_000, 2_000_000_000] {
        let quota = Quota::per_second(rate).unwrap();
        let limiter = manual(quota.with_burst(8).unwrap());
        assert_eq!(drain(&limiter), 8);
        let mut admitted = 0;
        for _ in 0..1_000_000 {
            limiter.clock().advance(Duration::from_nanos(3));
            admitted += drain(&limiter);
        }
        // Three milliseconds; what is left of a cell at the end is not yet admitted.
        assert_eq!(admitted, rate * 3 / 1_000, "{rate} a second");
    }
}

/// governor 0.10.4 multiplies intervals without a check and wraps: these bursts admit 4, 975,202
/// and 156,928.
#[test]
fn like_governor_wrapping_large_bursts() {
    let day = SECOND * 86_400;
    for (quota, burst) in [
        (Quota::new(1, day * 36_500).unwrap(), 10),
        (Quota::per_hour(1).unwrap(), u64::from(u32::MAX)),
        (Quota::new(1, day).unwrap(), 4_000_000),
    ] {
        let limiter = manual(quota.with_burst(burst).unwrap());
        assert!(limiter.check_n(burst - 1).is_admitted());
        assert!(limiter.check().is_admitted());
        assert!(!limiter.check().is_admitted(), "{quota:?}");
    }
}

/// ratelimit 2.0.0 forgets what is left of a token at each poll: 0.5 to 0.8 of these rates.
#[test]
fn like_ratelimit_losing_remainders() {
    let hours = SECOND * 3_600;
    let hourly = Quota::per_hour(1).unwrap();
    assert_eq!(admitted_over(hourly, hours * 10, Duration::from_millis(5)), 10);
    assert_eq!(admitted_over(hourly, hours * 10, Duration::from_millis(7)), 10);
    let daily = Quota::new(1, hours * 24).unwrap();
    assert_eq!(admitted_over(daily, hours * 240, Duration::from_millis(100)), 10);
    let minutely = Quota::per_minute(1).unwrap();
    assert_eq!(admitted_over(minutely, SECOND * 600, Duration::from_micros(100)), 10);
}

/// governor's default clock may show a processor less than another one saw (its issue 299), and the
/// difference of the two wraps to ages: who asks is denied although the bucket is full.
#[test]
fn like_governor_denying_after_a_step_back() {
    let step = Duration::from_micros(1);
    let limiter = manual(Quota::per_second(1_000).unwrap().with_burst(100).unwrap());
    limiter.clock().set(Timestamp::ZERO + SECOND);
    assert!(limiter.check().is_admitted());
    limiter.clock().set(Timestamp::ZERO + SECOND - step);
    for _ in 0..98 {
        assert!(limiter.check().is_admitted(), "cells were there");
    }
    let Decision::Denied(denial) = limiter.check() else { panic!("a step back is no gift") };
    assert_eq!(denial.retry_after(), step, "denied longer than the clock jumped");
}

/// ratelimit 2.0.0 moves the time of the last refill, and then adds the tokens: a thread that is
/// stalled in between adds them late, on top of a burst that was full. Here threads ask while the
/// clock moves, and together they never get more than the whole time is worth.
#[test]
fn like_ratelimit_refilling_late() {
    for round in 0..50 {
        let limiter = manual(Quota::per_second(1_000_000).unwrap().with_burst(10).unwrap());
        let step = Duration::from_micros(1 + round % 7);
        let admitted: u64 = std::thread::scope(|scope| {
            let ask = || (0..2_000).filter(|_| limiter.check().is_admitted()).count() as u64;
            let workers: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
            for _ in 0..100 {
                limiter.clock().advance(step);
                std::thread::yield_now();
            }
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        let worth = limiter.clock().now().as_nanos() / 1_000;
        assert!(admitted <= 10 + worth, "{admitted} in {worth} microseconds");
    }
}

/// limitador 0.14 looks whether there is room and then adds, in two passes: sixteen threads get one
/// more than the limit.
#[test]
fn like_limitador_looking_and_then_adding() {
    for (limit, threads) in [(100, 4), (100, 16), (1_000, 4), (1_000, 16)] {
        let quota = Quota::per_hour(limit).unwrap();
        let builder = KeyedLimiter::builder(quota, 10).clock(ManualClock::default());
        let limiter = builder.build().unwrap();
        let admitted: u64 = std::thread::scope(|scope| {
            let ask = || (0..limit).filter(|_| limiter.check("ada").is_admitted()).count() as u64;
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(admitted, limit, "{threads} threads");
    }
}

/// governor 0.10.4 keeps every key until `retain_recent` walks over all of them, for 33 ms where
/// there are ten million. Here a new key takes over one bucket and looks at no more than its
/// window: of a hundred thousand that have expired the others stay.
#[test]
fn like_governor_pausing_to_clean_up() {
    let keys = 100_000;
    let quota = Quota::per_second(1).unwrap();
    let builder = KeyedLimiter::builder(quota, keys).dense().clock(ManualClock::default());
    let limiter = builder.build().unwrap();
    for key in 0..keys {
        let _: Decision = limiter.check(&key);
    }
    limiter.clock().advance(SECOND * 2);
    for key in keys..keys + 1_000 {
        let before = limiter.stats();
        assert!(limiter.check(&key).is_admitted());
        let after = limiter.stats();
        assert_eq!(after.inserted, before.inserted + 1);
        assert!(after.overwritten <= before.overwritten + 1, "a check swept the table");
    }
}

/// governor 0.10.4 grows with every key that was ever seen: a table of fixed memory does not, and
/// forgets nothing that it needs.
#[test]
fn like_governor_growing_with_ten_million_keys() {
    let quota = Quota::per_second(1).unwrap().with_burst(3).unwrap();
    let builder = KeyedLimiter::builder(quota, 20_000).strangers(10_000);
    let limiter = builder.clock(ManualClock::default()).build().unwrap();
    let bytes = limiter.stats().bytes;
    let mut regular = 0_u64;
    for key in 0..10_000_000_u64 {
        let _: Decision = limiter.check(&key);
        if key % 1_000 == 0 {
            regular += u64::from(limiter.check("regular").is_admitted());
            limiter.clock().advance(Duration::from_millis(100));
        }
    }
    let stats = limiter.stats();
    assert_eq!(stats.bytes, bytes);
    assert_eq!(stats.turned_away, 0, "{stats:?}");
    // A thousand seconds, and two or three cells to begin with.
    assert!((1_001..=1_003).contains(&regular), "{regular}");
}

#[test]
fn keys_do_not_share_buckets() {
    let quota = Quota::per_second(2).unwrap();
    let limiter =
        KeyedLimiter::builder(quota, 1_000).clock(ManualClock::default()).build().unwrap();
    for key in ["ada", "grace", "barbara"] {
        assert!(limiter.check(key).is_admitted());
        assert!(limiter.check(key).is_admitted());
        let Decision::Denied(denial) = limiter.check(key) else { panic!("{key} had her burst") };
        assert_eq!(denial.retry_after(), Duration::from_millis(500));
        assert_eq!(limiter.check_n(key, 3), Decision::Impossible { burst: 2 });
    }
}

#[test]
fn a_full_table_does_as_it_was_told() {
    let quota = Quota::per_second(1).unwrap();
    for (policy, expected) in [(WhenFull::Deny, 64), (WhenFull::Admit, 1_000)] {
        let builder = KeyedLimiter::builder(quota, 1).when_full(policy);
        let limiter = builder.clock(ManualClock::default()).build().unwrap();
        let admitted = (0..1_000_u64).filter(|key| limiter.check(key).is_admitted()).count();
        assert_eq!(admitted, expected, "{policy:?}");
        assert_eq!(limiter.stats().turned_away, 936);
    }
}

/// Quotas of both widths, from several threads, saturated: exactly what the quota allows.
#[test]
fn threads_together_admit_exactly_the_quota() {
    for rate in [1_000_000, 999_983] {
        let quota = Quota::per_second(rate).unwrap().with_burst(1_000).unwrap();
        let direct = manual(quota);
        let keyed = KeyedLimiter::builder(quota, 64).clock(ManualClock::default()).build().unwrap();
        let admitted_by_threads = |check: &(dyn Fn() -> bool + Sync)| -> u64 {
            std::thread::scope(|scope| {
                let count = || (0..2_000).filter(|_| check()).count() as u64;
                let workers: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
                workers.into_iter().map(|worker| worker.join().unwrap()).sum()
            })
        };
        assert_eq!(admitted_by_threads(&|| direct.check().is_admitted()), 1_000);
        assert_eq!(admitted_by_threads(&|| keyed.check(&7).is_admitted()), 1_000);
        direct.clock().advance(Duration::from_millis(1));
        keyed.clock().advance(Duration::from_millis(1));
        // 999 and a fraction at the odd rate.
        let expected = rate / 1_000;
        assert_eq!(admitted_by_threads(&|| direct.check().is_admitted()), expected);
        assert_eq!(admitted_by_threads(&|| keyed.check(&7).is_admitted()), expected);
    }
}

#[test]
fn many_checks_decide_as_one_after_the_other() {
    let quota = Quota::per_second(2).unwrap();
    let make = || KeyedLimiter::builder(quota, 1_000).clock(ManualClock::default());
    let (one, many) = (make().build().unwrap(), make().dense().build().unwrap());
    let keys: Vec<u64> = (0..100).map(|index| index * index % 41).collect();
    let singly: Vec<_> = keys.iter().map(|key| one.check(key)).collect();
    let mut batched = Vec::new();
    many.check_many_at(Timestamp::ZERO, &keys, |index, decision| {
        assert_eq!(index, batched.len());
        batched.push(decision);
    });
    assert_eq!(singly, batched);
    let standing = one.standing_at(Timestamp::ZERO, &keys[0]);
    assert_eq!((standing.burst(), standing.remaining()), (2, 0));
    assert_eq!(one.standing_at(Timestamp::ZERO, &1_000).remaining(), 2);
}
