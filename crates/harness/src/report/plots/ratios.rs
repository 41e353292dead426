//! Ours against the best peer of each line.
//!
//! ```text
//!   throughput               worse  |  better
//!   direct/admit  1 thread          |###-+-     1.02 x governor
//!                 2 threads       --+##|   ^ o  0.93 x governor
//!   ...                    0.5      1      2      4
//! ```
//!
//! A bar runs from one to the ratio, by factors, so that twice as fast and half as fast are as
//! long. The whisker is the 95 % interval. Other peers are marks; a mark that would squeeze the
//! bars together stands at the edge, and its title has the figure.
//!
//! # What this module does not do
//!
//! It does not choose the best peer: the record does.

use super::{Frame, LINE, Sheet, look, threads, tick};
use crate::record::Ratio;
use crate::report::figure;
use crate::report::svg::scale::Scale;
use crate::report::svg::{self, Anchor, Drawing};
use crate::report::view::{Build, Line, Standing};

/// Windows below this get the names above the bars.
const NARROW: f64 = 600.0;
/// Other peers may stretch the axis by this factor beyond the bars.
const STRETCH: f64 = 3.0;
/// Between a name and what comes next. Names get twice that, so that none is cut by a rounding.
const GAP: f64 = 6.0;
/// Half the height of a bar.
const HALF: f64 = 5.5;

const DESCRIPTION: &str = "Above 1, ours is better. Bars: the best peer of each line, with the \
    95 % interval. Marks: the other peers, at the edge where they are farther out.";

/// One bar.
struct Bar<'b, 'a> {
    line: &'b Line<'a>,
    ratio: &'a Ratio,
}

pub(super) fn draw(build: &Build<'_>, frame: Frame) -> Option<Drawing> {
    let sections = sections(build);
    let bars = || sections.iter().flat_map(|(_, bars)| bars);
    bars().next()?;
    let title = format!("{}: ours against the best peer", build.name);
    let mut sheet = Sheet::new(frame, title, DESCRIPTION);
    let best_everywhere = |peer: &str| bars().all(|bar| others(bar).all(|it| it.peer != peer));
    sheet.legend(build.contenders.iter().filter(|it| !best_everywhere(it.name)));
    let space = Space::of(build, bars(), &sheet);
    sheet.top += LINE;
    let first = sheet.top - 4.0;
    let many = build.ours().len() > 1;
    for (metric, bars) in &sections {
        sheet.canvas.text((sheet.left, sheet.top + 14.0), "ink bold", Anchor::Start, metric);
        sheet.top += 22.0;
        let mut above = None;
        for bar in bars {
            let mut names =
                Names { workload: Some(bar.line.workload), detail: threads(bar.line.threads) };
            if above == names.workload && !space.narrow {
                names.workload = None;
            }
            above = Some(bar.line.workload);
            if many {
                names.detail = format!("{}, {}", names.detail, bar.ratio.ours);
            }
            space.names(&mut sheet, &names, bar);
            space.bar(&mut sheet, build, bar);
        }
        sheet.top += 6.0;
    }
    space.axis(&mut sheet, first);
    Some(sheet.finish())
}

/// The bars of each metric, under its title.
fn sections<'b, 'a>(build: &'b Build<'a>) -> Vec<(&'a str, Vec<Bar<'b, 'a>>)> {
    let of_metric = |metric: &'a str| {
        let bars = build.lines.iter().flat_map(move |line| {
            let wanted = move |it: &&&Ratio| it.best_peer && it.metric == metric;
            line.ratios.iter().filter(wanted).map(move |ratio| Bar { line, ratio })
        });
        (figure::title(metric), bars.collect::<Vec<_>>())
    };
    let sections = build.metrics.iter().map(|metric| of_metric(metric.name));
    sections.filter(|(_, bars)| !bars.is_empty()).collect()
}

