//! The table for the terminal.
//!
//! Each line of the comparison is a small table: a row a contender, a column a metric, ours first.
//! Columns that do not fit beside each other go below, in a second table of the same line, so that
//! nothing is cut off and nothing wraps. All tables of a build share the widths of their columns,
//! so that the eye can run down.
//!
//! # What this module does not do
//!
//! It prints nothing and does not look at the terminal: the caller says how wide it is and whether
//! it has colours.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, Table, Width, presets};

use super::figure;
use super::view::{self, Build, Column, Contender, Line, Standing};
use crate::record::{DisturbedLine, Ratio, Record};

/// The terminal to write for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Columns of text.
    pub width: u16,
    /// Whether it shows colours.
    pub colours: bool,
}

impl Terminal {
    /// What every terminal and log can show.
    pub const PLAIN: Self = Self { width: 80, colours: false };

    fn columns(self) -> usize {
        usize::from(self.width)
    }
}

/// The longest name that is shown in full.
const NAME_CHARS: usize = 22;
/// Spaces between columns.
const GAP: usize = 2;
/// What stands after the best peer's ratio, and after others for the sake of alignment.
const BEST: &str = " *";
const NOT_BEST: &str = "  ";
/// The longest head and the longest cell: together with a name they fit into 80 columns.
const HEAD_CHARS: usize = 18;
const CELL_CHARS: usize = 34;

/// The whole record.
pub fn render(record: &Record, terminal: Terminal) -> String {
    let mut text = Text { terminal, text: String::new() };
    text.say(&machine(record), 0);
    warnings(record, &mut text);
    let builds = view::builds(record);
    if builds.is_empty() {
        text.say("nothing was measured", 0);
    }
    for build in &builds {
        text.blank();
        text.say(build.name, 0);
        let layout = Layout::of(build, terminal);
        for line in &build.lines {
            text.blank();
            text.line(build, line, &layout);
        }
        text.blank();
        text.summary(build);
    }
    text.text
}

/// One line of the comparison, as it looks in [`render`]; to be shown as soon as it is measured.
///
/// Of a record that holds other lines too, all are shown.
pub fn render_lines(record: &Record, terminal: Terminal) -> String {
    let mut text = Text { terminal, text: String::new() };
    for build in &view::builds(record) {
        let layout = Layout::of(build, terminal);
        for line in &build.lines {
            text.line(build, line, &layout);
        }
    }
    text.text
}

/// What a record comes to, for the end of a run whose lines have been shown: the machine, the
/// warnings, and the summary of each build, as they look in [`render`].
pub fn render_summary(record: &Record, terminal: Terminal) -> String {
    let mut text = Text { terminal, text: String::new() };
    text.say(&machine(record), 0);
    warnings(record, &mut text);
    for build in &view::builds(record) {
        text.blank();
        text.say(build.name, 0);
        text.summary(build);
    }
    text.text
}

fn machine(record: &Record) -> String {
    let machine = &record.machine;
    let known = |text: &str| if text.is_empty() { "unknown" } else { text }.to_owned();
    let commit = figure::clip(&record.commit, 41);
    let dirty = if record.dirty { " with changes" } else { "" };
    format!(
        "{}, {}, {}, {}, load {:.2}, hand-over {}, commit {}{dirty}, mode {}",
        known(&machine.cpu),
        figure::count(machine.cores, "processor"),
        known(&machine.kernel),
        known(&machine.rustc),
        machine.load_before,
        figure::handover(machine),
        known(&commit),
        known(&record.mode),
    )
}

fn warnings(record: &Record, text: &mut Text) {
    if record.machine.busy {
        text.say("BUSY: others used the machine before the run; the figures are doubtful", 0);
    }
    for line in &record.disturbed {
        let DisturbedLine { build, workload, threads, load } = line;
        let sentence = format!(
            "DISTURBED: others used {load:.2} processors during {build} {workload} x{threads}; its \
             figures are doubtful"
        );
        text.say(&sentence, 2);
    }
    if record.machine.moved() {
        text.say(&figure::moved(&record.machine), 2);
    }
    if record.mode == "smoke" {
        text.say("SMOKE: everything ran once; no figure means anything", 0);
    }
}

