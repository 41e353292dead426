//! One pass of one subject: pinned threads that start together, and what they cost.
//!
//! A *timed* pass is closed: each thread performs its operations as fast as it can, and the clock
//! is read twice. A *paced* pass is open: operations are due at planned moments, whether or not the
//! one before is done, and the latency of an operation runs from the moment at which it was *due*.
//! A subject that stalls for a millisecond therefore pays for every operation that fell due in that
//! millisecond; measured from its start, only one would show it (the "coordinated omission" that
//! Gil Tene named).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use env::clock::{Clock, FastClock, MonotonicClock, Timestamp};
use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::subject::{Start, Subject};

/// What a timed pass cost, or several of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) operations: f64,
    /// From the first start to the last end.
    pub(super) wall_ns: f64,
    /// Of the working threads; in a process of its own, of the whole process.
    pub(super) cpu_ns: f64,
    /// Sum of what the subject returned, warm-up included.
    pub(super) fingerprint: u64,
}

impl Sample {
    /// Adds the cost of another pass of the same subject.
    pub(super) fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.wall_ns += other.wall_ns;
        self.cpu_ns += other.cpu_ns;
        self.fingerprint = self.fingerprint.wrapping_add(other.fingerprint);
    }
}

/// Latencies of a paced pass, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    /// Where there are enough for it to be more than the maximum by another name.
    pub(super) p9999: Option<f64>,
    pub(super) max: f64,
}

/// Latencies as a subject collects them itself.
#[derive(Debug)]
pub struct LatencyLog(Mutex<Histogram<u64>>);

impl Default for LatencyLog {
    fn default() -> Self {
        Self(Mutex::new(histogram()))
    }
}

impl LatencyLog {
    /// Adds latencies in nanoseconds.
    pub fn add(&self, latencies: impl IntoIterator<Item = u64>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.into_iter().for_each(|ns| all.saturating_record(ns.max(1)));
    }

    /// What was added since this was last called; nothing where nothing was.
    pub fn take(&self) -> Option<Latency> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = (!all.is_empty()).then(|| Latency::of(&all));
        all.reset();
        latency
    }
}

/// Whose processor time a pass is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charge {
    /// That of the threads that work.
    Threads,
    /// That of the whole process, background threads included.
    Process,
}

/// Runs one timed pass.
pub(super) fn timed(
    subject: &dyn Subject,
    threads: usize,
    round: u64,
    operations: u64,
    charge: Charge,
) -> Sample {
    let clock = MonotonicClock::new();
    let each = operations / threads as u64;
    let warms_up = subject.before_pass() == Start::Warm;
    let process_start = cpu_ns(ClockId::ProcessCPUTime);
    let parts = together(threads, |thread, start| {
        let warm_up = || if warms_up { subject.run(thread, round, each / 32) } else { 0 };
        let warm = met(start, warm_up);
        let (wall_start, cpu_start) = (clock.now(), cpu_ns(ClockId::ThreadCPUTime));
        let fingerprint = warm.wrapping_add(subject.run(thread, round, each));
        let cpu = cpu_ns(ClockId::ThreadCPUTime) - cpu_start;
        (wall_start.as_nanos(), clock.now().as_nanos(), cpu, fingerprint)
    });
    let first = parts.iter().map(|part| part.0).min().expect("at least one thread");
    let last = parts.iter().map(|part| part.1).max().expect("at least one thread");
    let cpu = match charge {
        Charge::Threads => parts.iter().map(|part| part.2).sum(),
        Charge::Process => cpu_ns(ClockId::ProcessCPUTime) - process_start,
    };
    Sample {
        operations: (each * threads as u64) as f64,
        wall_ns: (last - first).max(1) as f64,
        cpu_ns: cpu.max(1) as f64,
        fingerprint: parts.iter().fold(0, |sum, part| sum.wrapping_add(part.3)),
    }
}

/// Runs one paced pass: each thread is offered `rate` operations a second for `length`.
pub(super) fn paced(subject: &dyn Subject, threads: usize, rate: u64, length: Duration) -> Latency {
    let clock = FastClock::new();
    let schedule = Schedule::new(rate, length);
    let parts = together(threads, |thread, start| {
        met(start, || subject.run(thread, 0, schedule.count.min(1_000)));
        let spin_until = |due: Timestamp| {
            while clock.now() < due {
                std::hint::spin_loop();
            }
        };
        schedule.keep(&clock, spin_until, |operation| subject.run(thread, operation, 1))
    });
    let mut all = histogram();
    for part in &parts {
        all.add(part).expect("histograms of one shape add up");
    }
    Latency::of(&all)
}

