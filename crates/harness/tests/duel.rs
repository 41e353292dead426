//! The duel's command line with contenders that crash, hang and panic in real child processes.
//!
//! This program is its own subject: with arguments it answers as a duel, without any it runs
//! itself in many ways and judges exit codes, output and files.

#![expect(clippy::print_stdout, reason = "it reports as a test runner does, and one actor babbles")]

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Output};

use env::fs::{Fs, FsExt, OsFs};
use harness::duel::{Contender, Line, Make, Subject, main as duel, serve};
use harness::record::Record;
use tempfile::TempDir;

/// What a subject does when it is asked to run.
#[derive(Clone, Copy)]
enum Conduct {
    Works,
    Panics,
    Aborts,
    Hangs,
    Babbles,
    Cheats,
}

/// Each keeps files in the temporary directory, as a store does.
struct Actor {
    conduct: Conduct,
    _files: TempDir,
}

impl Actor {
    fn subject(conduct: Conduct) -> Box<dyn Subject> {
        let files = tempfile::tempdir().expect("a folder can be made");
        OsFs.write_atomic(&files.path().join("data"), b"some").expect("there is room");
        Box::new(Self { conduct, _files: files })
    }
}

impl Subject for Actor {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        match self.conduct {
            Conduct::Panics => panic!("as planned"),
            Conduct::Aborts => std::process::abort(),
            Conduct::Hangs => std::thread::park(),
            Conduct::Babbles => println!("{{\"Ready\":0}}"),
            Conduct::Cheats => return operations + 1,
            Conduct::Works => {}
        }
        for step in 0..operations {
            black_box(step);
        }
        operations
    }
}

fn lines() -> Vec<Line> {
    fn actor(name: &'static str, make: Make) -> Contender {
        Contender { name, version: "0", ours: name == "ours", make }
    }
    let ours = || actor("ours", |_| Ok(Actor::subject(Conduct::Works)));
    let peer = || actor("peer", |_| Ok(Actor::subject(Conduct::Works)));
    let line = |workload, culprits: Vec<Contender>| {
        let contenders = std::iter::once(ours()).chain(culprits).chain(Some(peer()));
        Line::new("stage", workload, 1, contenders.collect())
    };
    vec![
        line("works/latency", vec![]).with_latency(100_000),
        line("works/separate", vec![]).separate(),
        line(ELSEWHERE, vec![]).served_by("ours", this_program().leak()),
        line("fails/nowhere", vec![]).served_by("ours", "/nowhere/host"),
        line("fails/apart", vec![]).separate().served_by("peer", "/nowhere/host"),
        line("fails/panics", vec![actor("panics", |_| Ok(Actor::subject(Conduct::Panics)))]),
        line("fails/aborts", vec![actor("aborts", |_| Ok(Actor::subject(Conduct::Aborts)))]),
        line("fails/hangs", vec![actor("hangs", |_| Ok(Actor::subject(Conduct::Hangs)))]),
        line("fails/cheats", vec![actor("cheats", |_| Ok(Actor::subject(Conduct::Cheats)))]),
        line("works/babbles", vec![actor("babbles", |_| Ok(Actor::subject(Conduct::Babbles)))]),
    ]
}

/// The line that is served by a program which does nothing else, and cannot do anything else.
const ELSEWHERE: &str = "works/elsewhere";

fn this_program() -> String {
    let program = std::env::current_exe().expect("this program exists");
    program.into_os_string().into_string().expect("its path is text")
}

