//! The table of a build: every figure of the record, in reach of a screen reader.
//!
//! # What this module does not do
//!
//! It leaves nothing out; what is too much for a glance folds away instead.

use super::class_of;
use crate::report::figure::{self, count};
use crate::report::markup::escape;
use crate::report::view::{Build, Column, Contender, Line, Role};

/// With more lines than this the table is folded.
const OPEN_MAX: usize = 4;

/// The longest name that is shown in full.
const NAME_CHARS: usize = 28;

pub(super) fn render(build: &Build<'_>) -> String {
    let columns = build.columns();
    if columns.is_empty() {
        return String::new();
    }
    let open = if build.lines.len() > OPEN_MAX { "" } else { " open" };
    let heads: String = columns.iter().map(|column| head(build, *column)).collect();
    let lines = build.lines.iter().filter(|line| !line.rows.is_empty() || !line.ratios.is_empty());
    let bodies: String = lines.map(|line| body(build, line, &columns)).collect();
    format!(
        "<h3>All figures</h3>\n<details{open}><summary>{} of {}</summary>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"All figures of {}\">\n\
         <table>\n<thead><tr><th scope=\"col\">contender</th><th scope=\"col\" \
         class=\"text\">version</th>{heads}</tr></thead>\n{bodies}</table>\n</div>\n\
         <p class=\"soft\">\u{2605} marks the best peer of a line.</p></details>\n",
        count(build.lines.len(), "line"),
        escape(build.name),
        escape(build.name),
    )
}

fn head(build: &Build<'_>, column: Column<'_>) -> String {
    let text = match column {
        Column::Value(metric) => figure::heading(metric.name).to_owned(),
        Column::Ratio { ours, .. } if build.ours().len() > 1 => format!("{ours} / it"),
        Column::Ratio { .. } => "ours / it".to_owned(),
    };
    format!("<th scope=\"col\">{}</th>", escape(&text))
}

fn body(build: &Build<'_>, line: &Line<'_>, columns: &[Column<'_>]) -> String {
    let shown = build.contenders.iter().filter(|it| line.has(it.name));
    let rows: String = shown.map(|it| row(line, it, columns)).collect();
    format!(
        "<tbody>\n<tr><th scope=\"rowgroup\" colspan=\"{}\">{}, {}</th></tr>\n{rows}</tbody>\n",
        columns.len() + 2,
        escape(line.workload),
        count(line.threads, "thread"),
    )
}

fn row(line: &Line<'_>, contender: &Contender<'_>, columns: &[Column<'_>]) -> String {
    let class = if matches!(contender.role, Role::Peer(_)) { "" } else { " class=\"ours\"" };
    let cells: String = columns.iter().map(|column| cell(line, contender, *column)).collect();
    format!(
        "<tr{class}><th scope=\"row\"{}</th><td class=\"text\"{}</td>{cells}</tr>\n",
        name(contender.name),
        name(line.version(contender.name)),
    )
}

/// The rest of a tag and the name in it, with the whole of the name in the title if it is long.
fn name(text: &str) -> String {
    let shown = figure::clip(text, NAME_CHARS);
    let title = if shown == text { String::new() } else { format!(" title=\"{}\"", escape(text)) };
    format!("{title}>{}", escape(&shown))
}

fn cell(line: &Line<'_>, contender: &Contender<'_>, column: Column<'_>) -> String {
    let (figure, lo, hi) = match column {
        Column::Value(metric) => {
            let Some(row) = line.row(contender.name, metric.name) else { return empty() };
            let shown = |value| escape(&figure::in_column(metric.name, value, &row.unit));
            (shown(row.median), shown(row.lo), shown(row.hi))
        }
        Column::Ratio { metric, ours } => {
            let Some(it) = line.ratio(ours, contender.name, metric) else { return empty() };
            let star = if it.best_peer { "\u{2605} " } else { "" };
            let ratio = figure::short(it.ratio);
            let figure = format!("<b class=\"{}\">{star}{ratio}\u{d7}</b>", class_of(it));
            (figure, figure::short(it.lo), figure::short(it.hi))
        }
    };
    format!("<td>{figure}<span class=\"soft\">[{lo}, {hi}]</span></td>")
}

fn empty() -> String {
    "<td></td>".to_owned()
}
