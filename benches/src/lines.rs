//! What is measured: the lines of every build that exists.

mod allocator;
mod hashmap;
mod lsm;
mod raft;
mod rate_limiter;

use std::time::Duration;

use criterion::{Criterion, Throughput};
use env::clock::{Clock, MonotonicClock};
use harness::duel::{Line, Subject};
use harness::workload::Size;

/// The lines of every build, in the order in which they are shown.
pub fn all() -> Vec<Line> {
    let mut lines = rate_limiter::lines();
    lines.extend(hashmap::lines());
    lines.extend(allocator::lines());
    lines.extend(raft::lines());
    lines.extend(lsm::lines());
    lines
}

/// Folder name of the allocator's build.
pub const ALLOCATOR: &str = allocator_lines::BUILD;

/// Criterion's settings: enough for a line to be read, not to be published.
pub fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
}

/// Shows criterion the lines of `build` that one thread runs and that are quick to set up.
///
/// Criterion measures one contender after the other; for ratios use the duel.
pub fn show(criterion: &mut Criterion, build: &str) {
    show_lines(criterion, build, |line| !line.costly);
}

/// The same with lines whose subjects are dear to make, for builds that have hardly any other.
pub fn show_costly(criterion: &mut Criterion, build: &str) {
    show_lines(criterion, build, |_| true);
}

fn show_lines(criterion: &mut Criterion, build: &str, is_shown: impl Fn(&Line) -> bool) {
    // Cargo says so when it runs benchmarks rather than tests.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let size = if measures { Size::Quick } else { Size::Smoke };
    // What happens as a whole has no other number of operations than its own.
    let is_whole = |line: &Line| line.exactly.is_some();
    let is_short = |line: &Line| line.threads == 1 && !line.full_only && !is_whole(line);
    let wanted = |line: &Line| line.build == build && is_short(line);
    for line in all().into_iter().filter(wanted) {
        if measures && !is_shown(&line) {
            continue;
        }
        let mut group = criterion.benchmark_group(format!("{build}/{}", line.workload));
        group.throughput(Throughput::Elements(1));
        for contender in &line.contenders {
            // A contender that does not support a line is named by the duel, with its reason.
            let Ok(subject) = (contender.make)(size) else { continue };
            let mut round = 0;
            group.bench_function(contender.name, |bencher| {
                bencher.iter_custom(|operations| {
                    round += 1;
                    elapsed(&*subject, round, operations)
                });
            });
        }
        group.finish();
    }
}

/// Time that `operations` operations take on the calling thread.
fn elapsed(subject: &dyn Subject, round: u64, operations: u64) -> Duration {
    let clock = MonotonicClock::new();
    let start = clock.now();
    std::hint::black_box(subject.run(0, round, operations));
    clock.now().saturating_since(start)
}
