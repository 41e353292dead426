//! Throughput against threads: how each contender scales.
//!
//! # What this module does not do
//!
//! It draws no line where a build was measured with one number of threads only: bars say that
//! better.

use super::panel::{self, Bars, Runs, Series};
use super::{Frame, Sheet, threads};
use crate::report::svg::Drawing;
use crate::report::view::{Build, Line};

const METRIC: &str = "throughput";

pub(super) fn draw(build: &Build<'_>, frame: Frame) -> Option<Drawing> {
    let measured = |line: &&Line<'_>| line.rows.iter().any(|row| row.metric == METRIC);
    let lines: Vec<_> = build.lines.iter().filter(measured).collect();
    let mut counts: Vec<_> = lines.iter().map(|line| line.threads).collect();
    counts.sort_unstable();
    counts.dedup();
    let (&first, rest) = counts.split_first()?;
    let description =
        "Operations a second; more is better. Each panel has its own axis, from zero.";
    if rest.is_empty() {
        let title = format!("{}: throughput with {}", build.name, threads(first));
        let mut sheet = Sheet::new(frame, title, description);
        let panels: Vec<_> = lines.iter().map(|line| bars(build, line)).collect();
        panel::draw_bars(&mut sheet, &panels);
        return Some(sheet.finish());
    }
    let title = format!("{}: throughput against threads", build.name);
    let mut sheet = Sheet::new(frame, title, description);
    let has = |name: &str| lines.iter().any(|line| line.row(name, METRIC).is_some());
    sheet.legend(build.contenders.iter().filter(|it| has(it.name)));
    let panels: Vec<_> = lines
        .chunk_by(|a, b| a.workload == b.workload)
        .map(|it| runs(build, it, &counts))
        .collect();
    panel::draw_runs(&mut sheet, &panels);
    Some(sheet.finish())
}

fn bars<'a>(build: &Build<'a>, line: &Line<'a>) -> Bars<'a> {
    let rows = build.contenders.iter();
    let rows = rows.filter_map(|it| Some((*it, line.row(it.name, METRIC)?))).collect();
    Bars { title: line.workload.to_owned(), detail: threads(line.threads), rows }
}

/// The panel of one workload.
fn runs<'a>(build: &Build<'a>, lines: &[&Line<'a>], counts: &[usize]) -> Runs<'a> {
    let place = |line: &Line<'_>| counts.iter().position(|count| *count == line.threads);
    let series = build.contenders.iter().map(|contender| {
        let point = |line: &&Line<'a>| Some((place(line)?, line.row(contender.name, METRIC)?));
        Series { contender: *contender, points: lines.iter().filter_map(point).collect() }
    });
    let series: Vec<_> = series.filter(|series| !series.points.is_empty()).collect();
    let unit = series.first().and_then(|it| it.points.first()).map_or("", |(_, row)| &row.unit);
    Runs {
        title: lines.first().map_or("", |line| line.workload).to_owned(),
        detail: None,
        places: counts.iter().map(|count| threads(*count)).collect(),
        unit,
        logarithmic: false,
        series,
    }
}
