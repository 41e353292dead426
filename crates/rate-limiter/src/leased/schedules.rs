//! Leases under every schedule that an explorer can think of.

use harness::check::schedule::explore;
use harness::sync::thread;

use super::LeasedLimiter;
use crate::{ManualClock, Quota};

/// Four at once, of which two leases may hold one each.
fn limiter() -> LeasedLimiter<ManualClock> {
    let quota = Quota::per_hour(4).expect("the quota is legal");
    LeasedLimiter::with_clock(quota, 2, 1, ManualClock::default()).expect("two are left")
}

#[test]
fn leases_together_take_no_more_than_there_is() {
    explore("schedules::leases_together_take_no_more_than_there_is", || {
        let limiter = limiter();
        let (mut mine, mut yours) = (limiter.lease(), limiter.lease());
        let other = thread::spawn(move || {
            let lease = yours.as_mut().expect("there are two");
            (u64::from(lease.check().is_admitted()), lease.held())
        });
        let lease = mine.as_mut().expect("there are two");
        let admitted = u64::from(lease.check().is_admitted());
        let (there, held) = other.join().expect("nobody panics");
        assert_eq!(admitted + lease.held() + there + held, 2, "the common bucket holds two cells");
    });
}

#[test]
fn a_lease_that_comes_back_is_given_out_once() {
    explore("schedules::a_lease_that_comes_back_is_given_out_once", || {
        let limiter = limiter();
        let (first, second) = (limiter.lease(), limiter.lease());
        assert!(first.is_some() && second.is_some() && limiter.lease().is_none());
        let shared = limiter.clone();
        let other = thread::spawn(move || {
            drop(first);
            shared.lease()
        });
        let mine = limiter.lease();
        let theirs = other.join().expect("nobody panics");
        assert!(mine.is_some() ^ theirs.is_some(), "one came back and was given out twice or not");
    });
}
