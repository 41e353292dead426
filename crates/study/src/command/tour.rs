//! `tour`: a walk through the real code, stop by stop, along what the stages tell to read.
//!
//! The stops are those of the exercise, so that there is one list of places and not two.

use std::io::{BufRead, stdin};

use env::fs::{FsExt, OsFs};

use crate::Study;
use crate::citation::line_of;
use crate::error::Error;
use crate::screen::{Screen, Tone};

/// Lines of code at a stop.
const LINES: usize = 24;

/// Walks through a build.
pub(crate) fn tour(study: &Study, build: &str) -> Result<bool, Error> {
    let exercise = study.catalogue.exercise(build)?;
    let stops: Vec<_> = exercise
        .stages
        .iter()
        .flat_map(|stage| stage.read.iter().map(move |it| (stage, it)))
        .collect();
    for (number, (stage, reading)) in (1..).zip(&stops) {
        let (path, symbol) = reading.at.split_once('#').unwrap_or((&reading.at, ""));
        let text = OsFs.read_to_string(&study.root.join(path))?;
        let line = line_of(&text, symbol).unwrap_or(1);
        let head = format!("stop {number} of {}: {path}:{line}", stops.len());
        say!("{}", study.screen.paint(Tone::Head, &head));
        say!("{}", study.screen.paint(Tone::Faint, &format!("beside stage {}", stage.name)));
        say!("{}\n", Screen::wrap(&reading.note, 0));
        let start = start_of(&text, line);
        for (code, number) in text.lines().skip(start - 1).zip(start..).take(LINES) {
            say!("{number:>5}  {code}");
        }
        say!();
        if study.screen.is_terminal && number < stops.len() && !go_on() {
            break;
        }
    }
    Ok(true)
}

/// Where the documentation of a line's item begins.
fn start_of(text: &str, line: usize) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let belongs =
        |line: &str| line.trim_start().starts_with("///") || line.trim_start().starts_with("#[");
    let mut start = line;
    while start > 1 && belongs(lines[start - 2]) {
        start -= 1;
    }
    start
}

fn go_on() -> bool {
    say!("Enter goes on, q ends.");
    let mut answer = String::new();
    // Failure: there is nobody to answer.
    stdin().lock().read_line(&mut answer).is_ok_and(|read| read > 0 && answer.trim() != "q")
}