/// The ratios to the peers that are not the best.
fn others<'b, 'a>(bar: &'b Bar<'_, 'a>) -> impl Iterator<Item = &'a Ratio> + use<'b, 'a> {
    let Bar { line, ratio } = bar;
    let wanted =
        move |it: &&'a Ratio| !it.best_peer && it.metric == ratio.metric && it.ours == ratio.ours;
    line.ratios.iter().copied().filter(wanted)
}

/// What stands before a bar.
struct Names<'a> {
    /// Nothing where it is the same as above.
    workload: Option<&'a str>,
    detail: String,
}

/// Who has which part of the width.
struct Space {
    narrow: bool,
    /// Where the details of the names begin, and the names of the peers.
    detail: f64,
    peer: f64,
    scale: Scale,
    /// From where to where bars may reach.
    plot: (f64, f64),
}

impl Space {
    fn of<'b, 'a: 'b>(
        build: &Build<'_>,
        bars: impl Iterator<Item = &'b Bar<'b, 'a>> + Clone,
        sheet: &Sheet,
    ) -> Self {
        let narrow = sheet.canvas.width() < NARROW;
        let widest = |texts: &mut dyn Iterator<Item = String>| {
            texts.map(|text| svg::width_of(&text)).fold(0.0, f64::max)
        };
        let detail_of = |bar: &Bar<'_, '_>| {
            let threads = threads(bar.line.threads);
            if build.ours().len() > 1 { format!("{threads}, {}", bar.ratio.ours) } else { threads }
        };
        let workload = widest(&mut bars.clone().map(|bar| bar.line.workload.to_owned())).min(220.0);
        let details = widest(&mut bars.clone().map(detail_of)).min(160.0);
        let figures = bars.clone().map(|bar| svg::width_of_bold(&figure_of(bar.ratio)));
        let figures = figures.fold(0.0, f64::max);
        let peers = widest(&mut bars.clone().map(|bar| bar.ratio.peer.clone())).min(130.0);
        let peer = sheet.right - peers;
        let detail = sheet.left + workload + 2.0 * GAP;
        let plot = if narrow {
            (sheet.left + 6.0, sheet.right - 6.0)
        } else {
            (detail + details + 14.0, peer - figures - 17.0)
        };
        let (least, most) = domain(bars);
        Self { narrow, detail, peer, scale: Scale::logarithmic(least, most, plot), plot }
    }

    /// Names and figure of a bar. In a narrow window they take a row of their own.
    fn names(&self, sheet: &mut Sheet, names: &Names<'_>, bar: &Bar<'_, '_>) {
        let y = sheet.top + 12.0;
        if self.narrow {
            // The axis shall not run through the names.
            let (corner, opposite) = ((sheet.left, y - 12.0), (sheet.right, y + 4.0));
            sheet.canvas.area(corner, opposite, "ground");
        }
        let peer_room = sheet.right - self.peer;
        let peer = svg::fit(&bar.ratio.peer, peer_room);
        let start = if self.narrow { sheet.right - svg::width_of(&peer) } else { self.peer };
        let figure = figure_of(bar.ratio);
        let class = format!("{} bold", class_of(bar.ratio));
        sheet.canvas.text((start - 5.0, y), &class, Anchor::End, &figure);
        sheet.canvas.text((start, y), "ink", Anchor::Start, &peer);
        if self.narrow {
            let name = format!("{}, {}", names.workload.unwrap_or_default(), names.detail);
            let room = start - svg::width_of_bold(&figure) - 14.0 - sheet.left;
            let name = svg::fit(&name, room);
            sheet.canvas.text((sheet.left, y), "ink", Anchor::Start, &name);
            sheet.top += LINE;
            return;
        }
        if let Some(workload) = names.workload {
            let name = svg::fit(workload, self.detail - sheet.left - GAP);
            let at = (sheet.left, y);
            sheet.canvas.titled(workload, |canvas| canvas.text(at, "ink", Anchor::Start, &name));
        }
        let detail = svg::fit(&names.detail, self.plot.0 - self.detail - GAP);
        sheet.canvas.text((self.detail, y), "soft", Anchor::Start, &detail);
    }

    fn bar(&self, sheet: &mut Sheet, build: &Build<'_>, bar: &Bar<'_, '_>) {
        let Bar { ratio, .. } = bar;
        let y = sheet.top + 8.0;
        let class = match Standing::of(ratio) {
            Standing::Even => "even",
            _ => class_of(ratio),
        };
        let (one, at) = (self.scale.at(1.0), self.scale.at(ratio.ratio));
        let (lo, hi) = (self.scale.at(ratio.lo), self.scale.at(ratio.hi));
        sheet.canvas.titled(&sentence(bar, ratio), |canvas| {
            canvas.area((one.min(at), y - HALF), (one.max(at), y + HALF), class);
            canvas.line((lo, y), (hi, y), "whisker");
            for end in [lo, hi] {
                canvas.line((end, y - 3.0), (end, y + 3.0), "whisker");
            }
        });
        for other in others(bar) {
            let Some(peer) = build.contenders.iter().find(|it| it.name == other.peer) else {
                continue;
            };
            let (shape, class) = look(peer);
            let class = if self.scale.holds(other.ratio) { class } else { class + " rest" };
            sheet.canvas.titled(&sentence(bar, other), |canvas| {
                canvas.mark((self.scale.at(other.ratio), y), shape, &class);
            });
        }
        sheet.top += if self.narrow { LINE + 4.0 } else { 20.0 };
    }

    /// The axis above and below the bars, and the line at one.
    fn axis(&self, sheet: &mut Sheet, first: f64) {
        let last = sheet.top;
        let mut grid = svg::Canvas::new(sheet.canvas.width());
        let room = (self.plot.1 - self.plot.0) / 44.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
        let ticks = self.scale.ticks(room.max(2.0) as usize);
        for value in ticks {
            let x = self.scale.at(value);
            grid.line((x, first), (x, last), "grid");
            for y in [first - 5.0, last + 13.0] {
                grid.text((x, y), "soft small", Anchor::Middle, &tick(value));
            }
        }
        let one = self.scale.at(1.0);
        grid.line((one, first), (one, last), "axis one");
        sheet.canvas.below(&grid);
        sheet.top += LINE;
    }
}

