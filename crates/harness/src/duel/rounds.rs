//! Timed, pinned rounds in interleaved order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::thread;

use env::clock::{Clock, MonotonicClock};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use super::statistics::{Estimate, median_of_episodes};
use super::subject::{Contender, Line, Subject};
use crate::record::{Better, FailedLine, Ratio, Row};
use crate::rng::SplitMix64;

/// How much to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How often subjects are made anew.
    pub episodes: usize,
    /// Rounds with the same subjects.
    pub rounds: usize,
    /// How long one contender's part of a round should take, in nanoseconds.
    pub part_ns: u64,
}

impl Plan {
    /// Everything once, to see that it works; no figure of it means anything.
    pub const SMOKE: Self = Self { episodes: 1, rounds: 1, part_ns: 20_000 };
    /// A ratio that repeats within three percent.
    pub const QUICK: Self = Self { episodes: 10, rounds: 6, part_ns: 2_000_000 };
    /// A ratio to publish.
    pub const FULL: Self = Self { episodes: 25, rounds: 8, part_ns: 4_000_000 };
}

/// Told what is being measured, one step at a time.
pub type Progress<'a> = &'a mut dyn FnMut(&Line, usize, usize);

/// What one contender did in one round, both passes together.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    operations: f64,
    wall_ns: f64,
    cpu_ns: f64,
    fingerprint: u64,
}

/// A contender during the measurement of a line.
struct Entrant {
    contender: Contender,
    subject: Option<Box<dyn Subject>>,
    /// Samples by episode.
    samples: Vec<Vec<Sample>>,
    /// Why it is out, and whether that is a fault.
    out: Option<(String, bool)>,
}

/// Measures one line: rows for every contender, ratios of ours against each peer, and what became
/// of contenders that have no figure.
///
/// A contender that panics or does other work than the first is out; the others go on.
pub fn measure(
    line: &Line,
    plan: &Plan,
    progress: Progress<'_>,
) -> (Vec<Row>, Vec<Ratio>, Vec<FailedLine>) {
    let mut entrants: Vec<Entrant> = line.contenders.iter().copied().map(Entrant::new).collect();
    let mut rng = SplitMix64::new(0xD0E1);
    let mut operations = 0;
    let mut round = 0;
    for episode in 0..plan.episodes {
        progress(line, episode, plan.episodes);
        for entrant in &mut entrants {
            entrant.start_episode();
        }
        if operations == 0 {
            operations = calibrate(&mut entrants, line.threads, plan);
        }
        for _ in 0..plan.rounds {
            round += 1;
            let mut order: Vec<usize> = (0..entrants.len()).collect();
            rng.shuffle(&mut order);
            play(&mut entrants, &order, line.threads, round, operations);
        }
    }
    progress(line, plan.episodes, plan.episodes);
    conclude(line, &entrants)
}

/// One round: every entrant once in this order and once in the reverse.
fn play(entrants: &mut [Entrant], order: &[usize], threads: usize, round: u64, operations: u64) {
    let passes = order.iter().chain(order.iter().rev());
    let mut sums = vec![Sample::default(); entrants.len()];
    for &index in passes {
        if let Some(sample) = entrants[index].run(threads, round, operations) {
            let sum = &mut sums[index];
            sum.operations += sample.operations;
            sum.wall_ns += sample.wall_ns;
            sum.cpu_ns += sample.cpu_ns;
            sum.fingerprint = sum.fingerprint.wrapping_add(sample.fingerprint);
        }
    }
    let mut expected = None;
    for (entrant, sum) in entrants.iter_mut().zip(sums) {
        if entrant.out.is_some() {
            continue;
        }
        let expected = *expected.get_or_insert(sum.fingerprint);
        if sum.fingerprint == expected {
            entrant.samples.last_mut().expect("an episode has begun").push(sum);
        } else {
            let reason = format!(
                "did other work than the first contender: fingerprint {}, not {expected}",
                sum.fingerprint
            );
            entrant.out = Some((reason, true));
        }
    }
}

