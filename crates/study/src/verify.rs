//! For CI: that the exercises are what they claim to be.
//!
//! | claim                                                                     | found out by      |
//! |---------------------------------------------------------------------------|-------------------|
//! | every stub fails each of its stages, and says where the work is           | running it        |
//! | every solution passes every stage, under both explorers                   | running it        |
//! | every planted bug is found by the tests of its stage                      | running it        |
//! | a learner has at most [`SOLUTION_MAX`] lines to write                     | counting          |
//! | stub and solution have the same public items                              | reading both      |
//! | what documents cite and quote is the code's, answers have their depths    | reading the [prose] |
//!
//! That stubs compile without warnings is clippy's to say, since they are members of the workspace.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};

use crate::Study;
use crate::catalogue::{Exercise, Mutant};
use crate::citation;
use crate::error::Error;
use crate::judge::{Explorer, Source, Verdict, judge, judge_under};
use crate::prose;
use crate::screen::Tone;

/// The most lines of code that a solution may have besides those of the stub: what is longer is not
/// read. Comments and imports are free, and so is what a learner is given.
const SOLUTION_MAX: usize = 300;

/// Looks at everything, or at one build; whether all claims hold.
pub(crate) fn verify(study: &Study, build: Option<&str>) -> Result<bool, Error> {
    let mut complaints = prose::complaints(&study.root)?;
    for exercise in &study.catalogue.exercises {
        if build.is_some_and(|build| build != exercise.build) {
            continue;
        }
        say!("{}", study.screen.paint(Tone::Head, &exercise.build));
        complaints.extend(of_readings(&study.root, exercise));
        complaints.extend(of_items(&study.root, exercise)?);
        complaints.extend(of_size(&study.root, exercise)?);
        complaints.extend(of_stub(study, exercise)?);
        complaints.extend(of_solution(study, exercise)?);
        for mutant in &exercise.mutants {
            complaints.extend(of_mutant(study, exercise, mutant)?);
        }
    }
    for complaint in &complaints {
        say!("{}", study.screen.paint(Tone::Bad, complaint));
    }
    say!("{} complaints", complaints.len());
    Ok(complaints.is_empty())
}

fn of_stub(study: &Study, exercise: &Exercise) -> Result<Vec<String>, Error> {
    let mut complaints = Vec::new();
    for stage in &exercise.stages {
        let module = format!("stage_{}", stage.number);
        let verdict =
            judge_under(&study.root, exercise, &module, Source::Learner, Explorer::Machine)?;
        if !matches!(verdict, Verdict::NotWritten(_)) {
            complaints.push(format!("the stub of {}, {module}: {verdict:?}", exercise.build));
        }
    }
    say!("  the stub fails {} stages", exercise.stages.len());
    Ok(complaints)
}

fn of_solution(study: &Study, exercise: &Exercise) -> Result<Vec<String>, Error> {
    let mut complaints = Vec::new();
    let own = "yours".to_owned();
    let stages = exercise.stages.iter().map(|stage| format!("stage_{}", stage.number));
    for module in stages.chain([own]) {
        let verdict = judge(&study.root, exercise, &module, Source::Solution)?;
        match verdict {
            Verdict::Passed(tests) if tests > 0 => say!("  the solution passes {module}"),
            other => {
                complaints.push(format!("the solution of {}, {module}: {other:?}", exercise.build));
            }
        }
    }
    Ok(complaints)
}

fn of_mutant(study: &Study, exercise: &Exercise, mutant: &Mutant) -> Result<Option<String>, Error> {
    let name = format!("{}, planted bug {}", exercise.build, mutant.name);
    let Some(path) = planted(&study.root, exercise, mutant)? else {
        return Ok(Some(format!("{name}: what it replaces is not in the solution once")));
    };
    let module = format!("stage_{}", mutant.stage);
    let verdict = judge(&study.root, exercise, &module, Source::Mutant(&path))?;
    Ok(match verdict {
        Verdict::Passed(_) => Some(format!("{name}: {module} does not find it")),
        Verdict::NoProgram(why) => Some(format!("{name}: it does not compile: {why}")),
        Verdict::NotWritten(_) | Verdict::Failed(_) | Verdict::Stopped { .. } => {
            say!("  {module} finds {}: {}", mutant.name, mutant.why);
            None
        }
    })
}

