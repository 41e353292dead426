//! A record, sorted for showing: builds, their lines, and who stands where.
//!
//! ```text
//!   Record { rows, ratios, failures }          flat, in the order of measuring
//!      -> Build                                name, contenders with their roles, metrics
//!           -> Line (workload x threads)       its rows, ratios and failures
//!           -> Summary (ours x metric)         geometric mean against the best peer of each line
//! ```
//!
//! Builds and workloads keep the order in which the record names them; threads ascend. Ours comes
//! first among contenders. Everything borrows from the record, so that no figure can be made here
//! but the summaries.
//!
//! # What this module does not do
//!
//! It makes no text, and it does not judge who the best peer is: the record says so.

use std::collections::BTreeMap;

use super::figure;
use crate::record::{FailedLine, Ratio, Record, Row};

/// Contender of the learner.
const YOURS: &str = "yours";

/// One build.
#[derive(Debug)]
pub(super) struct Build<'a> {
    pub(super) name: &'a str,
    /// The name as part of a file's name or of an anchor; unlike that of any other build.
    pub(super) slug: String,
    /// Those with a figure, ours first.
    pub(super) contenders: Vec<Contender<'a>>,
    /// In the order of [`figure::order`].
    pub(super) metrics: Vec<Metric<'a>>,
    pub(super) lines: Vec<Line<'a>>,
}

/// One contender of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contender<'a> {
    pub(super) name: &'a str,
    pub(super) role: Role,
}

/// Whose a contender is, and the how-manieth of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Ours(usize),
    Yours,
    Peer(usize),
}

/// One metric of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Metric<'a> {
    pub(super) name: &'a str,
    pub(super) unit: &'a str,
}

/// One workload with one number of threads.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) workload: &'a str,
    pub(super) threads: usize,
    pub(super) rows: Vec<&'a Row>,
    pub(super) ratios: Vec<&'a Ratio>,
    pub(super) failures: Vec<&'a FailedLine>,
}

/// A column of a table; each belongs to a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column<'a> {
    /// What was measured.
    Value(Metric<'a>),
    /// One of ours to the contender of the row.
    Ratio { metric: &'a str, ours: &'a str },
}

/// Ours against the best peer of each line, by one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary<'a> {
    pub(super) ours: &'a str,
    pub(super) metric: &'a str,
    /// Geometric mean of the ratios.
    pub(super) mean: f64,
    pub(super) better: usize,
    pub(super) even: usize,
    pub(super) worse: usize,
}

/// What an interval says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// All of it lies above one.
    Better,
    /// It holds one.
    Even,
    /// All of it lies below one.
    Worse,
}

impl Standing {
    pub(super) fn of(ratio: &Ratio) -> Self {
        if ratio.lo > 1.0 {
            Self::Better
        } else if ratio.hi < 1.0 {
            Self::Worse
        } else {
            Self::Even
        }
    }
}

/// The builds of a record.
pub(super) fn builds(record: &Record) -> Vec<Build<'_>> {
    let mut names = Vec::new();
    let of_rows = record.rows.iter().map(|row| row.build.as_str());
    let of_ratios = record.ratios.iter().map(|ratio| ratio.build.as_str());
    let of_failures = record.failures.iter().map(|failure| failure.build.as_str());
    for name in of_rows.chain(of_ratios).chain(of_failures) {
        add(&mut names, name);
    }
    let mut builds: Vec<Build<'_>> = Vec::new();
    for name in names {
        let slug = unused_slug(name, &builds);
        builds.push(Build::new(record, name, slug));
    }
    builds
}

impl<'a> Build<'a> {
    fn new(record: &'a Record, name: &'a str, slug: String) -> Self {
        let lines = lines(record, name);
        let contenders = contenders(name, &lines);
        let metrics = metrics(&lines);
        Self { name, slug, contenders, metrics, lines }
    }

