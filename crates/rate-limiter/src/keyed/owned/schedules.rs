//! A key that is forgotten while it is asked for, under many schedules; see
//! `harness::check::schedule`. The map is too large for the explorer that tries all.

use harness::check::schedule::explore;
#[cfg(shuttle)]
use harness::check::schedule::find_failure;
use harness::sync::{Arc, thread};

use super::OwnedKeyLimiter;
#[cfg(shuttle)]
use crate::sync::Ordering;
use crate::{Carry, ManualClock, Quota, Timestamp, WhenFull};

type Limiter = OwnedKeyLimiter<u64, ManualClock>;

const KEY: u64 = 7;
const NOW: Timestamp = Timestamp::ZERO;

/// A key with two cells, and a full bucket that may be forgotten. There is room for more keys,
/// since one that was just removed may still be counted.
fn limiter() -> Limiter {
    let quota = Quota::per_hour(2).expect("the quota is legal");
    let clock = ManualClock::default();
    let limiter =
        Limiter::with_clock(quota, 9, WhenFull::Deny, clock).expect("there is room for keys");
    limiter.buckets.pin().get_or_insert_with(KEY, || super::AtomicU128::new(0));
    limiter
}

/// Three requests for two cells while a thread forgets what is full.
fn a_forgotten_bucket_gives_no_cell_twice(forget: fn(&Limiter)) {
    let limiter = Arc::new(limiter());
    let ask = |limiter: &Limiter| usize::from(limiter.check_at(NOW, &KEY, 1).is_admitted());
    let asks = {
        let limiter = Arc::clone(&limiter);
        thread::spawn(move || ask(&limiter) + ask(&limiter))
    };
    let forgets = {
        let limiter = Arc::clone(&limiter);
        thread::spawn(move || forget(&limiter))
    };
    let mine = ask(&limiter);
    let theirs = asks.join().expect("nobody panics");
    forgets.join().expect("nobody panics");
    assert_eq!(mine + theirs, 2, "a cell was lost or given twice");
}

#[test]
fn a_key_is_asked_for_while_it_is_forgotten() {
    explore("schedules::a_key_is_asked_for_while_it_is_forgotten", || {
        a_forgotten_bucket_gives_no_cell_twice(|limiter| limiter.forget_full(NOW));
    });
}

/// Three requests for two cells while the quota changes to one of as many.
#[test]
fn a_key_is_asked_for_while_the_quota_changes() {
    explore("schedules::a_key_is_asked_for_while_the_quota_changes", || {
        a_forgotten_bucket_gives_no_cell_twice(|limiter| {
            let quota = Quota::per_hour(2).expect("the quota is legal");
            limiter.set_quota(quota, Carry::Fraction).expect("ticks are left");
        });
    });
}

/// The planted bug: a bucket that was full is removed without a mark, so that who has found it
/// takes from a bucket that is gone.
#[cfg(shuttle)]
#[test]
fn planted_removal_without_a_mark_is_found() {
    let failure = find_failure(2_000, || {
        a_forgotten_bucket_gives_no_cell_twice(|limiter| {
            // Relaxed: the word publishes nothing but itself.
            limiter.buckets.pin().retain(|_, tat| tat.load(Ordering::Relaxed) > 0);
        });
    });
    assert!(failure.is_some(), "three requests for two cells were not noticed");
}
