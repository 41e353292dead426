//! The page: everything of a record in one file that opens from disk.
//!
//! ```text
//!   head      machine, warnings, list of builds
//!   build     headline per metric -> ratios -> where we lose -> throughput -> latency -> memory
//!             -> failures -> the table
//!   foot      how it was measured
//! ```
//!
//! The file holds its style and its drawings and fetches nothing; it needs no script. Each plot is
//! in it twice, laid out for a wide and for a narrow window, and the style shows one of them.
//!
//! # What this module does not do
//!
//! It computes no figure but the means of the summaries: each number shown is one of the record,
//! rounded, or a count of its entries.

use super::figure::{self, count};
use super::markup::escape;
use super::plots::{self, Frame, Plot};
use super::svg::theme;
use super::view::{self, Build, Standing, Summary};
use crate::record::{DisturbedLine, FailedLine, Machine, Ratio, Record};

mod table;

/// A document that the page links to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The build in whose section it stands.
    pub build: String,
    /// Where it is, as seen from the page: `../../docs/lsm/walkthrough.md`.
    pub target: String,
    /// What the reader sees.
    pub text: String,
}

/// The layouts of a plot.
const WIDE: Frame = Frame { width: 860.0, headed: false };
const NARROW: Frame = Frame { width: 368.0, headed: false };

/// The page of a record. Links that lead to another host are left out.
pub fn render(record: &Record, links: &[Link]) -> String {
    let builds = view::builds(record);
    let mut body = head(record, &builds);
    body.push_str("<main>\n");
    if builds.is_empty() {
        body.push_str("<p class=\"alert\">Nothing was measured: the record has no line.</p>\n");
    }
    for build in &builds {
        body.push_str(&section(build, links));
    }
    body.push_str("</main>\n");
    body.push_str(FOOT);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>Strata: measured against its peers</title>\n<style>\n{}{}\n</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n",
        include_str!("page/style.css"),
        theme::css(),
    )
}

const FOOT: &str = "\
<footer>
<p>A ratio is ours against one peer, so that above one ours is better, whatever the metric. Both do
the same work in many short rounds, one after the other and in turned order; the ratio is the median
over the rounds, and the interval in brackets holds it with a confidence of 95 %. A line is a win
or a loss only if its whole interval lies on one side of one. The best peer of a line is the one
that ours fares worst against. Figures are medians, with their interval below.</p>
</footer>
";

