//! `list`, `next` and `hint`: where the learner is, and how to go on.

use crate::Study;
use crate::catalogue::{Exercise, Stage};
use crate::error::Error;
use crate::screen::{Screen, Tone};

/// Shows all builds and stages.
pub(crate) fn list(study: &Study) -> Result<bool, Error> {
    let current = study.exercise()?.build.clone();
    for exercise in &study.catalogue.exercises {
        let passed = |stage: &&Stage| study.progress.has_passed(exercise, stage.number);
        let done = exercise.stages.iter().filter(passed).count();
        let here = if exercise.build == current { "  <- you are here" } else { "" };
        let head = study.screen.paint(Tone::Head, &exercise.build);
        let bar = Screen::bar(done, exercise.stages.len());
        say!("{head}: {}  {bar}{here}", exercise.title);
        for stage in &exercise.stages {
            let sign = if study.progress.has_passed(exercise, stage.number) {
                study.screen.paint(Tone::Good, "passed")
            } else {
                study.screen.paint(Tone::Faint, "      ")
            };
            say!("  {sign}  {}  {} ({} minutes)", stage.number, stage.name, stage.minutes);
        }
    }
    say!("\n`cargo study next` says what to do; `cargo study next <build>` changes builds.");
    Ok(true)
}

/// Says what to do next.
pub(crate) fn next(study: &mut Study, build: Option<&str>) -> Result<bool, Error> {
    if let Some(build) = build {
        study.catalogue.exercise(build)?;
        study.progress.build = Some(build.to_owned());
        study.progress.keep()?;
    }
    let (exercise, stage) = study.stage()?;
    match stage {
        Some(stage) => show_task(study, exercise, stage),
        None => show_end(study, exercise),
    }
    Ok(true)
}

fn show_task(study: &Study, exercise: &Exercise, stage: &Stage) {
    if stage.number == 1 {
        say!("{}\n{}\n", exercise.title, Screen::wrap(&exercise.about, 0));
    }
    let head = format!("{}, stage {}: {}", exercise.build, stage.number, stage.name);
    say!("{}  (about {} minutes)", study.screen.paint(Tone::Head, &head), stage.minutes);
    say!("{}\n", Screen::wrap(&stage.task, 0));
    say!("edit    {}", exercise.source().display());
    say!("judge   cargo study check       (or `cargo study`, which judges when you save)");
    say!("stuck?  cargo study hint");
}

fn show_end(study: &Study, exercise: &Exercise) {
    let done = format!("All stages of {} have passed.", exercise.build);
    say!("{}", study.screen.paint(Tone::Good, &done));
    say!("cargo study bench    measures yours beside ours and the peers");
    say!("cargo study diff     compares yours with the teaching solution");
    let mut others = study.catalogue.exercises.iter();
    if let Some(open) = others.find(|it| study.progress.current(it).is_some()) {
        say!("cargo study next {}", open.build);
    }
}

/// Shows the hints of the current stage up to the next one.
pub(crate) fn hint(study: &mut Study) -> Result<bool, Error> {
    let build = study.exercise()?.build.clone();
    let exercise = study.catalogue.exercise(&build)?;
    let Some(stage) = study.progress.current(exercise) else {
        show_end(study, exercise);
        return Ok(true);
    };
    let shown = study.progress.one_more_hint(exercise, stage);
    for (hint, number) in stage.hints.iter().zip(1..=shown) {
        say!("{number}. {}", Screen::wrap(hint, 3).trim_start());
    }
    match stage.hints.len() - shown {
        0 => say!("\nThere are no more hints for stage {}.", stage.number),
        left => say!("\n{left} more: `cargo study hint`."),
    }
    study.progress.keep()?;
    Ok(true)
}
