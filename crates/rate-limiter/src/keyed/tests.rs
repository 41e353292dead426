//! What all kinds of tables have in common, on a clock that the test sets.

mod histories;

use std::collections::HashMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{
    Clock, Decision, KeyedBuilder, KeyedLimiter, ManualClock, OwnedKeyLimiter, Quota, Timestamp,
    WhenFull,
};

type Steered = KeyedLimiter<ManualClock>;
type Layout = fn(KeyedBuilder<ManualClock>) -> KeyedBuilder<ManualClock>;

/// The layouts, and by how much a moment that each names may be late.
const LAYOUTS: [(Layout, Duration); 3] = [
    (|it| it, Duration::ZERO),
    (KeyedBuilder::dense, Duration::ZERO),
    (KeyedBuilder::compact, Duration::from_micros(10)),
];

fn limiter(quota: Quota, layout: Layout) -> Steered {
    let builder = KeyedLimiter::builder(quota, 1_000).clock(ManualClock::default());
    layout(builder).build().unwrap()
}

/// What one walk asks of a bucket.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Take(u64),
    GiveBack(u64),
}

fn asks() -> impl Strategy<Value = Vec<(u64, u64, Ask)>> {
    let ask =
        prop_oneof![3 => (1..5_u64).prop_map(Ask::Take), 1 => (1..5_u64).prop_map(Ask::GiveBack)];
    vec((0..2_000_000_000_u64, 0..3_u64, ask), 1..80)
}

/// A bucket by its definition: parts of a cell that are missing, a cell a second.
#[derive(Clone, Copy, Debug, Default)]
struct Missing {
    parts: u64,
    at: u64,
}

const CELL: u64 = 1_000_000_000;

impl Missing {
    fn at(self, now: u64) -> Self {
        Self { parts: self.parts.saturating_sub(now - self.at), at: now }
    }
}

proptest! {
    /// Takes, looks and refunds as the definition says; a look agrees with what is taken after it.
    /// One table is so small that what is full again is taken over by others all the time.
    #[test]
    fn cells_come_back(burst in 1..7_u64, asks in asks()) {
        let quota = Quota::per_second(1).unwrap().with_burst(burst).unwrap();
        let small = KeyedLimiter::builder(quota, 1).clock(ManualClock::default()).build().unwrap();
        let exact = [limiter(quota, LAYOUTS[1].0), small];
        let mut others = 1_000..;
        let owned: OwnedKeyLimiter<u64, ManualClock> =
            OwnedKeyLimiter::with_clock(quota, 100, WhenFull::Deny, ManualClock::default())
                .unwrap();
        let mut buckets: HashMap<u64, Missing> = HashMap::new();
        let mut now = 0;
        for (step, key, ask) in asks {
            now += step;
            let at = Timestamp::from_nanos(now);
            let missing = buckets.entry(key).or_default();
            *missing = missing.at(now);
            let full_after = Duration::from_nanos(missing.parts);
            for other in others.by_ref().take(2) {
                prop_assert!(exact[1].check_at(at, &other, 1).is_admitted(), "it never came");
            }
            for it in &exact {
                prop_assert_eq!(it.standing_at(at, &key).full_after(), full_after);
            }
            prop_assert_eq!(owned.standing_at(at, &key).full_after(), full_after);
            match ask {
                Ask::GiveBack(cells) => {
                    // Nobody gives back more than was taken.
                    let cells = cells.min(missing.parts / CELL);
                    missing.parts -= cells * CELL;
                    for it in &exact {
                        it.refund_at(at, &key, cells);
                    }
                    owned.refund_at(at, &key, cells);
                }
                Ask::Take(cells) => {
                    let expected = cells <= burst && missing.parts + cells * CELL <= burst * CELL;
                    for it in &exact {
                        let peeked = it.peek_at(at, &key, cells);
                        prop_assert_eq!(it.check_at(at, &key, cells), peeked);
                        prop_assert_eq!(peeked.is_admitted(), expected);
                    }
                    let peeked = owned.peek_at(at, &key, cells);
                    prop_assert_eq!(owned.check_at(at, &key, cells), peeked);
                    prop_assert_eq!(peeked.is_admitted(), expected);
                    missing.parts += if expected { cells * CELL } else { 0 };
                }
            }
        }
    }
}

#[test]
fn a_refund_gives_back_what_was_taken_and_no_more() {
    let quota = Quota::per_hour(3).unwrap();
    for (layout, _) in LAYOUTS {
        let limiter = limiter(quota, layout);
        limiter.clock().set(Timestamp::ZERO + Duration::from_secs(100));
        limiter.refund("stranger", 2);
        assert_eq!(limiter.stats().inserted, 0, "a refund makes no bucket");
        assert!(limiter.check_n("ada", 3).is_admitted());
        assert!(!limiter.check("ada").is_admitted());
        limiter.refund("ada", 2);
        let now = limiter.clock().now();
        assert_eq!(limiter.standing_at(now, "ada").remaining(), 2);
        assert!(limiter.check_n("ada", 2).is_admitted());
        assert!(!limiter.check("ada").is_admitted());
        limiter.refund("ada", u64::MAX);
        assert_eq!(limiter.standing_at(now, "ada").remaining(), 3);
        assert!(!limiter.check_n("ada", 4).is_admitted());
        assert!(limiter.check_n("ada", 3).is_admitted());
        assert!(!limiter.check("ada").is_admitted(), "a full bucket took more");
    }
}

#[test]
fn a_look_says_what_a_request_is_told() {
    let quota = Quota::per_second(5).unwrap();
    for (layout, late) in LAYOUTS {
        let limiter = limiter(quota, layout);
        limiter.clock().set(Timestamp::ZERO + Duration::from_secs(100));
        let now = limiter.clock().now();
        assert_eq!(limiter.peek_at(now, "ada", 6), Decision::Impossible { burst: 5 });
        assert_eq!(limiter.peek_at(now, "ada", 5), Decision::Admitted);
        assert_eq!(limiter.stats().inserted, 0, "a look makes no bucket");
        assert!(limiter.check_n("ada", 4).is_admitted());
        let Decision::Denied(peeked) = limiter.peek_at(now, "ada", 3) else { panic!("1 is left") };
        let Decision::Denied(told) = limiter.check_at(now, "ada", 3) else { panic!("1 is left") };
        assert_eq!(peeked, told);
        let standing = limiter.standing_at(now, "ada");
        assert_eq!((standing.burst(), standing.remaining()), (5, 1));
        let (full, exactly) = (standing.full_after(), Duration::from_millis(800));
        assert!((exactly..=exactly + late).contains(&full), "{full:?}");
        assert_eq!(standing.fill_time(), Duration::from_secs(1));
    }
}
