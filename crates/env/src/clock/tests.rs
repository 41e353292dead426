use std::time::Duration;

use super::{Clock, FastClock, ManualClock, MonotonicClock, SystemWallClock, Timestamp, WallClock};

#[test]
fn timestamps_saturate_at_both_ends() {
    assert_eq!(Timestamp::MAX + Duration::from_nanos(1), Timestamp::MAX);
    assert_eq!(Timestamp::ZERO + Duration::MAX, Timestamp::MAX);
    assert_eq!(Timestamp::ZERO - Duration::from_nanos(1), Timestamp::ZERO);
    assert_eq!(Timestamp::ZERO.saturating_since(Timestamp::MAX), Duration::ZERO);
    assert_eq!(Timestamp::from_nanos(1_500_000_000).to_string(), "1.500000000s");
}

#[test]
fn manual_clock_moves_only_when_told() {
    let clock = ManualClock::new(Timestamp::from_nanos(5));
    assert_eq!(clock.now(), clock.now());
    clock.sleep(Duration::from_nanos(10));
    assert_eq!(clock.now().as_nanos(), 15);
    clock.set(Timestamp::ZERO);
    assert_eq!(clock.now(), Timestamp::ZERO);
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Timestamp::MAX);
}

#[test]
fn fast_clock_keeps_pace_with_the_monotonic_one() {
    let fast = FastClock::new();
    let monotonic = MonotonicClock::new();
    let (fast_start, start) = (fast.now(), monotonic.now());
    monotonic.sleep(Duration::from_millis(50));
    let fast_elapsed = fast.now().saturating_since(fast_start).as_secs_f64();
    let elapsed = monotonic.now().saturating_since(start).as_secs_f64();
    let ratio = fast_elapsed / elapsed;
    // A thread that is descheduled between the two readings moves the ratio; the rate of a
    // counter that is wrongly calibrated is off by far more.
    assert!((0.8..1.25).contains(&ratio), "fast {fast_elapsed} s, monotonic {elapsed} s");
}

#[test]
fn fast_clocks_of_one_process_share_their_origin() {
    let (first, second) = (FastClock::new(), FastClock::new());
    let apart = second.now().saturating_since(first.now());
    assert!(apart < Duration::from_secs(5), "two clocks are {apart:?} apart");
}

#[test]
fn wall_clock_is_past_2020() {
    assert!(SystemWallClock.unix_time().as_secs() > 1_577_836_800);
}