    /// Those of ours that were compared with a peer, in order.
    pub(super) fn ours(&self) -> Vec<&'a str> {
        let compared = |name: &str| self.ratios().any(|ratio| ratio.ours == name);
        let names = self.contenders.iter().map(|contender| contender.name);
        names.filter(|name| compared(name)).collect()
    }

    pub(super) fn ratios(&self) -> impl Iterator<Item = &'a Ratio> + '_ {
        self.lines.iter().flat_map(|line| line.ratios.iter().copied())
    }

    /// Ours against the best peer of each line.
    pub(super) fn best_ratios(&self) -> impl Iterator<Item = &'a Ratio> + '_ {
        self.ratios().filter(|ratio| ratio.best_peer)
    }

    pub(super) fn failures(&self) -> impl Iterator<Item = &'a FailedLine> + '_ {
        self.lines.iter().flat_map(|line| line.failures.iter().copied())
    }

    /// The columns that hold anything: each metric, then what ours is to the others by it.
    pub(super) fn columns(&self) -> Vec<Column<'a>> {
        let mut columns = Vec::new();
        let ours = self.ours();
        for &metric in &self.metrics {
            if self.lines.iter().flat_map(|line| &line.rows).any(|row| row.metric == metric.name) {
                columns.push(Column::Value(metric));
            }
            for &ours in &ours {
                let known = |ratio: &Ratio| ratio.metric == metric.name && ratio.ours == ours;
                if self.ratios().any(known) {
                    columns.push(Column::Ratio { metric: metric.name, ours });
                }
            }
        }
        columns
    }

    /// One for each of ours and each metric that was compared.
    pub(super) fn summaries(&self) -> Vec<Summary<'a>> {
        let mut summaries = Vec::new();
        for ours in self.ours() {
            for metric in &self.metrics {
                let of_both = |it: &&Ratio| it.ours == ours && it.metric == metric.name;
                let ratios: Vec<_> = self.best_ratios().filter(of_both).collect();
                if !ratios.is_empty() {
                    summaries.push(Summary::new(ours, metric.name, &ratios));
                }
            }
        }
        summaries
    }

    /// Lines where the best peer is better than ours beyond doubt, the worst first.
    pub(super) fn losses(&self) -> Vec<&'a Ratio> {
        let lost = |ratio: &&Ratio| Standing::of(ratio) == Standing::Worse;
        let mut losses: Vec<_> = self.best_ratios().filter(lost).collect();
        losses.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
        losses
    }
}

impl<'a> Line<'a> {
    pub(super) fn row(&self, contender: &str, metric: &str) -> Option<&'a Row> {
        let wanted = |row: &&&Row| row.contender == contender && row.metric == metric;
        self.rows.iter().find(wanted).copied()
    }

    pub(super) fn ratio(&self, ours: &str, peer: &str, metric: &str) -> Option<&'a Ratio> {
        let wanted = |it: &&&Ratio| it.ours == ours && it.peer == peer && it.metric == metric;
        self.ratios.iter().find(wanted).copied()
    }

    /// Version of a contender; empty where it has no figure.
    pub(super) fn version(&self, contender: &str) -> &'a str {
        let row = self.rows.iter().find(|row| row.contender == contender);
        row.map_or("", |row| row.version.as_str())
    }

    /// Whether a contender has a figure on this line.
    pub(super) fn has(&self, contender: &str) -> bool {
        self.rows.iter().any(|row| row.contender == contender)
            || self.ratios.iter().any(|ratio| ratio.peer == contender)
    }
}

