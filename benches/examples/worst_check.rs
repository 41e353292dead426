//! The worst single check while keys come and go, a million at a time and ten million in all.
//!
//! ```text
//! cargo run --release -p benches --example worst_check
//! ```
//!
//! Every limiter is asked for ten million keys that come once. governor keeps them all until it is
//! told to clean up, which is done each million keys, as its documentation advises; ours takes over
//! what has expired. Each check, and the cleaning up, is timed by the processor time of its own
//! thread, so that a thread that is preempted does not show. Reading that clock costs a system
//! call, which is why the small percentiles are those of the clock.

#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

use std::num::NonZeroU32;

use hdrhistogram::Histogram;
use rate_limiter::{Decision, KeyedBuilder, KeyedLimiter, Quota};
use rustix::time::{ClockId, clock_gettime};

/// Keys that come, each once.
const KEYS: u64 = 10_000_000;

/// After as many, governor is told to clean up.
const CLEANS_UP: u64 = 1_000_000;

/// More than any check takes: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// A thousand a second: a key is forgotten a millisecond after it came.
const PER_SECOND: u32 = 1_000;

/// Processor time of this thread, in nanoseconds.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

fn measure(name: &str, mut check: impl FnMut(u64)) {
    let mut histogram: Histogram<u64> =
        Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are legal");
    for key in 0..KEYS {
        let start = cpu_ns();
        check(key);
        histogram.saturating_record(cpu_ns() - start);
    }
    let at = |quantile| format!("{} ns", histogram.value_at_quantile(quantile));
    println!(
        "{name:<24}{:>10}{:>10}{:>10}{:>12}",
        at(0.5),
        at(0.999),
        at(0.9999),
        format!("{:.1} us", histogram.max() as f64 / 1e3),
    );
}

fn ours(name: &str, layout: impl Fn(KeyedBuilder) -> KeyedBuilder) {
    let quota = Quota::per_second(PER_SECOND.into()).expect("the quota is legal");
    let limiter = layout(KeyedLimiter::builder(quota, 1_000_000)).build().expect("there is memory");
    measure(name, |key| {
        let _: Decision = std::hint::black_box(limiter.check(&key));
    });
}

fn main() {
    println!("{:<24}{:>10}{:>10}{:>10}{:>12}", "CPU time", "p50", "p99.9", "p99.99", "max");
    ours("rate-limiter", |it| it);
    ours("rate-limiter, compact", KeyedBuilder::compact);
    ours("rate-limiter, strangers", |it| it.strangers(100_000));
    let rate = NonZeroU32::new(PER_SECOND).expect("the rate is not zero");
    let governor = governor::RateLimiter::keyed(governor::Quota::per_second(rate));
    measure("governor", |key| {
        if key % CLEANS_UP == 0 {
            governor.retain_recent();
        }
        std::hint::black_box(governor.check_key(&key).is_ok());
    });
}
