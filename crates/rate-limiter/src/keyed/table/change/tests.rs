use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{
    Carry, DirectLimiter, KeyedBuilder, KeyedLimiter, ManualClock, Quota, Refund, TableError,
    Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);

fn quota((cells, burst): (u64, u64)) -> Quota {
    Quota::new(cells, SECOND).unwrap().with_burst(burst).unwrap()
}

fn limiter(
    quota: Quota,
    layout: fn(KeyedBuilder<ManualClock>) -> KeyedBuilder<ManualClock>,
) -> KeyedLimiter<ManualClock> {
    layout(KeyedLimiter::builder(quota, 100).clock(ManualClock::default())).build().unwrap()
}

fn quotas() -> impl Strategy<Value = (u64, u64)> {
    // Seven and a prime need words of both widths.
    (prop_oneof![Just(7_u64), Just(1_000), Just(999_999_937)], 1..9_u64)
}

fn carries() -> impl Strategy<Value = Carry> {
    prop_oneof![Just(Carry::Fraction), Just(Carry::Cells), Just(Carry::Full)]
}

/// One step in five changes the quota.
fn changes() -> impl Strategy<Value = Option<((u64, u64), Carry)>> {
    prop::option::weighted(0.2, (quotas(), carries()))
}

proptest! {
    /// Each key is told what one bucket of its own would be told whose quota changes; one that is
    /// full stays full.
    #[test]
    fn every_bucket_changes_as_one_alone(
        first in quotas(),
        steps in vec((0..300_000_000_u64, 0..3_usize, 1..4_u64, changes()), 1..50),
    ) {
        let limiter = limiter(quota(first), KeyedBuilder::any_quota);
        let alone: Vec<_> = (0..3)
            .map(|_| DirectLimiter::with_clock(quota(first), ManualClock::default()))
            .collect();
        let mut now = Timestamp::ZERO;
        for (step, key, cells, change) in steps {
            now = now + Duration::from_nanos(step);
            limiter.clock().set(now);
            for it in &alone {
                it.clock().set(now);
            }
            if let Some((next, carry)) = change {
                limiter.set_quota(quota(next), carry).unwrap();
                for it in &alone {
                    let is_full = it.standing_at(now).full_after().is_zero();
                    it.set_quota(quota(next), if is_full { Carry::Full } else { carry });
                }
                prop_assert_eq!(limiter.quota(), quota(next));
            }
            let told = limiter.check_n(&key, cells).is_admitted();
            prop_assert_eq!(told, alone[key].check_n(cells).is_admitted());
        }
    }
}

#[test]
fn a_compact_table_keeps_the_fraction() {
    let limiter = limiter(Quota::per_hour(10).unwrap(), KeyedBuilder::compact);
    limiter.clock().set(Timestamp::ZERO + SECOND * 1_000);
    assert!(limiter.check_n("ada", 5).is_admitted());
    limiter.set_quota(Quota::per_hour(100).unwrap(), Carry::Fraction).unwrap();
    let left = (0..100).filter(|_| limiter.check("ada").is_admitted()).count();
    assert!((49..=50).contains(&left), "{left} of 50");
    assert!(limiter.check_n("grace", 100).is_admitted(), "who never came is full");
    let too_fine = Quota::per_second(2_000_000_000).unwrap();
    assert_eq!(limiter.set_quota(too_fine, Carry::Full), Err(TableError::NotCompact));
    assert_eq!(limiter.quota().cells(), 100, "nothing has changed");
    assert!(!limiter.check("ada").is_admitted());
}

/// Buckets that lie behind ones that have expired are still found.
#[test]
fn a_full_window_keeps_its_places() {
    let limiter = KeyedLimiter::builder(Quota::per_second(1).unwrap(), 1)
        .clock(ManualClock::default())
        .build()
        .unwrap();
    for key in 0..32 {
        assert!(limiter.check(&key).is_admitted());
    }
    limiter.clock().advance(Duration::from_millis(600));
    for key in 32..64 {
        assert!(limiter.check(&key).is_admitted());
    }
    limiter.clock().advance(Duration::from_millis(600));
    limiter.set_quota(Quota::per_hour(1).unwrap(), Carry::Fraction).unwrap();
    for key in 32..64 {
        assert!(!limiter.check(&key).is_admitted(), "the bucket of {key} was lost");
    }
    assert_eq!(limiter.stats().inserted, 64);
}

