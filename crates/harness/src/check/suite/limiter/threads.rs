//! Threads that ask at once.
//!
//! What threads are given does not depend on their order as long as the bucket is never full after
//! its start: then no cell is lost to the brim, and the sum of all admissions is the burst plus
//! what the time earned, rounded down, to the cell. So the property needs no luck to be exact; luck
//! is only in whether threads meet where a limiter is weak, which is why it is tried often.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{KEY, MINUTE, SECOND, accepts, describe, make, quota};
use crate::check::suite::together::together;
use crate::check::suite::{Examination, Mismatch};
use crate::contract::{LimiterSpec, SteeredLimiter};

const THREADS: u32 = 4;
/// Each is a new limiter and a new meeting of the threads.
const ROUNDS: u32 = 30;
/// Requests of one thread after the burst is gone.
const REQUESTS: u64 = 400;

const QUOTAS: [LimiterSpec; 3] =
    [quota(1_000, SECOND, 2_000), quota(700_000_000, SECOND, 5_000), quota(7, MINUTE, 1_500)];

/// Threads that ask for more than there is are given all there is and nothing else: first at one
/// moment, where the burst is all there is, then while the clock runs.
pub fn threads_keep_the_bound<L: SteeredLimiter>(examination: &mut Examination) {
    examination.begin("threads_keep_the_bound");
    for spec in &QUOTAS {
        if !accepts::<L>(examination, spec) {
            continue;
        }
        examination.once(format!("{}, {THREADS} threads", describe(spec)), || {
            (0..ROUNDS).try_for_each(|_| run::<L>(spec))
        });
    }
}

fn run<L: SteeredLimiter>(spec: &LimiterSpec) -> Result<(), Mismatch> {
    let limiter: L = make(spec);
    let burst = u64::from(spec.burst);
    let at_start = by_threads(|| drain(&limiter, Duration::ZERO, burst + 1));
    expect(burst, at_start, "at the first moment")?;

    // All requests together move the clock by less than the time of a burst.
    let burst_nanos = u128::from(spec.burst) * spec.period.as_nanos() / u128::from(spec.cells);
    let step = u64::try_from(burst_nanos / (u128::from(THREADS) * u128::from(REQUESTS) + 1))
        .expect("the quotas above refill within the clock's range");
    let clock = AtomicU64::new(0);
    let while_running = by_threads(|| {
        (0..REQUESTS)
            .map(|_| {
                // Relaxed: the clock orders nothing. A thread that is held up here asks with a
                // moment that others have passed, which a limiter must bear.
                let now = clock.fetch_add(step, Ordering::Relaxed) + step;
                u64::from(limiter.check_at(Duration::from_nanos(now), KEY, 1).is_admit())
            })
            .sum()
    });
    let end = Duration::from_nanos(clock.load(Ordering::Relaxed));
    let earned = u128::from(spec.cells) * end.as_nanos() / spec.period.as_nanos();
    let earned = u64::try_from(earned).expect("less than a burst");
    let left = drain(&limiter, end, earned + 1);
    expect(earned, while_running + left, &format!("in {end:?} after the burst"))
}

/// Takes single cells until one is denied, and at most `limit`.
fn drain<L: SteeredLimiter>(limiter: &L, now: Duration, limit: u64) -> u64 {
    let taken = (0..limit).take_while(|_| limiter.check_at(now, KEY, 1).is_admit()).count();
    u64::try_from(taken).expect("at most the limit")
}

/// The sum over threads that start together.
fn by_threads(work: impl Fn() -> u64 + Sync) -> u64 {
    together(THREADS, |_thread| work()).into_iter().sum()
}

fn expect(expected: u64, got: u64, when: &str) -> Result<(), Mismatch> {
    if expected == got {
        Ok(())
    } else {
        Err(Mismatch::new(format!("{expected} cells {when}"), format!("{got}")))
    }
}
