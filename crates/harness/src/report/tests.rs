//! The golden record and all that is made of it.
//!
//! `UPDATE=1 cargo test -p harness --features duel report` writes the golden files anew; the diff
//! is what a change does to the reader.

use std::path::PathBuf;

use super::page::Link;
use super::terminal::Terminal;
use super::{page, parse, plots, terminal};
use crate::record::Record;

mod hostile;
mod markup;
mod truth;

/// A record of twelve workloads, two numbers of threads and five contenders. Its figures are made
/// up: nothing was measured.
pub(super) fn golden() -> Record {
    parse::record("golden.json", include_bytes!("tests/golden.json")).expect("it is a record")
}

/// A third of it, whose table, page and plots are golden: enough to hold every kind of thing.
fn part() -> Record {
    let mut record = golden();
    let kept = |workload: &str| {
        ["direct/deny", "keyed/1M/zipf", "wait/burst/1k-waiters"].contains(&workload)
    };
    record.rows.retain(|row| kept(&row.workload));
    record.ratios.retain(|ratio| kept(&ratio.workload));
    record.failures.retain(|failure| kept(&failure.workload));
    record
}

/// Compares with a golden file, or writes it.
#[expect(clippy::disallowed_methods, reason = "golden files lie in the checkout, on a real disk")]
pub(super) fn assert_golden(name: &str, made: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/tests");
    let path = PathBuf::from(folder).join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).expect("the checkout can be written");
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = golden.lines().zip(made.lines()).position(|(golden, made)| golden != made);
    let line = differing.unwrap_or(golden.lines().count().min(made.lines().count())) + 1;
    assert!(golden == made, "{name} differs from line {line} on; UPDATE=1 writes it anew");
}

fn links() -> Vec<Link> {
    vec![Link {
        build: "rate-limiter".to_owned(),
        target: "../../docs/rate-limiter/walkthrough.md".to_owned(),
        text: "Walkthrough".to_owned(),
    }]
}

#[test]
fn the_table_is_golden() {
    assert_golden("golden.txt", &terminal::render(&part(), Terminal::PLAIN));
}

#[test]
fn the_page_is_golden() {
    assert_golden("golden.html", &page::render(&part(), &links()));
}

#[test]
fn the_plots_are_golden() {
    let files = plots::files(&part());
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    let kinds = ["ratios", "throughput", "latency", "memory"];
    assert_eq!(names, kinds.map(|kind| format!("{kind}-rate-limiter.svg")));
    for file in &files {
        assert_golden(&file.name, &file.svg);
    }
}
