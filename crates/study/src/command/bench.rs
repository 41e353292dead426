//! `bench`: the learner's line in the same comparison, after the same suites.
//!
//! The line `yours` appears where `.study/yours-<build>` holds the stamp of the very source that is
//! compiled in: it is written after a verdict and names that source alone, so that a change takes
//! the line away again.

use std::process::Command;

use env::fs::{Fs, FsExt, OsFs};

use crate::Study;
use crate::command::check;
use crate::error::Error;
use crate::judge::{Source, judge};
use crate::progress::{FOLDER, stamp};

/// Judges what the learner calls `Yours`, and measures it.
pub(crate) fn bench(study: &mut Study, duel: &[String]) -> Result<bool, Error> {
    let exercise = study.exercise()?;
    let source = OsFs.read_to_string(&study.root.join(exercise.source()))?;
    println!("judging what you call `Yours` ...");
    let verdict = judge(&study.root, exercise, "yours", Source::Learner)?;
    check::show(study.screen, exercise, &verdict);
    let gate = study.root.join(FOLDER).join(format!("yours-{}", exercise.build));
    if !verdict.is_passed() {
        if OsFs.exists(&gate)? {
            OsFs.remove_file(&gate)?;
        }
        println!("no line yet: what is wrong is not measured");
        return Ok(false);
    }
    OsFs.create_dir_all(&study.root.join(FOLDER))?;
    OsFs.write_atomic(&gate, stamp(&source).to_string().as_bytes())?;
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
