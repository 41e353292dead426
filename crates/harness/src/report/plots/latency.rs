//! Latency by percentile: the middle, and how long the tail is.
//!
//! # What this module does not do
//!
//! It draws no lines between percentiles that were not measured: a gap in the record is a longer
//! line, never a made-up point.

use super::panel::{self, Runs, Series};
use super::{Frame, Sheet, threads};
use crate::report::figure::{self, PERCENTILES};
use crate::report::svg::Drawing;
use crate::report::view::{Build, Line};

pub(super) fn draw(build: &Build<'_>, frame: Frame) -> Option<Drawing> {
    let is_latency = |metric: &str| PERCENTILES.contains(&metric);
    let measured = |line: &&Line<'_>| line.rows.iter().any(|row| is_latency(&row.metric));
    let lines: Vec<_> = build.lines.iter().filter(measured).collect();
    lines.first()?;
    let title = format!("{}: latency by percentile", build.name);
    let description = "Less is better. Each panel has its own axis, by factors.";
    let mut sheet = Sheet::new(frame, title, description);
    let has = |name: &str| {
        let mut rows = lines.iter().flat_map(|line| &line.rows);
        rows.any(|row| row.contender == name && is_latency(&row.metric))
    };
    sheet.legend(build.contenders.iter().filter(|it| has(it.name)));
    let panels: Vec<_> = lines.iter().map(|line| runs(build, line)).collect();
    panel::draw_runs(&mut sheet, &panels);
    Some(sheet.finish())
}

/// The panel of one line, with the percentiles that anyone has there.
fn runs<'a>(build: &Build<'a>, line: &Line<'a>) -> Runs<'a> {
    let known = |metric: &&&str| line.rows.iter().any(|row| row.metric == ***metric);
    let metrics: Vec<_> = PERCENTILES.iter().filter(known).collect();
    let series = build.contenders.iter().map(|contender| {
        let point =
            |(place, metric): (usize, &&&str)| Some((place, line.row(contender.name, metric)?));
        let points = metrics.iter().enumerate().filter_map(point).collect();
        Series { contender: *contender, points }
    });
    let series: Vec<_> = series.filter(|series| !series.points.is_empty()).collect();
    let unit = series.first().and_then(|it| it.points.first()).map_or("", |(_, row)| &row.unit);
    Runs {
        title: line.workload.to_owned(),
        detail: Some(threads(line.threads)),
        places: metrics.iter().map(|metric| figure::heading(metric).to_owned()).collect(),
        unit,
        logarithmic: true,
        series,
    }
}
