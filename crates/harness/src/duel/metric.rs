//! From samples to rows, ratios and failures.
//!
//! A *metric* picks one number out of what was measured, by episode; the median over rounds and its
//! interval make a row, the median of the quotients of paired rounds makes a ratio.

use super::pass::Latency;
use super::rounds::{Entrant, Outcome};
use super::statistics::{Estimate, median_of_episodes};
use super::subject::{Line, OwnFigures};
use crate::record::{Better, FailedLine, Ratio, Row};

/// One number of an entrant for each round, by episode. Empty where it was not measured.
type Figures = Vec<Vec<f64>>;

struct Metric {
    name: &'static str,
    unit: &'static str,
    better: Better,
    figures: fn(&Entrant) -> Figures,
}

const METRICS: &[Metric] = &[
    Metric {
        name: "throughput",
        unit: "op/s",
        better: Better::Higher,
        figures: |entrant| by_round(entrant, |ops, wall, _| ops * 1e9 / wall),
    },
    lower("cpu_per_op", "ns", |entrant| by_round(entrant, |ops, _, cpu| cpu / ops)),
    lower("p50", "ns", |entrant| by_latency(entrant, |latency| latency.p50)),
    lower("p90", "ns", |entrant| by_latency(entrant, |latency| latency.p90)),
    lower("p99", "ns", |entrant| by_latency(entrant, |latency| latency.p99)),
    lower("p999", "ns", |entrant| by_latency(entrant, |latency| latency.p999)),
    lower("p9999", "ns", |entrant| {
        let rare = entrant.latencies.iter().filter_map(|latency| latency.p9999);
        rare.map(|figure| vec![figure]).collect()
    }),
    lower("max", "ns", |entrant| by_latency(entrant, |latency| latency.max)),
    lower("worst_cpu", "ns", |entrant| by_itself(entrant, |own| own.worst_cpu)),
    lower("displacement", "places", |entrant| by_itself(entrant, |own| own.displacement)),
    lower("syncs_per_op", "1", |entrant| by_itself(entrant, |own| own.syncs_per_op)),
    lower("wire_bytes_per_op", "B", |entrant| by_itself(entrant, |own| own.wire_bytes_per_op)),
    lower("settle", "ns", |entrant| by_itself(entrant, |own| own.settle_ns)),
    lower("peak_rss", "B", |entrant| by_weight(entrant, |weight| Some(weight.peak_rss))),
    lower("bytes_per_entry", "B", |entrant| by_weight(entrant, |weight| weight.bytes_per_entry)),
    lower("bytes_written", "B", |entrant| {
        by_weight(entrant, |weight| Some(weight.bytes_written).filter(|&bytes| bytes > 0.0))
    }),
    lower("disk", "B", |entrant| by_itself(entrant, |own| own.disk)),
];

const fn lower(name: &'static str, unit: &'static str, figures: fn(&Entrant) -> Figures) -> Metric {
    Metric { name, unit, better: Better::Lower, figures }
}

/// A figure of operations, wall time and processor time.
fn by_round(entrant: &Entrant, figure: fn(f64, f64, f64) -> f64) -> Figures {
    let episodes = entrant.samples.iter().filter(|episode| !episode.is_empty());
    let figures = episodes.map(|episode| {
        let rounds = episode.iter();
        rounds.map(|it| figure(it.operations, it.wall_ns, it.cpu_ns)).collect()
    });
    figures.collect()
}

fn by_latency(entrant: &Entrant, figure: fn(&Latency) -> f64) -> Figures {
    entrant.latencies.iter().map(|latency| vec![figure(latency)]).collect()
}

fn by_itself(entrant: &Entrant, figure: fn(&OwnFigures) -> Option<f64>) -> Figures {
    entrant.own_figures.iter().filter_map(figure).map(|figure| vec![figure]).collect()
}

fn by_weight(entrant: &Entrant, figure: fn(&super::host::Weight) -> Option<f64>) -> Figures {
    entrant.weights.iter().filter_map(figure).map(|figure| vec![figure]).collect()
}

/// Turns what was measured on a line into rows, ratios and failures.
pub(super) fn conclude(line: &Line, entrants: &[Entrant]) -> Outcome {
    let mut outcome = Outcome::default();
    for entrant in entrants {
        if let Some(failure) = failure(line, entrant) {
            outcome.failures.push(failure);
        }
    }
    let standing = |entrant: &&Entrant| entrant.out.is_none() && has_rounds(entrant);
    let entrants: Vec<&Entrant> = entrants.iter().filter(standing).collect();
    for metric in METRICS {
        outcome.rows.extend(entrants.iter().filter_map(|entrant| metric.row(line, entrant)));
    }
    let floor = entrants.iter().find(|entrant| entrant.contender.name == FLOOR);
    let floor = floor.map_or(&[][..], |floor| &floor.latencies);
    outcome.rows.extend(entrants.iter().flat_map(|entrant| over_floor(line, entrant, floor)));
    for ours in entrants.iter().filter(|entrant| entrant.contender.ours) {
        for metric in METRICS {
            let peers = entrants.iter().filter(|entrant| !entrant.contender.ours);
            let mut ratios: Vec<_> =
                peers.filter_map(|peer| metric.ratio(line, ours, peer)).collect();
            mark_best_peer(&mut ratios);
            outcome.ratios.extend(ratios);
        }
    }
    outcome
}