/// The text so far.
struct Text {
    terminal: Terminal,
    text: String,
}

impl Text {
    /// A sentence, broken where it must be; further lines are indented by `indent`.
    fn say(&mut self, sentence: &str, indent: usize) {
        self.text.push_str(&figure::wrap(sentence, self.terminal.columns(), indent));
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn line(&mut self, build: &Build<'_>, line: &Line<'_>, layout: &Layout<'_>) {
        self.say(&format!("{} x{}", line.workload, line.threads), 2);
        let shown: Vec<_> = build.contenders.iter().filter(|it| line.has(it.name)).collect();
        for block in &layout.blocks {
            let table = layout.table(self.terminal, line, &shown, block);
            for row in table.lines() {
                self.text.push_str(row.trim_end());
                self.text.push('\n');
            }
        }
        for failure in &line.failures {
            let kind = if failure.fault { "FAILED" } else { "not run" };
            self.say(&format!("  {}: {kind}: {}", failure.contender, failure.reason), 4);
        }
    }

    fn summary(&mut self, build: &Build<'_>) {
        let summaries = build.summaries();
        if summaries.is_empty() {
            self.say(&format!("{}: ours met no peer", build.name), 2);
            return;
        }
        for it in &summaries {
            let sentence = format!(
                "{}, {}: {} x the best peer (geometric mean of {}; {} better, {} even, {} worse)",
                it.ours,
                figure::title(it.metric),
                figure::short(it.mean),
                figure::count(it.lines(), "line"),
                it.better,
                it.even,
                it.worse,
            );
            self.say(&sentence, 2);
        }
        let losses = build.losses();
        if losses.is_empty() {
            self.say("where we lose: on none of these lines", 2);
            return;
        }
        self.say("where we lose:", 2);
        for loss in losses {
            self.say(&format!("  {}", loss_sentence(loss)), 4);
        }
    }
}

fn loss_sentence(loss: &Ratio) -> String {
    format!(
        "{} x{}, {}: {} {} x {}",
        loss.workload,
        loss.threads,
        figure::title(&loss.metric),
        loss.ours,
        figure::interval(loss.ratio, loss.lo, loss.hi),
        loss.peer,
    )
}

/// Which columns stand side by side, and how wide they are.
struct Layout<'a> {
    /// Each block is a table of its own, below the one before.
    blocks: Vec<Vec<Shown<'a>>>,
    name_width: usize,
}

/// A column of figures with its head and its width.
#[derive(Clone)]
struct Shown<'a> {
    /// `None`: the version.
    column: Option<Column<'a>>,
    head: String,
    width: usize,
}

impl<'a> Layout<'a> {
    fn of(build: &Build<'a>, terminal: Terminal) -> Self {
        let names = build.contenders.iter().map(|it| figure::clip(it.name, NAME_CHARS));
        let name_width = widest(names).max("contender".len());
        let many = build.ours().len() > 1;
        let mut columns = vec![Shown::new(build, None, "version".to_owned())];
        for column in build.columns() {
            let head = match column {
                Column::Value(metric) => figure::clip(figure::heading(metric.name), HEAD_CHARS),
                Column::Ratio { ours, .. } if many => {
                    format!("{} / it", figure::clip(ours, HEAD_CHARS))
                }
                Column::Ratio { .. } => "ours / it".to_owned(),
            };
            columns.push(Shown::new(build, Some(column), head));
        }
        let mut blocks: Vec<Vec<Shown<'a>>> = Vec::new();
        let mut left = 0;
        for column in columns {
            let needed = GAP + column.width;
            match blocks.last_mut() {
                Some(block) if needed <= left => block.push(column),
                _ => {
                    blocks.push(vec![column]);
                    left = terminal.columns().saturating_sub(GAP + name_width);
                }
            }
            left = left.saturating_sub(needed);
        }
        Self { blocks, name_width }
    }

