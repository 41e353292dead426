//! How far a run is: a bar on a terminal, a plain line for each line of the comparison elsewhere.

use std::io::{IsTerminal, Write, stderr, stdout};

use indicatif::{ProgressBar, ProgressStyle};

use super::plan::Plan;
use super::subject::Line;

/// What the bar looks like: 80 columns at most, for workloads of usual length.
const TEMPLATE: &str = "{bar:20} {percent:>3} %  {eta:>4} left  {wide_msg}";

/// How far a run is.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    lines: usize,
    begun: usize,
}

impl Progress {
    pub(super) fn new(lines: &[Line], plan: &Plan) -> Self {
        let steps: usize = lines.iter().map(|line| plan.for_line(line).episodes).sum();
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps as u64);
            bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("the template is legal"));
            bar
        });
        Self { bar, lines: lines.len(), begun: 0 }
    }

    /// The next line begins.
    pub(super) fn begin(&mut self, line: &Line) {
        self.begun += 1;
        let title = format!("{} {} x{}", line.build, line.workload, line.threads);
        match &self.bar {
            Some(bar) => bar.set_message(title),
            None => self.tell(&format!("[{}/{}] {title}", self.begun, self.lines)),
        }
    }

    /// An episode of the line is done.
    pub(super) fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Prints a paragraph of results without disturbing the bar.
    pub(super) fn print(&self, text: &str) {
        let paragraph = || {
            // Who reads no further, as `head` does not, still finds all of it in the record.
            let _unread = writeln!(stdout(), "{text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(paragraph),
            None => paragraph(),
        }
    }

    /// Prints a remark to standard error without disturbing the bar.
    pub(super) fn tell(&self, text: &str) {
        let line = || {
            // Where nobody can read a remark, there is nobody to tell.
            let _unread = writeln!(stderr(), "{text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(line),
            None => line(),
        }
    }

    /// Everything is measured.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