/// A file of the solution with this mistake; `None` where its place is not there exactly once.
pub(crate) fn planted(
    root: &Path,
    exercise: &Exercise,
    mutant: &Mutant,
) -> Result<Option<PathBuf>, Error> {
    let solution = OsFs.read_to_string(&root.join(exercise.solution()))?;
    let Some(source) = mutant.plant(&solution) else { return Ok(None) };
    let folder = root.join("target/study");
    OsFs.create_dir_all(&folder)?;
    let path = folder.join(format!("{}-{}.rs", exercise.build, mutant.name));
    OsFs.write_atomic(&path, source.as_bytes())?;
    Ok(Some(path))
}

/// Complaints about what an exercise tells to read.
pub(crate) fn of_readings(root: &Path, exercise: &Exercise) -> Vec<String> {
    let readings = exercise.stages.iter().flat_map(|stage| &stage.read);
    readings.filter_map(|reading| citation::problem(root, &reading.at)).collect()
}

fn of_items(root: &Path, exercise: &Exercise) -> Result<Option<String>, Error> {
    let traits = traits(&OsFs.read_to_string(&root.join(exercise.library()))?);
    let stub = items(&OsFs.read_to_string(&root.join(exercise.source()))?, &traits);
    let solution = items(&OsFs.read_to_string(&root.join(exercise.solution()))?, &traits);
    let differing: Vec<_> = stub.symmetric_difference(&solution).cloned().collect();
    Ok((!differing.is_empty()).then(|| {
        format!("{}: only the stub or only the solution has {differing:?}", exercise.build)
    }))
}

fn of_size(root: &Path, exercise: &Exercise) -> Result<Option<String>, Error> {
    let solution = OsFs.read_to_string(&root.join(exercise.solution()))?;
    let stub = OsFs.read_to_string(&root.join(exercise.source()))?;
    let lines = lines_to_write(&solution, &stub);
    Ok((lines > SOLUTION_MAX).then(|| {
        let build = &exercise.build;
        format!("of the solution of {build} {lines} lines are to be written, of {SOLUTION_MAX}")
    }))
}

/// Lines of a solution that are code, import nothing, and are not among those of the stub.
pub(crate) fn lines_to_write(solution: &str, stub: &str) -> usize {
    let is_code = |line: &&str| {
        !line.is_empty() && ["//", "use "].iter().all(|start| !line.starts_with(start))
    };
    let mut given: Vec<&str> = stub.lines().map(str::trim).filter(is_code).collect();
    let code = solution.lines().map(str::trim).filter(is_code);
    let is_written = |line: &&str| match given.iter().position(|it| it == line) {
        Some(at) => {
            given.swap_remove(at);
            false
        }
        None => true,
    };
    code.filter(is_written).count()
}

/// The traits that a source declares for others.
pub(crate) fn traits(source: &str) -> Vec<String> {
    let name = |line: &str| {
        let rest = line.strip_prefix("pub trait ")?;
        rest.split(|it: char| !it.is_alphanumeric()).next().map(str::to_owned)
    };
    source.lines().filter_map(name).collect()
}

/// Public items of a source, and what its types implement of the exercise's traits.
pub(crate) fn items(source: &str, traits: &[String]) -> BTreeSet<String> {
    let public = |line: &str| {
        let line = line.trim();
        let end = line.find(['(', '{', ';', '=', ':', '<']).unwrap_or(line.len());
        let is_public = line.starts_with("pub ") && !line.starts_with("pub(");
        is_public.then(|| line[..end].trim().to_owned())
    };
    let implemented = |line: &str| {
        let (of, by) = line.strip_prefix("impl")?.split_once(" for ")?;
        let word =
            |text: &str| text.split(|it: char| !it.is_alphanumeric()).next().map(str::to_owned);
        let of = traits
            .iter()
            .find(|name| of.ends_with(&format!(" {name}")) || of.contains(&format!(" {name}<")))?;
        Some(format!("impl {of} for {}", word(by)?))
    };
    source.lines().filter_map(|line| public(line).or_else(|| implemented(line))).collect()
}
