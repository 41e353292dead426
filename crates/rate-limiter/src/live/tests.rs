use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Carry, Clock, Decision, DirectLimiter, ManualClock, Quota};

/// The bucket as a fraction: `debt / unit` nanoseconds of refilling are missing, where the unit is
/// the product of everything that was ever divided by.
#[derive(Debug)]
pub(crate) struct Oracle {
    cells: u128,
    period: u128,
    burst: u128,
    /// Missing ticks of `1 / ticks_per_ns` nanoseconds.
    debt: u128,
}

fn reduced(cells: u128, period: u128) -> (u128, u128) {
    let shared = (1..=cells.min(period))
        .rev()
        .find(|&it| cells.is_multiple_of(it) && period.is_multiple_of(it));
    let shared = shared.expect("one divides everything");
    (cells / shared, period / shared)
}

impl Oracle {
    /// A full bucket.
    pub(crate) fn new((cells, period, burst): Parts) -> Self {
        Self { cells: cells.into(), period: period.into(), burst: burst.into(), debt: 0 }
    }

    pub(crate) fn advance(&mut self, nanos: u64) {
        let (ticks_per_ns, _) = reduced(self.cells, self.period);
        self.debt = self.debt.saturating_sub(u128::from(nanos) * ticks_per_ns);
    }

    pub(crate) fn admits(&self, cells: u64) -> bool {
        let (_, interval) = reduced(self.cells, self.period);
        self.debt + u128::from(cells) * interval <= self.burst * interval
    }

    pub(crate) fn take(&mut self, cells: u64) {
        self.debt += u128::from(cells) * reduced(self.cells, self.period).1;
    }

    pub(crate) fn refund(&mut self, cells: u64) {
        let (_, interval) = reduced(self.cells, self.period);
        let cells = u128::from(cells).min(self.burst);
        self.debt = self.debt.saturating_sub(cells * interval);
    }

    /// Nanoseconds until so many cells, which fit the burst, are there.
    pub(crate) fn wait(&self, cells: u64) -> u128 {
        let (ticks_per_ns, interval) = reduced(self.cells, self.period);
        let wanted = self.debt + u128::from(cells) * interval;
        wanted.saturating_sub(self.burst * interval).div_ceil(ticks_per_ns)
    }

    pub(crate) fn change(&mut self, parts: Parts, carry: Carry) {
        let Self { cells, period, burst, .. } = Self::new(parts);
        let (old, new) = (reduced(self.cells, self.period).1, reduced(cells, period).1);
        let (old_full, new_full) = (self.burst * old, burst * new);
        let debt = match carry {
            Carry::Full => 0,
            Carry::Fraction => (self.debt * new_full).div_ceil(old_full),
            Carry::Cells => new_full.saturating_sub((old_full - self.debt) * new / old),
        };
        *self = Self { cells, period, burst, debt };
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Advance(u64),
    Check(u64),
    Refund(u64),
    Change(Parts, Carry),
}

/// Cells, period and burst of a quota.
pub(crate) type Parts = (u64, u64, u64);

pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    (1..12_u64, 1..40_u64, 1..9_u64)
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let carry = prop_oneof![Just(Carry::Fraction), Just(Carry::Cells), Just(Carry::Full)];
    let step = prop_oneof![
        3 => (0..20_u64).prop_map(Step::Advance),
        6 => (1..5_u64).prop_map(Step::Check),
        1 => (1..5_u64).prop_map(Step::Refund),
        2 => (parts(), carry).prop_map(|(quota, carry)| Step::Change(quota, carry)),
    ];
    vec(step, 1..60)
}

pub(crate) fn quota((cells, period, burst): Parts) -> Quota {
    Quota::new(cells, Duration::from_nanos(period)).unwrap().with_burst(burst).unwrap()
}

