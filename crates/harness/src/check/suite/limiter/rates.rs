//! Rates in the long run: what a saturated limiter admits, as a share of its quota.
//!
//! A random walk shows that a single decision is wrong; these properties show how much that costs.
//! An interval that is cut to whole nanoseconds turns 600 million cells a second into a billion;
//! a refill that drops fractions starves whoever asks often.

use std::time::Duration;

use super::{HOUR, KEY, MINUTE, SECOND, YEAR, accepts, describe, make, quota, time_of};
use crate::check::suite::{Examination, Mismatch};
use crate::contract::{LimiterSpec, SteeredLimiter};

const LONG_RUN: [LimiterSpec; 10] = [
    quota(3, SECOND, 100),
    quota(7, MINUTE, 100),
    quota(30_000_000, SECOND, 100),
    quota(150_000_000, SECOND, 100),
    quota(300_000_000, SECOND, 100),
    quota(600_000_000, SECOND, 100),
    quota(700_000_000, SECOND, 100),
    quota(2_000_000_000, SECOND, 100),
    quota(1, YEAR.saturating_mul(10), 100),
    quota(999_999_937, SECOND, 100),
];

/// Polls of a long run. The bucket is emptied at each, and they are close enough together that it
/// is never full in between, so every cell of the quota must come out.
const POLLS: u32 = 1_000;

/// A limiter that is asked for more than it has, again and again, admits exactly its quota.
pub fn long_run<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("long_run");
    for spec in &LONG_RUN {
        if !accepts::<L>(examination, spec) {
            continue;
        }
        examination.once(describe(spec), || {
            let span = time_of(spec, 20_000).min(YEAR.saturating_mul(500));
            let step = span / POLLS + Duration::from_nanos(1);
            check_total::<L>(spec, step, POLLS)
        });
    }
}

/// Quotas of which a poll earns a small and odd fraction of a cell, and the time between polls.
const SLOW_POLLING: [(LimiterSpec, Duration, u32); 4] = [
    (quota(1, HOUR, 1), Duration::from_millis(5), 3_600_000),
    (quota(3, SECOND, 2), Duration::from_nanos(999_999), 100_000),
    (quota(7, MINUTE, 1), Duration::from_micros(333), 300_000),
    (quota(999_999_937, SECOND, 3), Duration::from_nanos(1), 100_000),
];

/// A limiter that is asked much more often than it has cells loses no fraction of one.
pub fn slow_polling<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("slow_polling");
    for (spec, step, polls) in &SLOW_POLLING {
        if !accepts::<L>(examination, spec) {
            continue;
        }
        let subject = format!("{}, asked every {step:?}", describe(spec));
        examination.once(subject, || check_total::<L>(spec, *step, *polls));
    }
}

/// Takes all there is at once and after each of `polls` steps, and compares the sum with the burst
/// and what the quota gives in that time. True only where no step refills a whole burst.
fn check_total<L: SteeredLimiter>(
    spec: &LimiterSpec,
    step: Duration,
    polls: u32,
) -> Result<(), Mismatch> {
    let burst = u128::from(spec.burst);
    let earned_by =
        |time: Duration| u128::from(spec.cells) * time.as_nanos() / spec.period.as_nanos();
    assert!(earned_by(step) < burst, "a step of {step:?} refills more than {burst} cells");
    let expected = burst + earned_by(step * polls);

    let limiter: L = make(spec);
    let mut admitted: u128 = 0;
    for poll in 0..=polls {
        let now = step * poll;
        while limiter.check_at(now, KEY, 1).is_admit() {
            admitted += 1;
            if admitted > 10 * expected {
                return Err(Mismatch::new(format!("{expected} cells"), "no end of admissions"));
            }
        }
    }
    if admitted == expected {
        return Ok(());
    }
    // The burst is left out of the ratio: it is there from the start, whatever the rate.
    let ratio = (admitted as f64 - burst as f64) / (expected - burst) as f64;
    let got = format!("{admitted}, which is {ratio:.3} of the quota without the burst");
    Err(Mismatch::new(format!("{expected} cells"), got))
}
