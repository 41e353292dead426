//! `check`, and the watch that checks whenever the file changes.

use std::time::Duration;

use env::clock::{Clock, MonotonicClock};
use env::fs::{FsExt, OsFs};
use harness::gate::stamp;

use crate::Study;
use crate::catalogue::{Exercise, Stage};
use crate::command::list;
use crate::confine::How;
use crate::error::Error;
use crate::judge::{Failure, Source, Verdict, judge};
use crate::screen::{Screen, Tone};

/// How often the file is looked at. Polling works on every file system and over every connection.
const PERIOD: Duration = Duration::from_millis(300);

/// Failing tests that are shown; the rest is counted.
const SHOWN: usize = 2;

/// Lines of a failing test that are shown.
const LINES: usize = 16;

/// Judges the current stage once, or another one; whether it passed.
pub(crate) fn check(study: &mut Study, stage: Option<u32>) -> Result<bool, Error> {
    let build = study.exercise()?.build.clone();
    let exercise = study.catalogue.exercise(&build)?;
    let stage = match stage {
        Some(number) => exercise.stage(number).ok_or_else(|| Error::UnknownStage {
            build: build.clone(),
            stage: number,
            last: exercise.stages.len(),
        })?,
        None => match study.progress.current(exercise) {
            Some(stage) => stage,
            None => return list::next(study, None),
        },
    };
    let source = OsFs.read_to_string(&study.root.join(exercise.source()))?;
    let module = format!("stage_{}", stage.number);
    say!("{build}, stage {}: {} ...", stage.number, stage.name);
    let verdict = judge(&study.root, exercise, &module, Source::Learner)?;
    show(study.screen, exercise, &verdict);
    if !verdict.is_passed() {
        return Ok(false);
    }
    study.progress.note_passed(exercise, stage.number, stamp(&source));
    study.progress.keep()?;
    show_progress(study, &build, stage)?;
    Ok(true)
}

fn show_progress(study: &Study, build: &str, stage: &Stage) -> Result<(), Error> {
    let exercise = study.catalogue.exercise(build)?;
    let passed = |stage: &&Stage| study.progress.has_passed(exercise, stage.number);
    let done = exercise.stages.iter().filter(passed).count();
    say!("{}\n\nnow read", Screen::bar(done, exercise.stages.len()));
    for reading in &stage.read {
        say!("  {}\n{}", reading.at, Screen::wrap(&reading.note, 4));
    }
    say!("\n`cargo study next` goes on; `cargo study diff` shows the teaching solution.");
    Ok(())
}

/// Says what was found out.
pub(crate) fn show(screen: Screen, exercise: &Exercise, verdict: &Verdict) {
    let bad = |text: &str| say!("{}", screen.paint(Tone::Bad, text));
    match verdict {
        Verdict::Passed(tests) => {
            say!("{}", screen.paint(Tone::Good, &format!("passed: {tests} tests")));
        }
        Verdict::NotWritten(what) => {
            say!("{}\nin {}", Screen::wrap(what, 0), exercise.source().display());
        }
        Verdict::NoProgram(complaints) => {
            bad("it does not compile");
            say!("{}", complaints.trim_end());
        }
        Verdict::Stopped { how, test } => {
            bad(&Screen::wrap(&stopped(*how, test.as_deref()), 0));
        }
        Verdict::Failed(failures) => {
            failures.iter().take(SHOWN).for_each(|failure| show_failure(screen, failure));
            if failures.len() > SHOWN {
                say!("and {} more", failures.len() - SHOWN);
            }
        }
    }
}

fn show_failure(screen: Screen, failure: &Failure) {
    say!("{}", screen.paint(Tone::Bad, &format!("failed: {}", failure.test)));
    let lines: Vec<&str> = failure.message.lines().collect();
    for line in lines.iter().take(LINES) {
        let indent = 2 + line.len() - line.trim_start().len();
        // A command is there to be copied, in one piece.
        let is_command = line.trim_start().starts_with("replay:");
        let shown = if is_command { format!("  {line}") } else { Screen::wrap(line, indent) };
        say!("{shown}");
    }
    if lines.len() > LINES {
        // The last line says how to see it again.
        say!("  ...\n  {}", lines[lines.len() - 1]);
    }
}

fn stopped(how: How, test: Option<&str>) -> String {
    let at = test.map(|test| format!(" in {test}")).unwrap_or_default();
    match how {
        How::OutOfTime => format!("it did not come to an end{at}: a deadlock, or an endless loop?"),
        How::Signal(signal) => format!(
            "it brought its process down{at} (signal {signal}): freed memory, too much of it, or \
             too deep a recursion?"
        ),
        How::Success | How::Failure => format!("it ended before its tests{at}"),
    }
}

/// Judges the current stage now and whenever the file changes, until interrupted or all is done.
pub(crate) fn watch(study: &mut Study) -> Result<bool, Error> {
    let clock = MonotonicClock::new();
    let mut judged = None;
    list::next(study, None)?;
    loop {
        let (exercise, stage) = study.stage()?;
        if stage.is_none() {
            return Ok(true);
        }
        let source = stamp(&OsFs.read_to_string(&study.root.join(exercise.source()))?);
        if judged == Some(source) {
            clock.sleep(PERIOD);
            continue;
        }
        judged = Some(source);
        say!();
        if check(study, None)? {
            judged = None;
            say!();
            list::next(study, None)?;
        } else {
            say!("\nwatching; save the file to try again, or `cargo study hint` elsewhere");
        }
        if !study.screen.is_terminal {
            // Piped into a file, it would run for ever.
            return Ok(false);
        }
    }
}