    /// One block of one line; empty where the line has no such figures.
    fn table(
        &self,
        terminal: Terminal,
        line: &Line<'a>,
        contenders: &[&Contender<'a>],
        block: &[Shown<'a>],
    ) -> String {
        let has_any =
            |shown: &&Shown<'_>| contenders.iter().any(|it| !shown.text(line, it).is_empty());
        let block: Vec<_> = block.iter().filter(has_any).collect();
        if block.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_width(terminal.width).force_no_tty();
        if terminal.colours {
            table.enforce_styling();
        }
        let heads = block.iter().map(|shown| shown.aligned(Cell::new(shown.indented(&shown.head))));
        table.set_header(std::iter::once(Cell::new("  contender")).chain(heads));
        for contender in contenders {
            let name = format!("  {}", figure::clip(contender.name, NAME_CHARS));
            let cells = block.iter().map(|shown| shown.cell(line, contender));
            table.add_row(std::iter::once(Cell::new(name)).chain(cells));
        }
        let widths = std::iter::once(self.name_width).chain(block.iter().map(|it| it.width));
        for (column, width) in table.column_iter_mut().zip(widths) {
            column.set_padding((0, 0));
            let width = u16::try_from(width + GAP).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
        table.to_string()
    }
}

impl<'a> Shown<'a> {
    fn new(build: &Build<'a>, column: Option<Column<'a>>, head: String) -> Self {
        let mut shown = Self { column, head, width: 0 };
        let cells = build
            .lines
            .iter()
            .flat_map(|line| build.contenders.iter().map(|contender| shown.text(line, contender)));
        shown.width = widest(cells.chain([shown.head.clone()]));
        shown
    }

    /// What stands in this column for a contender; empty where there is nothing.
    fn text(&self, line: &Line<'_>, contender: &Contender<'_>) -> String {
        let text = match self.column {
            None => line.version(contender.name).to_owned(),
            Some(Column::Value(metric)) => line
                .row(contender.name, metric.name)
                .map(|row| figure::in_column(metric.name, row.median, &row.unit))
                .unwrap_or_default(),
            Some(Column::Ratio { metric, ours }) => line
                .ratio(ours, contender.name, metric)
                .map(|it| {
                    let mark = if it.best_peer { BEST } else { NOT_BEST };
                    format!("{}{mark}", figure::interval(it.ratio, it.lo, it.hi))
                })
                .unwrap_or_default(),
        };
        figure::clip(&text, CELL_CHARS)
    }

    fn cell(&self, line: &Line<'_>, contender: &Contender<'_>) -> Cell {
        let cell = self.aligned(Cell::new(self.indented(&self.text(line, contender))));
        let Some(Column::Ratio { metric, ours }) = self.column else { return cell };
        let Some(ratio) = line.ratio(ours, contender.name, metric) else { return cell };
        let cell = if ratio.best_peer { cell.add_attribute(Attribute::Bold) } else { cell };
        match Standing::of(ratio) {
            Standing::Better => cell.fg(Color::Green),
            Standing::Even => cell,
            Standing::Worse => cell.fg(Color::Red),
        }
    }

    /// Figures stand on the right, where their digits line up; versions on the left.
    fn aligned(&self, cell: Cell) -> Cell {
        if self.column.is_some() { cell.set_alignment(CellAlignment::Right) } else { cell }
    }

    /// A text on the left needs a gap before it; one on the right has it from the width.
    fn indented(&self, text: &str) -> String {
        if self.column.is_some() { text.to_owned() } else { format!("  {text}") }
    }
}

fn widest(texts: impl Iterator<Item = String>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