impl<'a> Summary<'a> {
    fn new(ours: &'a str, metric: &'a str, ratios: &[&'a Ratio]) -> Self {
        let count = |standing| ratios.iter().filter(|it| Standing::of(it) == standing).count();
        let logarithms: f64 = ratios.iter().map(|ratio| ratio.ratio.ln()).sum();
        Self {
            ours,
            metric,
            mean: (logarithms / ratios.len() as f64).exp(),
            better: count(Standing::Better),
            even: count(Standing::Even),
            worse: count(Standing::Worse),
        }
    }

    pub(super) fn lines(&self) -> usize {
        self.better + self.even + self.worse
    }
}

/// The lines of a build: workloads as they come, threads ascending.
fn lines<'a>(record: &'a Record, build: &str) -> Vec<Line<'a>> {
    let mut workloads = Vec::new();
    let mut lines: BTreeMap<(usize, usize), Line<'a>> = BTreeMap::new();
    let mut line_of = |workload: &'a str, threads: usize, put: &dyn Fn(&mut Line<'a>)| {
        let place = add(&mut workloads, workload);
        let line = lines.entry((place, threads)).or_insert_with(|| Line {
            workload,
            threads,
            rows: Vec::new(),
            ratios: Vec::new(),
            failures: Vec::new(),
        });
        put(line);
    };
    for row in record.rows.iter().filter(|row| row.build == build) {
        line_of(&row.workload, row.threads, &|line| line.rows.push(row));
    }
    for ratio in record.ratios.iter().filter(|ratio| ratio.build == build) {
        line_of(&ratio.workload, ratio.threads, &|line| line.ratios.push(ratio));
    }
    for failure in record.failures.iter().filter(|failure| failure.build == build) {
        line_of(&failure.workload, failure.threads, &|line| line.failures.push(failure));
    }
    lines.into_values().collect()
}

/// Ours, then the learner's, then the peers as they come.
///
/// Ours is what bears the build's name and what the ratios call so. A name that only begins like
/// the build's proves nothing: `raft-rs` is a peer of `raft`.
fn contenders<'a>(build: &str, lines: &[Line<'a>]) -> Vec<Contender<'a>> {
    let mut names = Vec::new();
    let mut ours = Vec::new();
    for line in lines {
        for row in &line.rows {
            add(&mut names, row.contender.as_str());
        }
        for ratio in &line.ratios {
            add(&mut ours, ratio.ours.as_str());
            add(&mut names, ratio.ours.as_str());
            add(&mut names, ratio.peer.as_str());
        }
    }
    let (mut our_count, mut peer_count) = (0, 0);
    let mut contenders: Vec<_> = names
        .into_iter()
        .map(|name| {
            let role = if name == YOURS {
                Role::Yours
            } else if name == build || ours.contains(&name) {
                our_count += 1;
                Role::Ours(our_count - 1)
            } else {
                peer_count += 1;
                Role::Peer(peer_count - 1)
            };
            Contender { name, role }
        })
        .collect();
    contenders.sort_by_key(|contender| contender.role);
    contenders
}

fn metrics<'a>(lines: &[Line<'a>]) -> Vec<Metric<'a>> {
    let mut metrics: Vec<Metric<'a>> = Vec::new();
    let rows = lines.iter().flat_map(|line| &line.rows);
    let measured = rows.map(|row| Metric { name: &row.metric, unit: &row.unit });
    let ratios = lines.iter().flat_map(|line| &line.ratios);
    for metric in measured.chain(ratios.map(|ratio| Metric { name: &ratio.metric, unit: "" })) {
        if metrics.iter().all(|known| known.name != metric.name) {
            metrics.push(metric);
        }
    }
    metrics.sort_by_key(|metric| figure::order(metric.name));
    metrics
}

/// Adds a name that is not there yet; says where it is.
fn add<'a>(names: &mut Vec<&'a str>, name: &'a str) -> usize {
    names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

/// Letters, digits and dashes of a name; a number after it where another build has the same.
fn unused_slug(name: &str, builds: &[Build<'_>]) -> String {
    const LENGTH_MAX: usize = 40;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let slug: String = name.chars().take(LENGTH_MAX).map(plain).collect();
    let slug = if slug.chars().all(|c| c == '-') { "build".to_owned() } else { slug };
    let is_free = |slug: &str| builds.iter().all(|build| build.slug != slug);
    let numbered = (2..).map(|number| format!("{slug}-{number}"));
    std::iter::once(slug.clone())
        .chain(numbered)
        .find(|slug| is_free(slug))
        .expect("a number is free, since builds are finite")
}

#[cfg(all(test, feature = "duel"))]
mod tests;
