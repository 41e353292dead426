use std::time::Duration;

use harness::contract::{LimiterSpec, Verdict};
use harness::model::ExactBucket;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{LeaseError, LeasedLimiter};
use crate::{Clock, Decision, ManualClock, Quota, Timestamp};

proptest! {
    /// All leases together stay within the quota's bound over every stretch, and what is denied
    /// is missing in the common bucket.
    #[test]
    fn leases_together_keep_the_bound(
        (cells, period) in (1..12_u64, 1..40_u64),
        lease in 1..4_u64,
        requests in vec((0..20_u64, 0..3_usize, 1..6_u64), 1..80),
    ) {
        let burst = 3 * lease + 5;
        let period = Duration::from_nanos(period);
        let quota = Quota::new(cells, period).unwrap().with_burst(burst).unwrap();
        let limiter =
            LeasedLimiter::with_clock(quota, 3, lease, ManualClock::default()).unwrap();
        let mut leases: Vec<_> = (0..3).map(|_| limiter.lease().unwrap()).collect();
        prop_assert!(limiter.lease().is_none());
        let spec = |burst: u64| LimiterSpec { cells, period, burst: burst.try_into().unwrap() };
        let mut whole = ExactBucket::new(&spec(burst));
        let mut common = ExactBucket::new(&spec(5));
        for (step, holder, cost) in requests {
            limiter.clock().advance(Duration::from_nanos(step));
            let at = limiter.clock().now().saturating_since(Timestamp::ZERO);
            let held = leases[holder].held();
            let missing = u32::try_from(cost.saturating_sub(held)).unwrap();
            let verdict = match missing {
                0 => Verdict::Admit,
                _ => common.verdict(at, missing),
            };
            match leases[holder].check_n(cost) {
                Decision::Admitted => {
                    prop_assert!(verdict.is_admit());
                    let cost = u32::try_from(cost).unwrap();
                    prop_assert!(whole.check(at, cost).is_admit(), "above the quota");
                    let taken = cost + u32::try_from(leases[holder].held()).unwrap()
                        - u32::try_from(held).unwrap();
                    if taken > 0 && missing > 0 {
                        prop_assert!(common.check(at, taken).is_admit());
                    }
                }
                Decision::Denied(denial) => {
                    let retry_after = Some(denial.retry_after());
                    prop_assert_eq!(verdict, Verdict::Deny { retry_after });
                }
                Decision::Impossible { burst } => prop_assert!(cost > burst),
            }
            prop_assert!(leases[holder].held() <= lease);
        }
    }
}

#[test]
fn leases_that_leave_no_burst_are_refused() {
    let quota = Quota::per_second(100).unwrap();
    let refused = |leases, cells| {
        LeasedLimiter::with_clock(quota, leases, cells, ManualClock::default()).unwrap_err()
    };
    assert_eq!(refused(0, 1), LeaseError::Nothing { leases: 0, cells: 1 });
    let too_small = |leases, cells| LeaseError::BurstTooSmall { leases, cells, burst: 100 };
    assert_eq!(refused(10, 10), too_small(10, 10));
    assert_eq!(refused(u64::MAX, 2), too_small(u64::MAX, 2));
}

#[test]
fn a_lease_that_is_dropped_makes_room_for_another() {
    let quota = Quota::per_hour(100).unwrap();
    let limiter = LeasedLimiter::with_clock(quota, 1, 10, ManualClock::default()).unwrap();
    let mut admitted = 0;
    for _ in 0..20 {
        let mut lease = limiter.lease().unwrap();
        assert!(limiter.lease().is_none());
        admitted += u64::from(lease.check().is_admitted());
    }
    assert_eq!(admitted, 9, "of each ten cells that were leased, nine are lost");
}

#[test]
fn threads_with_leases_admit_no_more_than_the_quota() {
    let quota = Quota::per_hour(10_000).unwrap();
    let limiter = LeasedLimiter::with_clock(quota, 4, 100, ManualClock::default()).unwrap();
    let admitted: usize = std::thread::scope(|scope| {
        let count = || {
            let mut lease = limiter.lease().unwrap();
            (0..10_000).filter(|_| lease.check().is_admitted()).count()
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(admitted, 10_000 - 400, "the common burst, every cell of which was handed out");
}
