//! `quiz`: questions of interviews, after Leitner: what you knew comes back later each time.
//!
//! A question in box `n` is asked in every `2^n`-th quiz. An answer that was known puts it one box
//! further; one that was not, back into the first.

use std::io::{BufRead, Write, stdin, stdout};

use crate::Study;
use crate::error::Error;
use crate::questions::{self, Question};
use crate::screen::{Screen, Tone, utter};

/// Questions of one quiz.
const ASKED: usize = 5;

/// The last box: asked in every 32nd quiz.
const LAST_BOX: u32 = 5;

/// Asks some questions.
pub(crate) fn quiz(study: &mut Study, build: Option<&str>) -> Result<bool, Error> {
    let questions = read(study, build)?;
    let quiz = study.progress.quizzes;
    let due: Vec<&Question> =
        questions.iter().filter(|it| is_due(study.box_of(it), quiz)).take(ASKED).collect();
    study.progress.quizzes = quiz + 1;
    if due.is_empty() {
        say!("You know them all. Ask again: the ones in the last boxes come back.");
    }
    for question in due {
        say!("{}\n", study.screen.paint(Tone::Head, &question.key()));
        if ask("Answer aloud, then press Enter. ").is_none() {
            break;
        }
        say!("\n{}\n", Screen::prose(&question.answer));
        let Some(answer) = ask("Did you know it? [y/n, q ends] ") else { break };
        match answer.trim() {
            "q" => break,
            "y" => study.move_to(question, study.box_of(question) + 1),
            _ => study.move_to(question, 0),
        }
        say!();
    }
    study.progress.keep()?;
    Ok(true)
}

/// Writes all questions for Anki.
pub(crate) fn export(study: &Study, build: Option<&str>) -> Result<bool, Error> {
    utter(format_args!("{}", questions::as_anki(&read(study, build)?)));
    Ok(true)
}

fn read(study: &Study, build: Option<&str>) -> Result<Vec<Question>, Error> {
    let questions = questions::read(&study.root, build)?;
    if questions.is_empty() {
        let refusal = "There are no such questions; `cargo study quiz` asks about every build.";
        return Err(Error::Refused(refusal.to_owned()));
    }
    Ok(questions)
}

/// Whether a question of a box is asked in a quiz.
pub(crate) fn is_due(in_box: u32, quiz: u32) -> bool {
    quiz.is_multiple_of(1 << in_box)
}

impl Study {
    fn box_of(&self, question: &Question) -> u32 {
        self.progress.boxes.get(&question.key()).copied().unwrap_or(0)
    }

    fn move_to(&mut self, question: &Question, into: u32) {
        self.progress.boxes.insert(question.key(), into.min(LAST_BOX));
    }
}

/// A line from the learner; `None` at the end of the input.
fn ask(prompt: &str) -> Option<String> {
    utter(format_args!("{prompt}"));
    // Failure: nobody reads it.
    let _unheard = stdout().flush();
    let mut line = String::new();
    (stdin().lock().read_line(&mut line).ok()? > 0).then_some(line)
}
