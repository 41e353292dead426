//! What takes part in a duel.

use serde::{Deserialize, Serialize};

use super::pass::Latency;
use crate::contract::Unsupported;
use crate::workload::{Size, Sizes};

/// One contender at work on one line, shared by the threads of a round.
pub trait Subject: Sync {
    /// Performs `operations` operations as thread `thread` of round `round`, and returns a number
    /// that is equal for every contender that did the same work.
    ///
    /// Monomorphic inside: one virtual call pays for thousands of operations. Where latency is
    /// measured, each call asks for one operation, and `round` counts them.
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64;

    /// Called before each timed pass, whose time and processor time this is no part of: for passes
    /// that each begin anew. Returns how the pass begins.
    fn before_pass(&self) -> Start {
        Start::Warm
    }

    /// What the subject has measured of itself since it was last asked, which is once an episode:
    /// where operations overlap only it knows how long each one took.
    fn own_figures(&self) -> OwnFigures {
        OwnFigures::default()
    }

    /// Entries that the subject holds, where bytes per entry mean something.
    fn entries(&self) -> Option<u64> {
        None
    }
}

/// How a timed pass begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After a thirtieth of its operations, which bring the subject's memory to the processor.
    Warm,
    /// With its first operation, where that is part of what is compared.
    Cold,
}

/// See [`Line::long_parts`].
const LONG_PART: u64 = 10;

/// Figures that a subject measures itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnFigures {
    /// How long operations took, of a closed loop that keeps some of them in flight.
    pub latency: Option<Latency>,
    /// How long the operations of the floor took, where the subject performed them between its own:
    /// where less is added to them than two processes differ by.
    pub floor: Option<Latency>,
    /// Syncs of a log for each operation.
    pub syncs_per_op: Option<f64>,
    /// Bytes that nodes have told each other for each operation, as they would be encoded.
    pub wire_bytes_per_op: Option<f64>,
    /// How long the work took that was left to be done behind the operations, in nanoseconds. The
    /// subject does it when it is asked, so that it is part of what the process wrote.
    pub settle_ns: Option<f64>,
    /// Bytes of its files after that.
    pub disk: Option<f64>,
    /// How far from the place in which it came an operation was served, at most.
    pub displacement: Option<f64>,
    /// The most processor time that one operation took of its own thread, in nanoseconds.
    pub worst_cpu: Option<f64>,
}

/// A contender of a line: what to call it, and how to make its subject.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// Package name, with a suffix for a variant.
    pub name: &'static str,
    /// Version of its package.
    pub version: &'static str,
    /// Whether it is ours: the one that ratios are formed for.
    pub ours: bool,
    /// Makes a fresh subject. Its fingerprints must not depend on chance.
    pub make: Make,
}

/// Makes a fresh subject for a workload of some size.
pub type Make = fn(Size) -> Result<Box<dyn Subject>, Unsupported>;

/// Who shares a process with whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All contenders of the line live in one child process: they meet the same memory layout and
    /// the same page tables, which is fairest for speed.
    #[default]
    Shared,
    /// Each contender has a child process of its own: memory, processor time of background threads
    /// and bytes written are its own too.
    Separate,
}

/// One line of a comparison: contenders that do the same work.
#[derive(Clone, Debug)]
pub struct Line {
    /// Folder name of the build.
    pub build: &'static str,
    /// Path whose first part is the family.
    pub workload: &'static str,
    /// Threads that work at once.
    pub threads: usize,
    /// Who shares a process with whom.
    pub isolation: Isolation,
    /// Operations a second that each thread is offered while latency is measured; the same for
    /// every contender. `None` where latency is not measured.
    pub offered: Option<u64>,
    /// Whether subjects are so dear to make that fewer episodes must do.
    pub costly: bool,
    /// Whether all threads write the same word, so that rounds differ far more than elsewhere.
    pub contended: bool,
    /// How many times longer a part is than elsewhere: more than once where threads hand
    /// operations to each other, which needs a while to become steady.
    pub part_factor: u64,
    /// How many operations a pass has, where that is part of the workload; `None` where as many
    /// as fill the time of a part do.
    pub exactly: Option<Sizes>,
    /// Whether the line takes so long that only `--full`, or asking for it, measures it.
    pub full_only: bool,
    /// Contenders that are served by another program than this one: see [`Line::served_by`].
    pub programs: Vec<(&'static str, &'static str)>,
    /// Who takes part.
    pub contenders: Vec<Contender>,
}

impl Line {
    /// A line in one shared process, without latency.
    pub fn new(
        build: &'static str,
        workload: &'static str,
        threads: usize,
        contenders: Vec<Contender>,
    ) -> Self {
        Self {
            build,
            workload,
            threads,
            isolation: Isolation::Shared,
            offered: None,
            costly: false,
            contended: false,
            part_factor: 1,
            exactly: None,
            full_only: false,
            programs: Vec::new(),
            contenders,
        }
    }

    /// The same line with a process for each contender.
    #[must_use]
    pub fn separate(self) -> Self {
        Self { isolation: Isolation::Separate, ..self }
    }

    /// The same line with latency measured at `offered` operations a second and thread.
    ///
    /// Panics when `offered` is zero or above a billion.
    #[must_use]
    pub fn with_latency(self, offered: u64) -> Self {
        assert!((1..=1_000_000_000).contains(&offered), "an offered load of {offered}/s");
        Self { offered: Some(offered), ..self }
    }

    /// The same line with fewer episodes of more rounds.
    #[must_use]
    pub fn costly(self) -> Self {
        Self { costly: true, ..self }
    }

    /// The same line with several times the rounds: who owns the one word that all threads write is
    /// settled anew all the time, and few rounds do not agree about it.
    #[must_use]
    pub fn contended(self) -> Self {
        Self { contended: true, ..self }
    }

    /// The same line with longer parts.
    #[must_use]
    pub fn long_parts(self) -> Self {
        Self { part_factor: LONG_PART, ..self }
    }

    /// The same line with passes of exactly so many operations, and one round an episode: what
    /// happens as a whole, such as a herd that comes or a map that grows to a size.
    #[must_use]
    pub fn exactly(self, operations: Sizes) -> Self {
        Self { exactly: Some(operations), ..self }
    }

    /// The same line, left out of a quick run that does not ask for it.
    #[must_use]
    pub fn full_only(self) -> Self {
        Self { full_only: true, ..self }
    }

    /// The same line with the subjects of a contender in children of another program, which calls
    /// [`serve`](super::serve) with this line. Where the memory of a process is what is compared, a
    /// program that holds nothing else weighs little beside a subject.
    ///
    /// Contenders that share a process live where the first of them does.
    #[must_use]
    pub fn served_by(mut self, contender: &'static str, program: &'static str) -> Self {
        self.programs.push((contender, program));
        self
    }

    /// The contender of this name.
    pub fn contender(&self, name: &str) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.name == name)
    }
}
