//! What the learner has done: a small file that git ignores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use env::fs::{Fs, FsExt, OsFs};
use harness::gate::FOLDER;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Exercise, Stage};
use crate::error::Error;

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    #[serde(skip)]
    path: PathBuf,
    /// The build that is worked on.
    pub(crate) build: Option<String>,
    /// For each build and stage, the [stamp](harness::gate::stamp) of the source that passed.
    passed: BTreeMap<String, BTreeMap<u32, u64>>,
    /// For each build and stage, how many hints were shown.
    hints: BTreeMap<String, BTreeMap<u32, usize>>,
    /// For each question, its box: how often in a row it was known.
    pub(crate) boxes: BTreeMap<String, u32>,
    /// How many quizzes there were.
    pub(crate) quizzes: u32,
}

impl Progress {
    /// What was remembered for this checkout.
    pub(crate) fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join(FOLDER).join("progress.json");
        if !OsFs.exists(&path)? {
            return Ok(Self { path, ..Self::default() });
        }
        let text = OsFs.read_to_string(&path)?;
        let read: Self = serde_json::from_str(&text)
            .map_err(|error| Error::Progress { path: path.clone(), problem: error.to_string() })?;
        Ok(Self { path, ..read })
    }

    /// Remembers it.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).expect("it has nothing that JSON has not");
        let folder = self.path.parent().expect("the file lies in the folder");
        OsFs.create_dir_all(folder)?;
        OsFs.write_atomic(&self.path, text.as_bytes())?;
        Ok(())
    }

    /// The first stage that has not passed; `None` where all have.
    pub(crate) fn current<'e>(&self, exercise: &'e Exercise) -> Option<&'e Stage> {
        exercise.stages.iter().find(|stage| !self.has_passed(exercise, stage.number))
    }

    pub(crate) fn has_passed(&self, exercise: &Exercise, stage: u32) -> bool {
        self.passed.get(&exercise.build).is_some_and(|it| it.contains_key(&stage))
    }

    /// Notes that a stage passed with a source.
    pub(crate) fn note_passed(&mut self, exercise: &Exercise, stage: u32, stamp: u64) {
        self.passed.entry(exercise.build.clone()).or_default().insert(stage, stamp);
    }

    /// How many hints have been shown for a stage, the next one included.
    pub(crate) fn one_more_hint(&mut self, exercise: &Exercise, stage: &Stage) -> usize {
        let shown = self.hints.entry(exercise.build.clone()).or_default();
        let shown = shown.entry(stage.number).or_default();
        *shown = (*shown + 1).min(stage.hints.len());
        *shown
    }

    /// Forgets an exercise.
    pub(crate) fn forget(&mut self, exercise: &Exercise) {
        self.passed.remove(&exercise.build);
        self.hints.remove(&exercise.build);
    }
}
