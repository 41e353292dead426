//! What is measured: the lines of every build that exists.

mod rate_limiter;

use std::time::Duration;

use env::clock::{Clock, MonotonicClock};
use harness::duel::{Line, Subject};

/// The lines of every build, in the order in which they are shown.
pub fn all() -> Vec<Line> {
    rate_limiter::lines()
}

/// Names of the builds that have lines.
pub fn builds() -> Vec<&'static str> {
    let mut builds: Vec<_> = all().iter().map(|line| line.build).collect();
    builds.dedup();
    builds
}

/// Time that `operations` operations take on the calling thread.
pub fn elapsed(subject: &dyn Subject, round: u64, operations: u64) -> Duration {
    let clock = MonotonicClock::new();
    let start = clock.now();
    std::hint::black_box(subject.run(0, round, operations));
    clock.now().saturating_since(start)
}
