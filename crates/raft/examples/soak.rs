//! The simulation, for as long as you like.
//!
//! ```text
//!   cargo run --profile release-checked -p raft@0.0.0 --example soak -- --seeds 100000 [--from 0]
//!                                   [--mix three] [--seconds 450] [--trace]
//! ```
//!
//! It plays the mixes of `src/tests/simulation.rs`, one after the other, a seed each, on all cores.
//! Every two seconds a line says how far it is; at the end come the faults of each kind and the
//! states of the protocol that were seen. A run that fails ends it, with the commit, the command
//! that plays it again, and the lines of its script that it does not fail without. With `--trace`
//! each run prints its hash, and is played twice.

#[path = "../src/tests"]
mod tests {
    pub(crate) mod simulation;
}

/// What the simulation takes from the crate by inner paths.
mod storage {
    pub(crate) use raft::Storage;
}

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use env::clock::{Clock, MonotonicClock};
use harness::sim::{Coverage, shrink};
#[expect(
    clippy::wildcard_imports,
    reason = "the simulation finds the crate's names at its root"
)]
use raft::*;
use tests::simulation::{Mix, Seen};

/// What is asked for.
#[derive(Clone)]
struct Options {
    from: u64,
    seeds: u64,
    mix: Option<Mix>,
    seconds: u64,
    is_traced: bool,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { from: 0, seeds: 10_000, mix: None, seconds: u64::MAX, is_traced: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--trace" {
            options.is_traced = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{word} {value}: that is no number"));
        match word.as_str() {
            "--from" => options.from = number()?,
            "--seeds" => options.seeds = number()?,
            "--seconds" => options.seconds = number()?,
            "--mix" => {
                let found = Mix::ALL.iter().copied().find(|mix| mix.name() == value);
                options.mix = Some(found.ok_or_else(|| format!("there is no mix {value}"))?);
            }
            _ => return Err(format!("there is no option {word}")),
        }
    }
    Ok(options)
}

/// What all runs came to.
#[derive(Default)]
struct Total {
    runs: u64,
    steps: u64,
    elections: u64,
    entries: u64,
    faults: Coverage,
    states: BTreeMap<Seen, u64>,
}

struct Failure {
    seed: u64,
    mix: Mix,
    what: String,
}

struct Soak {
    options: Options,
    next: AtomicU64,
    is_over: AtomicBool,
    total: Mutex<Total>,
    failure: Mutex<Option<Failure>>,
}

impl Soak {
    fn mix(&self, seed: u64) -> Mix {
        let drawn = Mix::ALL[usize::try_from(seed % Mix::ALL.len() as u64).expect("it is small")];
        self.options.mix.unwrap_or(drawn)
    }

    /// Plays seeds until there are none, or one has failed.
    fn play(&self) {
        let end = self.options.from.saturating_add(self.options.seeds);
        while !self.is_over.load(Ordering::Relaxed) {
            // Relaxed: each number is drawn once, and nothing else is shared.
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            if let Err(what) = self.play_one(seed) {
                self.is_over.store(true, Ordering::Relaxed);
                let mix = self.mix(seed);
                let mut failure = self.failure.lock().expect("nobody panics with it");
                failure.get_or_insert(Failure { seed, mix, what });
            }
        }
    }

    fn play_one(&self, seed: u64) -> Result<(), String> {
        let mix = self.mix(seed);
        let script = mix.swarm().draw(seed);
        let run = || mix.observe(seed, &script);
        let outcome = catch_unwind(AssertUnwindSafe(run)).map_err(|_| "it panics".to_owned())?;
        if self.options.is_traced {
            let again = mix.observe(seed, &script).trace;
            let (hash, lines) = (outcome.trace.hash(), outcome.trace.lines());
            say(&format!("seed {seed} {} {hash:016x} {lines} lines", mix.name()));
            if again.hash() != hash || again.lines() != lines {
                return Err("two runs of it differ".to_owned());
            }
        }
        let mut total = self.total.lock().expect("nobody panics with it");
        total.runs += 1;
        total.steps += outcome.steps;
        total.elections += outcome.elections;
        total.entries += outcome.committed as u64;
        total.faults.merge(&outcome.trace.coverage());
        for state in outcome.states {
            *total.states.entry(state).or_default() += 1;
        }
        outcome.verdict
    }

    fn line(&self, seconds: u64) -> String {
        let total = self.total.lock().expect("nobody panics with it");
        let kinds = harness::sim::Fault::ALL.len() - total.faults.missing().len();
        format!(
            "{seconds:>5} s  {:>7} seeds  {:>11} steps  {:>7} elections  {:>8} entries  {kinds} \
             kinds of faults  {} states",
            total.runs,
            total.steps,
            total.elections,
            total.entries,
            total.states.len()
        )
    }
}

/// Shows a failure with a script that is as short as can be.
fn show(failure: &Failure) {
    let Failure { seed, mix, what } = failure;
    let drawn = mix.swarm().draw(*seed);
    let fails = |script: &harness::sim::Script| {
        let run = AssertUnwindSafe(|| mix.observe(*seed, script).verdict);
        catch_unwind(run).map_or(true, |verdict| verdict.is_err())
    };
    let script = shrink(&drawn, fails);
    let commit = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let commit = commit.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    let (kept, lines) = (script.lines.len(), drawn.lines.len());
    say(&format!(
        "FAILED: {what}\ncommit {commit}\nseed {seed} of mix {name}; again: cargo run --profile \
         release-checked -p raft@0.0.0 --example soak -- --from {seed} --seeds 1 --mix {name}\n\
         it fails under {kept} of the {lines} lines of its script:\n{script}",
        name = mix.name()
    ));
}

fn say(line: &str) {
    // Who does not listen misses it.
    writeln!(io::stdout(), "{line}").ok();
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(reason) => {
            writeln!(io::stderr(), "soak: {reason}").ok();
            return ExitCode::from(2);
        }
    };
    let (next, total, failure) = (AtomicU64::new(options.from), Mutex::default(), Mutex::default());
    let soak = Soak { options, next, is_over: AtomicBool::new(false), total, failure };
    let clock = MonotonicClock::new();
    let begun = clock.now();
    let seconds = || clock.now().saturating_since(begun).as_secs();
    let players = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        let (done, dones) = channel::<()>();
        for _ in 0..players {
            let (soak, done) = (&soak, done.clone());
            scope.spawn(move || {
                soak.play();
                drop(done);
            });
        }
        drop(done);
        while dones.recv_timeout(Duration::from_secs(2)) == Err(RecvTimeoutError::Timeout) {
            say(&soak.line(seconds()));
            if seconds() >= soak.options.seconds {
                soak.is_over.store(true, Ordering::Relaxed);
            }
        }
    });
    say(&soak.line(seconds()));
    let next = soak.next.load(Ordering::Relaxed);
    let total = soak.total.lock().expect("nobody panics with it");
    say(&format!("{}\nstates of servers, and in how many runs:", total.faults));
    for (state, runs) in &total.states {
        say(&format!("{runs:>9}  {state}"));
    }
    drop(total);
    let failure = soak.failure.lock().expect("nobody panics with it");
    if let Some(failure) = &*failure {
        show(failure);
        return ExitCode::FAILURE;
    }
    say(&format!("no violation; the next seed is {next}"));
    ExitCode::SUCCESS
}
