//! The command line of the comparisons: `cargo bench --bench duel -- <build> ...`.
//!
//! A target under `benches/` brings the lines and calls [`main`]; everything a user can ask for is
//! here. What was measured is on disk after every line, so that an interrupted run keeps it.
//!
//! | exit code | means                                                                          |
//! |-----------|--------------------------------------------------------------------------------|
//! | 0         | everything was measured, on a quiet machine                                    |
//! | 1         | figures are missing, doubtful, worse than the baseline, or could not be written |
//! | 2         | the question was not understood; nothing was measured                          |
//!
//! # What this module does not do
//!
//! It does not measure (`rounds`), and it draws nothing ([`report`](crate::report)).

mod keep;
mod question;
mod run;

use std::ffi::OsString;
use std::io::stdout;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use self::keep::Keeper;
use super::host::{Children, refuse, serve_one};
use super::subject::Line;

/// Measures ours against the crates that people would otherwise pick, in paired rounds.
#[derive(Clone, Debug, Parser)]
#[command(name = "duel", bin_name = "cargo bench --bench duel --")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Arguments {
    /// Builds to measure; all of them when none is named.
    builds: Vec<String>,
    /// Measure as long as a ratio needs to repeat; the default.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Measure longer, for figures to publish.
    #[arg(long)]
    full: bool,
    /// Only workloads whose path contains this.
    #[arg(long, value_name = "PATTERN")]
    workload: Option<String>,
    /// Only these contenders, and ours.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    contender: Vec<String>,
    /// Only these numbers of threads.
    #[arg(long, value_name = "1,2", value_delimiter = ',')]
    threads: Vec<usize>,
    /// About this many rounds for each line.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// How long a contender may take for one step before it counts as hung.
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
    /// Also write the record to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also keep the record under this name, for `--baseline`.
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Compare with the record kept under this name.
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Say what there is to measure, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Given by cargo when it runs benchmarks rather than tests.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the host of a line.
    #[arg(long, hide = true, num_args = 3, value_names = ["BUILD", "WORKLOAD", "THREADS"])]
    serve: Option<Vec<String>>,
}

/// Answers the command line of this process about `lines`. `root` is the checkout that is measured.
///
/// Run by `cargo test` it does everything once, in smoke size, and says so.
pub fn main(lines: Vec<Line>, root: &Path) -> ExitCode {
    answer(std::env::args_os(), lines, root)
}

fn answer(words: impl IntoIterator<Item = OsString>, lines: Vec<Line>, root: &Path) -> ExitCode {
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where nobody can read the message, the exit code still says it.
            let _unread = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Some(identity) = &arguments.serve {
        return serve_one(identity, lines);
    }
    let lines = match question::select(&arguments, lines) {
        Ok(lines) => lines,
        Err(misunderstood) => return refuse(&misunderstood.to_string()),
    };
    if arguments.list {
        // Who reads only the first lines, as `head` does, has what he wanted.
        let _unread = question::list(&lines, &mut stdout().lock());
        return ExitCode::SUCCESS;
    }
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return refuse(&format!("this program cannot find itself: {error}")),
    };
    let target = target_of(&program).unwrap_or_else(|| root.join("target"));
    let mut keeper = Keeper::new(root, &target, !arguments.bench);
    run::run(&arguments, &lines, &mut keeper, &Children::of(program))
}

/// The folder of build outputs, from `<target>/<profile>/deps/<program>`.
fn target_of(program: &Path) -> Option<PathBuf> {
    let profile = program.parent().filter(|folder| folder.ends_with("deps"))?.parent()?;
    profile.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests;
