//! What the tests of a stage say about a source.
//!
//! A stage is a module of the exercise's tests. It is run twice: as it is, with real threads, and
//! built for shuttle, which switches threads at every access. The second run is not made where the
//! first one failed.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::catalogue::Exercise;
use crate::confine::{self, Ended, How, Limits};
use crate::error::Error;

/// What the tests of a stage may use. They take a second or two.
const LIMITS: Limits = Limits { time: Duration::from_secs(40), memory: 8 << 30 };

/// What a stub says when it is called.
const NOT_WRITTEN: &str = "is not written yet";

/// Which source is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    Learner,
    Solution,
    /// The file at this path, with a planted bug.
    Mutant(&'a Path),
}

/// Who chooses the order of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Explorer {
    Machine,
    Shuttle,
}

/// What was found out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// So many tests passed.
    Passed(usize),
    /// Something is not written yet; what the stub says.
    NotWritten(String),
    /// These tests failed.
    Failed(Vec<Failure>),
    /// It took too long, or brought its process down; which test was at work.
    Stopped { how: How, test: Option<String> },
    /// It does not compile; what the compiler says.
    NoProgram(String),
}

/// A test that failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) test: String,
    /// What is to be known about it, without a backtrace.
    pub(crate) message: String,
    is_stub: bool,
}

impl Verdict {
    pub(crate) fn is_passed(&self) -> bool {
        matches!(self, Self::Passed(_))
    }
}

/// Judges the tests whose names begin with `module`, under both explorers.
pub(crate) fn judge(
    root: &Path,
    exercise: &Exercise,
    module: &str,
    source: Source<'_>,
) -> Result<Verdict, Error> {
    // Both are built at once: what one of them does on one processor leaves the others idle.
    let explored = Build::begin(root, exercise, source, Explorer::Shuttle)?;
    let first = judge_under(root, exercise, module, source, Explorer::Machine)?;
    let Verdict::Passed(tests) = first else { return Ok(first) };
    Ok(match explored.judge(module, None)? {
        Verdict::Passed(more) => Verdict::Passed(tests + more),
        other => other,
    })
}

/// The same under one of them.
pub(crate) fn judge_under(
    root: &Path,
    exercise: &Exercise,
    module: &str,
    source: Source<'_>,
    explorer: Explorer,
) -> Result<Verdict, Error> {
    Build::begin(root, exercise, source, explorer)?.judge(module, None)
}

/// The same with other seeds than usual: `1000..1200`.
#[cfg(test)]
pub(crate) fn judge_with(
    root: &Path,
    exercise: &Exercise,
    module: &str,
    source: Source<'_>,
    explorer: Explorer,
    seeds: &str,
) -> Result<Verdict, Error> {
    Build::begin(root, exercise, source, explorer)?.judge(module, Some(seeds))
}

/// Cargo at work on the program of an exercise's tests. Where nobody waits for it, it is stopped.
struct Build {
    /// The process, which leads a group.
    cargo: u32,
    /// Reads what cargo says, which would wait for a reader, and waits for its end.
    reader: Option<JoinHandle<io::Result<Output>>>,
}

impl Build {
    fn begin(
        root: &Path,
        exercise: &Exercise,
        source: Source<'_>,
        explorer: Explorer,
    ) -> Result<Self, Error> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.args(["test", "--quiet", "--no-run", "--message-format=json-render-diagnostics"]);
        command.args(["--test", "stages", "--package", &exercise.package()]);
        if explorer == Explorer::Shuttle {
            // In a folder of its own, so that the two builds do not push each other out.
            let folder = ["--target-dir", "target/study-shuttle"];
            command.env("RUSTFLAGS", "--cfg shuttle").args(folder);
        }
        match source {
            Source::Learner => {}
            Source::Solution => drop(command.args(["--features", "solution"])),
            Source::Mutant(path) => {
                command.args(["--features", "mutant"]).env("EXERCISE_SOURCE", path);
            }
        }
        let child = command.spawn().map_err(|it| of_cargo(&it))?;
        let cargo = child.id();
        Ok(Self { cargo, reader: Some(thread::spawn(|| child.wait_with_output())) })
    }

    /// Waits for the program and runs its tests whose names begin with `module`.
    fn judge(mut self, module: &str, seeds: Option<&str>) -> Result<Verdict, Error> {
        let reader = self.reader.take().expect("it is waited for once");
        let output = reader.join().expect("a reader does not panic").map_err(|it| of_cargo(&it))?;
        if !output.status.success() {
            let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
            return Ok(Verdict::NoProgram(complaints));
        }
        let Some(program) = executable(&String::from_utf8_lossy(&output.stdout)) else {
            let complaint = "cargo built the tests and does not say where they are";
            return Ok(Verdict::NoProgram(complaint.to_owned()));
        };
        // One test at a time, so that one that hangs is the one that was begun last.
        let tests = format!("{module}::");
        let arguments = [&tests, "--color=never", "--test-threads=1"].map(str::to_owned);
        let seeds = seeds.map(|it| ["env".to_owned(), format!("SEEDS={it}")]);
        let seeds = seeds.into_iter().flatten();
        let command: Vec<_> = seeds.chain([program]).chain(arguments).collect();
        Ok(read(&confine::run(&command, LIMITS)?))
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take().filter(|it| !it.is_finished()) {
            confine::kill_group(self.cargo);
            // What it said is of no interest any more.
            drop(reader.join());
        }
    }
}

