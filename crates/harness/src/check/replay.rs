//! Seeds: every random choice of a test follows from one number, and a failure names it.
//!
//! ```text
//!   cargo test                          each test runs its usual number of seeds: 0, 1, 2, ...
//!   SEEDS=10000 cargo test              more of them, at night
//!   SEEDS=10000..10200 cargo test       others
//!   SEED=17 cargo test -p lsm crash     exactly one: what a failure asks for
//! ```
//!
//! A failing run ends with such a line, ready to be pasted. Two things make it true: the test takes
//! no randomness but its seed, and the code under test takes time and files from `env`. Where real
//! threads race, a seed determines what they do but not who wins; [`schedule`](super::schedule)
//! closes that gap under shuttle.
//!
//! # What this module does not do
//!
//! It does not shrink: a seed is an address, not a size. Small cases come from small parameters.

use std::any::Any;
use std::env;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `test` with `count` seeds, or with those that the environment asks for. The first seed that
/// panics ends the run: its replay line is printed, and the panic goes on.
///
/// `name` selects the test on the command line; its path within the crate is best.
///
/// Panics with the panic of `test`, and where `SEED` or `SEEDS` is set to no number.
pub fn with_seeds(name: &str, count: u64, test: impl FnMut(u64)) {
    let (seed, seeds) = (env::var("SEED").ok(), env::var("SEEDS").ok());
    let range = seed_range(seed.as_deref(), seeds.as_deref(), count);
    if let Some(failure) = first_failure(range, test) {
        let command = command(name, Some(failure.seed));
        failure.report(&command);
    }
}

/// Runs `test` with the seeds `0..count`, whatever the environment says, until one panics.
///
/// This is for tests of tests: a planted bug must be found. The message of the panic still goes to
/// the output, where the test runner shows it only if the test fails.
pub fn find_failure(count: u64, test: impl FnMut(u64)) -> Option<Failure> {
    first_failure(0..count, test)
}

/// A seed whose run panicked.
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// How many runs it took to find it, this one included.
    pub runs: u64,
    payload: Box<dyn Any + Send>,
}

impl Failure {
    /// The message of the panic, where it has one.
    pub fn message(&self) -> &str {
        let text = self.payload.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| self.payload.downcast_ref::<&str>().copied()).unwrap_or("(no message)")
    }

    /// Prints the line that replays the failure and lets the panic go on.
    #[expect(clippy::print_stderr, reason = "the test runner captures it and shows it on failure")]
    pub(super) fn report(self, command: &str) -> ! {
        eprintln!("failed at run {}; replay: {command}", self.runs);
        resume_unwind(self.payload)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("seed", &self.seed)
            .field("runs", &self.runs)
            .field("message", &self.message())
            .finish_non_exhaustive()
    }
}

/// The command that runs the test `name` of the package under test, in this build's world.
pub(super) fn command(name: &str, seed: Option<u64>) -> String {
    // Cargo sets it while it runs a test.
    let package = env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "<package>".to_owned());
    let seed = seed.map(|seed| format!("SEED={seed} ")).unwrap_or_default();
    let (flags, target) = if cfg!(loom) {
        ("RUSTFLAGS=\"--cfg loom\" ", " --target-dir target/loom")
    } else if cfg!(shuttle) {
        ("RUSTFLAGS=\"--cfg shuttle\" ", " --target-dir target/shuttle")
    } else {
        ("", "")
    };
    format!("{seed}{flags}cargo test -p {package}{target} {name}")
}

fn first_failure(seeds: Range<u64>, mut test: impl FnMut(u64)) -> Option<Failure> {
    let first = seeds.start;
    seeds.into_iter().find_map(|seed| {
        // After a panic nothing that `test` touched is used again, so none of it need be whole.
        let payload = catch_unwind(AssertUnwindSafe(|| test(seed))).err()?;
        Some(Failure { seed, runs: seed - first + 1, payload })
    })
}

fn seed_range(seed: Option<&str>, seeds: Option<&str>, count: u64) -> Range<u64> {
    match (seed, seeds) {
        (Some(seed), _) => {
            let seed = number("SEED", seed);
            assert!(seed < u64::MAX, "SEED is {seed}, which is the one number that is no seed");
            seed..seed + 1
        }
        (None, Some(seeds)) => match seeds.split_once("..") {
            Some((first, end)) => number("SEEDS", first)..number("SEEDS", end),
            None => 0..number("SEEDS", seeds),
        },
        (None, None) => 0..count,
    }
}

fn number(variable: &str, text: &str) -> u64 {
    let digits = text.trim();
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    parsed.unwrap_or_else(|error| {
        panic!("{variable} is {text:?}, but it must be a number such as 17 or 0x11: {error}")
    })
}

#[cfg(test)]
mod tests;
