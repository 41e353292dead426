//! `cargo study`: learn by building, judged by the suites that judge the builds themselves.
//!
//! ```text
//!   catalogue  exercises/*/exercise.toml: stages, hints, what to read, planted bugs
//!   progress   .study/progress.json: which stages passed with which source, which hints were shown
//!   judge      builds the stages' tests, runs them confined, and tells what they said
//!   prose      docs/*/walkthrough.md and questions.md: what they cite and quote is the code's
//!   commands   one module each: list, next, hint, check, watch, bench, diff, quiz, tour, docs, ...
//! ```
//!
//! Learner's code is never run in this process: it may hang, crash or eat memory, and then a child
//! is killed and the verdict says so.

#[macro_use]
mod screen;

mod catalogue;
mod citation;
mod command;
mod confine;
mod error;
mod estimate;
mod figures;
mod judge;
mod progress;
mod prose;
mod questions;
mod site;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::catalogue::Catalogue;
use crate::error::Error;
use crate::progress::Progress;
use crate::screen::Screen;

/// Learn systems by building them, one stage at a time.
///
/// Without a command: watches the file of the current exercise and judges it whenever you save.
#[derive(Debug, Parser)]
#[command(name = "cargo study", bin_name = "cargo study", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Shows all builds and stages, and how far you are.
    List,
    /// Says what to do next; with a build, begins to work on that one.
    Next {
        /// The build to work on: see `list`.
        build: Option<String>,
    },
    /// Shows the next hint for the current stage.
    Hint,
    /// Judges the current stage once.
    Check {
        /// Judges this stage of the current build instead.
        #[arg(long)]
        stage: Option<u32>,
    },
    /// Judges what you call `Yours` and measures it beside ours and the peers.
    Bench {
        /// Passed on to the comparison, such as `--workload read-only --threads 2`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        duel: Vec<String>,
    },
    /// Compares your file with the teaching solution, once a stage has passed.
    Diff,
    /// Throws your file away and begins the current exercise anew.
    Reset {
        /// Says that you mean it.
        #[arg(long)]
        yes: bool,
    },
    /// Asks questions of interviews, those that you did not know more often.
    Quiz {
        /// Questions of this build only.
        build: Option<String>,
        /// Writes all questions as tab-separated text for Anki instead.
        #[arg(long)]
        export: bool,
    },
    /// Walks through the code of a build, stop by stop.
    Tour {
        /// The build: one of `list`, or one that has a walkthrough in docs.
        build: String,
    },
    /// Writes the pieces of code, the figures and the estimates in the documents anew.
    Docs,
    /// Builds all documents as pages that open from disk, with a search.
    Site,
    /// For CI: stubs fail, solutions pass, planted bugs are found, citations are true.
    Verify {
        /// Only this build.
        build: Option<String>,
    },
    /// Runs a program with limits; for this tool itself.
    #[command(hide = true)]
    Confined {
        /// Address space in bytes.
        memory: u64,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<String>,
    },
}

/// What every command needs.
struct Study {
    root: PathBuf,
    catalogue: Catalogue,
    progress: Progress,
    screen: Screen,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Task::Confined { memory, program }) => Err(confine::become_confined(memory, &program)),
        command => run(command),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen::complain(&error);
            ExitCode::from(2)
        }
    }
}

/// Runs a command; whether what it looked at is as it should be.
fn run(task: Option<Task>) -> Result<bool, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut study = Study {
        catalogue: Catalogue::read(&root)?,
        progress: Progress::read(&root)?,
        screen: Screen::of_this_terminal(),
        root,
    };
    match task {
        None => command::watch(&mut study),
        Some(Task::List) => command::list(&study),
        Some(Task::Next { build }) => command::next(&mut study, build.as_deref()),
        Some(Task::Hint) => command::hint(&mut study),
        Some(Task::Check { stage }) => command::check(&mut study, stage),
        Some(Task::Bench { duel }) => command::bench(&mut study, &duel),
        Some(Task::Diff) => command::diff(&study),
        Some(Task::Reset { yes }) => command::reset(&mut study, yes),
        Some(Task::Quiz { build, export: true }) => command::export(&study, build.as_deref()),
        Some(Task::Quiz { build, export: false }) => command::quiz(&mut study, build.as_deref()),
        Some(Task::Tour { build }) => command::tour(&study, &build),
        Some(Task::Docs) => command::docs(&study),
        Some(Task::Site) => command::site(&study),
        Some(Task::Verify { build }) => verify::verify(&study, build.as_deref()),
        Some(Task::Confined { .. }) => unreachable!("it was dealt with before"),
    }
}
