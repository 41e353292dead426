use std::time::Duration;

use proptest::prelude::*;

use super::{BURST_MAX, CELLS_MAX, ELAPSED_NS_MIN, PERIOD_NS_MAX, Quota, QuotaError, Scale};

#[test]
fn bad_quotas_are_refused_with_their_reason() {
    let second = Duration::from_secs(1);
    assert_eq!(Quota::new(0, second), Err(QuotaError::NoCells));
    assert_eq!(Quota::new(1, Duration::ZERO), Err(QuotaError::NoPeriod));
    assert_eq!(
        Quota::new(CELLS_MAX + 1, second),
        Err(QuotaError::TooManyCells { cells: CELLS_MAX + 1 })
    );
    let period = Duration::from_nanos(PERIOD_NS_MAX + 1);
    assert_eq!(Quota::new(1, period), Err(QuotaError::PeriodTooLong { period }));
    assert_eq!(
        Quota::new(1, Duration::MAX),
        Err(QuotaError::PeriodTooLong { period: Duration::MAX })
    );
    let quota = Quota::per_second(1).unwrap();
    assert_eq!(quota.with_burst(0), Err(QuotaError::NoBurst));
    assert_eq!(
        quota.with_burst(BURST_MAX + 1),
        Err(QuotaError::BurstTooLarge { burst: BURST_MAX + 1 })
    );
    assert_eq!(
        QuotaError::NoCells.to_string(),
        "a quota of zero cells admits nothing; name at least one cell"
    );
}

#[test]
fn usual_quotas_fit_in_64_bits_and_odd_ones_do_not() {
    let narrow = |quota: Quota| Scale::narrow(&quota).is_some();
    for rate in [1, 2, 3, 7, 10, 13, 100, 700, 1_000, 1_000_000, 30_000_000, 600_000_000] {
        assert!(narrow(Quota::per_second(rate).unwrap()), "{rate} a second");
    }
    assert!(narrow(Quota::per_minute(7).unwrap()));
    assert!(narrow(Quota::new(1, Duration::from_hours(87_600)).unwrap()));
    // 999,999,937 is prime: its ticks are a billionth of a nanosecond.
    assert!(!narrow(Quota::per_second(999_999_937).unwrap()));
    // Four billion hours of burst.
    assert!(!narrow(Quota::per_hour(1).unwrap().with_burst(u32::MAX.into()).unwrap()));
}

proptest! {
    #[test]
    fn ticks_are_exact_and_sums_fit(
        cells in 1..=CELLS_MAX,
        period_ns in 1..=PERIOD_NS_MAX,
        burst in 1..=BURST_MAX,
    ) {
        let quota = Quota::new(cells, Duration::from_nanos(period_ns)).unwrap();
        let quota = quota.with_burst(burst).unwrap();
        let wide = Scale::wide(&quota);
        // ticks a cell / ticks a nanosecond = period / cells, cross-multiplied.
        prop_assert_eq!(
            wide.ticks_per_cell * u128::from(cells),
            wide.ticks_per_ns * u128::from(period_ns)
        );
        let elapsed = u128::from(wide.elapsed_ns_max) * wide.ticks_per_ns;
        prop_assert!(elapsed.checked_add(2 * wide.tolerance).is_some_and(|sum| sum < u128::MAX));
    }

    #[test]
    fn narrow_ticks_equal_wide_ones_and_leave_room(
        cells in 1..=1_000_000_000_u64,
        period_ns in 1..=1_000_000_000_000_u64,
        burst in 1..=1_000_000_u64,
    ) {
        let quota = Quota::new(cells, Duration::from_nanos(period_ns)).unwrap();
        let quota = quota.with_burst(burst).unwrap();
        let Some(narrow) = Scale::narrow(&quota) else { return Ok(()) };
        let wide = Scale::wide(&quota);
        prop_assert_eq!(u128::from(narrow.ticks_per_cell), wide.ticks_per_cell);
        prop_assert_eq!(u128::from(narrow.ticks_per_ns), wide.ticks_per_ns);
        prop_assert_eq!(u128::from(narrow.tolerance), wide.tolerance);
        prop_assert!(narrow.elapsed_ns_max >= ELAPSED_NS_MIN);
        let sum = u128::from(narrow.elapsed_ns_max) * wide.ticks_per_ns + 2 * wide.tolerance;
        prop_assert!(sum < u128::from(u64::MAX));
    }
}
