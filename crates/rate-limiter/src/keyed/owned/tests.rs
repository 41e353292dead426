use std::collections::HashMap;
use std::time::Duration;

use harness::contract::{LimiterSpec, Verdict};
use harness::model::ExactBucket;
use proptest::collection::vec;
use proptest::prelude::*;

use super::OwnedKeyLimiter;
use crate::setting::Setting;
use crate::{
    Carry, Clock, Decision, KeyedLimiter, ManualClock, Quota, TableError, Timestamp, WhenFull,
};

const SECOND: Duration = Duration::from_secs(1);

fn limiter(quota: Quota, keys: usize) -> OwnedKeyLimiter<u64, ManualClock> {
    OwnedKeyLimiter::with_clock(quota, keys, WhenFull::Deny, ManualClock::default()).unwrap()
}

proptest! {
    /// A run that forgets all the time decides as one that never does.
    #[test]
    fn forgetting_cannot_be_noticed(
        (cells, period, burst) in (1..12_u64, 1..40_u64, 1..7_u32),
        requests in vec((-5..20_i64, 0..4_u64, 1..5_u32, any::<bool>()), 1..80),
    ) {
        let spec = LimiterSpec { cells, period: Duration::from_nanos(period), burst };
        let quota = Quota::new(cells, spec.period).unwrap().with_burst(burst.into()).unwrap();
        let limiter = limiter(quota, 100);
        let mut buckets = HashMap::new();
        let mut now = 0_u64;
        for (step, key, cost, forgets) in requests {
            // Forgetting believes the clock, so that here it does not go back.
            now = now.saturating_add_signed(step.max(0));
            let at = Duration::from_nanos(now);
            if forgets {
                limiter.forget_full(Timestamp::from_nanos(now));
            }
            let bucket = buckets.entry(key).or_insert_with(|| ExactBucket::new(&spec));
            let verdict = match limiter.check_at(Timestamp::from_nanos(now), &key, cost.into()) {
                Decision::Admitted => Verdict::Admit,
                Decision::Denied(it) => Verdict::Deny { retry_after: Some(it.retry_after()) },
                Decision::Impossible { .. } => Verdict::TooLarge,
            };
            prop_assert_eq!(verdict, bucket.check(at, cost));
        }
    }
}

/// What happens, once so much time has passed.
#[derive(Clone, Copy, Debug)]
enum Act {
    Take(u64, u64),
    GiveBack(u64, u64),
    Forget,
    /// Cells, period and burst.
    Change((u64, u64, u64), Carry),
}

fn quota((cells, period, burst): (u64, u64, u64)) -> Quota {
    Quota::new(cells, Duration::from_nanos(period)).unwrap().with_burst(burst).unwrap()
}

proptest! {
    /// Under quotas that change, a map of keys decides as a table of their hashes.
    #[test]
    fn changes_are_those_of_the_table(
        first in (1..12_u64, 1..40_u64, 1..7_u64),
        acts in vec((0..20_u64, prop_oneof![
            12 => (0..4_u64, 1..5_u64).prop_map(|(key, cells)| Act::Take(key, cells)),
            3 => (0..4_u64, 1..5_u64).prop_map(|(key, cells)| Act::GiveBack(key, cells)),
            2 => Just(Act::Forget),
            2 => (
                (1..12_u64, 1..40_u64, 1..7_u64),
                prop_oneof![Just(Carry::Fraction), Just(Carry::Cells), Just(Carry::Full)],
            ).prop_map(|(quota, carry)| Act::Change(quota, carry)),
        ]), 1..80),
    ) {
        let limiter = limiter(quota(first), 100);
        let table = KeyedLimiter::builder(quota(first), 100).any_quota();
        let table = table.clock(ManualClock::default()).build().unwrap();
        let mut now = Timestamp::ZERO;
        for (step, act) in acts {
            now = now + Duration::from_nanos(step);
            match act {
                Act::Take(key, cells) => {
                    let expected = table.check_at(now, &key, cells);
                    prop_assert_eq!(limiter.peek_at(now, &key, cells), expected);
                    prop_assert_eq!(limiter.check_at(now, &key, cells), expected);
                    prop_assert_eq!(limiter.standing_at(now, &key), table.standing_at(now, &key));
                }
                Act::GiveBack(key, cells) => {
                    limiter.refund_at(now, &key, cells);
                    table.refund_at(now, &key, cells);
                }
                Act::Forget => limiter.forget_full(now),
                Act::Change(next, carry) => {
                    limiter.clock().set(now);
                    table.clock().set(now);
                    limiter.set_quota(quota(next), carry).unwrap();
                    table.set_quota(quota(next), carry).unwrap();
                    prop_assert_eq!(limiter.quota(), table.quota());
                }
            }
        }
    }
}

/// The quota changes again and again while its owner takes: no admission is lost in between.
#[test]
fn threads_that_change_the_quota_lose_no_admission() {
    let quota = Quota::per_hour(2_000).unwrap();
    let limiter = limiter(quota, 100);
    let admitted: usize = std::thread::scope(|scope| {
        let count = || (0..2_000).filter(|_| limiter.check(&7).is_admitted()).count();
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(count)).collect();
        for _ in 0..500 {
            limiter.set_quota(quota, Carry::Fraction).unwrap();
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(admitted, 2_000);
}

#[test]
fn a_limiter_whose_ticks_are_used_up_keeps_its_quota() {
    let quota = Quota::per_second(2).unwrap();
    let limiter = limiter(quota, 100);
    limiter.live.change(|it| Some(Setting { base: u128::MAX - (1 << 55), ..it }));
    assert!(limiter.check_n(&7, 2).is_admitted());
    let other = Quota::per_second(3).unwrap();
    assert_eq!(limiter.set_quota(other, Carry::Full), Err(TableError::WornOut));
    assert_eq!(limiter.quota(), quota);
    assert!(!limiter.check(&7).is_admitted());
}

#[test]
fn a_flood_of_keys_stays_within_the_number() {
    let limiter = limiter(Quota::per_second(1).unwrap(), 1_000);
    let mut admitted = 0;
    for key in 0..200_000 {
        admitted += u64::from(limiter.check(&key).is_admitted());
        assert!(limiter.keys() <= 1_000);
        limiter.clock().advance(Duration::from_micros(100));
    }
    // Filled in a tenth of a second, and walked over in vain; a second later, with success.
    assert!((10_000..=21_000).contains(&admitted), "{admitted}");
    let Decision::Denied(denial) = limiter.check(&u64::MAX) else { panic!("the map is full") };
    assert!(denial.retry_after() <= SECOND);
    limiter.clock().set(denial.retry_at() + SECOND);
    assert!(limiter.check(&u64::MAX).is_admitted());
}

#[test]
fn room_for_no_keys_is_refused() {
    for when_full in [WhenFull::Deny, WhenFull::Admit] {
        let quota = Quota::per_second(1).unwrap();
        let refused = OwnedKeyLimiter::<u64>::new(quota, 0, when_full).unwrap_err();
        assert_eq!(refused, TableError::Zero);
    }
}

/// A key is forgotten again and again while its owner takes: no admission is lost in between.
#[test]
fn threads_that_forget_lose_no_admission() {
    let limiter = limiter(Quota::per_hour(2_000).unwrap(), 100);
    let admitted: usize = std::thread::scope(|scope| {
        let count = || (0..2_000).filter(|_| limiter.check(&7).is_admitted()).count();
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(count)).collect();
        for _ in 0..500 {
            limiter.forget_full(limiter.clock().now());
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(admitted, 2_000);
}
