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
    // Failure: nobody reads it.
    let _unheard = writeln!(stderr(), "{what}");
}

/// Columns of running text.
const WIDTH: usize = 80;

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

    /// `[####----] 4 of 8`.
    pub(crate) fn bar(done: usize, all: usize) -> String {
        let full = "#".repeat(done);
        let empty = "-".repeat(all - done);
        format!("[{full}{empty}] {done} of {all}")
    }
}
