//! Where subjects live, and how to talk to them.
//!
//! A *host* holds the subjects of a line and answers one [`Request`] at a time. A subject is code
//! that may panic, hang, exhaust memory or bring its process down, and a comparison must survive
//! all of that. So the host of a real run is a child process: this program, started once more with
//! [`SERVE`], reading requests from its standard input and writing answers to its standard output,
//! a line of JSON each. A child that does not answer in time is killed.
//!
//! A child never ends by itself, so what it would tidy up in the end stays. Its temporary directory
//! is one that the parent made for it, and removes when the child is gone, however it went.
//!
//! ```text
//!   rounds ---- Request ---> Child (parent's end) ==== pipe ====> serve ---> Local ---> subjects
//!          <--- Response --              time limit            in the child
//! ```
//!
//! # What this module does not do
//!
//! It decides nothing: who is asked for what and when is up to `rounds`.

use std::io::{self, BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::io::dup;
use rustix::stdio::{dup2_stdout, stderr, stdout};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::machine::memory;
use super::pass::{Charge, Latency, Sample, paced, timed};
use super::subject::{Isolation, Line, OwnFigures, Subject};
use crate::workload::Size;

/// The hidden argument that turns this program into the host of a line.
pub(super) const SERVE: &str = "--serve";

/// What can be asked of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Make a fresh subject for this contender.
    SetUp { contender: String, size: Size },
    /// One timed pass.
    Run { contender: String, round: u64, operations: u64 },
    /// One paced pass.
    Pace { contender: String, rate: u64, length_ns: u64 },
    /// What the subject has measured of itself.
    OwnFigures { contender: String },
    /// What the process weighs; only meaningful where it holds one subject.
    Weigh { contender: String },
}

/// What a host answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Response {
    Ready,
    Ran(Sample),
    Paced(Latency),
    Measured(OwnFigures),
    Weighs(Weight),
    /// The contender cannot go on, and whether that is a fault.
    Out {
        reason: String,
        fault: bool,
    },
}

/// What a process with one subject weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Weight {
    /// The most memory that was resident at once, in bytes.
    pub(super) peak_rss: f64,
    /// What the set-up added to the resident memory, by the entry.
    pub(super) bytes_per_entry: Option<f64>,
    /// What the process wrote to files since it began.
    pub(super) bytes_written: f64,
}

/// Why a host is no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lost {
    #[error("did not answer within {} s and was stopped", .0.as_secs())]
    Hung(Duration),
    #[error("brought its process down ({0})")]
    Crashed(String),
    #[error("its process could not be started: {0}")]
    NotStarted(String),
}

/// Holds subjects and answers requests.
pub(super) trait Host {
    /// Gives a request early, if the host can: it works on it, and the next call, which must be for
    /// the same, waits for the answer. So several hosts work at once.
    fn begin(&mut self, _: &Request) {}

    fn call(&mut self, request: &Request, limit: Duration) -> Result<Response, Lost>;
}

/// Makes hosts.
pub(super) trait Hosting {
    /// A host for a contender of a line, and for those who share a process with it.
    fn host(&self, line: &Line, contender: &str) -> Result<Box<dyn Host>, Lost>;
}

/// Subjects in this very process: what a child runs, and what tests use.
pub(super) struct Local {
    line: Line,
    subjects: Vec<(String, Box<dyn Subject>)>,
    anonymous_before: u64,
}

impl Local {
    pub(super) fn new(line: Line) -> Self {
        Self { line, subjects: Vec::new(), anonymous_before: memory().anonymous }
    }

    fn answer(&mut self, request: &Request) -> Response {
        match request {
            Request::SetUp { contender, size } => self.set_up(contender, *size),
            Request::Run { contender, round, operations } => {
                let charge = match self.line.isolation {
                    Isolation::Shared => Charge::Threads,
                    Isolation::Separate => Charge::Process,
                };
                let threads = self.line.threads;
                self.with(contender, |subject| {
                    Response::Ran(timed(subject, threads, *round, *operations, charge))
                })
            }
            Request::Pace { contender, rate, length_ns } => {
                let (threads, length) = (self.line.threads, Duration::from_nanos(*length_ns));
                self.with(contender, |subject| {
                    Response::Paced(paced(subject, threads, *rate, length))
                })
            }
            Request::OwnFigures { contender } => {
                self.with(contender, |subject| Response::Measured(subject.own_figures()))
            }
            Request::Weigh { contender } => {
                let before = self.anonymous_before;
                self.with(contender, |subject| Response::Weighs(weigh(subject, before)))
            }
        }
    }

    fn set_up(&mut self, name: &str, size: Size) -> Response {
        self.subjects.retain(|(held, _)| held != name);
        let Some(contender) = self.line.contender(name) else {
            return fault(format!("this line has no contender {name:?}"));
        };
        match catch_unwind(|| (contender.make)(size)) {
            Ok(Ok(subject)) => {
                self.subjects.push((name.to_owned(), subject));
                Response::Ready
            }
            Ok(Err(unsupported)) => Response::Out { reason: unsupported.0, fault: false },
            Err(panic) => fault(format!("panicked while it was set up: {}", message(&*panic))),
        }
    }

    fn with(&mut self, name: &str, ask: impl FnOnce(&dyn Subject) -> Response) -> Response {
        let Some((_, subject)) = self.subjects.iter().find(|(held, _)| held == name) else {
            return fault(format!("{name:?} was asked for before it was set up"));
        };
        // After a panic the subject is never asked again, so that none of it need be whole.
        catch_unwind(AssertUnwindSafe(|| ask(&**subject))).unwrap_or_else(|panic| {
            fault(format!("panicked while it was measured: {}", message(&*panic)))
        })
    }
}