#[test]
fn a_quota_too_fine_for_the_words_changes_nothing() {
    let limiter = limiter(quota((10, 10)), |it| it);
    assert!(limiter.check_n("ada", 4).is_admitted());
    assert_eq!(limiter.set_quota(quota((17, 17)), Carry::Full), Err(TableError::TooFine));
    assert_eq!(limiter.quota(), quota((10, 10)));
    assert_eq!(limiter.standing_at(Timestamp::ZERO, "ada").remaining(), 6);
}

#[test]
fn who_owed_a_cell_of_the_sketch_owes_one_after_a_change() {
    let limiter = limiter(quota((1, 3)), |it| it.strangers(10));
    assert!(limiter.check("ada").is_admitted());
    assert_eq!(limiter.stats().inserted, 0, "she was a stranger");
    limiter.set_quota(quota((2, 4)), Carry::Fraction).unwrap();
    // Owed from the end of the generation on, which is a cell's time away: two of the four.
    assert!(limiter.check_n("ada", 2).is_admitted());
    assert!(!limiter.check("ada").is_admitted(), "the owed cell was forgotten");
    limiter.set_quota(quota((2, 4)), Carry::Full).unwrap();
    assert!(limiter.check_n("ada", 4).is_admitted());
}

#[test]
fn a_cell_that_only_the_sketch_knows_comes_back() {
    let limiter = limiter(quota((1, 1)), |it| it.strangers(10));
    assert_eq!(limiter.refund("ada", 1), Refund::Full, "she never came");
    assert!(limiter.check("ada").is_admitted());
    assert!(!limiter.check("ada").is_admitted());
    assert_eq!(limiter.refund("ada", 1), Refund::Returned);
    assert!(limiter.check("ada").is_admitted());
    assert!(!limiter.check("ada").is_admitted());
}

#[test]
fn a_cell_that_no_slot_can_hold_is_said_to_be_lost() {
    let limiter = limiter(quota((1, 2)), |it| it.strangers(1_000_000));
    for key in 0..1_000 {
        // Two cells take a slot at once.
        let _: crate::Decision = limiter.check_n(&key, 2);
    }
    assert!(limiter.check("ada").is_admitted());
    assert_eq!(limiter.refund("ada", 1), Refund::NoRoom);
}

/// Threads ask all the time while the quota goes to and fro: no cell is lost or given twice.
#[test]
fn requests_go_on_while_the_quota_changes() {
    for layout in [|it| it, KeyedBuilder::any_quota, KeyedBuilder::compact] {
        let limiter = limiter(Quota::per_hour(1_000).unwrap(), layout);
        // Half as many, twice as long: a cell stays a cell.
        let other = Quota::new(500, Duration::from_mins(30)).unwrap().with_burst(1_000).unwrap();
        let admitted: usize = std::thread::scope(|scope| {
            let limiter = &limiter;
            let count = || {
                let ask = |at: usize| limiter.check(&(at % 7)).is_admitted();
                (0..20_000).filter(|&at| ask(at)).count()
            };
            let workers: Vec<_> = (0..3).map(|_| scope.spawn(count)).collect();
            for _ in 0..100 {
                limiter.set_quota(other, Carry::Cells).unwrap();
                limiter.set_quota(Quota::per_hour(1_000).unwrap(), Carry::Cells).unwrap();
            }
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        let asked = 7_000;
        // A change rounds a part of a cell against the key where buckets are compact.
        assert!((asked - 200..=asked).contains(&admitted), "{admitted} of {asked}");
        let exact = limiter.stats().bytes > 2_000;
        assert!(!exact || admitted == asked, "{admitted} of {asked}");
    }
}
