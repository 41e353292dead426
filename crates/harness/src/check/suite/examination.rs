//! The notebook of a suite: tries cases, catches panics, shrinks, and writes findings down.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use crate::contract::Unsupported;

/// One way in which a system departs from its contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the property: the function that found it.
    pub property: &'static str,
    /// What was examined: a quota, an option, a schedule.
    pub subject: String,
    /// What the contract demands.
    pub expected: String,
    /// What happened.
    pub got: String,
    /// The smallest failing case that shrinking reached; `None` where the subject says it all.
    pub case: Option<String>,
    /// Seed of the examination.
    pub seed: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, subject, expected, got, case, seed } = self;
        write!(f, "{property} ({subject}): expected {expected}, got {got}")?;
        if let Some(case) = case {
            write!(f, "\n  smallest case: {case}")?;
        }
        write!(f, "\n  seed: {seed}")
    }
}

/// Why a case failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What the contract demands.
    pub expected: String,
    /// What happened.
    pub got: String,
}

impl Mismatch {
    /// Both in words that continue "expected ... , got ...".
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}

/// What a whole suite has to say about one system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Departures from the contract, in the order of the properties.
    pub findings: Vec<Finding>,
    /// What the system declined to do, which is no departure: subject and its own words.
    pub refused: Vec<(String, Unsupported)>,
    /// Subjects that were examined to the end.
    pub checked: u64,
}

/// The notebook that a property writes into.
#[derive(Debug)]
pub struct Examination {
    property: &'static str,
    seed: u64,
    report: Report,
}

impl Examination {
    /// An empty notebook. The seed is that of the environment (`SEED`), else a fixed one.
    pub fn new() -> Self {
        Self { property: "", seed: seed_from_environment(), report: Report::default() }
    }

    /// Where all randomness of the examination comes from.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What was found so far.
    pub fn into_report(self) -> Report {
        self.report
    }

    /// Begins a property; what follows is noted under its name.
    pub(crate) fn begin(&mut self, property: &'static str) {
        self.property = property;
    }

    /// Notes that the system declined `subject`.
    pub(crate) fn refuse(&mut self, subject: String, reason: Unsupported) {
        self.report.refused.push((subject, reason));
    }

    /// Runs `check` once and notes its mismatch, or its panic, if there is one.
    pub(crate) fn once(
        &mut self,
        subject: impl Into<String>,
        check: impl FnOnce() -> Result<(), Mismatch>,
    ) {
        self.report.checked += 1;
        if let Err(mismatch) = without_panic(check) {
            self.note(subject.into(), mismatch, None);
        }
    }

    /// Runs `check` on `cases` random cases and notes the smallest one that fails, if any does.
    pub(crate) fn search<S: Strategy>(
        &mut self,
        subject: impl Into<String>,
        cases: u32,
        strategy: &S,
        check: impl Fn(&S::Value) -> Result<(), Mismatch>,
    ) {
        self.report.checked += 1;
        let mut runner = TestRunner::new(Config {
            cases,
            rng_seed: RngSeed::Fixed(self.seed),
            failure_persistence: None,
            max_shrink_iters: 4_096,
            ..Config::default()
        });
        let outcome = runner.run(strategy, |case| {
            without_panic(|| check(&case)).map_err(|it| TestCaseError::fail(it.got))
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(reason, case)) => {
                // Once more for the exact words. A failure that depends on the timing of threads
                // may not come back; then what was seen the first time must do.
                let mismatch = without_panic(|| check(&case)).err().unwrap_or_else(|| {
                    Mismatch::new("the same answer every time", reason.message().to_owned())
                });
                self.note(subject.into(), mismatch, Some(format!("{case:?}")));
            }
            Err(TestError::Abort(reason)) => {
                panic!("the generator of cases gave up: {}", reason.message());
            }
        }
    }

    fn note(&mut self, subject: String, mismatch: Mismatch, case: Option<String>) {
        let Mismatch { expected, got } = mismatch;
        let (property, seed) = (self.property, self.seed);
        self.report.findings.push(Finding { property, subject, expected, got, case, seed });
    }
}

impl Default for Examination {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs one property as a test.
///
/// Panics when there is a finding, with the replay command, and when the system refused everything
/// and so nothing was shown. `test` is the path of the test, with its crate in front.
pub fn require(package: &str, test: &str, property: impl FnOnce(&mut Examination)) {
    let mut examination = Examination::new();
    let seed = examination.seed();
    property(&mut examination);
    let report = examination.into_report();
    let path = test.split_once("::").map_or(test, |(_crate, path)| path);
    assert!(
        report.findings.is_empty(),
        "{}\nreplay: SEED={seed} cargo test -p {package} {path}",
        report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
    assert!(report.checked > 0, "{path}: everything was refused: {:?}", report.refused);
}

/// Turns a panic of `check` into a mismatch, so that one defect does not hide the others.
fn without_panic(check: impl FnOnce() -> Result<(), Mismatch>) -> Result<(), Mismatch> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|cause| {
        Err(Mismatch::new("no panic", format!("a panic: {}", panic_message(&*cause))))
    })
}

fn panic_message(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

fn seed_from_environment() -> u64 {
    const DEFAULT: u64 = 0x5EED;
    let Ok(text) = std::env::var("SEED") else {
        return DEFAULT;
    };
    text.parse().unwrap_or_else(|_| panic!("SEED is {text:?}, but must be a decimal number"))
}
