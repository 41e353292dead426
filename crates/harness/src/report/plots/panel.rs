//! Small panels side by side, all of one size.
//!
//! Two kinds: *runs*, a line a contender over a few named places (threads, percentiles), and
//! *bars*, a bar a contender. Each panel has an axis of its own, since what is compared are the
//! contenders within it.
//!
//! # What this module does not do
//!
//! It gives no panel a legend: the sheet has one for all, in the colours of the contenders.

use super::{LINE, Sheet, look, tick};
use crate::record::Row;
use crate::report::figure;
use crate::report::svg::scale::Scale;
use crate::report::svg::{self, Anchor, Canvas, Point};
use crate::report::view::Contender;

/// The least width of a panel of runs without its places, and of each of those.
const RUNS_WIDTH: f64 = 56.0;
const PLACE_WIDTH: f64 = 40.0;
/// The least width that suits a title.
const TITLE_WIDTH: f64 = 172.0;
/// The least width of a panel of bars.
const BARS_WIDTH: f64 = 255.0;
/// Space between panels.
const GUTTER: f64 = 18.0;
/// Height of the plot of a panel of runs.
const PLOT: f64 = 96.0;
/// Height of a row of a panel of bars.
const ROW: f64 = 17.0;

/// A line a contender.
pub(super) struct Runs<'a> {
    pub(super) title: String,
    /// A second line of the title; nothing: the unit.
    pub(super) detail: Option<String>,
    /// What the places of the horizontal axis are called.
    pub(super) places: Vec<String>,
    pub(super) unit: &'a str,
    /// Whether the vertical axis goes by factors instead of from zero.
    pub(super) logarithmic: bool,
    pub(super) series: Vec<Series<'a>>,
}

/// The figures of one contender, each with its place.
pub(super) struct Series<'a> {
    pub(super) contender: Contender<'a>,
    pub(super) points: Vec<(usize, &'a Row)>,
}

/// A bar a contender.
pub(super) struct Bars<'a> {
    pub(super) title: String,
    /// A second line of the title.
    pub(super) detail: String,
    pub(super) rows: Vec<(Contender<'a>, &'a Row)>,
}

