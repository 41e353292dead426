//! The bank of questions: `docs/<build>/questions.md`.
//!
//! ```text
//!   ## How does a reader know that a slot was not given to another key?
//!   **30 seconds.** ...
//!   **3 minutes.** ...
//!   **Follow-ups.** ...
//! ```

use std::path::Path;

use env::fs::{Fs, FsExt, OsFs};

use crate::citation;
use crate::error::Error;

/// A question with its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) build: String,
    pub(crate) question: String,
    pub(crate) answer: String,
}

impl Question {
    /// What identifies it, in the file of progress too.
    pub(crate) fn key(&self) -> String {
        format!("{}: {}", self.build, self.question)
    }
}

/// The depths that every answer has.
const DEPTHS: [&str; 3] = ["**30 seconds.**", "**3 minutes.**", "**Follow-ups.**"];

/// What is wrong with an answer.
pub(crate) fn problems(question: &Question) -> Vec<String> {
    let missing = DEPTHS.iter().filter(|depth| !question.answer.contains(**depth));
    let mut problems: Vec<_> =
        missing.map(|it| format!("{}: the answer has no {it}", question.key())).collect();
    if citation::of_prose(&question.answer).is_empty() {
        problems.push(format!("{}: the answer cites no code", question.key()));
    }
    problems
}

/// All questions of some build, or of all.
pub(crate) fn read(root: &Path, build: Option<&str>) -> Result<Vec<Question>, Error> {
    let mut questions = Vec::new();
    for entry in OsFs.list(&root.join("docs"))?.into_iter().filter(|it| it.is_dir) {
        let name = entry.name.to_string_lossy().into_owned();
        let path = root.join("docs").join(&name).join("questions.md");
        if build.is_none_or(|build| build == name) && OsFs.exists(&path)? {
            questions.extend(parse(&name, &OsFs.read_to_string(&path)?));
        }
    }
    Ok(questions)
}

/// The questions of a text.
pub(crate) fn parse(build: &str, text: &str) -> Vec<Question> {
    let sections = text.split("\n## ").skip(1);
    let question = |section: &str| {
        let (question, answer) = section.split_once('\n').unwrap_or((section, ""));
        Question {
            build: build.to_owned(),
            question: question.trim().to_owned(),
            answer: answer.trim().to_owned(),
        }
    };
    sections.map(question).collect()
}

/// As lines of `question<tab>answer<tab>tag`, which Anki imports.
pub(crate) fn as_anki(questions: &[Question]) -> String {
    let field = |text: &str| text.replace('\t', " ").replace('\n', "<br>");
    let line = |it: &Question| {
        format!("{}\t{}\tstrata::{}\n", field(&it.question), field(&it.answer), it.build)
    };
    questions.iter().map(line).collect()
}
