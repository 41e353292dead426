//! Text for a terminal, or for whatever it is piped into: at most 80 columns, colour where wanted.
//!
//! Whoever reads may have gone, as in `cargo study tour hashmap | head`. Then what is said is not
//! heard, and that is all: what a command does besides, it does to the end.

use std::fmt;
use std::io::{IsTerminal, Write, stderr, stdout};

/// Says a line.
macro_rules! say {
    () => { $crate::screen::utter(format_args!("\n")) };
    ($($line:tt)+) => {{
        $crate::screen::utter(format_args!($($line)+));
        $crate::screen::utter(format_args!("\n"));
    }};
}

/// Says some text, and begins no new line after it.
pub(crate) fn utter(text: fmt::Arguments<'_>) {
    // Failure: nobody reads it.
    let _unheard = stdout().lock().write_fmt(text);
}

/// Says what went wrong, where complaints are said.
pub(crate) fn complain(what: &dyn fmt::Display) {
    let lines: Vec<_> = what.to_string().lines().map(|it| Screen::wrap(it, 0)).collect();
    // Failure: nobody reads it.
    let _unheard = writeln!(stderr(), "{}", lines.join("\n"));
}

/// Columns of running text.
const WIDTH: usize = 80;

/// What is moved to the right farther than this is not.
const INDENT_MAX: usize = 40;

/// Whether and how to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    colours: bool,
    pub(crate) is_terminal: bool,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Head,
    Faint,
}

impl Screen {
    pub(crate) fn of_this_terminal() -> Self {
        let is_terminal = stdout().is_terminal();
        Self { colours: is_terminal && std::env::var_os("NO_COLOR").is_none(), is_terminal }
    }

    /// Text without colours, for tests and files.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { colours: false, is_terminal: false };

    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Head => "1",
            Tone::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A paragraph, broken at spaces and indented.
    pub(crate) fn wrap(text: &str, indent: usize) -> String {
        let indent = indent.min(INDENT_MAX);
        let room = WIDTH - indent;
        let margin = " ".repeat(indent);
        let mut lines = vec![String::new()];
        for word in text.split_whitespace() {
            let line = lines.last_mut().expect("there is a first line");
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
                lines.push(word.to_owned());
            } else {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        let indented = lines.iter().map(|line| format!("{margin}{line}"));
        indented.collect::<Vec<_>>().join("\n")
    }

    /// Markdown: its paragraphs and the points of its lists are broken anew, code and tables stay.
    pub(crate) fn prose(text: &str) -> String {
        let is_fixed = |it: &str| it.contains("```") || it.starts_with('|') || it.starts_with('<');
        let is_point = |it: &str| it.starts_with("- ") || it.starts_with("* ");
        let paragraph = |paragraph: &str| {
            if is_fixed(paragraph) {
                return paragraph.to_owned();
            }
            let mut points: Vec<String> = Vec::new();
            for line in paragraph.lines() {
                match points.last_mut() {
                    Some(point) if !is_point(line) => {
                        point.push(' ');
                        point.push_str(line);
                    }
                    _ => points.push(line.to_owned()),
                }
            }
            let wrapped = points.iter().map(|point| Self::wrap(point, 0));
            wrapped.collect::<Vec<_>>().join("\n")
        };
        text.split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n\n")
    }

    /// Lines of code with their numbers, moved left as far as all of them can be. A line that is
    /// still too long goes on below, where a space allows it.
    pub(crate) fn code<'t>(lines: impl Iterator<Item = &'t str> + Clone, first: usize) -> String {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let full = lines.clone().filter(|line| !line.trim().is_empty());
        let shift = full.map(indent).min().unwrap_or(0);
        let mut shown = String::new();
        for (line, number) in lines.zip(first..) {
            let mut rest = line.get(shift..).unwrap_or_default();
            let mut margin = format!("{number:>5}  ");
            loop {
                let room = WIDTH - margin.chars().count();
                let end = rest.char_indices().nth(room).map_or(rest.len(), |(end, _)| end);
                let head = &rest[..end];
                let space = head.trim_start().rfind(' ').map(|it| it + indent(head));
                let cut = if end == rest.len() { end } else { space.unwrap_or(end) };
                shown.push_str(format!("{margin}{}", &rest[..cut]).trim_end());
                shown.push('\n');
                rest = rest[cut..].trim_start();
                if rest.is_empty() {
                    break;
                }
                let depth = indent(line).saturating_sub(shift);
                margin = " ".repeat((7 + depth + 4).min(INDENT_MAX));
            }
        }
        shown
    }

    /// `[####----] 4 of 8`.
    pub(crate) fn bar(done: usize, all: usize) -> String {
        let full = "#".repeat(done);
        let empty = "-".repeat(all - done);
        format!("[{full}{empty}] {done} of {all}")
    }
}
