//! Runs a system under many random scripts, and makes the script of a failure short.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Script, Swarm};
use crate::check::replay;

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The seed of the world and of the script.
    pub seed: u64,
    /// How many seeds it took, this one included.
    pub runs: u64,
    /// The script, without every line that it fails without.
    pub script: Script,
    /// How many lines it had at first.
    pub lines_drawn: usize,
    /// What was wrong, under the shorter script.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.message)?;
        let (kept, drawn) = (self.script.lines.len(), self.lines_drawn);
        writeln!(f, "seed {} fails under {kept} of the {drawn} lines of its script:", self.seed)?;
        write!(f, "{}", self.script)
    }
}

/// Runs the seeds `0..count`, each under the script that `swarm` draws from it, until one fails;
/// for planted bugs, which must be found. A run fails by its result or by a panic.
pub fn hunt(
    count: u64,
    swarm: &Swarm,
    run: impl Fn(u64, &Script) -> Result<(), String>,
) -> Option<Finding> {
    (0..count).find_map(|seed| try_seed(seed, swarm, &run))
}

/// As [`hunt`] for a system that must not fail, with the seeds that the environment asks for; see
/// [`replay`]. `name` selects the test on the command line.
///
/// Panics with the finding, after a line that replays it.
pub fn survive(
    name: &str,
    count: u64,
    swarm: &Swarm,
    run: impl Fn(u64, &Script) -> Result<(), String>,
) {
    replay::with_seeds(name, count, |seed| {
        if let Some(finding) = try_seed(seed, swarm, &run) {
            panic!("{finding}");
        }
    });
}

fn try_seed(
    seed: u64,
    swarm: &Swarm,
    run: &impl Fn(u64, &Script) -> Result<(), String>,
) -> Option<Finding> {
    let drawn = swarm.draw(seed);
    let failure = |script: &Script| message(|| run(seed, script));
    let first = failure(&drawn)?;
    let script = shrink(&drawn, |script| failure(script).is_some());
    let message = failure(&script).unwrap_or(first);
    Some(Finding { seed, runs: seed + 1, script, lines_drawn: drawn.lines.len(), message })
}

/// Why a run failed; `None` where it did not.
fn message(run: impl FnOnce() -> Result<(), String>) -> Option<String> {
    // After a panic nothing that the run touched is used again.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.err(),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            Some(text.unwrap_or("a panic without a message").to_owned())
        }
    }
}

/// The script without lines that it fails without: first large parts of it are left out, then
/// smaller ones, until every single line is needed (after Zeller and Hildebrandt, "Simplifying and
/// isolating failure-inducing input", TSE 2002). `fails` is asked at most about `n^2` times.
#[must_use]
pub fn shrink(script: &Script, fails: impl Fn(&Script) -> bool) -> Script {
    let mut shortest = script.clone();
    let mut size = shortest.lines.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        let mut shrunk = false;
        while start < shortest.lines.len() {
            let shorter = shortest.without(|line| (start..start + size).contains(&line));
            if fails(&shorter) {
                shortest = shorter;
                shrunk = true;
            } else {
                start += size;
            }
        }
        // A line may have become needless by the loss of another.
        size = if shrunk && size == 1 { 1 } else { size / 2 };
    }
    shortest
}