impl Host for Local {
    fn call(&mut self, request: &Request, _: Duration) -> Result<Response, Lost> {
        Ok(self.answer(request))
    }
}

/// Hosts that are no child processes.
pub(super) struct InThisProcess;

impl Hosting for InThisProcess {
    fn host(&self, line: &Line, _: &str) -> Result<Box<dyn Host>, Lost> {
        Ok(Box::new(Local::new(line.clone())))
    }
}

fn weigh(subject: &dyn Subject, anonymous_before: u64) -> Weight {
    let now = memory();
    let grown = now.anonymous.saturating_sub(anonymous_before) as f64;
    Weight {
        peak_rss: now.peak_rss as f64,
        bytes_per_entry: subject.entries().map(|entries| grown / entries.max(1) as f64),
        bytes_written: now.written as f64,
    }
}

fn fault(reason: String) -> Response {
    Response::Out { reason, fault: true }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Hosts in child processes: of this program, or of those that a line names.
pub(super) struct Children {
    program: PathBuf,
}

impl Children {
    /// Children that run `program`, which understands [`SERVE`].
    pub(super) fn of(program: PathBuf) -> Self {
        Self { program }
    }
}

impl Hosting for Children {
    fn host(&self, line: &Line, contender: &str) -> Result<Box<dyn Host>, Lost> {
        let not_started = |error: io::Error| Lost::NotStarted(error.to_string());
        let scratch = tempfile::tempdir().map_err(not_started)?;
        let own = line.programs.iter().find(|(name, _)| *name == contender);
        let program = own.map_or(&*self.program, |(_, program)| Path::new(program));
        let mut process = Command::new(program)
            .args([SERVE, line.build, line.workload, &line.threads.to_string()])
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        let requests = process.stdin.take().expect("it was piped");
        let output = BufReader::new(process.stdout.take().expect("it was piped"));
        let (sender, answers) = channel();
        thread::spawn(move || {
            // Ends with the child, or when nobody listens any more.
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Box::new(Child { process, requests, answers, has_begun: false, _scratch: scratch }))
    }
}

/// The parent's end of a child process.
struct Child {
    process: std::process::Child,
    requests: ChildStdin,
    answers: Receiver<String>,
    /// Whether it was given the request of the next call.
    has_begun: bool,
    /// What the child takes for the temporary directory. Removed after the child has ended.
    _scratch: TempDir,
}

impl Child {
    fn crashed(&mut self) -> Lost {
        match self.process.wait() {
            Ok(status) => Lost::Crashed(status.to_string()),
            Err(error) => Lost::Crashed(error.to_string()),
        }
    }

    /// Whether it took the request.
    fn send(&mut self, request: &Request) -> bool {
        let mut line = serde_json::to_string(request).expect("requests are plain data");
        line.push('\n');
        self.requests.write_all(line.as_bytes()).is_ok()
    }
}

impl Host for Child {
    fn begin(&mut self, request: &Request) {
        self.has_begun = self.send(request);
    }

    fn call(&mut self, request: &Request, limit: Duration) -> Result<Response, Lost> {
        if !std::mem::take(&mut self.has_begun) && !self.send(request) {
            return Err(self.crashed());
        }
        match self.answers.recv_timeout(limit) {
            Ok(answer) => serde_json::from_str(&answer)
                .map_err(|error| Lost::Crashed(format!("it answered {answer:?}: {error}"))),
            Err(RecvTimeoutError::Timeout) => Err(Lost::Hung(limit)),
            Err(RecvTimeoutError::Disconnected) => Err(self.crashed()),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Whether it had ended by itself or not, it is gone and reaped afterwards.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// The whole of a program that only serves lines: see [`Line::served_by`].
///
/// The duel starts it, and says in its arguments which of `lines` it is to serve.
pub fn serve(lines: Vec<Line>) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        Some((first, identity)) if first == SERVE && identity.len() == 3 => {
            serve_one(identity, lines)
        }
        _ => refuse("this program serves `cargo bench --bench duel`, which starts it"),
    }
}

/// Serves the line of this build, workload and number of threads.
pub(super) fn serve_one(identity: &[String], lines: Vec<Line>) -> ExitCode {
    let named = |line: &Line| {
        identity[0] == line.build
            && identity[1] == line.workload
            && identity[2] == line.threads.to_string()
    };
    let Some(line) = lines.into_iter().find(named) else {
        return refuse(&format!("there is no line {identity:?}"));
    };
    match answer_all(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&format!("the parent is gone: {error}")),
    }
}

/// Says why nothing is done.
pub(super) fn refuse(message: &str) -> ExitCode {
    // Where nobody can read the message, the exit code still says it.
    let _unread = writeln!(io::stderr(), "{message}");
    ExitCode::from(2)
}

/// Serves `line` on standard input and output until the input ends.
///
/// What a contender prints goes to standard error, so that it cannot be mistaken for an answer.
fn answer_all(line: Line) -> io::Result<()> {
    let mut answers = io::PipeWriter::from(dup(stdout())?);
    dup2_stdout(stderr())?;
    let mut host = Local::new(line);
    for request in io::stdin().lock().lines() {
        let response = match serde_json::from_str(&request?) {
            Ok(request) => host.answer(&request),
            Err(error) => fault(format!("a request that is none: {error}")),
        };
        let mut answer = serde_json::to_string(&response).expect("responses are plain data");
        answer.push('\n');
        answers.write_all(answer.as_bytes())?;
    }
    Ok(())
}