/// How much longer than planned the slowest entrant's part of a round may take.
const SLOWEST_PART: f64 = 16.0;

/// Operations that take the fastest entrant about as long as the plan says, or the slowest one
/// [`SLOWEST_PART`] times as long: an entrant that does nothing must not make the others work for
/// ever.
fn calibrate(entrants: &mut [Entrant], threads: usize, plan: &Plan) -> u64 {
    let target = plan.part_ns as f64;
    let mut operations = 64_u64;
    loop {
        let parts = entrants.iter_mut().filter_map(|entrant| entrant.run(threads, 0, operations));
        let parts: Vec<f64> = parts.map(|sample| sample.wall_ns).collect();
        let fastest = parts.iter().copied().fold(f64::INFINITY, f64::min);
        let slowest = parts.iter().copied().fold(0.0, f64::max);
        if parts.is_empty() || fastest >= target || slowest >= target * SLOWEST_PART {
            return operations;
        }
        operations *= 2;
    }
}

impl Entrant {
    fn new(contender: Contender) -> Self {
        Self { contender, subject: None, samples: Vec::new(), out: None }
    }

    /// Makes a fresh subject, unless the entrant is out.
    fn start_episode(&mut self) {
        self.samples.push(Vec::new());
        // The old subject goes first, so that two never share the memory.
        self.subject = None;
        if self.out.is_some() {
            return;
        }
        match catch_unwind(self.contender.make) {
            Ok(Ok(subject)) => self.subject = Some(subject),
            Ok(Err(unsupported)) => self.out = Some((unsupported.0, false)),
            Err(_) => self.out = Some(("panicked while it was set up".to_owned(), true)),
        }
    }

    /// One pass; `None` where the entrant is out, also from now on.
    fn run(&mut self, threads: usize, round: u64, operations: u64) -> Option<Sample> {
        let subject = self.subject.as_deref()?;
        let pass = AssertUnwindSafe(|| timed(subject, threads, round, operations));
        let sample = catch_unwind(pass).ok();
        if sample.is_none() {
            self.subject = None;
            self.out = Some(("panicked while it was measured".to_owned(), true));
        }
        sample
    }

    /// One figure of each round, by episode; episodes without rounds are left out.
    fn figures(&self, figure: impl Fn(&Sample) -> f64) -> Vec<Vec<f64>> {
        let episodes = self.samples.iter().filter(|episode| !episode.is_empty());
        episodes.map(|episode| episode.iter().map(&figure).collect()).collect()
    }
}

/// Runs one pass on pinned threads that start together.
///
/// Wall time runs from the first start to the last end; processor time is the sum over threads.
fn timed(subject: &dyn Subject, threads: usize, round: u64, operations: u64) -> Sample {
    let clock = MonotonicClock::new();
    let start = Barrier::new(threads);
    let each = operations / threads as u64;
    let work = |thread: usize| {
        pin(thread);
        // Untimed: brings the subject's memory to this processor.
        let warm = each / 32;
        let mut fingerprint = subject.run(thread, round, warm);
        start.wait();
        let (wall_start, cpu_start) = (clock.now(), thread_cpu_ns());
        fingerprint = fingerprint.wrapping_add(subject.run(thread, round, each));
        (wall_start.as_nanos(), clock.now().as_nanos(), thread_cpu_ns() - cpu_start, fingerprint)
    };
    let parts: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let parts = workers.into_iter().map(thread::ScopedJoinHandle::join);
        parts.collect::<Result<_, _>>().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let first = parts.iter().map(|part| part.0).min().expect("at least one thread");
    let last = parts.iter().map(|part| part.1).max().expect("at least one thread");
    Sample {
        operations: (each * threads as u64) as f64,
        wall_ns: (last - first).max(1) as f64,
        cpu_ns: parts.iter().map(|part| part.2).sum::<u64>().max(1) as f64,
        fingerprint: parts.iter().fold(0, |sum, part| sum.wrapping_add(part.3)),
    }
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

/// Processor time of the calling thread, in nanoseconds.
fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("processor time is not negative");
    let nanos = u64::try_from(time.tv_nsec).expect("a fraction of a second is not negative");
    seconds * 1_000_000_000 + nanos
}