fn head(record: &Record, builds: &[Build<'_>]) -> String {
    let mut html = String::from("<header>\n<h1>Strata, measured against its peers</h1>\n");
    for warning in warnings(record) {
        html.push_str("<p class=\"alert\" role=\"alert\">");
        html.push_str(&warning);
        html.push_str("</p>\n");
    }
    html.push_str(&environment(record));
    if builds.len() > 1 {
        html.push_str(&navigation(builds));
    }
    html.push_str("</header>\n");
    html
}

fn navigation(builds: &[Build<'_>]) -> String {
    let link =
        |build: &Build<'_>| format!("<a href=\"#{}\">{}</a>\n", build.slug, escape(build.name));
    format!("<nav aria-label=\"Builds\">\n{}</nav>\n", joined(builds, link))
}

fn warnings(record: &Record) -> Vec<String> {
    let all = [
        (record.mode == "smoke", "Smoke size: everything ran once. No figure here means anything."),
        (
            record.machine.busy,
            "Busy machine: others used it before the run. The figures are doubtful.",
        ),
        (record.dirty, "The checkout had uncommitted changes: the commit does not tell all."),
    ];
    let mut warnings: Vec<_> =
        all.into_iter().filter(|it| it.0).map(|it| it.1.to_owned()).collect();
    if !record.disturbed.is_empty() {
        warnings.push(disturbed(&record.disturbed));
    }
    if record.machine.moved() {
        warnings.push(figure::moved(&record.machine));
    }
    warnings
}

fn disturbed(lines: &[DisturbedLine]) -> String {
    let line = |it: &DisturbedLine| {
        let threads = count(it.threads, "thread");
        format!("{} {}, {threads} ({:.2})", it.build, it.workload, it.load)
    };
    let lines: Vec<_> = lines.iter().map(line).collect();
    format!(
        "Disturbed: others used the machine during these lines, by so many processors' worth. \
         Their figures are doubtful. {}",
        escape(&lines.join("; "))
    )
}

fn environment(record: &Record) -> String {
    let Machine { cpu, cores, kernel, rustc, load_before, .. } = &record.machine;
    let dirty = if record.dirty { ", with uncommitted changes" } else { "" };
    let entries = [
        ("Processor", format!("{}, {}", known(cpu), count(*cores, "core"))),
        ("Kernel", known(kernel)),
        ("Compiler", known(rustc)),
        ("Load before", format!("{load_before:.2}")),
        ("Cache line hand-over", figure::handover(&record.machine)),
        ("Commit", known(&record.commit) + dirty),
        ("Mode", known(&record.mode)),
    ];
    let entry = |(term, text): &(&str, String)| format!("<dt>{term}</dt><dd>{text}</dd>\n");
    format!("<dl>\n{}</dl>\n", joined(&entries, entry))
}

fn known(text: &str) -> String {
    if text.is_empty() { "unknown".to_owned() } else { escape(text) }
}

fn section(build: &Build<'_>, links: &[Link]) -> String {
    let mut html = format!(
        "<section id=\"{}\">\n<h2>{}</h2>\n{}",
        build.slug,
        escape(build.name),
        links_of(build, links)
    );
    html.push_str(&headline(build));
    for (wide, narrow) in plots::of_build(build, WIDE).iter().zip(&plots::of_build(build, NARROW)) {
        html.push_str(&plot(wide, narrow));
        if wide.kind == "ratios" {
            html.push_str(&losses(build));
        }
    }
    html.push_str(&failures(build));
    html.push_str(&table::render(build));
    html.push_str("</section>\n");
    html
}

/// Both layouts of a plot under its title. The section has said whose it is.
fn plot(wide: &Plot, narrow: &Plot) -> String {
    let title = wide.drawing.title().rsplit(": ").next().unwrap_or_default();
    format!(
        "<h3>{}</h3>\n<figure>\n<figcaption>{}</figcaption>\n<div class=\"wide\">\n{}</div>\n\
         <div class=\"narrow\">\n{}</div>\n</figure>\n",
        escape(&capitalised(title)),
        escape(wide.drawing.description()),
        wide.drawing.inline(),
        narrow.drawing.inline(),
    )
}

fn links_of(build: &Build<'_>, links: &[Link]) -> String {
    let of_build = links.iter().filter(|link| link.build == build.name && is_local(&link.target));
    let shown = joined(of_build, |link| {
        format!("<a href=\"{}\">{}</a>\n", escape(&link.target), escape(&link.text))
    });
    if shown.is_empty() { shown } else { format!("<p class=\"links\">\n{shown}</p>\n") }
}

/// Whether a target is a path beside the page: no scheme, no host.
fn is_local(target: &str) -> bool {
    !target.contains(':') && !target.contains('\\') && !target.starts_with("//")
}

fn headline(build: &Build<'_>) -> String {
    let summaries = build.summaries();
    if summaries.is_empty() {
        return "<p class=\"soft\">Ours met no peer here, so there is no ratio.</p>\n".to_owned();
    }
    let many = build.ours().len() > 1;
    let cards: String = joined(&summaries, |summary| card(summary, many));
    format!("<div class=\"cards\">\n{cards}</div>\n")
}

fn card(it: &Summary<'_>, many: bool) -> String {
    let whose = if many { format!("{}, ", escape(it.ours)) } else { String::new() };
    format!(
        "<div class=\"card\"><b>{}\u{d7}</b><span>{whose}{}</span><span class=\"soft\">the \
         best peer, geometric mean of {}</span><span class=\"soft\">{} better, {} even, {} \
         worse</span></div>\n",
        figure::short(it.mean),
        escape(figure::title(it.metric)),
        count(it.lines(), "line"),
        it.better,
        it.even,
        it.worse,
    )
}

fn losses(build: &Build<'_>) -> String {
    let losses = build.losses();
    if losses.is_empty() {
        return "<h3>Where we lose</h3>\n<p>On none of these lines: no best peer is better beyond \
                its interval.</p>\n"
            .to_owned();
    }
    let item = |it: &&Ratio| {
        format!(
            "<li>{}, {}, {}: <b class=\"worse\">{}\u{d7}</b> \
             <span class=\"soft\">[{}, {}]</span> {}</li>\n",
            escape(&it.workload),
            count(it.threads, "thread"),
            escape(figure::title(&it.metric)),
            figure::short(it.ratio),
            figure::short(it.lo),
            figure::short(it.hi),
            escape(&it.peer),
        )
    };
    let items: String = joined(&losses, item);
    format!("<h3>Where we lose</h3>\n<ul>\n{items}</ul>\n")
}

/// Lines that fail for one reason: a failure of them, and the threads of each workload.
type Group<'a> = (&'a FailedLine, Vec<(&'a str, Vec<String>)>);

/// What has no figure, faults first.
fn failures(build: &Build<'_>) -> String {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for failure in build.failures() {
        let same = |it: &FailedLine| {
            (&it.contender, &it.reason, it.fault)
                == (&failure.contender, &failure.reason, failure.fault)
        };
        let place = groups.iter().position(|(first, _)| same(first)).unwrap_or_else(|| {
            groups.push((failure, Vec::new()));
            groups.len() - 1
        });
        let lines = &mut groups[place].1;
        let threads = failure.threads.to_string();
        match lines.last_mut() {
            Some((workload, all)) if *workload == failure.workload => all.push(threads),
            _ => lines.push((&failure.workload, vec![threads])),
        }
    }
    if groups.is_empty() {
        return String::new();
    }
    groups.sort_by_key(|(failure, _)| !failure.fault);
    format!("<h3>Without a figure</h3>\n<ul>\n{}</ul>\n", joined(&groups, failure))
}

fn failure((it, lines): &Group<'_>) -> String {
    let kind = if it.fault { "<b class=\"worse\">failed</b>" } else { "not run" };
    let line = |(workload, threads): &(&str, Vec<String>)| {
        format!("{workload} (threads: {})", threads.join(", "))
    };
    let lines: Vec<_> = lines.iter().map(line).collect();
    format!(
        "<li>{}: {kind}: {}<br><span class=\"soft\">On {}</span></li>\n",
        escape(&it.contender),
        escape(&it.reason),
        escape(&lines.join("; ")),
    )
}

/// The markup of each item, one after the other.
fn joined<T>(items: impl IntoIterator<Item = T>, markup: impl FnMut(T) -> String) -> String {
    items.into_iter().map(markup).collect()
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The class of a ratio.
fn class_of(ratio: &Ratio) -> &'static str {
    match Standing::of(ratio) {
        Standing::Better => "better",
        Standing::Even => "even",
        Standing::Worse => "worse",
    }
}
