//! Measured figures in documents, which are those of the record.
//!
//! ```text
//!   1.39<!-- ratio hashmap read-only/u64/uniform/1k 2 hashmap-word -->
//!        what stands before it is the ratio of throughput, ours to the best peer of that line:
//!        build, workload, threads, which of ours
//! ```
//!
//! `cargo study docs` writes the number, `cargo study verify` compares it, so that a new record
//! makes old figures stale.

use std::path::Path;

use env::fs::{FsExt, OsFs};
use serde_json::Value;

const MARK: &str = "<!-- ratio ";

/// A text with its figures as the record has them, or what is wrong with one.
pub(crate) fn refreshed(root: &Path, text: &str) -> Result<String, String> {
    if !text.contains(MARK) {
        return Ok(text.to_owned());
    }
    let record = record(root)?;
    let mut pieces = text.split(MARK);
    let mut fresh = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (line, rest) = piece.split_once(" -->").ok_or("a `ratio` has no end")?;
        let ratio = ratio(&record, line).ok_or(format!("the record has no ratio {line}"))?;
        let is_figure = |it: char| it.is_ascii_digit() || it == '.';
        fresh.truncate(fresh.trim_end_matches(is_figure).len());
        fresh.extend([&format!("{ratio:.2}"), MARK, line, " -->", rest]);
    }
    Ok(fresh)
}

/// What was measured and published.
pub(crate) fn record(root: &Path) -> Result<Value, String> {
    let path = root.join("docs/results/results.json");
    let record = OsFs.read_to_string(&path).map_err(|error| error.to_string())?;
    serde_json::from_str(&record).map_err(|error| error.to_string())
}

/// The ratio of a line: build, workload, threads, and which of ours.
fn ratio(record: &Value, line: &str) -> Option<f64> {
    let words: Vec<&str> = line.split(' ').collect();
    let [build, workload, threads, ours] = words[..] else { return None };
    let threads: u64 = threads.parse().ok()?;
    let is_it = |it: &&Value| {
        it["build"] == build
            && it["workload"] == workload
            && it["threads"] == threads
            && it["ours"] == ours
            && it["metric"] == "throughput"
            && it["best_peer"] == true
    };
    record["ratios"].as_array()?.iter().find(is_it)?["ratio"].as_f64()
}