fn of_cargo(error: &io::Error) -> Error {
    Error::Program { program: "cargo".to_owned(), reason: error.to_string() }
}

/// The program in cargo's messages, of which there is one.
fn executable(messages: &str) -> Option<String> {
    let mut parsed = messages.lines().filter_map(|it| serde_json::from_str(it).ok());
    parsed.find_map(|it: serde_json::Value| Some(it["executable"].as_str()?.to_owned()))
}

/// What the output of a test program comes to.
pub(crate) fn read(ended: &Ended) -> Verdict {
    let stopped = |how| Verdict::Stopped { how, test: running(&ended.output) };
    match ended.how {
        How::Success if ended.output.contains("test result: ok.") => {
            Verdict::Passed(names(&ended.output, "ok").count())
        }
        How::Failure => {
            let failures = failures(&ended.output);
            match failures.iter().find(|failure| failure.is_stub) {
                Some(stub) => Verdict::NotWritten(stub_of(&stub.message)),
                None if failures.is_empty() => stopped(How::Failure),
                None => Verdict::Failed(failures),
            }
        }
        // Whatever it was that ended a process in the middle of its tests, they did not pass.
        how => stopped(how),
    }
}

/// The names of the tests that ended in some way.
fn names<'o>(output: &'o str, ending: &str) -> impl Iterator<Item = &'o str> {
    let ending = format!(" ... {ending}");
    output.lines().filter_map(move |line| {
        let name = line.strip_prefix("test ")?.strip_suffix(&ending)?;
        Some(name.trim_end_matches(" - should panic"))
    })
}

/// A test that had begun when the program was stopped, if one can be told.
fn running(output: &str) -> Option<String> {
    let begun =
        output.lines().rev().find(|line| line.starts_with("test ") && !line.contains(" ... o"));
    let name = |line: &str| line["test ".len()..].split(" ... ").next().map(str::to_owned);
    begun.and_then(name)
}

/// The sections of the output that say why tests failed.
fn failures(output: &str) -> Vec<Failure> {
    let section = |test: &str| {
        let head = format!("---- {test} stdout ----");
        let body = output.split_once(&head).map_or("", |(_, rest)| rest);
        let end = body.find("\n---- ").or_else(|| body.find("\nfailures:")).unwrap_or(body.len());
        body[..end].to_owned()
    };
    let failure = |test: &str| {
        let section = section(test);
        let told: Vec<&str> = section.lines().filter(|line| !is_noise(line)).collect();
        let message = told.join("\n").trim().to_owned();
        Failure { test: test.to_owned(), is_stub: message.contains(NOT_WRITTEN), message }
    };
    names(output, "FAILED").map(failure).collect()
}

/// What the stub itself said, of a message that may have more in it.
fn stub_of(message: &str) -> String {
    let line = message.lines().find(|line| line.contains(NOT_WRITTEN)).unwrap_or(message);
    line.find("stage ").map_or(line, |start| &line[start..]).to_owned()
}

/// Lines that say where the panic machinery was, not what was wrong.
fn is_noise(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("thread '")
        || line.starts_with("note: ")
        || line.starts_with("stack backtrace:")
        || line.starts_with("test panicked")
}