fn main() -> ExitCode {
    if std::env::args().nth(3).is_some_and(|workload| workload == ELSEWHERE) {
        return serve(lines());
    }
    // What the test runner passes on (a filter, `--nocapture`) does not concern this test.
    if std::env::var_os("DUEL_STAGE").is_some() {
        return duel(lines(), Path::new(env!("CARGO_MANIFEST_DIR")));
    }
    let cases: &[(&str, fn())] = &[
        ("sound lines exit with 0 and are kept", sound_lines_are_kept),
        ("a culprit is out and the others are kept", culprits_are_out),
        ("a host that is not there is named", hosts_are_missed),
        ("a host by itself says what it is for", hosts_by_themselves),
        ("no child leaves files, however it ends", nothing_is_left),
        ("what is unknown exits with 2", unknown_names_exit_with_2),
        ("an unwritable file exits with 1 after the table", unwritable_file),
        ("a baseline is kept, held and missed", baselines),
        ("a reader that leaves stops nothing", readers_that_leave),
    ];
    for (name, case) in cases {
        case();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// Runs this program as a duel.
fn run(words: &str) -> Output {
    stage(words).output().expect("this program starts")
}

fn stage(words: &str) -> Command {
    let mut command = Command::new(this_program());
    command.args(words.split_whitespace()).env("DUEL_STAGE", "1");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The record that a run has written to `--json`.
fn record(output: &Output, path: &Path) -> Record {
    let bytes = OsFs.read(path).unwrap_or_else(|error| panic!("{error}\n{output:?}"));
    serde_json::from_slice(&bytes).expect("a record is JSON")
}

fn sound_lines_are_kept() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("record.json");
    let output = run(&format!("--workload works/ --json {}", path.display()));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let record = record(&output, &path);
    assert_eq!(record.mode, "smoke");
    let metrics = |workload: &str, metric: &str| {
        let rows = record.rows.iter();
        rows.filter(|row| row.workload == workload && row.metric == metric).count()
    };
    assert_eq!(metrics("works/latency", "p99"), 2);
    assert_eq!(metrics("works/separate", "peak_rss"), 2);
    assert_eq!(metrics(ELSEWHERE, "throughput"), 2);
    assert_eq!(metrics("works/babbles", "throughput"), 3, "output is no answer: {output:?}");
    assert!(text(&output.stdout).contains("ours"), "{output:?}");
}

fn culprits_are_out() {
    for (name, reason) in [
        ("panics", "as planned"),
        ("aborts", "signal"),
        ("hangs", "did not answer within 3 s"),
        ("cheats", "did other work"),
    ] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("record.json");
        // Who only panics may be slow to say so, on a busy machine.
        let limit = if name == "hangs" { "--limit 3" } else { "" };
        let words = format!("--workload fails/{name} {limit} --json {}", path.display());
        let output = run(&words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let record = record(&output, &path);
        assert_eq!(record.failures.len(), 1, "{:?}", record.failures);
        let failure = &record.failures[0];
        assert_eq!((failure.contender.as_str(), failure.fault), (name, true));
        assert!(failure.reason.contains(reason), "{failure:?}");
        let kept = record.ratios.iter().filter(|ratio| ratio.peer == "peer").count();
        assert!(kept > 0, "the peer's ratios are lost: {record:?}");
        assert!(text(&output.stdout).contains(reason), "the line does not say why: {output:?}");
    }
}

fn hosts_are_missed() {
    let output = run("--workload fails/nowhere");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("could not be started"), "{output:?}");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("record.json");
    let output = run(&format!("--workload fails/apart --json {}", path.display()));
    let record = record(&output, &path);
    let failed: Vec<_> = record.failures.iter().map(|it| it.contender.as_str()).collect();
    assert_eq!(failed, ["peer"], "the program of one is nothing to the other");
    assert!(record.rows.iter().any(|row| row.contender == "ours"), "{record:?}");
}

fn hosts_by_themselves() {
    for words in [format!("--bench stage {ELSEWHERE}"), format!("--serve nothing {ELSEWHERE} 1")] {
        let output = run(&words);
        assert_eq!(output.status.code(), Some(2), "{words}: {output:?}");
        assert!(!output.stderr.is_empty(), "{words}: {output:?}");
    }
}

fn nothing_is_left() {
    for workload in ["works/separate", "fails/panics", "fails/aborts", "fails/hangs"] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut command = stage(&format!("--workload {workload} --limit 1"));
        let output = command.env("TMPDIR", folder.path()).output().expect("this program starts");
        let left = OsFs.list(folder.path()).expect("the folder is there");
        assert!(left.is_empty(), "{workload}: {left:?}, {output:?}");
    }
}

fn unknown_names_exit_with_2() {
    for words in ["stgae", "--workload nothing", "--contender nobody", "--threads 9", "--fast"] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words}: {output:?}");
        assert!(output.stdout.is_empty(), "{words}: {output:?}");
        assert!(!output.stderr.is_empty(), "{words}: {output:?}");
    }
}

fn unwritable_file() {
    let output = run("--workload works/separate --json /proc/nowhere/record.json");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains("ours") && shown.contains("not kept"), "{shown}");
}

/// As `duel ... | head` does.
fn readers_that_leave() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("record.json");
    let measure = format!("--workload works/separate --json {}", path.display());
    for words in ["--list", &measure] {
        let (reader, writer) = std::io::pipe().expect("there are descriptors left");
        drop(reader);
        let output = stage(words).stdout(writer).output().expect("this program starts");
        assert_eq!(output.status.code(), Some(0), "{words}: {output:?}");
        if words == measure {
            assert!(!record(&output, &path).rows.is_empty(), "{output:?}");
        }
    }
}

fn baselines() {
    let held = run("--workload works/separate --save stage-test");
    assert_eq!(held.status.code(), Some(0), "{held:?}");
    let compared = run("--workload works/separate --baseline stage-test");
    assert!(text(&compared.stdout).contains("unchanged"), "{compared:?}");
    let missed = run("--workload works/separate --baseline no-such-record");
    assert_eq!(missed.status.code(), Some(1), "{missed:?}");
    assert!(text(&missed.stderr).contains("no-such-record"), "{missed:?}");
    let target = std::env::current_exe().expect("this program exists");
    let target = target.ancestors().nth(3).expect("it lies in target/<profile>/deps");
    let kept = target.join("strata/baselines/stage-test.json");
    OsFs.remove_file(&kept).expect("the record was kept");
}
