//! Random walks: requests of all sizes at moments where rounding shows.
//!
//! A walk is symbolic ("until the denied request would fit", "a quarter of an interval"), so one
//! generator serves all quotas and a shrunk walk can be read.

use std::time::Duration;

use proptest::prelude::*;

use super::{KEY, LAST_MOMENT, SHAPES, accepts, describe, make, time_of, whole_shapes};
use crate::check::suite::{Examination, Mismatch};
use crate::contract::{LimiterSpec, SteeredLimiter, Verdict};
use crate::model::ExactBucket;

/// How long to wait before a request.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Nanos(u64),
    /// Quarters of the time that one cell takes.
    Quarters(u32),
    /// Until the request would be admitted by the exact bucket, plus this many nanoseconds.
    UntilAdmitted(i8),
    /// Until the bucket is full.
    UntilFull,
    /// Back by nanoseconds.
    BackNanos(u64),
    /// Back by quarters of the time that one cell takes.
    BackQuarters(u32),
    /// Back to the moment at which the limiter was made.
    BackToStart,
}

/// How many cells to ask for.
#[derive(Clone, Copy, Debug)]
enum Cost {
    Cells(u32),
    HalfBurst,
    Burst,
    /// One more than a full bucket holds.
    TooMany,
}

/// One request of a walk.
#[derive(Clone, Copy, Debug)]
struct Step {
    wait: Wait,
    cost: Cost,
}

impl Cost {
    fn cells(self, spec: &LimiterSpec) -> u32 {
        match self {
            Self::Cells(cells) => cells,
            Self::HalfBurst => spec.burst.div_ceil(2),
            Self::Burst => spec.burst,
            Self::TooMany => spec.burst.saturating_add(1),
        }
    }
}

impl Wait {
    fn from(self, now: Duration, cost: u32, spec: &LimiterSpec, bucket: &ExactBucket) -> Duration {
        let quarter = time_of(spec, 1) / 4;
        let moment = match self {
            Self::Nanos(nanos) => now.saturating_add(Duration::from_nanos(nanos)),
            Self::Quarters(count) => now.saturating_add(quarter.saturating_mul(count)),
            Self::UntilAdmitted(offset) => match bucket.verdict(now, cost) {
                Verdict::Deny { retry_after: Some(wait) } => {
                    let nanos = Duration::from_nanos(u64::from(offset.unsigned_abs()));
                    let exact = now.saturating_add(wait);
                    if offset < 0 { exact.saturating_sub(nanos) } else { exact + nanos }
                }
                _ => now,
            },
            Self::UntilFull => now.saturating_add(time_of(spec, u64::from(spec.burst))),
            Self::BackNanos(nanos) => now.saturating_sub(Duration::from_nanos(nanos)),
            Self::BackQuarters(count) => now.saturating_sub(quarter.saturating_mul(count)),
            Self::BackToStart => Duration::ZERO,
        };
        moment.min(LAST_MOMENT)
    }
}

fn cost() -> impl Strategy<Value = Cost> {
    prop_oneof![
        6 => Just(Cost::Cells(1)),
        2 => (2_u32..5).prop_map(Cost::Cells),
        1 => Just(Cost::HalfBurst),
        1 => Just(Cost::Burst),
        1 => Just(Cost::TooMany),
    ]
}

fn forward() -> impl Strategy<Value = Wait> {
    prop_oneof![
        4 => (0_u64..4).prop_map(Wait::Nanos),
        4 => (0_u32..12).prop_map(Wait::Quarters),
        4 => (-1_i8..=1).prop_map(Wait::UntilAdmitted),
        1 => Just(Wait::UntilFull),
    ]
}

fn either_way() -> impl Strategy<Value = Wait> {
    prop_oneof![
        8 => forward(),
        2 => (1_u64..4).prop_map(Wait::BackNanos),
        3 => (1_u32..20).prop_map(Wait::BackQuarters),
        1 => Just(Wait::BackToStart),
    ]
}

fn walk(wait: impl Strategy<Value = Wait>) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((wait, cost()).prop_map(|(wait, cost)| Step { wait, cost }), 1..60)
}

/// Walks tried for each quota.
const WALKS: u32 = 128;

/// One request of a walk with all that is needed to judge the answer.
struct Answer<'a, L> {
    limiter: &'a L,
    /// As it was before the request.
    bucket: &'a ExactBucket,
    now: Duration,
    cost: u32,
    verdict: Verdict,
}