/// When operations are due.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    interval_ns: f64,
    count: u64,
}

impl Schedule {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    fn new(rate: u64, length: Duration) -> Self {
        let count = (length.as_secs_f64() * rate as f64).ceil() as u64;
        Self { interval_ns: 1e9 / rate as f64, count: count.max(1) }
    }

    /// Performs each operation once it is due, and records how long after that moment it was done.
    fn keep(
        &self,
        clock: &impl Clock,
        wait_until: impl Fn(Timestamp),
        operation: impl Fn(u64) -> u64,
    ) -> Histogram<u64> {
        let mut histogram = histogram();
        let origin = clock.now();
        for index in 0..self.count {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time")]
            let due = origin + Duration::from_nanos((index as f64 * self.interval_ns) as u64);
            wait_until(due);
            std::hint::black_box(operation(index));
            let latency = clock.now().saturating_since(due).as_nanos();
            histogram.saturating_record(u64::try_from(latency).unwrap_or(u64::MAX).max(1));
        }
        histogram
    }
}

/// Latencies from which on a p99.99 says something: four lie above it.
const ENOUGH: u64 = 40_000;

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: (histogram.len() >= ENOUGH).then(|| at(0.9999)),
            max: histogram.max() as f64,
        }
    }
}

/// One nanosecond to a minute, with three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are legal")
}

/// Runs `work` on pinned threads and hands each the barrier at which they start together.
pub(super) fn together<T: Send>(
    threads: usize,
    work: impl Fn(usize, &Barrier) -> T + Sync,
) -> Vec<T> {
    let start = Barrier::new(threads);
    let (work, start) = (&work, &start);
    thread::scope(|scope| {
        let spawn = |thread| {
            scope.spawn(move || {
                pin(thread);
                work(thread, start)
            })
        };
        let workers: Vec<_> = (0..threads).map(spawn).collect();
        let parts = workers.into_iter().map(thread::ScopedJoinHandle::join);
        parts.collect::<Result<_, _>>().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Does what comes before the start and meets the others there, also when it panicked: they must
/// not wait for ever.
fn met(start: &Barrier, before: impl FnOnce() -> u64) -> u64 {
    let outcome = catch_unwind(AssertUnwindSafe(before));
    start.wait();
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Keeps the calling thread on one of the processors that the process may use.
fn pin(thread: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let usable: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let mut only = CpuSet::new();
    only.set(usable[thread % usable.len()]);
    // Where pinning is forbidden, the rounds are noisier and still right.
    let _forbidden = sched_setaffinity(None, &only);
}

/// Processor time of the calling thread or of the process, in nanoseconds.
fn cpu_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).expect("processor time is not negative");
    let nanos = u64::try_from(time.tv_nsec).expect("a fraction of a second is not negative");
    seconds * 1_000_000_000 + nanos
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::clock::{Clock, ManualClock};

    use super::{Latency, Schedule};

    /// Measured from when an operation was due, a stall counts for all that it delays.
    #[test]
    fn latency_is_free_of_coordinated_omission() {
        const STALL: Duration = Duration::from_micros(500);
        const USUAL: Duration = Duration::from_nanos(100);
        let clock = ManualClock::default();
        let schedule = Schedule::new(100_000, Duration::from_millis(100));
        let latencies = schedule.keep(
            &clock,
            |due| clock.set(due.max(clock.now())),
            |operation| {
                clock.advance(if operation % 1_000 == 999 { STALL } else { USUAL });
                1
            },
        );
        assert_eq!(latencies.len(), 10_000);
        let latency = Latency::of(&latencies);
        // One operation in a thousand stalls for 500 us, and 50 more fall due in each stall. A
        // closed loop would show a p99 of 100 ns.
        let microseconds = |ns: f64, low: f64, high: f64| (low * 1e3..=high * 1e3).contains(&ns);
        assert!(microseconds(latency.p50, 0.1, 0.11), "{latency:?}");
        assert!(microseconds(latency.p90, 0.1, 0.11), "{latency:?}");
        assert!(microseconds(latency.p99, 390.0, 410.0), "{latency:?}");
        assert!(microseconds(latency.max, 499.0, 501.0), "{latency:?}");
    }
}
