//! Estimates in documents: formulas whose results are written behind them, and recomputed.
//!
//! ~~~text
//!   ```estimate
//!   # a bin has a head and fourteen slots
//!   bin      = 32 + 14 * 16                                            -> 256 B
//!   bins     = power2(1e6 / 10.5)                                      -> 131,072
//!   entry    = bin * bins / 1e6                                        -> 33.6 B
//!   measured = measured(hashmap memory/u64/1M 1 hashmap bytes_per_entry) -> 34.6 B
//!   ratio    = measured / entry in 0.9..1.2                            -> 1.03
//!   ```
//!   ... takes **33.6 B**<!-- = entry --> for an entry ...
//! ~~~
//!
//! A mark of another document names that first: `<!-- = docs/hashmap/estimates.md#entry -->`.
//!
//! What stands behind an arrow, and what is bold before a mark, is written by `cargo study docs`
//! and compared by `cargo study verify`: a new record, or a number changed by hand, makes the
//! document stale. A result outside of `in low..high` is an error that no tool can renew: then the
//! estimate is wrong, or what it estimates has changed, and somebody must think.

mod formula;
mod unit;

use std::collections::BTreeMap;
use std::path::Path;

use env::fs::{FsExt, OsFs};
use serde_json::Value;

use crate::figures;

/// Columns of a line; one with more is broken behind its first sign.
const COLUMNS_MAX: usize = 100;
const BROKEN: &str = " =\n    ";

/// Results stand below each other behind formulas of up to this length.
const FORMULA_MAX: usize = 48;

const OPEN: &str = "```estimate\n";
const CLOSE: &str = "```";
const MARK: &str = "<!-- = ";

/// A text with its estimates computed from the record, or what is wrong with one.
pub(crate) fn refreshed(root: &Path, text: &str) -> Result<String, String> {
    if !text.contains(OPEN) && !text.contains(MARK) {
        return Ok(text.to_owned());
    }
    let record = figures::record(root)?;
    let mut sheet = Sheet { root, record: &record, values: BTreeMap::new() };
    let fresh = sheet.blocks(text)?;
    sheet.marks(&fresh)
}

/// The values that a document has so far, with how each is shown.
struct Sheet<'r> {
    root: &'r Path,
    record: &'r Value,
    values: BTreeMap<String, (f64, String)>,
}

/// One line: `name = formula [in low..high] -> result`.
struct Line<'t> {
    name: &'t str,
    formula: &'t str,
    range: Option<&'t str>,
    unit: &'t str,
}

impl<'t> Line<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        let (name, rest) = line.split_once(" = ")?;
        let (rest, result) = rest.split_once(" -> ")?;
        let (formula, range) = match rest.split_once(" in ") {
            Some((formula, range)) => (formula, Some(range.trim())),
            None => (rest, None),
        };
        let unit = result.trim().split_once(' ').map_or("", |(_, unit)| unit);
        Some(Self { name: name.trim(), formula: formula.trim(), range, unit })
    }
}