/// `1.71x`.
fn figure_of(ratio: &Ratio) -> String {
    format!("{}\u{d7}", figure::short(ratio.ratio))
}

/// How the figure of a ratio looks.
fn class_of(ratio: &Ratio) -> &'static str {
    match Standing::of(ratio) {
        Standing::Better => "better",
        Standing::Even => "ink",
        Standing::Worse => "worse",
    }
}

fn sentence(bar: &Bar<'_, '_>, ratio: &Ratio) -> String {
    format!(
        "{}, {}, {}: {} is {} \u{d7} {}",
        bar.line.workload,
        threads(bar.line.threads),
        figure::title(&ratio.metric),
        ratio.ours,
        figure::interval(ratio.ratio, ratio.lo, ratio.hi),
        ratio.peer,
    )
}

/// The ends of the axis: all of the bars, and of the other peers what does not stretch it much.
fn domain<'b, 'a: 'b>(bars: impl Iterator<Item = &'b Bar<'b, 'a>> + Clone) -> (f64, f64) {
    let shown = |value: &f64| value.is_finite() && *value > 0.0;
    let ends = bars.clone().flat_map(|bar| [bar.ratio.lo, bar.ratio.ratio, bar.ratio.hi]);
    let (least, most) = ends
        .filter(shown)
        .fold((0.95, 1.05), |(least, most): (f64, f64), it| (least.min(it), most.max(it)));
    let marks = bars.flat_map(others).map(|ratio| ratio.ratio).filter(shown);
    let (low, high) = (least / STRETCH, most * STRETCH);
    let (least, most) = marks
        .map(|mark| mark.clamp(low, high))
        .fold((least, most), |(least, most), it| (least.min(it), most.max(it)));
    (least * 0.96, most * 1.04)
}
