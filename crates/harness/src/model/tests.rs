//! The limiter's definition against cases that were worked out by hand.

use std::time::Duration;

use super::{ExactBucket, ShadowError, ShadowHeap};
use crate::contract::{LimiterSpec, Verdict};

fn full(cells: u64, period: Duration, burst: u32) -> ExactBucket {
    ExactBucket::new(&LimiterSpec { cells, period, burst })
}

fn wait(nanos: u64) -> Verdict {
    Verdict::Deny { retry_after: Some(Duration::from_nanos(nanos)) }
}

const fn at(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// Three a second: a cell takes 333,333,333 and a third nanoseconds, rounded up once and not at
/// every cell.
#[test]
fn thirds_of_a_second_do_not_drift() {
    let mut bucket = full(3, Duration::from_secs(1), 1);
    assert_eq!(bucket.check(at(0), 1), Verdict::Admit);
    assert_eq!(bucket.check(at(0), 1), wait(333_333_334));
    assert_eq!(bucket.check(at(333_333_333), 1), wait(1));
    assert_eq!(bucket.check(at(333_333_334), 1), Verdict::Admit);
    // The bucket was full for two thirds of a nanosecond; what a full bucket earns is lost.
    assert_eq!(bucket.check(at(666_666_667), 1), wait(1));
    assert_eq!(bucket.check(at(666_666_668), 1), Verdict::Admit);

    // With room for two, nothing is lost: the third cell of a second comes at the second.
    let mut roomy = full(3, Duration::from_secs(1), 2);
    assert_eq!(roomy.check(at(0), 2), Verdict::Admit);
    assert_eq!(roomy.check(at(333_333_334), 1), Verdict::Admit);
    assert_eq!(roomy.check(at(666_666_667), 1), Verdict::Admit);
    assert_eq!(roomy.check(at(999_999_999), 1), wait(1));
    assert_eq!(roomy.check(at(1_000_000_000), 1), Verdict::Admit);
}

#[test]
fn more_than_one_cell_a_nanosecond_is_counted_in_full() {
    let mut bucket = full(10, at(1), 30);
    assert_eq!(bucket.check(at(0), 30), Verdict::Admit);
    assert_eq!(bucket.check(at(0), 11), wait(2));
    assert_eq!(bucket.check(at(1), 11), wait(1));
    assert_eq!(bucket.check(at(1), 10), Verdict::Admit);
    assert_eq!(bucket.check(at(1), 1), wait(1));
}

#[test]
fn more_than_the_burst_is_never_admitted_and_leaves_no_trace() {
    let mut bucket = full(1, Duration::from_secs(1), 2);
    let untouched = bucket.clone();
    assert_eq!(bucket.check(at(5), 3), Verdict::TooLarge);
    assert_eq!(bucket, untouched);
}

/// A step back denies for as long as it was, or not at all under the lenient reading.
#[test]
fn backward_step_denies_for_its_length() {
    let mut bucket = full(1, Duration::from_secs(1), 2);
    assert_eq!(bucket.check(at(5_000_000_000), 1), Verdict::Admit);
    assert_eq!(bucket.verdict(at(5_000_000_000), 1), Verdict::Admit);
    assert_eq!(bucket.verdict(at(4_999_999_999), 1), wait(1));
    assert_eq!(bucket.most_lenient(at(4_999_999_999), 1), Verdict::Admit);
    assert_eq!(bucket.verdict(at(2_000_000_000), 1), wait(3_000_000_000));
    assert_eq!(bucket.most_lenient(at(0), 2), wait(1_000_000_000));
}

#[test]
fn largest_numbers_saturate_instead_of_wrapping() {
    let mut slow = full(1, Duration::MAX, u32::MAX);
    assert_eq!(slow.check(Duration::ZERO, u32::MAX), Verdict::Admit);
    assert_eq!(slow.available(Duration::ZERO), 0);
    assert_eq!(slow.available(Duration::MAX), 1);
    assert_eq!(
        slow.check(Duration::ZERO, u32::MAX),
        Verdict::Deny { retry_after: Some(Duration::MAX) }
    );
    let mut fast = full(u64::MAX, at(1), u32::MAX);
    assert_eq!(fast.check(Duration::ZERO, u32::MAX), Verdict::Admit);
    assert_eq!(fast.check(Duration::ZERO, 1), wait(1));
    assert_eq!(fast.check(Duration::MAX, u32::MAX), Verdict::Admit);
    assert!(!fast.check(Duration::ZERO, 1).is_admit());
}

#[test]
#[should_panic(expected = "a quota of nothing has no meaning")]
fn quota_of_nothing_is_a_programmers_error() {
    let _bucket = full(0, Duration::from_secs(1), 1);
}

#[test]
fn shadow_heap_sees_every_kind_of_overlap() {
    let mut heap = ShadowHeap::new();
    heap.claim(100, 50).unwrap();
    heap.claim(150, 50).unwrap();
    heap.claim(50, 50).unwrap();
    for (start, size) in [(100, 50), (120, 10), (90, 20), (149, 1), (40, 500), (199, 9), (50, 1)] {
        let error = heap.claim(start, size).unwrap_err();
        assert!(matches!(error, ShadowError::Overlap { .. }), "{start} {size}: {error}");
    }
    heap.release(150).unwrap();
    assert_eq!(heap.release(150), Err(ShadowError::NotLive(150)));
    heap.claim(160, 30).unwrap();
    assert!(heap.claim(150, 11).is_err());
    heap.claim(150, 10).unwrap();
    assert_eq!(heap.len(), 4);
    assert!(matches!(heap.claim(usize::MAX, 2), Err(ShadowError::BeyondTheEnd { .. })));
}
