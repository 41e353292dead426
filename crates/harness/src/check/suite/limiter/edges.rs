//! Fixed cases at the edges of what can be asked for.

use std::time::Duration;

use super::{
    DAY, END_OF_CLOCK, HOUR, KEY, LAST_MOMENT, SECOND, SHAPES, YEAR, accepts, describe, make,
    quota, time_of, whole_shapes,
};
use crate::check::suite::{Examination, Mismatch};
use crate::contract::{LimiterSpec, SteeredLimiter, Verdict};
use crate::model::ExactBucket;
use crate::workload::scatter;

/// A full bucket gives its burst in one request; a larger request is [`Verdict::TooLarge`], always,
/// and takes nothing; and an empty bucket is full again at its nanosecond and not before.
pub fn burst_edges<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("burst_edges");
    for spec in &SHAPES {
        if !accepts::<L>(examination, spec) {
            continue;
        }
        examination.once(describe(spec), || {
            let limiter: L = make(spec);
            let ask = |now, cost, expected: Verdict| {
                same_kind(now, cost, expected, limiter.check_at(now, KEY, cost))
            };
            let deny = Verdict::Deny { retry_after: None };
            let start = Duration::ZERO;
            if let Some(too_many) = spec.burst.checked_add(1) {
                ask(start, too_many, Verdict::TooLarge)?;
                ask(start, u32::MAX, Verdict::TooLarge)?;
            }
            ask(start, spec.burst, Verdict::Admit)?;
            ask(start, 1, deny)?;
            if let Some(too_many) = spec.burst.checked_add(1) {
                ask(start, too_many, Verdict::TooLarge)?;
            }
            let full = time_of(spec, u64::from(spec.burst));
            if full <= LAST_MOMENT {
                ask(full.saturating_sub(Duration::from_nanos(1)), spec.burst, deny)?;
                ask(full, spec.burst, Verdict::Admit)?;
                ask(full, 1, deny)?;
            }
            Ok(())
        });
    }
}

const BIG_BURSTS: [LimiterSpec; 5] = [
    quota(1, YEAR.saturating_mul(100), 10),
    quota(1, HOUR, u32::MAX),
    quota(1, DAY, 4_000_000),
    quota(u64::MAX, Duration::from_nanos(1), u32::MAX),
    quota(1, Duration::MAX, u32::MAX),
];

/// Cells that are asked for one at a time.
const SINGLE_CELLS: u32 = 1_000_000;

/// A full bucket gives exactly its burst, also where the burst takes longer to refill than 64 bits
/// of nanoseconds can say.
pub fn big_bursts<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("big_bursts");
    for spec in &BIG_BURSTS {
        if !accepts::<L>(examination, spec) {
            continue;
        }
        examination.once(describe(spec), || {
            let limiter: L = make(spec);
            let expected = u64::from(spec.burst);
            let mut admitted: u64 = 0;
            let mut take = |size: u32| {
                let admits = limiter.check_at(Duration::ZERO, KEY, size).is_admit();
                admitted += if admits { u64::from(size) } else { 0 };
                admits && admitted <= expected
            };
            // Cell by cell as far as patience goes, then in halving requests, each size as often
            // as it fits, which empties any bucket to its last cell.
            let singles = spec.burst.min(SINGLE_CELLS);
            if (0..singles).all(|_| take(1)) {
                for size in (0..=spec.burst.ilog2()).rev().map(|bit| 1_u32 << bit) {
                    while take(size) {}
                }
            }
            if admitted == expected {
                return Ok(());
            }
            Err(Mismatch::new(
                format!("{expected} cells at the first moment"),
                admitted.to_string(),
            ))
        });
    }
}

/// At the first and the last moments of a clock of 64 bits, and after a step from one end to the
/// other, nothing panics, wraps, or is given twice. A moment beyond that clock must not panic.
pub fn far_clock<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("far_clock");
    let nano = Duration::from_nanos(1);
    let moments = [
        Duration::ZERO,
        nano,
        LAST_MOMENT.saturating_sub(nano),
        LAST_MOMENT,
        END_OF_CLOCK,
        Duration::ZERO,
        nano,
        END_OF_CLOCK,
    ];
    for spec in whole_shapes() {
        if !accepts::<L>(examination, spec) {
            continue;
        }
        examination.once(describe(spec), || {
            let limiter: L = make(spec);
            let mut bucket = ExactBucket::new(spec);
            for now in moments {
                for cost in [spec.burst, spec.burst, 1] {
                    let most = bucket.most_lenient(now, cost);
                    let least = bucket.verdict(now, cost);
                    let verdict = limiter.check_at(now, KEY, cost);
                    if verdict.is_admit() && !most.is_admit() {
                        return same_kind(now, cost, most, verdict);
                    }
                    if now < END_OF_CLOCK && least.is_admit() && !verdict.is_admit() {
                        return same_kind(now, cost, least, verdict);
                    }
                    bucket.follow(now, cost, verdict);
                }
            }
            let _verdict = limiter.check_at(Duration::MAX, KEY, 1);
            Ok(())
        });
    }
}

/// Keys that lie side by side, far apart, and at the ends.
fn keys() -> impl Iterator<Item = u64> {
    (0..500).chain((1..500).map(|key| scatter(key) | 1 << 63)).chain([u64::MAX, u64::MAX - 1])
}

/// Each key has a whole bucket of its own, whatever the others did.
pub fn keys_are_independent<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("keys_are_independent");
    let spec = quota(10, SECOND, 3);
    if !accepts::<L>(examination, &spec) {
        return;
    }
    examination.once(describe(&spec), || {
        let limiter: L = make(&spec);
        let mut buckets: Vec<(u64, ExactBucket)> =
            keys().map(|key| (key, ExactBucket::new(&spec))).collect();
        // Key by key at each moment, so that between two requests of a key lie those of all others.
        for round in 0..20_u32 {
            let now = Duration::from_millis(40) * round;
            for (key, bucket) in &mut buckets {
                let expected = bucket.check(now, 1);
                let verdict = limiter.check_at(now, *key, 1);
                same_kind(now, 1, expected, verdict).map_err(|it| {
                    Mismatch::new(format!("{} for key {key}", it.expected), it.got)
                })?;
            }
        }
        Ok(())
    });
}

/// Compares verdicts without their waits.
fn same_kind(now: Duration, cost: u32, expected: Verdict, got: Verdict) -> Result<(), Mismatch> {
    if std::mem::discriminant(&expected) == std::mem::discriminant(&got) {
        return Ok(());
    }
    let asked = format!("for {cost} cells at {} ns", now.as_nanos());
    Err(Mismatch::new(format!("{expected:?} {asked}"), format!("{got:?}")))
}
