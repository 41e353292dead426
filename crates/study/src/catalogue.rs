//! The exercises: what there is to build, in which stages, with which hints and planted bugs.

use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};
use serde::Deserialize;

use crate::error::Error;

/// How many hints a stage has, from a nudge to nearly the answer.
pub(crate) const HINTS: usize = 3;

/// All exercises, in the order of their folders.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) exercises: Vec<Exercise>,
}

/// One build to be built.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exercise {
    /// The folder under `exercises`, and the name of the build.
    pub(crate) build: String,
    pub(crate) title: String,
    pub(crate) about: String,
    #[serde(rename = "stage")]
    pub(crate) stages: Vec<Stage>,
    #[serde(rename = "mutant")]
    pub(crate) mutants: Vec<Mutant>,
}

/// One step of an exercise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stage {
    pub(crate) number: u32,
    pub(crate) name: String,
    /// About how long it takes.
    pub(crate) minutes: u32,
    pub(crate) task: String,
    pub(crate) hints: Vec<String>,
    /// What to read afterwards.
    pub(crate) read: Vec<Reading>,
}

/// A place in the real code, and what to see there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reading {
    /// `path` or `path#symbol`.
    pub(crate) at: String,
    pub(crate) note: String,
}

/// A mistake in the solution, which the tests of a stage must find.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    pub(crate) stage: u32,
    pub(crate) why: String,
    /// Text of the solution that is there once.
    pub(crate) find: String,
    pub(crate) replace: String,
}

impl Catalogue {
    /// Reads every exercise of the repository.
    pub(crate) fn read(root: &Path) -> Result<Self, Error> {
        let folder = root.join("exercises");
        let mut names: Vec<_> = OsFs.list(&folder)?.into_iter().filter(|it| it.is_dir).collect();
        names.sort_by(|one, other| one.name.cmp(&other.name));
        let paths = names.iter().map(|entry| folder.join(&entry.name).join("exercise.toml"));
        let exercises = paths.map(|path| Exercise::read(&path)).collect::<Result<_, _>>()?;
        Ok(Self { exercises })
    }

    /// The exercise of this name.
    pub(crate) fn exercise(&self, build: &str) -> Result<&Exercise, Error> {
        self.exercises.iter().find(|it| it.build == build).ok_or_else(|| {
            let known: Vec<_> = self.exercises.iter().map(|it| it.build.as_str()).collect();
            Error::UnknownBuild { build: build.to_owned(), known: known.join(", ") }
        })
    }
}

impl Exercise {
    fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Catalogue { path: path.to_owned(), problem };
        let text = OsFs.read_to_string(path)?;
        let exercise: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        match exercise.problem() {
            Some(problem) => Err(wrong(problem)),
            None => Ok(exercise),
        }
    }

    /// What is wrong with it, apart from what its tests say.
    pub(crate) fn problem(&self) -> Option<String> {
        for (stage, number) in self.stages.iter().zip(1..) {
            if stage.number != number {
                return Some(format!("stage {number} calls itself {}", stage.number));
            }
            let is_short = |text: &String| text.trim().len() < 10;
            if stage.hints.len() != HINTS || stage.hints.iter().any(is_short) {
                return Some(format!("stage {number} must have {HINTS} hints"));
            }
            if stage.read.is_empty() {
                return Some(format!("stage {number} must say what to read afterwards"));
            }
        }
        let stranger = self.mutants.iter().find(|it| self.stage(it.stage).is_none());
        stranger.map(|it| format!("the planted bug {} is of no stage: {}", it.name, it.stage))
    }

    pub(crate) fn stage(&self, number: u32) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.number == number)
    }

    /// The name of its package.
    pub(crate) fn package(&self) -> String {
        format!("exercise-{}", self.build)
    }

    /// The file that the learner edits, from the root.
    pub(crate) fn source(&self) -> PathBuf {
        self.folder().join("src/exercise.rs")
    }

    /// The teaching solution, from the root.
    pub(crate) fn solution(&self) -> PathBuf {
        self.folder().join("solution/exercise.rs")
    }

    /// What the stages are to implement, from the root.
    pub(crate) fn library(&self) -> PathBuf {
        self.folder().join("src/lib.rs")
    }

    fn folder(&self) -> PathBuf {
        Path::new("exercises").join(&self.build)
    }
}

impl Mutant {
    /// The solution with this mistake; `None` where its place is not there exactly once.
    pub(crate) fn plant(&self, solution: &str) -> Option<String> {
        let is_unique = solution.matches(&self.find).count() == 1;
        is_unique.then(|| solution.replacen(&self.find, &self.replace, 1))
    }
}