/// Turns samples into rows, ratios and failures.
fn conclude(line: &Line, entrants: &[Entrant]) -> (Vec<Row>, Vec<Ratio>, Vec<FailedLine>) {
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for entrant in entrants {
        if let Some((reason, fault)) = &entrant.out {
            failures.push(FailedLine {
                build: line.build.to_owned(),
                workload: line.workload.to_owned(),
                threads: line.threads,
                contender: entrant.contender.name.to_owned(),
                reason: reason.clone(),
                fault: *fault,
            });
            continue;
        }
        for metric in METRICS {
            rows.push(metric.row(line, entrant));
        }
    }
    let mut ratios = Vec::new();
    let standing = |entrant: &&Entrant| entrant.out.is_none();
    for ours in entrants.iter().filter(standing).filter(|entrant| entrant.contender.ours) {
        for metric in METRICS {
            let start = ratios.len();
            let peers = entrants.iter().filter(standing);
            for peer in peers.filter(|entrant| !entrant.contender.ours) {
                ratios.push(metric.ratio(line, ours, peer));
            }
            mark_best_peer(&mut ratios[start..]);
        }
    }
    (rows, ratios, failures)
}

/// The strongest peer is the one against which ours looks worst.
fn mark_best_peer(ratios: &mut [Ratio]) {
    let weakest = ratios.iter_mut().min_by(|a, b| a.ratio.total_cmp(&b.ratio));
    if let Some(ratio) = weakest {
        ratio.best_peer = true;
    }
}

/// A figure of a sample.
struct Metric {
    name: &'static str,
    unit: &'static str,
    better: Better,
    figure: fn(&Sample) -> f64,
}

const METRICS: &[Metric] = &[
    Metric {
        name: "throughput",
        unit: "op/s",
        better: Better::Higher,
        figure: |sample| sample.operations * 1e9 / sample.wall_ns,
    },
    Metric {
        name: "cpu_per_op",
        unit: "ns",
        better: Better::Lower,
        figure: |sample| sample.cpu_ns / sample.operations,
    },
];

impl Metric {
    fn row(&self, line: &Line, entrant: &Entrant) -> Row {
        let figures = entrant.figures(self.figure);
        let Estimate { median, lo, hi } = median_of_episodes(&figures);
        Row {
            build: line.build.to_owned(),
            workload: line.workload.to_owned(),
            threads: line.threads,
            contender: entrant.contender.name.to_owned(),
            version: entrant.contender.version.to_owned(),
            metric: self.name.to_owned(),
            unit: self.unit.to_owned(),
            better: self.better,
            median,
            lo,
            hi,
            rounds: figures.iter().map(Vec::len).sum(),
        }
    }

    fn ratio(&self, line: &Line, ours: &Entrant, peer: &Entrant) -> Ratio {
        let pairs = ours.figures(self.figure).into_iter().zip(peer.figures(self.figure));
        let quotients = pairs.map(|(ours, peer)| {
            let rounds = ours.into_iter().zip(peer);
            rounds
                .map(|(ours, peer)| match self.better {
                    Better::Higher => ours / peer,
                    Better::Lower => peer / ours,
                })
                .collect()
        });
        let Estimate { median, lo, hi } = median_of_episodes(&quotients.collect::<Vec<_>>());
        Ratio {
            build: line.build.to_owned(),
            workload: line.workload.to_owned(),
            threads: line.threads,
            metric: self.name.to_owned(),
            ours: ours.contender.name.to_owned(),
            peer: peer.contender.name.to_owned(),
            best_peer: false,
            ratio: median,
            lo,
            hi,
        }
    }
}

#[cfg(test)]
mod tests;
