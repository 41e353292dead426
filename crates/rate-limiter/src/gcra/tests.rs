use std::time::Duration;

use super::{Step, step};
use crate::quota::{Quota, Scale};
use crate::{LeakyQueue, ManualClock, Timestamp};

/// Three cells a second and two at once: an interval of 10^9 / 3 ns, which is 10^9 ticks.
fn thirds() -> Scale<u64> {
    Scale::narrow(&Quota::per_second(3).unwrap().with_burst(2).unwrap()).unwrap()
}

#[test]
fn a_full_bucket_gives_its_burst_and_no_more() {
    let scale = thirds();
    let cost = scale.cost(1);
    let Step::Admit(first) = step(&scale, 0, 0, cost) else { panic!("the bucket is full") };
    let Step::Admit(second) = step(&scale, first, 0, cost) else { panic!("the burst is two") };
    assert_eq!(step(&scale, second, 0, cost), Step::Deny(1_000_000_000));
}

#[test]
fn retry_is_rounded_up_to_the_nanosecond_and_exact() {
    let scale = thirds();
    // A third of a second is 333,333,333.3 ns: denied at ..333, admitted at ..334.
    assert_eq!(scale.nanos_at(1_000_000_000), 333_333_334);
    let empty = 2_000_000_000;
    let step_at = |elapsed_ns| step(&scale, empty, scale.ticks_at(elapsed_ns), scale.cost(1));
    assert!(matches!(step_at(333_333_333), Step::Deny(_)));
    assert!(matches!(step_at(333_333_334), Step::Admit(_)));
}

#[test]
fn a_tat_that_has_passed_equals_a_fresh_bucket() {
    let scale = thirds();
    let now = scale.ticks_at(10_000_000_000);
    for tat in [0, 1, now - 1, now] {
        assert_eq!(step(&scale, tat, now, scale.cost(2)), Step::Admit(now + scale.cost(2)));
    }
}

#[test]
fn the_clock_stands_still_at_the_end_of_its_range() {
    let scale = thirds();
    let end = scale.ticks_at(scale.elapsed_ns_max);
    assert_eq!(scale.ticks_at(u64::MAX), end);
    let Step::Admit(full) = step(&scale, end + scale.tolerance, end, 0) else {
        panic!("nothing costs nothing");
    };
    assert!(matches!(step(&scale, full, end, scale.cost(2)), Step::Deny(_)), "must not wrap");
}

#[test]
fn both_widths_decide_alike() {
    let quota = Quota::new(7, Duration::from_nanos(40)).unwrap().with_burst(3).unwrap();
    let (narrow, wide) = (Scale::narrow(&quota).unwrap(), Scale::wide(&quota));
    let (mut narrow_tat, mut wide_tat) = (0_u64, 0_u128);
    for request in 0..10_000_u64 {
        let (elapsed, cells) = (request * 37 % 11 + request * 2, request % 3 + 1);
        let one = step(&narrow, narrow_tat, narrow.ticks_at(elapsed), narrow.cost(cells));
        let other = step(&wide, wide_tat, wide.ticks_at(elapsed), wide.cost(cells));
        match (one, other) {
            (Step::Admit(one), Step::Admit(other)) => {
                assert_eq!(u128::from(one), other, "request {request}");
                (narrow_tat, wide_tat) = (one, other);
            }
            (Step::Deny(one), Step::Deny(other)) => {
                assert_eq!(narrow.nanos_at(one), wide.nanos_at(other), "request {request}");
            }
            different => panic!("request {request}: {different:?}"),
        }
    }
}

/// A sum on the way to the nanosecond once did not fit the word, at the end of a narrow clock.
#[test]
fn the_last_ticks_have_their_nanosecond() {
    let quota = Quota::new(7, Duration::from_nanos(3)).unwrap();
    let scale = Scale::narrow(&quota).expect("seven ticks a nanosecond fit");
    for tick in [0, 1, 6, 7, 8, u64::MAX - 8, u64::MAX - 1, u64::MAX] {
        assert_eq!(scale.nanos_at(tick), tick.div_ceil(7), "of tick {tick}");
    }
    let queue = LeakyQueue::with_clock(quota, ManualClock::default());
    let end = Timestamp::from_nanos(u64::MAX);
    let departs: Vec<_> = (0..3).map(|_| queue.join_at(end, 1)).collect();
    assert!(departs.iter().flatten().all(|departs| *departs == end), "{departs:?}");
}
