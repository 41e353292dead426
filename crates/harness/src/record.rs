//! The result record: the machine-readable truth behind every table and plot.
//!
//! `target/strata/<build>.json` holds the record of one build and `target/strata/results.json`
//! that of all. Every name in it is a stable word: contenders by package name, workloads as paths
//! whose first part is the family. Readers refuse a schema that they do not know.

use serde::{Deserialize, Serialize};

/// Version of the format; a reader accepts exactly this one.
pub const SCHEMA: u32 = 1;

/// How many times longer a hand-over must take to count as other processors.
const HANDOVER_CHANGE: f64 = 1.5;

/// One run of the comparisons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Commit of the checkout that was measured; empty where there is no git.
    pub commit: String,
    /// Whether the checkout had uncommitted changes.
    pub dirty: bool,
    /// `smoke`, `quick` or `full`.
    pub mode: String,
    /// Where it was measured.
    pub machine: Machine,
    /// What was measured.
    pub rows: Vec<Row>,
    /// Ours against each peer.
    pub ratios: Vec<Ratio>,
    /// Lines that could not be measured, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedLine>,
    /// Lines during which others used the machine, so that their figures are doubtful.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disturbed: Vec<DisturbedLine>,
}

/// The machine that a record was measured on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Model name of the processor.
    pub cpu: String,
    /// Logical processors that the process may use.
    pub cores: usize,
    /// Kernel name and release.
    pub kernel: String,
    /// `rustc -V`.
    pub rustc: String,
    /// Load average over one minute, before the run began.
    pub load_before: f64,
    /// Whether the load was high enough to make the figures doubtful.
    #[serde(default)]
    pub busy: bool,
    /// Shortest and longest time in nanoseconds that a cache line took from one processor to
    /// another during the run; zeros where there is only one, or nothing was measured.
    ///
    /// A ratio of two threads that write the same word hangs on it, and a virtual machine may move
    /// its processors from two threads of one core to two cores in the middle of a run.
    #[serde(default)]
    pub handover_ns: [f64; 2],
}

impl Machine {
    /// Whether the processors came to lie differently during the run, so that lines of several
    /// threads were not all measured on the same machine.
    pub fn moved(&self) -> bool {
        let [shortest, longest] = self.handover_ns;
        longest > shortest * HANDOVER_CHANGE
    }

    /// Whether the processors of `other` are nearer to each other, or farther apart.
    pub fn lies_differently(&self, other: &Self) -> bool {
        let ([shortest, longest], [others_shortest, others_longest]) =
            (self.handover_ns, other.handover_ns);
        let known = longest > 0.0 && others_longest > 0.0;
        known
            && (shortest > others_longest * HANDOVER_CHANGE
                || others_shortest > longest * HANDOVER_CHANGE)
    }

    /// Notes another measurement of the hand-over.
    pub fn note_handover(&mut self, ns: f64) {
        let [shortest, longest] = &mut self.handover_ns;
        *shortest = if *longest == 0.0 { ns } else { shortest.min(ns) };
        *longest = longest.max(ns);
    }
}

/// One metric of one contender on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Folder name of the build: `rate-limiter`.
    pub build: String,
    /// Path whose first part is the family: `keyed/1k/uniform`.
    pub workload: String,
    /// Threads that worked at once.
    pub threads: usize,
    /// Package name of the contender, with a suffix for a variant; `yours` for the learner.
    pub contender: String,
    /// Version of the contender's package; that of the workspace for ours.
    pub version: String,
    /// `throughput`, `cpu_per_op`, `p50`, `p99`, `p999`, `p9999`, `max`, `peak_rss`, ...
    pub metric: String,
    /// `op/s`, `ns`, `B`.
    pub unit: String,
    /// Which direction is better.
    pub better: Better,
    /// Median over the rounds.
    pub median: f64,
    /// Lower bound of the 95 % interval of the median.
    pub lo: f64,
    /// Upper bound of the 95 % interval of the median.
    pub hi: f64,
    /// Rounds that were measured.
    pub rounds: usize,
}

/// Ours against one peer on one metric of one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// As in [`Row`].
    pub build: String,
    /// As in [`Row`].
    pub workload: String,
    /// As in [`Row`].
    pub threads: usize,
    /// As in [`Row`].
    pub metric: String,
    /// Contender that is ours, or `yours`.
    pub ours: String,
    /// Contender that it is compared with.
    pub peer: String,
    /// Whether no other peer does better on this line and metric.
    pub best_peer: bool,
    /// Above one: ours is better, whatever the metric. Median over paired rounds.
    pub ratio: f64,
    /// Lower bound of the bootstrap 95 % interval.
    pub lo: f64,
    /// Upper bound of the bootstrap 95 % interval.
    pub hi: f64,
}

/// A contender that has no figure on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedLine {
    /// As in [`Row`].
    pub build: String,
    /// As in [`Row`].
    pub workload: String,
    /// As in [`Row`].
    pub threads: usize,
    /// As in [`Row`].
    pub contender: String,
    /// A sentence that says what happened.
    pub reason: String,
    /// Whether it is a failure (crash, panic, hang, different work) or a fact about the contender
    /// (it does not support the line).
    pub fault: bool,
}

/// A line that was measured while others used the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisturbedLine {
    /// As in [`Row`].
    pub build: String,
    /// As in [`Row`].
    pub workload: String,
    /// As in [`Row`].
    pub threads: usize,
    /// Processors' worth of work that others did meanwhile.
    pub load: f64,
}

/// Which direction of a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Throughput.
    Higher,
    /// Times, sizes.
    Lower,
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn processors_that_come_to_lie_differently_are_noticed() {
        let mut machine = Machine::default();
        assert!(!machine.moved(), "nothing was measured");
        for ns in [30.0, 40.0, 28.0] {
            machine.note_handover(ns);
        }
        let noted = machine.handover_ns.map(f64::to_bits);
        assert_eq!(noted, [28.0_f64, 40.0].map(f64::to_bits));
        assert!(!machine.moved());
        machine.note_handover(90.0);
        assert!(machine.moved());

        let lies = |ns| {
            let mut machine = Machine::default();
            machine.note_handover(ns);
            machine
        };
        assert!(lies(30.0).lies_differently(&lies(90.0)));
        assert!(lies(90.0).lies_differently(&lies(30.0)));
        assert!(!lies(30.0).lies_differently(&lies(40.0)));
        assert!(!lies(30.0).lies_differently(&Machine::default()), "nothing is known of the other");
    }
}