fn has_rounds(entrant: &Entrant) -> bool {
    entrant.samples.iter().any(|episode| !episode.is_empty())
}

fn failure(line: &Line, entrant: &Entrant) -> Option<FailedLine> {
    let (reason, fault) = match &entrant.out {
        Some(out) => (out.reason.clone(), out.fault),
        None if has_rounds(entrant) => return None,
        None => ("no round of it was completed".to_owned(), true),
    };
    Some(FailedLine {
        build: line.build.to_owned(),
        workload: line.workload.to_owned(),
        threads: line.threads,
        contender: entrant.contender.name.to_owned(),
        reason,
        fault,
    })
}

/// The contender that does as little of a line's work as one can.
const FLOOR: &str = "floor";

/// How much later than the floor an entrant answers, by the median of paired episodes: what it
/// adds, where a ratio would show little but what both do. The floor is the one that the entrant
/// has measured itself, if it has, and else the contender of that name.
fn over_floor(
    line: &Line,
    entrant: &Entrant,
    floor: &[Latency],
) -> impl Iterator<Item = Row> + use<> {
    let own = entrant.own_figures.iter().filter_map(|own| own.latency.zip(own.floor));
    let mut pairs: Vec<(Latency, Latency)> = own.collect();
    if pairs.is_empty() && entrant.contender.name != FLOOR {
        pairs.extend(entrant.latencies.iter().copied().zip(floor.iter().copied()));
    }
    let added = |name, of: fn(&Latency) -> f64| {
        let added = pairs.iter().map(|(latency, floor)| vec![of(latency) - of(floor)]).collect();
        row(line, entrant, (name, "ns", Better::Lower), &added)
    };
    let rows = [
        added("p50_over_floor", |latency| latency.p50),
        added("p99_over_floor", |latency| latency.p99),
    ];
    rows.into_iter().flatten()
}

/// The strongest peer is the one against which ours looks worst.
fn mark_best_peer(ratios: &mut [Ratio]) {
    // The floor does not do the work: its ratio is the share of it that ours reaches.
    let peers = ratios.iter_mut().filter(|ratio| ratio.peer != FLOOR);
    let weakest = peers.min_by(|a, b| a.ratio.total_cmp(&b.ratio));
    if let Some(ratio) = weakest {
        ratio.best_peer = true;
    }
}

/// `None` where nothing was measured.
fn row(
    line: &Line,
    entrant: &Entrant,
    (metric, unit, better): (&str, &str, Better),
    figures: &Figures,
) -> Option<Row> {
    if figures.is_empty() {
        return None;
    }
    let Estimate { median, lo, hi } = median_of_episodes(figures);
    Some(Row {
        build: line.build.to_owned(),
        workload: line.workload.to_owned(),
        threads: line.threads,
        contender: entrant.contender.name.to_owned(),
        version: entrant.contender.version.to_owned(),
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        better,
        median,
        lo,
        hi,
        rounds: figures.iter().map(Vec::len).sum(),
    })
}

impl Metric {
    fn row(&self, line: &Line, entrant: &Entrant) -> Option<Row> {
        row(line, entrant, (self.name, self.unit, self.better), &(self.figures)(entrant))
    }

    /// `None` where either of the two was not measured.
    fn ratio(&self, line: &Line, ours: &Entrant, peer: &Entrant) -> Option<Ratio> {
        let pairs = (self.figures)(ours).into_iter().zip((self.figures)(peer));
        let quotients: Figures = pairs
            .map(|(ours, peer)| {
                let rounds = ours.into_iter().zip(peer);
                rounds.map(|(ours, peer)| self.quotient(ours, peer)).collect()
            })
            .collect();
        if quotients.is_empty() {
            return None;
        }
        let Estimate { median, lo, hi } = median_of_episodes(&quotients);
        Some(Ratio {
            build: line.build.to_owned(),
            workload: line.workload.to_owned(),
            threads: line.threads,
            metric: self.name.to_owned(),
            ours: ours.contender.name.to_owned(),
            peer: peer.contender.name.to_owned(),
            best_peer: false,
            ratio: median,
            lo,
            hi,
        })
    }

    /// Above one where ours is better. A figure of nothing counts as the smallest one there is to
    /// measure, one unit.
    fn quotient(&self, ours: f64, peer: f64) -> f64 {
        let positive = |figure: f64| if figure > 0.0 { figure } else { 1.0 };
        match self.better {
            Better::Higher => positive(ours) / positive(peer),
            Better::Lower => positive(peer) / positive(ours),
        }
    }
}

#[cfg(test)]
mod tests;