/// Walks a limiter for each quota and judges every answer. The judge may ask further and then
/// returns where the walk stands: the moment and the bucket.
fn examine<L: SteeredLimiter>(
    examination: &mut Examination,
    quotas: impl Iterator<Item = &'static LimiterSpec>,
    walks: &impl Strategy<Value = Vec<Step>>,
    judge: impl Fn(&Answer<'_, L>) -> Result<Option<(Duration, ExactBucket)>, Mismatch>,
) {
    for spec in quotas {
        if !accepts::<L>(examination, spec) {
            continue;
        }
        examination.search(describe(spec), WALKS, walks, |steps| {
            let limiter: L = make(spec);
            let mut bucket = ExactBucket::new(spec);
            let mut now = Duration::ZERO;
            for step in steps {
                let cost = step.cost.cells(spec);
                now = step.wait.from(now, cost, spec, &bucket);
                let verdict = limiter.check_at(now, KEY, cost);
                let answer = Answer { limiter: &limiter, bucket: &bucket, now, cost, verdict };
                if let Some((moment, followed)) = judge(&answer)? {
                    (now, bucket) = (moment, followed);
                } else {
                    bucket.follow(now, cost, verdict);
                }
            }
            Ok(())
        });
    }
}

impl<L> Answer<'_, L> {
    fn refuse_over_admission(&self) -> Result<(), Mismatch> {
        let allowed = self.bucket.most_lenient(self.now, self.cost);
        if self.verdict.is_admit() && !allowed.is_admit() {
            return Err(self.mismatch(allowed));
        }
        Ok(())
    }

    fn refuse_early_denial(&self) -> Result<(), Mismatch> {
        let owed = self.bucket.verdict(self.now, self.cost);
        if owed.is_admit() && !self.verdict.is_admit() {
            return Err(self.mismatch(owed));
        }
        Ok(())
    }

    fn mismatch(&self, expected: Verdict) -> Mismatch {
        let Self { now, cost, verdict, .. } = self;
        let asked = format!("for {cost} cells at {} ns", now.as_nanos());
        Mismatch::new(format!("{expected:?} {asked}"), format!("{verdict:?}"))
    }
}

/// No request is admitted that the exact bucket, following the limiter, would deny.
pub fn never_over_admits<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("never_over_admits");
    examine(examination, SHAPES.iter(), &walk(forward()), |answer: &Answer<'_, L>| {
        answer.refuse_over_admission()?;
        Ok(None)
    });
}

/// No request is denied that the exact bucket, following the limiter, would admit.
pub fn never_denies_early<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("never_denies_early");
    examine(examination, SHAPES.iter(), &walk(forward()), |answer: &Answer<'_, L>| {
        answer.refuse_early_denial()?;
        Ok(None)
    });
}

/// When the clock goes back, nothing is admitted that the latest moment would not allow, and
/// nothing denied that the earlier moment would allow. Where the clock has caught up the two
/// bounds meet and the limiter is exact again.
pub fn clock_backwards<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("clock_backwards");
    examine(examination, whole_shapes(), &walk(either_way()), |answer: &Answer<'_, L>| {
        answer.refuse_over_admission()?;
        answer.refuse_early_denial()?;
        Ok(None)
    });
}

/// A denied request is denied again one nanosecond before the moment that the limiter named, and
/// admitted at that moment. Limiters that name none pass.
pub fn retry_after_is_exact<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("retry_after_is_exact");
    examine(examination, SHAPES.iter(), &walk(forward()), |answer: &Answer<'_, L>| {
        let &Answer { limiter, bucket, now, cost, verdict } = answer;
        let Verdict::Deny { retry_after: Some(wait) } = verdict else {
            return Ok(None);
        };
        let asked = format!("{cost} cells, denied at {} ns for {wait:?}", now.as_nanos());
        if wait.is_zero() {
            return Err(Mismatch::new(format!("a wait above zero for {asked}"), "none"));
        }
        let moment = now.saturating_add(wait);
        if moment > LAST_MOMENT {
            return Ok(None);
        }
        let mut bucket = bucket.clone();
        bucket.follow(now, cost, verdict);
        let before = moment.saturating_sub(Duration::from_nanos(1));
        let early = limiter.check_at(before, KEY, cost);
        if early.is_admit() {
            let expected = format!("a denial one nanosecond before the end of the wait ({asked})");
            return Err(Mismatch::new(expected, "an admission"));
        }
        bucket.follow(before, cost, early);
        let then = limiter.check_at(moment, KEY, cost);
        if !then.is_admit() {
            let expected = format!("an admission at the end of the wait ({asked})");
            return Err(Mismatch::new(expected, format!("{then:?}")));
        }
        bucket.follow(moment, cost, then);
        Ok(Some((moment, bucket)))
    });
}

/// For every pair of admissions, what was admitted from the first to the second costs at most a
/// burst and what the quota gives in the time between. Straight from the definition of a token
/// bucket, without a bucket.
pub fn window_bound<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("window_bound");
    for spec in &SHAPES {
        if !accepts::<L>(examination, spec) {
            continue;
        }
        examination.search(describe(spec), WALKS, &walk(forward()), |steps| {
            let limiter: L = make(spec);
            let mut admissions: Vec<(u128, u128)> = Vec::new();
            // Only steers the waits; no answer is judged by it.
            let mut guide = ExactBucket::new(spec);
            let mut now = Duration::ZERO;
            for step in steps {
                let cost = step.cost.cells(spec);
                now = step.wait.from(now, cost, spec, &guide);
                let verdict = limiter.check_at(now, KEY, cost);
                guide.follow(now, cost, verdict);
                if verdict.is_admit() {
                    admissions.push((now.as_nanos(), u128::from(cost)));
                }
            }
            check_windows(spec, &admissions)
        });
    }
}

/// Multiplied out by the period, so that both sides are whole numbers.
fn check_windows(spec: &LimiterSpec, admissions: &[(u128, u128)]) -> Result<(), Mismatch> {
    let period = spec.period.as_nanos();
    for (first, &(start, _)) in admissions.iter().enumerate() {
        let mut taken = 0;
        for &(end, cost) in &admissions[first..] {
            taken += cost;
            let replenished = u128::from(spec.cells).saturating_mul(end - start);
            let allowed = (u128::from(spec.burst) * period).saturating_add(replenished);
            if taken * period > allowed {
                let expected =
                    format!("at most {} cells from {start} to {end} ns", allowed / period);
                return Err(Mismatch::new(expected, format!("{taken}")));
            }
        }
    }
    Ok(())
}
