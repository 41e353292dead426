//! `diff` and `reset`: the learner's file beside the solution, or as it was.

use std::process::Command;

use crate::Study;
use crate::error::Error;

/// Compares the learner's file with the teaching solution.
pub(crate) fn diff(study: &Study) -> Result<bool, Error> {
    let exercise = study.exercise()?;
    if !study.progress.has_passed(exercise, 1) {
        let refusal = "The solution is for afterwards: pass a stage first (`cargo study next`).";
        return Err(Error::Refused(refusal.to_owned()));
    }
    let (yours, theirs) = (exercise.source(), exercise.solution());
    git(study, &["diff", "--no-index", "--", &yours.to_string_lossy(), &theirs.to_string_lossy()])?;
    Ok(true)
}

/// Puts the stub back and forgets the progress of the current exercise.
pub(crate) fn reset(study: &mut Study, is_meant: bool) -> Result<bool, Error> {
    let build = study.exercise()?.build.clone();
    let exercise = study.catalogue.exercise(&build)?;
    let source = exercise.source();
    if !is_meant {
        return Err(Error::Refused(format!(
            "This throws {} away. If you mean it: `cargo study reset --yes`.",
            source.display()
        )));
    }
    if !git(study, &["checkout", "HEAD", "--", &source.to_string_lossy()])? {
        return Ok(false);
    }
    study.progress.forget(exercise);
    study.progress.keep()?;
    say!("{} is the stub again.", source.display());
    Ok(true)
}

/// Whether git did it. A difference that it found is no failure of ours.
fn git(study: &Study, arguments: &[&str]) -> Result<bool, Error> {
    let status = Command::new("git").current_dir(&study.root).args(arguments).status();
    let status = status
        .map_err(|error| Error::Program { program: "git".to_owned(), reason: error.to_string() })?;
    Ok(status.success())
}
