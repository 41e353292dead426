//! What each contender fails in the suites, as data: `docs/results/conformance/<build>.json`.
//!
//! The file holds one entry for each property that a contender at its pinned version fails, with
//! the first finding as evidence. A test examines the contenders again and demands the same
//! properties, so that a finding that is new, or gone, shows itself. What only shows where threads
//! happen to meet is marked `sometimes`, by hand: it may be found and need not be. `UPDATE=1`
//! writes the file anew and keeps such entries; the difference is then for a reviewer to judge.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use env::fs::{Fs, FsErrorKind, FsExt, OsFs};
use harness::check::suite::Report;
use serde::{Deserialize, Serialize};

/// A property that a contender fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Failure {
    contender: String,
    version: String,
    property: String,
    /// What was examined when it was found first: a quota, an option.
    subject: String,
    expected: String,
    got: String,
    /// Whether it takes threads that meet in an unlucky way.
    #[serde(default, skip_serializing_if = "is_false")]
    sometimes: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// One contender and what the suite has to say about it.
pub(crate) struct Examined {
    pub(crate) contender: &'static str,
    pub(crate) version: &'static str,
    pub(crate) report: Report,
}

/// Fails unless the contenders fail exactly what the file of `build` says.
pub(crate) fn require(build: &str, examined: &[Examined]) {
    let found: Vec<Failure> = examined.iter().flat_map(failures).collect();
    let path = file_of(build);
    if std::env::var_os("UPDATE").is_some() {
        let mut written = known(&path);
        written.retain(|it| it.sometimes);
        let kept = names(&written);
        written.extend(found.iter().filter(|it| !kept.contains(&name(it))).cloned());
        write(&path, &written);
    }
    let known = known(&path);
    let (may, must): (Vec<_>, Vec<_>) = known.into_iter().partition(|it| it.sometimes);
    let may = names(&may);
    let found = names(&found).into_iter().filter(|it| !may.contains(it)).collect::<BTreeSet<_>>();
    assert_eq!(
        found,
        names(&must),
        "{} is no longer true; look, then run with UPDATE=1",
        path.display()
    );
}

/// What the file says; nothing where there is none.
fn known(path: &Path) -> Vec<Failure> {
    match OsFs.read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).expect("the file is JSON"),
        Err(error) if error.kind == FsErrorKind::NotFound => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// The first finding of each property.
fn failures(examined: &Examined) -> Vec<Failure> {
    assert!(examined.report.checked > 0, "the suite judged nothing of {}", examined.contender);
    let mut seen = BTreeSet::new();
    let findings = examined.report.findings.iter();
    let first = findings.filter(|finding| seen.insert(finding.property));
    let failure = |finding: &harness::check::suite::Finding| Failure {
        contender: examined.contender.to_owned(),
        version: examined.version.to_owned(),
        property: finding.property.to_owned(),
        subject: finding.subject.clone(),
        expected: finding.expected.clone(),
        got: finding.got.clone(),
        sometimes: false,
    };
    first.map(failure).collect()
}

fn name(failure: &Failure) -> String {
    format!("{} {} {}", failure.contender, failure.version, failure.property)
}

fn names(failures: &[Failure]) -> BTreeSet<String> {
    failures.iter().map(name).collect()
}

fn file_of(build: &str) -> PathBuf {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    root.join("docs/results/conformance").join(format!("{build}.json"))
}

fn write(path: &Path, failures: &[Failure]) {
    let mut text = serde_json::to_string_pretty(failures).expect("failures are plain data");
    text.push('\n');
    OsFs.create_dir_all(path.parent().expect("it has a folder")).expect("docs can be written");
    OsFs.write_atomic(path, text.as_bytes()).expect("docs can be written");
}
