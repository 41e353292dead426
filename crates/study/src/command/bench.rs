//! `bench`: the learner's line in the same comparison, after the same suites.
//!
//! The line `yours` is let through a [gate], which this command opens for the source
//! that passed and for no other.

use std::process::Command;

use env::fs::{FsExt, OsFs};
use harness::gate;

use crate::Study;
use crate::command::check;
use crate::error::Error;
use crate::judge::{Source, judge};

/// Judges what the learner calls `Yours`, and measures it.
pub(crate) fn bench(study: &mut Study, duel: &[String]) -> Result<bool, Error> {
    let exercise = study.exercise()?;
    let source = OsFs.read_to_string(&study.root.join(exercise.source()))?;
    say!("judging what you call `Yours` ...");
    let verdict = judge(&study.root, exercise, "yours", Source::Learner)?;
    check::show(study.screen, exercise, &verdict);
    if !verdict.is_passed() {
        gate::close(&study.root, &exercise.build)?;
        say!("no line yet: what is wrong is not measured");
        return Ok(false);
    }
    gate::open(&study.root, &exercise.build, &source)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&study.root).args(["bench", "--quiet", "--bench", "duel", "--"]);
    let status = command.arg(&exercise.build).args(duel).status();
    let status = status.map_err(|error| Error::Program {
        program: "cargo".to_owned(),
        reason: error.to_string(),
    })?;
    Ok(status.success())
}