pub(super) fn draw_runs(sheet: &mut Sheet, panels: &[Runs<'_>]) {
    let height = |_| HEAD + PLOT + LINE + 14.0;
    let places = panels.iter().map(|panel| panel.places.len()).max().unwrap_or(0);
    let width_min = (RUNS_WIDTH + PLACE_WIDTH * places as f64).max(TITLE_WIDTH);
    lay(sheet, panels.len(), width_min, height, |canvas, index, corner, width| {
        panels[index].draw(canvas, corner, width);
    });
}

pub(super) fn draw_bars(sheet: &mut Sheet, panels: &[Bars<'_>]) {
    let height = |index: usize| HEAD + panels[index].rows.len() as f64 * ROW + 14.0;
    lay(sheet, panels.len(), BARS_WIDTH, height, |canvas, index, corner, width| {
        panels[index].draw(canvas, corner, width);
    });
}

/// Places panels in rows; a row is as high as its highest panel.
fn lay(
    sheet: &mut Sheet,
    count: usize,
    width_min: f64,
    height: impl Fn(usize) -> f64,
    draw: impl Fn(&mut Canvas, usize, Point, f64),
) {
    let room = sheet.right - sheet.left + GUTTER;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
    let across = ((room / (width_min + GUTTER)) as usize).clamp(1, count.clamp(1, 4));
    let width = room / across as f64 - GUTTER;
    for first in (0..count).step_by(across) {
        let row = first..count.min(first + across);
        for index in row.clone() {
            let left = sheet.left + (index - first) as f64 * (width + GUTTER);
            draw(&mut sheet.canvas, index, (left, sheet.top), width);
        }
        sheet.top += row.map(&height).fold(0.0, f64::max);
    }
}

/// Height of the title of a panel.
const HEAD: f64 = 2.0 * LINE;

/// The title of a panel, cut to its width.
fn heading(canvas: &mut Canvas, (left, top): Point, width: f64, title: &str, detail: &str) {
    let shown = svg::fit_bold(title, width);
    canvas.titled(title, |canvas| {
        canvas.text((left, top + 12.0), "ink bold", Anchor::Start, &shown);
    });
    canvas.text((left, top + 27.0), "soft small", Anchor::Start, &svg::fit(detail, width));
}

impl Runs<'_> {
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.series.iter().flat_map(|series| series.points.iter().map(|(_, row)| *row))
    }

    fn draw(&self, canvas: &mut Canvas, (left, top): Point, width: f64) {
        let (ceiling, floor) = (top + HEAD, top + HEAD + PLOT);
        let values = || self.rows().flat_map(|row| [row.lo, row.median, row.hi]);
        let most = values().filter(|it| it.is_finite()).fold(0.0, f64::max);
        let least = values().filter(|it| *it > 0.0).fold(f64::INFINITY, f64::min);
        let scale = if self.logarithmic {
            Scale::logarithmic(least * 0.9, most * 1.1, (floor, ceiling))
        } else {
            Scale::from_zero(most, (floor, ceiling))
        };
        let (divisor, unit) = figure::scale(most, self.unit);
        let label = |value: f64| {
            if self.logarithmic {
                let (divisor, unit) = figure::scale(value, self.unit);
                return format!("{} {unit}", tick(value / divisor));
            }
            tick(value / divisor)
        };
        let ticks = scale.ticks(5);
        let labels: Vec<_> = ticks.iter().map(|value| label(*value)).collect();
        let gutter = labels.iter().map(|text| svg::width_of(text)).fold(0.0, f64::max) + 4.0;
        let detail = self.detail.as_deref().unwrap_or(unit);
        heading(canvas, (left, top), width, &self.title, detail);
        for (value, text) in ticks.iter().zip(&labels) {
            let y = scale.at(*value);
            canvas.line((left + gutter, y), (left + width, y), "grid");
            canvas.text((left + gutter - 5.0, y + 4.0), "soft small", Anchor::End, text);
        }
        let step = (width - gutter) / self.places.len() as f64;
        let place = |index: usize| left + gutter + (index as f64 + 0.5) * step;
        for (index, name) in self.places.iter().enumerate() {
            canvas.text((place(index), floor + 15.0), "soft small", Anchor::Middle, name);
        }
        self.draw_series(canvas, &scale, place);
    }

    /// Ours last, so that it lies above the others.
    fn draw_series(&self, canvas: &mut Canvas, scale: &Scale, place: impl Fn(usize) -> f64) {
        for series in self.series.iter().rev() {
            let (shape, class) = look(&series.contender);
            let points: Vec<_> =
                series.points.iter().map(|(at, row)| (place(*at), scale.at(row.median))).collect();
            if points.len() > 1 {
                canvas.run(&points, &class);
            }
            for ((at, row), point) in series.points.iter().zip(&points) {
                let title = format!("{}, {}: {}", row.contender, self.places[*at], in_full(row));
                canvas.titled(&title, |canvas| canvas.mark(*point, shape, &class));
            }
        }
    }
}

impl Bars<'_> {
    fn draw(&self, canvas: &mut Canvas, (left, top): Point, width: f64) {
        heading(canvas, (left, top), width, &self.title, &self.detail);
        let figure = |row: &Row| figure::quantity(row.median, &row.unit);
        let names = self.rows.iter().map(|(it, _)| svg::width_of_bold(it.name));
        let names = names.fold(0.0, f64::max).min(width * 0.42);
        let figures = self.rows.iter().map(|(_, row)| svg::width_of(&figure(row)));
        let figures = figures.fold(0.0, f64::max);
        let (start, end) = (left + names + 8.0, left + width - figures - 6.0);
        let finite = self.rows.iter().map(|(_, row)| row.median).filter(|it| it.is_finite());
        let most = finite.fold(0.0, f64::max);
        let scale = Scale::exactly(most, (start, end.max(start + 10.0)));
        for (index, (contender, row)) in self.rows.iter().enumerate() {
            let y = top + HEAD + 12.0 + index as f64 * ROW;
            let (_, class) = look(contender);
            let ours = matches!(class.as_str(), "c-ours" | "c-yours");
            let name = svg::fit(contender.name, names + 0.1);
            let weight = if ours { "ink bold" } else { "ink" };
            let title = format!("{}: {}", contender.name, in_full(row));
            canvas.titled(&title, |canvas| {
                canvas.text((left, y), weight, Anchor::Start, &name);
                let length = scale.at(row.median).max(start + 1.0);
                canvas.area((start, y - 10.0), (length, y + 1.0), &format!("mark {class}"));
                canvas.text((length + 5.0, y), "soft", Anchor::Start, &figure(row));
            });
        }
    }
}

/// A figure with its interval.
fn in_full(row: &Row) -> String {
    let shown = |value| figure::quantity(value, &row.unit);
    format!("{} ({} to {})", shown(row.median), shown(row.lo), shown(row.hi))
}
