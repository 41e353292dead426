//! The plots of a build, for the page and as files.
//!
//! | plot       | shows                                                               |
//! |------------|---------------------------------------------------------------------|
//! | ratios     | ours against the best peer of each line, other peers as marks       |
//! | throughput | operations a second against threads, one panel a workload           |
//! | latency    | percentiles, one panel a line                                       |
//! | memory     | memory and disk, one panel a line and metric                        |
//!
//! A contender has one colour and one mark in all plots of its build. A plot is laid out for a
//! width, not scaled to it, so that its text stays readable in a narrow window.
//!
//! # What this module does not do
//!
//! It shows no plot without data, and leaves out no contender.

use super::figure;
use super::svg::{self, Anchor, Canvas, Drawing, theme};
use super::view::{self, Build, Contender, Role};
use crate::record::Record;

mod latency;
mod memory;
mod panel;
mod ratios;
mod throughput;

/// A plot as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlotFile {
    /// `ratios-rate-limiter.svg`: letters, digits, dashes.
    pub name: String,
    /// The content.
    pub svg: String,
}

/// What a plot is laid out for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    /// Width, in pixels.
    pub(super) width: f64,
    /// Whether the plot bears its title itself.
    pub(super) headed: bool,
}

/// A plot and its name.
#[derive(Debug)]
pub(super) struct Plot {
    /// The first part of its file's name.
    pub(super) kind: &'static str,
    pub(super) drawing: Drawing,
}

/// A file: as wide as a README is on a forge.
const FILE: Frame = Frame { width: 860.0, headed: true };
/// Free space around a headed plot.
const MARGIN: f64 = 16.0;
/// Height of a line of text.
const LINE: f64 = 18.0;

/// Every plot of every build, in the order of the record.
pub fn files(record: &Record) -> Vec<PlotFile> {
    let mut files = Vec::new();
    for build in &view::builds(record) {
        files.extend(of_build(build, FILE).into_iter().map(|plot| PlotFile {
            name: format!("{}-{}.svg", plot.kind, build.slug),
            svg: plot.drawing.standalone(),
        }));
    }
    files
}

/// The plots of a build that have data.
pub(super) fn of_build(build: &Build<'_>, frame: Frame) -> Vec<Plot> {
    let plots = [
        ("ratios", ratios::draw(build, frame)),
        ("throughput", throughput::draw(build, frame)),
        ("latency", latency::draw(build, frame)),
        ("memory", memory::draw(build, frame)),
    ];
    let drawn = |(kind, drawing): (_, Option<Drawing>)| Some(Plot { kind, drawing: drawing? });
    plots.into_iter().filter_map(drawn).collect()
}

/// How a contender looks.
fn look(contender: &Contender<'_>) -> (usize, String) {
    match contender.role {
        Role::Ours(index) => (index, "c-ours".to_owned()),
        Role::Yours => (2, "c-yours".to_owned()),
        Role::Peer(index) => (index + 1, format!("c-p{}", index % theme::PEERS)),
    }
}

/// A plot in the making: a canvas, and how far down it is filled.
struct Sheet {
    canvas: Canvas,
    /// The first free row of pixels.
    top: f64,
    left: f64,
    right: f64,
    title: String,
    description: String,
    headed: bool,
}

impl Sheet {
    fn new(frame: Frame, title: String, description: &str) -> Self {
        let margin = if frame.headed { MARGIN } else { 0.0 };
        let mut sheet = Self {
            canvas: Canvas::new(frame.width),
            top: margin,
            left: margin,
            right: frame.width - margin,
            title,
            description: description.to_owned(),
            headed: frame.headed,
        };
        if frame.headed {
            sheet.head();
        }
        sheet
    }

    fn head(&mut self) {
        // The title is set at 15, the width is known for 12.
        let title = svg::fit_bold(&self.title, (self.right - self.left) * 12.0 / 15.0);
        self.canvas.text((self.left, self.top + 13.0), "head ink", Anchor::Start, &title);
        self.top += 22.0;
        for line in figure::wrap(&self.description, 118, 0).lines() {
            self.canvas.text((self.left, self.top + 11.0), "soft", Anchor::Start, line);
            self.top += LINE;
        }
        self.top += 4.0;
    }

    /// Names beside their marks, as many in a row as fit.
    fn legend<'c, 'a: 'c>(&mut self, contenders: impl Iterator<Item = &'c Contender<'a>>) {
        const NAME_WIDTH_MAX: f64 = 220.0;
        let mut x = self.left;
        for contender in contenders {
            let name = svg::fit(contender.name, NAME_WIDTH_MAX);
            let ours = matches!(contender.role, Role::Ours(_) | Role::Yours);
            let width = if ours { svg::width_of_bold(&name) } else { svg::width_of(&name) };
            let needed = 14.0 + width;
            if x > self.left && x + needed > self.right {
                x = self.left;
                self.top += LINE;
            }
            let (shape, class) = look(contender);
            let weight = if ours { "ink bold" } else { "ink" };
            self.canvas.titled(contender.name, |canvas| {
                canvas.mark((x + 5.0, self.top + 8.0), shape, &class);
                canvas.text((x + 14.0, self.top + 12.0), weight, Anchor::Start, &name);
            });
            x += needed + 16.0;
        }
        self.top += LINE + 6.0;
    }

    fn finish(self) -> Drawing {
        let margin = if self.headed { MARGIN } else { 2.0 };
        self.canvas.finish(self.top + margin, self.title, self.description)
    }
}

/// `2 threads`.
fn threads(count: usize) -> String {
    figure::count(count, "thread")
}

/// A tick's figure without the digits that say nothing: `2`, not `2.00`.
fn tick(value: f64) -> String {
    let text = figure::short(value);
    match text.split_once('e') {
        Some((digits, power)) => format!("{}e{power}", trimmed(digits)),
        None => trimmed(&text).to_owned(),
    }
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}
