//! What a rate limiter must do, judged in exact arithmetic.
//!
//! A limiter is walked through requests on a steered clock while an [`ExactBucket`] follows its
//! decisions. The bucket takes over what the limiter answered, right or wrong, so that each answer
//! is judged by the limiter's own past and one early mistake is not counted for ever.
//!
//! | property                     | the contract demands                                          |
//! |------------------------------|---------------------------------------------------------------|
//! | [`never_over_admits`]        | no admission that the exact bucket would deny                 |
//! | [`never_denies_early`]       | no denial that the exact bucket would admit                   |
//! | [`window_bound`]             | any run of admissions costs at most burst + rate * its time   |
//! | [`retry_after_is_exact`]     | denied one nanosecond before, admitted at the moment          |
//! | [`burst_edges`]              | the burst fits, one more never; refills to the nanosecond     |
//! | [`big_bursts`]               | bursts whose refill takes centuries are whole bursts          |
//! | [`long_run`]                 | a saturated limiter admits exactly the quota                  |
//! | [`slow_polling`]             | asking often does not lose fractions of a cell                |
//! | [`clock_backwards`]          | a step back denies at most that much longer, gives nothing    |
//! | [`far_clock`]                | the ends of the clock neither panic nor wrap                  |
//! | [`threads_keep_the_bound`]   | threads get the quota: not a cell more, not a cell less       |
//! | [`keys_are_independent`]     | one key's requests leave every other bucket as it was         |
//!
//! The last is for limiters of many buckets only. The quotas are chosen to hurt: intervals that
//! are no whole number of nanoseconds, rates above one cell a nanosecond, a cell in ten years.
//!
//! # What this suite does not do
//!
//! It says nothing about speed, memory, or a limiter's own clock.
//!
//! [`ExactBucket`]: crate::model::ExactBucket

mod edges;
mod rates;
mod threads;
mod walks;

use std::time::Duration;

pub use edges::{big_bursts, burst_edges, far_clock, keys_are_independent};
pub use rates::{long_run, slow_polling};
pub use threads::threads_keep_the_bound;
pub use walks::{
    clock_backwards, never_denies_early, never_over_admits, retry_after_is_exact, window_bound,
};

use super::{Examination, Finding, Report};
use crate::contract::{LimiterSpec, SteeredLimiter};

/// Makes a module of tests for a limiter: `limiter_suite!(name, Type)`, or
/// `limiter_suite!(name, Type, keyed)` for one that keeps a bucket for each key.
#[macro_export]
macro_rules! limiter_suite {
    ($name:ident, $limiter:ty) => {
        mod $name {
            use super::*;

            $crate::limiter_suite!(@one_bucket $limiter);
        }
    };
    ($name:ident, $limiter:ty, keyed) => {
        mod $name {
            use super::*;

            $crate::limiter_suite!(@one_bucket $limiter);
            $crate::suite_properties!(limiter, $limiter: keys_are_independent);
        }
    };
    (@one_bucket $limiter:ty) => {
        $crate::suite_properties!(limiter, $limiter:
            never_over_admits, never_denies_early, window_bound, retry_after_is_exact,
            burst_edges, big_bursts, long_run, slow_polling, clock_backwards, far_clock,
            threads_keep_the_bound,
        );
    };
}

/// Examines a limiter of one bucket by every property except [`keys_are_independent`].
pub fn examine<L: SteeredLimiter>() -> Report {
    let mut examination = Examination::new();
    examine_one_bucket::<L>(&mut examination);
    examination.into_report()
}

/// Examines a limiter of many buckets by every property.
pub fn examine_keyed<L: SteeredLimiter>() -> Report {
    let mut examination = Examination::new();
    examine_one_bucket::<L>(&mut examination);
    keys_are_independent::<L>(&mut examination);
    examination.into_report()
}

fn examine_one_bucket<L: SteeredLimiter>(examination: &mut Examination) {
    never_over_admits::<L>(examination);
    never_denies_early::<L>(examination);
    window_bound::<L>(examination);
    retry_after_is_exact::<L>(examination);
    burst_edges::<L>(examination);
    big_bursts::<L>(examination);
    long_run::<L>(examination);
    slow_polling::<L>(examination);
    clock_backwards::<L>(examination);
    far_clock::<L>(examination);
    threads_keep_the_bound::<L>(examination);
}

/// The findings of [`examine`] alone.
pub fn findings<L: SteeredLimiter>() -> Vec<Finding> {
    examine::<L>().findings
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(24 * 365);

/// The key of every property that needs one bucket only.
const KEY: u64 = 0;

/// Where a clock that counts nanoseconds in 64 bits stands still: after 584 years.
///
/// There "at this moment" also means "at any later one", so a limiter may deny to be safe. The
/// walks stay before it.
const END_OF_CLOCK: Duration = Duration::from_nanos(u64::MAX);
const LAST_MOMENT: Duration = Duration::from_nanos(u64::MAX - 1);

const fn quota(cells: u64, period: Duration, burst: u32) -> LimiterSpec {
    LimiterSpec { cells, period, burst }
}

/// Quotas for random walks: small bursts make every boundary common, odd rates every rounding.
static SHAPES: [LimiterSpec; 16] = [
    quota(1, SECOND, 1),
    quota(1, SECOND, 2),
    quota(3, SECOND, 1),
    quota(3, SECOND, 2),
    quota(7, MINUTE, 3),
    quota(1_000, SECOND, 1_000),
    quota(30_000_000, SECOND, 7),
    quota(600_000_000, SECOND, 100),
    quota(700_000_000, SECOND, 3),
    quota(999_999_937, SECOND, 5),
    quota(2_000_000_000, SECOND, 10),
    quota(10, Duration::from_nanos(1), 30),
    quota(3, Duration::from_nanos(7), 2),
    quota(1, HOUR, u32::MAX),
    quota(1, YEAR.saturating_mul(10), 2),
    quota(1, YEAR.saturating_mul(100), 10),
];

/// The quotas of [`SHAPES`] whose intervals are whole nanoseconds: for properties that are about
/// something else than rounding.
fn whole_shapes() -> impl Iterator<Item = &'static LimiterSpec> {
    SHAPES.iter().filter(|spec| spec.period.as_nanos().is_multiple_of(u128::from(spec.cells)))
}

/// `600000000 per 1s, burst 100`.
fn describe(spec: &LimiterSpec) -> String {
    format!("{} per {:?}, burst {}", spec.cells, spec.period, spec.burst)
}

/// The first `cells` of the quota take this long, rounded up, at most the clock's range.
fn time_of(spec: &LimiterSpec, cells: u64) -> Duration {
    let nanos =
        (u128::from(cells).saturating_mul(spec.period.as_nanos())).div_ceil(u128::from(spec.cells));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Whether the limiter can keep the quota; notes its reason where it cannot.
fn accepts<L: SteeredLimiter>(examination: &mut Examination, spec: &LimiterSpec) -> bool {
    match std::panic::catch_unwind(|| L::new(spec)) {
        Ok(Err(reason)) => {
            examination.refuse(describe(spec), reason);
            false
        }
        // A panic is met again, and noted, where the property makes its own limiter.
        Ok(Ok(_)) | Err(_) => true,
    }
}

/// A limiter for a quota that [`accepts`] said yes to.
fn make<L: SteeredLimiter>(spec: &LimiterSpec) -> L {
    L::new(spec).unwrap_or_else(|reason| panic!("accepted a quota at first, then not: {reason}"))
}

#[cfg(test)]
mod tests;
