//! Queue, several quotas and warm-up against their definitions in exact arithmetic.

use std::time::Duration;

use harness::contract::{LimiterSpec, Verdict};
use harness::model::ExactBucket;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{
    Decision, LeakyQueue, ManualClock, Quota, QuotaError, SeveralQuotas, Timestamp, WarmUp,
};

fn spec((cells, period, burst): (u64, u64, u32)) -> LimiterSpec {
    LimiterSpec { cells, period: Duration::from_nanos(period), burst }
}

fn quota(spec: &LimiterSpec) -> Quota {
    Quota::new(spec.cells, spec.period).unwrap().with_burst(spec.burst.into()).unwrap()
}

fn parts() -> impl Strategy<Value = (u64, u64, u32)> {
    (1..12_u64, 1..40_u64, 1..7_u32)
}

proptest! {
    /// All buckets admit, or nothing is charged; in any order of the quotas.
    #[test]
    fn several_quotas_are_all_or_nothing(
        quotas in vec(parts(), 1..5),
        requests in vec((-5..20_i64, 1..5_u32), 1..60),
    ) {
        let specs: Vec<_> = quotas.into_iter().map(spec).collect();
        let forwards: Vec<_> = specs.iter().map(quota).collect();
        let backwards: Vec<_> = forwards.iter().rev().copied().collect();
        let one = SeveralQuotas::with_clock(&forwards, ManualClock::default());
        let other = SeveralQuotas::with_clock(&backwards, ManualClock::default());
        let mut buckets: Vec<_> = specs.iter().map(ExactBucket::new).collect();
        let mut now = 0_u64;
        for (step, cost) in requests {
            now = now.saturating_add_signed(step);
            let at = Duration::from_nanos(now);
            let verdicts: Vec<_> = buckets.iter().map(|it| it.verdict(at, cost)).collect();
            let decision = one.check_at(Timestamp::from_nanos(now), cost.into());
            prop_assert_eq!(decision, other.check_at(Timestamp::from_nanos(now), cost.into()));
            let waits = verdicts.iter().filter_map(|verdict| match verdict {
                Verdict::Deny { retry_after } => *retry_after,
                _ => None,
            });
            match decision {
                Decision::Admitted => {
                    prop_assert!(verdicts.iter().all(|verdict| verdict.is_admit()));
                    for bucket in &mut buckets {
                        bucket.follow(at, cost, Verdict::Admit);
                    }
                }
                Decision::Denied(denial) => {
                    prop_assert_eq!(Some(denial.retry_after()), waits.max());
                }
                Decision::Impossible { .. } => {
                    prop_assert!(verdicts.contains(&Verdict::TooLarge));
                }
            }
        }
    }

    /// The queue admits as the meter does, and departures are what the drain time says.
    #[test]
    fn a_queue_drains_at_its_rate(
        parts in parts(),
        requests in vec((0..20_u64, 1..5_u32), 1..60),
    ) {
        let spec = spec(parts);
        let queue = LeakyQueue::with_clock(quota(&spec), ManualClock::default());
        let mut bucket = ExactBucket::new(&spec);
        // When all has drained, in parts of `1 / cells` nanosecond.
        let (mut full, cells, period) = (0_u128, u128::from(parts.0), u128::from(parts.1));
        let mut now = 0_u64;
        for (step, cost) in requests {
            now += step;
            let at = Duration::from_nanos(now);
            let verdict = bucket.check(at, cost);
            let peeked = queue.peek_at(Timestamp::from_nanos(now), cost.into());
            let joined = queue.join_at(Timestamp::from_nanos(now), cost.into());
            prop_assert_eq!(peeked, joined);
            match joined {
                Ok(departs) => {
                    prop_assert!(verdict.is_admit());
                    full = full.max(u128::from(now) * cells);
                    prop_assert_eq!(u128::from(departs.as_nanos()), full.div_ceil(cells));
                    full += u128::from(cost) * period;
                }
                Err(Decision::Denied(denial)) => {
                    let retry_after = Some(denial.retry_after());
                    prop_assert_eq!(verdict, Verdict::Deny { retry_after });
                }
                Err(_) => prop_assert_eq!(verdict, Verdict::TooLarge),
            }
        }
    }

    /// The formulas of the header, with every quantity times `cells * warm` to be whole.
    #[test]
    fn warming_up_is_its_definition(
        (cells, period, warm, factor) in (1..8_u64, 1..30_u64, 1..6_u64, 1..5_u64),
        steps in vec(prop_oneof![6 => 0..10_u64, 1 => 0..400_u64], 1..80),
    ) {
        let quota = Quota::new(cells, Duration::from_nanos(period)).unwrap();
        let limiter =
            WarmUp::with_clock(quota, warm, factor, ManualClock::default()).unwrap();
        let unit = u128::from(cells * warm);
        let interval = u128::from(period * warm);
        let (mut free, mut heat, mut now) = (0_u128, 0_u128, 0_u64);
        for step in steps {
            now += step;
            let at = u128::from(now) * unit;
            let peeked = limiter.peek_at(Timestamp::from_nanos(now));
            let decision = limiter.check_at(Timestamp::from_nanos(now));
            prop_assert_eq!(peeked, decision);
            if at < free {
                let Decision::Denied(denial) = decision else {
                    return Err(TestCaseError::fail(format!("admitted at {now}")));
                };
                prop_assert_eq!(u128::from(denial.retry_at().as_nanos()), free.div_ceil(unit));
                continue;
            }
            prop_assert!(decision.is_admitted(), "denied at {}", now);
            heat = heat.saturating_sub((at - free) / interval);
            let cold = u128::from(period) * u128::from(factor - 1) * (u128::from(warm) - heat);
            free = at + interval + cold;
            heat = (heat + 1).min(warm.into());
        }
    }
}

#[test]
fn a_cold_start_is_slow_and_ends() {
    let quota = Quota::per_second(100).unwrap();
    let limiter = WarmUp::with_clock(quota, 100, 3, ManualClock::default()).unwrap();
    let mut admitted = 0;
    let mut warm_after = None;
    for milli in 0..4_000 {
        admitted += u64::from(limiter.check().is_admitted());
        if admitted == 100 && warm_after.is_none() {
            warm_after = Some(milli);
        }
        limiter.clock().advance(Duration::from_millis(1));
    }
    // 100 cells at 30 ms falling to 10 ms: about two seconds, then a hundred a second.
    assert!((1_950..=2_060).contains(&warm_after.unwrap()), "{warm_after:?}");
    assert!((285..=300).contains(&admitted), "{admitted}");
}

#[test]
fn warm_ups_that_outgrow_the_arithmetic_are_refused() {
    let clock = ManualClock::default;
    let quota = Quota::per_second(1).unwrap();
    for (cells, factor) in [(0, 3), (3, 0), (1 << 21, 1), (1, 1 << 21)] {
        let refused = WarmUp::with_clock(quota, cells, factor, clock()).unwrap_err();
        assert_eq!(refused, QuotaError::WarmUpTooLong { cells, factor });
    }
    let dense = Quota::new((1 << 60) - 1, Duration::from_nanos(1)).unwrap();
    assert!(WarmUp::with_clock(dense, 1 << 20, 1, clock()).is_err());
    assert!(WarmUp::with_clock(quota, 1 << 20, 1 << 20, clock()).is_ok());
}