proptest! {
    #[test]
    fn changes_carry_exactly_what_they_say(first in parts(), steps in steps()) {
        let limiter = DirectLimiter::with_clock(quota(first), ManualClock::default());
        let mut oracle = Oracle::new(first);
        for step in steps {
            match step {
                Step::Advance(nanos) => {
                    limiter.clock().advance(Duration::from_nanos(nanos));
                    oracle.advance(nanos);
                }
                Step::Check(cells) => {
                    let peeked = limiter.peek_at(limiter.clock().now(), cells);
                    let decision = limiter.check_n(cells);
                    prop_assert_eq!(peeked, decision);
                    prop_assert_eq!(decision.is_admitted(), oracle.admits(cells), "{:?}", oracle);
                    if decision.is_admitted() {
                        oracle.take(cells);
                    }
                }
                Step::Refund(cells) => {
                    limiter.refund(cells);
                    oracle.refund(cells);
                }
                Step::Change(parts, carry) => {
                    limiter.set_quota(quota(parts), carry);
                    oracle.change(parts, carry);
                }
            }
            let standing = limiter.standing_at(limiter.clock().now());
            let (ticks_per_ns, interval) = reduced(oracle.cells, oracle.period);
            let stored = (oracle.burst * interval - oracle.debt) / interval;
            prop_assert_eq!(u128::from(standing.remaining()), stored);
            prop_assert_eq!(
                standing.full_after().as_nanos(), oracle.debt.div_ceil(ticks_per_ns)
            );
        }
    }
}

/// governor cannot change a quota; who replaces the limiter gives every client a full bucket.
#[test]
fn like_replacing_a_limiter_to_change_its_quota() {
    let limiter = DirectLimiter::with_clock(Quota::per_hour(10).unwrap(), ManualClock::default());
    assert!(limiter.check_n(10).is_admitted());
    for _ in 0..100 {
        limiter.set_quota(Quota::per_hour(11).unwrap(), Carry::Fraction);
        limiter.set_quota(Quota::per_hour(10).unwrap(), Carry::Fraction);
    }
    assert!(!limiter.check().is_admitted(), "an empty bucket stays empty");
}

#[test]
fn the_largest_quotas_can_be_exchanged() {
    let largest = Quota::new((1 << 60) - 1, Duration::from_nanos((1 << 62) - 1)).unwrap();
    let odd = Quota::per_second(999_999_937).unwrap().with_burst(1 << 60).unwrap();
    let limiter = DirectLimiter::with_clock(largest, ManualClock::default());
    assert!(limiter.check_n(1 << 59).is_admitted());
    for quota in [odd, largest, odd, largest] {
        limiter.set_quota(quota, Carry::Fraction);
        let standing = limiter.standing_at(limiter.clock().now());
        let half = quota.burst() / 2;
        assert!(standing.remaining().abs_diff(half) <= 1, "{quota:?}: {standing:?}");
    }
}

#[test]
fn threads_may_check_while_the_quota_changes() {
    let quota = Quota::per_hour(1_000).unwrap();
    let limiter = DirectLimiter::with_clock(quota, ManualClock::default());
    let admitted: usize = std::thread::scope(|scope| {
        let count = || {
            let admitted = |_: &i32| matches!(limiter.check(), Decision::Admitted);
            (0..1_000).filter(admitted).count()
        };
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(count)).collect();
        for _ in 0..200 {
            limiter.set_quota(quota, Carry::Fraction);
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(admitted, 1_000, "a check was lost in a change");
}

/// 10 a second and 17 a second have no common word: the bucket moves once and stays.
#[test]
fn a_bucket_moves_to_wider_words_and_keeps_its_cells() {
    let per_second = |cells| Quota::per_second(cells).unwrap();
    let limiter = DirectLimiter::with_clock(per_second(10), ManualClock::default());
    assert!(limiter.check_n(5).is_admitted());
    for cells in [17, 10, 999_999_937, 10] {
        limiter.set_quota(per_second(cells), Carry::Fraction);
        let standing = limiter.standing_at(limiter.clock().now());
        assert!(standing.remaining().abs_diff(cells / 2) <= 1, "{cells} a second: {standing:?}");
        limiter.refund(1);
        assert!(limiter.check().is_admitted());
    }
}

/// Ticks are used up by changes; what 64 bits cannot bear any more goes to 128.
#[test]
fn ticks_that_are_used_up_go_on_in_wider_words() {
    let long = Quota::new(1, Duration::from_hours(24 * 365 * 100)).unwrap();
    let limiter = DirectLimiter::with_clock(long, ManualClock::default());
    assert!(limiter.check().is_admitted());
    for _ in 0..100 {
        limiter.set_quota(long, Carry::Fraction);
        assert!(!limiter.check().is_admitted(), "an empty bucket stays empty");
    }
    limiter.clock().advance(long.period());
    assert!(limiter.check().is_admitted());
}
