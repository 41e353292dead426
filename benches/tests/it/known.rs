//! What each contender fails in the suites, as data: `docs/results/conformance/<build>.json`.
//!
//! The file holds one entry for each property that a contender at its pinned version fails, with
//! the first finding as evidence. A test examines the contenders again and demands the same
//! properties, so that a finding that is new, or gone, shows itself. `UPDATE=1` writes the file
//! anew; its difference is then for a reviewer to judge.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};
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
        write(&path, &found);
    }
    let text = OsFs.read_to_string(&path).expect("the file is part of the repository");
    let known: Vec<Failure> = serde_json::from_str(&text).expect("the file is JSON");
    assert_eq!(
        names(&found),
        names(&known),
        "{} is no longer true; look, then run with UPDATE=1",
        path.display()
    );
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
    };
    first.map(failure).collect()
}

fn names(failures: &[Failure]) -> BTreeSet<String> {
    let name = |it: &Failure| format!("{} {} {}", it.contender, it.version, it.property);
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
