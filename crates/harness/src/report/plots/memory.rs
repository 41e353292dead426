//! Memory and disk: what a contender takes.
//!
//! # What this module does not do
//!
//! It compares sizes within a panel only; panels have axes of their own.

use super::panel::{self, Bars};
use super::{Frame, Sheet, threads};
use crate::report::figure::{self, SIZES};
use crate::report::svg::Drawing;
use crate::report::view::{Build, Line};

pub(super) fn draw(build: &Build<'_>, frame: Frame) -> Option<Drawing> {
    let panels: Vec<_> = SIZES
        .iter()
        .flat_map(|metric| build.lines.iter().filter_map(|line| bars(build, line, metric)))
        .collect();
    panels.first()?;
    let title = format!("{}: memory and disk", build.name);
    let description = "Less is better. Each panel has its own axis, from zero.";
    let mut sheet = Sheet::new(frame, title, description);
    panel::draw_bars(&mut sheet, &panels);
    Some(sheet.finish())
}

fn bars<'a>(build: &Build<'a>, line: &Line<'a>, metric: &str) -> Option<Bars<'a>> {
    let rows = build.contenders.iter();
    let rows: Vec<_> = rows.filter_map(|it| Some((*it, line.row(it.name, metric)?))).collect();
    rows.first()?;
    let detail = format!("{}, {}", figure::title(metric), threads(line.threads));
    Some(Bars { title: line.workload.to_owned(), detail, rows })
}
