use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{
    Carry, KeyedBuilder, KeyedLimiter, LiveLimiter, ManualClock, Quota, TableError, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);

fn quota((cells, burst): (u64, u64)) -> Quota {
    Quota::new(cells, SECOND).unwrap().with_burst(burst).unwrap()
}

fn limiter(
    quota: Quota,
    layout: fn(KeyedBuilder<ManualClock>) -> KeyedBuilder<ManualClock>,
) -> KeyedLimiter<ManualClock> {
    layout(KeyedLimiter::builder(quota, 100).clock(ManualClock::default())).build().unwrap()
}

fn quotas() -> impl Strategy<Value = (u64, u64)> {
    // Seven and a prime need words of both widths.
    (prop_oneof![Just(7_u64), Just(1_000), Just(999_999_937)], 1..9_u64)
}

fn carries() -> impl Strategy<Value = Carry> {
    prop_oneof![Just(Carry::Fraction), Just(Carry::Cells), Just(Carry::Full)]
}

/// One step in five changes the quota.
fn changes() -> impl Strategy<Value = Option<((u64, u64), Carry)>> {
    prop::option::weighted(0.2, (quotas(), carries()))
}

proptest! {
    /// Each key is told what one bucket of its own would be told whose quota changes; one that is
    /// full stays full.
    #[test]
    fn every_bucket_changes_as_one_alone(
        first in quotas(),
        steps in vec((0..300_000_000_u64, 0..3_usize, 1..4_u64, changes()), 1..50),
    ) {
        let mut limiter = limiter(quota(first), |it| it);
        let alone: Vec<_> = (0..3)
            .map(|_| LiveLimiter::with_clock(quota(first), ManualClock::default()))
            .collect();
        let mut now = Timestamp::ZERO;
        for (step, key, cells, change) in steps {
            now = now + Duration::from_nanos(step);
            limiter.clock().set(now);
            for it in &alone {
                it.clock().set(now);
            }
            if let Some((next, carry)) = change {
                limiter.set_quota(quota(next), carry).unwrap();
                for it in &alone {
                    let is_full = it.standing_at(now).full_after().is_zero();
                    it.set_quota(quota(next), if is_full { Carry::Full } else { carry });
                }
                prop_assert_eq!(limiter.quota(), &quota(next));
            }
            let told = limiter.check_n(&key, cells).is_admitted();
            prop_assert_eq!(told, alone[key].check_n(cells).is_admitted());
        }
    }
}

#[test]
fn a_compact_table_keeps_the_fraction() {
    let mut limiter = limiter(Quota::per_hour(10).unwrap(), KeyedBuilder::compact);
    limiter.clock().set(Timestamp::ZERO + SECOND * 1_000);
    assert!(limiter.check_n("ada", 5).is_admitted());
    limiter.set_quota(Quota::per_hour(100).unwrap(), Carry::Fraction).unwrap();
    let left = (0..100).filter(|_| limiter.check("ada").is_admitted()).count();
    assert!((49..=50).contains(&left), "{left} of 50");
    assert!(limiter.check_n("grace", 100).is_admitted(), "who never came is full");
    let too_fine = Quota::per_second(2_000_000_000).unwrap();
    assert_eq!(limiter.set_quota(too_fine, Carry::Full), Err(TableError::NotCompact));
    assert_eq!(limiter.quota().cells(), 100, "nothing has changed");
    assert!(!limiter.check("ada").is_admitted());
}

/// Buckets that lie behind ones that have expired are still found.
#[test]
fn a_full_window_keeps_its_places() {
    let mut limiter = KeyedLimiter::builder(Quota::per_second(1).unwrap(), 1)
        .clock(ManualClock::default())
        .build()
        .unwrap();
    for key in 0..32 {
        assert!(limiter.check(&key).is_admitted());
    }
    limiter.clock().advance(Duration::from_millis(600));
    for key in 32..64 {
        assert!(limiter.check(&key).is_admitted());
    }
    limiter.clock().advance(Duration::from_millis(600));
    limiter.set_quota(Quota::per_hour(1).unwrap(), Carry::Fraction).unwrap();
    for key in 32..64 {
        assert!(!limiter.check(&key).is_admitted(), "the bucket of {key} was lost");
    }
    assert_eq!(limiter.stats().inserted, 64);
}

#[test]
fn a_limiter_with_a_sketch_refuses() {
    let mut limiter = limiter(Quota::per_second(1).unwrap(), |it| it.strangers(10));
    let refused = limiter.set_quota(Quota::per_second(2).unwrap(), Carry::Full);
    assert_eq!(refused, Err(TableError::Strangers));
}
