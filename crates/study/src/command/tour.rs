//! `tour`: a walk through the real code, stop by stop.
//!
//! The stops are those of the walkthrough in the documents, each with the paragraph that speaks of
//! it; of a build that has none, those that the stages of its exercise tell to read.

use std::io::{BufRead, stdin};

use env::fs::{Fs, FsExt, OsFs};

use crate::Study;
use crate::citation::{line_of, of_prose};
use crate::error::Error;
use crate::screen::{Screen, Tone};

/// Lines of code at a stop.
const LINES: usize = 24;

/// A place to look at.
struct Stop {
    /// `path` or `path#symbol`.
    at: String,
    note: String,
}

/// Walks through a build.
pub(crate) fn tour(study: &Study, build: &str) -> Result<bool, Error> {
    let stops = stops(study, build)?;
    for (number, stop) in (1..).zip(&stops) {
        let (path, symbol) = stop.at.split_once('#').unwrap_or((&stop.at, ""));
        let text = OsFs.read_to_string(&study.root.join(path))?;
        let line = line_of(&text, symbol).unwrap_or(1);
        let head = format!("stop {number} of {}: {path}:{line}", stops.len());
        say!("{}", study.screen.paint(Tone::Head, &head));
        say!("{}\n", Screen::prose(&stop.note));
        let start = start_of(&text, line);
        say!("{}", Screen::code(text.lines().skip(start - 1).take(LINES), start));
        if study.screen.is_terminal && number < stops.len() && !go_on() {
            break;
        }
    }
    Ok(true)
}

fn stops(study: &Study, build: &str) -> Result<Vec<Stop>, Error> {
    let path = study.root.join("docs").join(build).join("walkthrough.md");
    if OsFs.exists(&path)? {
        return Ok(of_walkthrough(&OsFs.read_to_string(&path)?));
    }
    let stages = &study.catalogue.exercise(build)?.stages;
    let readings = stages.iter().flat_map(|stage| &stage.read);
    Ok(readings.map(|it| Stop { at: it.at.clone(), note: it.note.clone() }).collect())
}

/// Each place that a paragraph cites, the first time.
fn of_walkthrough(text: &str) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    for paragraph in text.split("\n\n").filter(|it| !it.contains("```")) {
        for at in of_prose(paragraph) {
            if stops.iter().all(|stop| stop.at != at) {
                stops.push(Stop { at, note: paragraph.to_owned() });
            }
        }
    }
    stops
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
