//! A session: commands of a store that stays open, one a line.
//!
//! A line is split at blanks. A word with blanks stands between `"` or between `'`; a backslash
//! takes the character behind it along, and what both mean is told by [`Bytes`]. What a command
//! shows is out before the next line is read, so that a program may talk to a session as well.
//!
//! What fails is told and the session goes on. Its exit code is the largest that a line alone would
//! have had.

use std::io::{BufRead, Write};

use clap::{Parser, Subcommand};
use lsm::{Db, Family};

use crate::escape::{Bytes, shown};
use crate::{Failure, Span, advice, code, scan};

/// Commands of a session; a word with blanks in it stands between quotes.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
#[command(help_template = "{about}\n\n{subcommands}", override_usage = "COMMAND; see help")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// KEY: shows its value.
    Get { key: Bytes },
    /// KEY VALUE: sets it.
    Put { key: Bytes, value: Bytes },
    /// KEY: removes it.
    Delete { key: Bytes },
    /// Shows entries, one a line: [--from KEY] [--to KEY] [--prefix KEY] [--reverse] [--limit N].
    Scan {
        #[command(flatten)]
        span: Span,
    },
    /// Shows what the store holds and did since it was opened.
    Stats,
    /// Ends the session, as the end of the input does.
    Quit,
}

/// What a session is about, and where its answers go.
#[derive(Debug)]
pub(crate) struct Session<'a, O, E> {
    pub(crate) db: &'a Db,
    pub(crate) family: Family,
    /// What stands before a line that is typed; errors are told with their line where nobody types.
    pub(crate) prompt: Option<&'static str>,
    pub(crate) out: &'a mut O,
    pub(crate) errors: E,
}

impl<O: Write, E: Write> Session<'_, O, E> {
    /// Does what the lines say. Returns the exit code; only answers that nobody can read fail.
    pub(crate) fn run(mut self, mut input: impl BufRead) -> Result<u8, Failure> {
        let mut worst = 0;
        for number in 1_u64.. {
            if let Some(prompt) = self.prompt {
                write!(self.out, "{prompt}")?;
            }
            self.out.flush()?;
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line).map_err(Failure::Input)? == 0 {
                break;
            }
            let outcome = match parse(&line) {
                Ok(None) => continue,
                Ok(Some(Command::Quit)) => break,
                Ok(Some(command)) => self.answer(&command),
                Err(Failure::Line(said)) if !said.use_stderr() => {
                    Ok(write!(self.out, "{}", said.render())?)
                }
                Err(cause) => Err(cause),
            };
            match outcome {
                Ok(()) => {}
                Err(cause @ Failure::Output(_)) => return Err(cause),
                Err(cause) => {
                    worst = worst.max(code(&cause));
                    self.tell(number, &cause);
                }
            }
        }
        Ok(worst)
    }

    fn answer(&mut self, command: &Command) -> Result<(), Failure> {
        match command {
            Command::Get { key } => {
                let value = self.family.get(&key.0)?;
                let value = value.ok_or_else(|| Failure::NoKey(shown(&key.0)))?;
                writeln!(self.out, "{}", shown(&value))?;
            }
            Command::Put { key, value } => self.family.put(&key.0, &value.0)?,
            Command::Delete { key } => self.family.delete(&key.0)?,
            Command::Scan { span } => {
                let iter = match &span.prefix {
                    Some(prefix) => self.family.prefix(&prefix.0),
                    None => self.family.range(span.bounds()),
                };
                scan(iter, span, self.out)?;
            }
            Command::Stats => write!(self.out, "{}", self.db.stats())?,
            Command::Quit => unreachable!("it ends the session"),
        }
        Ok(())
    }

    fn tell(&mut self, number: u64, cause: &Failure) {
        let place = if self.prompt.is_some() { String::new() } else { format!("line {number}: ") };
        let said = cause.to_string();
        // Where nobody can read the message, the exit code still says it.
        writeln!(self.errors, "lsm: {place}{}{}", said.trim_end(), advice(cause)).ok();
    }
}

/// The command of a line, if there is one in it.
fn parse(line: &[u8]) -> Result<Option<Command>, Failure> {
    let line = str::from_utf8(line).map_err(|_| Failure::Text)?;
    let words = words(line)?;
    if words.is_empty() {
        return Ok(None);
    }
    Ok(Some(Line::try_parse_from(words)?.command))
}

/// The words of a line, without the quotes around them and with backslashes as they are.
fn words(line: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => {
                let word = word.get_or_insert_default();
                word.push(letter);
                word.extend(letters.next());
            }
            (_, Some(mark)) if letter == mark => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.map_or(Ok(words), |mark| Err(Failure::Quote(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_blanks_that_are_not_quoted() {
        let split = |line| words(line).expect("all quotes are closed");
        assert_eq!(split("  put a\t1 \r\n"), ["put", "a", "1"]);
        assert_eq!(split(r#"put "a b" 'c "d"' "" e' 'f"#), ["put", "a b", "c \"d\"", "", "e f"]);
        assert_eq!(split(r#""say \"no\"" \" \\ \x00"#), [r#"say \"no\""#, r#"\""#, r"\\", r"\x00"]);
        assert!(split(" \n").is_empty());
        for (line, mark) in [("get 'a\n", '\''), (r#"get "a\""#, '"')] {
            assert!(matches!(words(line), Err(Failure::Quote(it)) if it == mark), "{line}");
        }
    }

    #[test]
    fn who_types_is_prompted_and_needs_no_numbers_of_lines() {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let db = Db::open(folder.path(), lsm::Options::default()).expect("the folder is free");
        let run = |prompt| {
            let (mut out, mut errors) = (Vec::new(), Vec::new());
            let family = db.family("default").expect("it is there");
            let session = Session { db: &db, family, prompt, out: &mut out, errors: &mut errors };
            let worst = session.run(&b"put a 1\nget b\nget a\n"[..]).expect("memory is written");
            assert_eq!(worst, 1);
            [out, errors].map(|it| String::from_utf8(it).expect("it is text"))
        };
        assert_eq!(run(Some("> ")), ["> > > 1\n> ", "lsm: there is no key b\n"]);
        assert_eq!(run(None), ["1\n", "lsm: line 2: there is no key b\n"]);
    }
}