impl Sheet<'_> {
    /// A text with its blocks computed.
    fn blocks(&mut self, text: &str) -> Result<String, String> {
        let mut pieces = text.split(OPEN);
        let mut fresh = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let end = piece.find(CLOSE).ok_or("an estimate has no end")?;
            let (block, rest) = piece.split_at(end);
            fresh.extend([OPEN, &self.block(block)?, rest]);
        }
        Ok(fresh)
    }

    fn block(&mut self, block: &str) -> Result<String, String> {
        let mut rows = Vec::new();
        let block = block.replace(BROKEN, " = ");
        for text in block.lines() {
            if text.trim().is_empty() || text.starts_with('#') {
                rows.push(Err(text));
                continue;
            }
            let line = Line::parse(text)
                .ok_or_else(|| format!("{text:?} is not of the form `name = formula -> result`"))?;
            rows.push(Ok((line.name, self.compute(&line)?)));
        }
        let computed = || rows.iter().filter_map(|row| row.as_ref().ok());
        let names = computed().map(|row| row.0.chars().count()).max().unwrap_or(0);
        // A long formula puts its own result out of the row, and not all results off the page.
        let lengths = computed().map(|row| row.1.0.chars().count());
        let formulas = lengths.filter(|it| *it <= FORMULA_MAX).max().unwrap_or(0);
        let written = rows.iter().map(|row| match row {
            Err(text) => format!("{text}\n"),
            Ok((name, (formula, result))) => {
                let line = format!("{name:names$} = {formula:formulas$} -> {result}\n");
                let is_long = line.chars().count() > COLUMNS_MAX;
                if is_long { line.replacen(" = ", BROKEN, 1) } else { line }
            }
        });
        Ok(written.collect())
    }

    /// The formula of a line as it is written, and its result.
    fn compute(&mut self, line: &Line<'_>) -> Result<(String, String), String> {
        let Line { name, formula, range, unit } = *line;
        let wrong = |problem: String| format!("{name} = {formula}: {problem}");
        let value = formula::value(formula, &|it| self.known(it), &|it| self.measured(it));
        let value = value.map_err(wrong)?;
        let mut written = formula.to_owned();
        if let Some(range) = range {
            written = format!("{formula} in {range}");
            let (low, high) = bounds(range).ok_or_else(|| wrong(format!("no range: {range}")))?;
            if !(low..=high).contains(&value) {
                return Err(wrong(format!("{value:.3} is not in {range}: think again")));
            }
        }
        let shown = unit::shown(value, unit).map_err(wrong)?;
        if self.values.insert(name.to_owned(), (value, shown.clone())).is_some() {
            return Err(wrong("there is another one of this name".to_owned()));
        }
        Ok((written, shown))
    }

    fn known(&self, name: &str) -> Option<f64> {
        self.values.get(name).map(|(value, _)| *value)
    }

    /// The median of a row: build, workload, threads, contender, metric.
    fn measured(&self, row: &str) -> Option<f64> {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [build, workload, threads, contender, metric] = words[..] else { return None };
        let threads: u64 = threads.parse().ok()?;
        let is_it = |it: &&Value| {
            it["build"] == build
                && it["workload"] == workload
                && it["threads"] == threads
                && it["contender"] == contender
                && it["metric"] == metric
        };
        self.record["rows"].as_array()?.iter().find(is_it)?["median"].as_f64()
    }

    /// Writes the results into the running text, where it refers to them.
    fn marks(&self, text: &str) -> Result<String, String> {
        let mut pieces = text.split(MARK);
        let mut fresh = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) =
                piece.split_once(" -->").ok_or("a mark of an estimate has no end")?;
            let shown = self.shown(name)?;
            let start = fresh.strip_suffix("**").and_then(|it| it.rfind("**"));
            let start = start.ok_or_else(|| format!("nothing bold stands before {name}"))?;
            fresh.truncate(start);
            fresh.extend(["**", &shown, "**", MARK, name, " -->", rest]);
        }
        Ok(fresh)
    }

    /// A result of this document, or, as `path#name`, of another one.
    fn shown(&self, name: &str) -> Result<String, String> {
        let missing = || format!("nothing is called {name}");
        let Some((path, name)) = name.split_once('#') else {
            return self.values.get(name).map(|(_, shown)| shown.clone()).ok_or_else(missing);
        };
        let other = OsFs.read_to_string(&self.root.join(path)).map_err(|it| it.to_string())?;
        let mut sheet = Sheet { values: BTreeMap::new(), ..*self };
        sheet.blocks(&other)?;
        sheet.values.get(name).map(|(_, shown)| shown.clone()).ok_or_else(missing)
    }
}

fn bounds(range: &str) -> Option<(f64, f64)> {
    let (low, high) = range.split_once("..")?;
    Some((low.parse().ok()?, high.parse().ok()?))
}
