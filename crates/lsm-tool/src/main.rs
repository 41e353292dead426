//! The command `lsm`: look into a store, change it, check it, repair it, copy it.
//!
//! Commands that only look open the store as a [`Reader`]: they work beside the program that has it
//! open, and change nothing. Keys and values are shown as text where they are text, else escaped
//! (`\x00`), and are given in the same form.
//!
//! Exit codes: 0 done; 1 not there, or damaged; 2 wrong arguments.
//!
//! `lsm open` keeps a store open and reads commands from its input: see [`session`].

mod escape;
mod session;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use env::fs::{FsErrorKind, OsFs};
use lsm::{Db, Family, Iter, Options, Reader};

use crate::escape::{Bytes, shown};
use crate::session::Session;

/// What a session shows where one types.
const PROMPT: &str = "lsm> ";

/// Looks into a store, changes it, checks it, repairs it, copies it.
#[derive(Debug, Parser)]
#[command(name = "lsm", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// Where a store is, and which part of it is meant.
#[derive(Debug, Args)]
struct Place {
    /// The directory of the store.
    store: PathBuf,
    /// The family.
    #[arg(long, default_value = "default")]
    family: String,
}

/// Which entries are shown.
#[derive(Debug, Args)]
struct Span {
    /// The first key.
    #[arg(long)]
    from: Option<Bytes>,
    /// The first key behind the last.
    #[arg(long)]
    to: Option<Bytes>,
    /// Only keys that begin so.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    prefix: Option<Bytes>,
    /// From the last to the first.
    #[arg(long)]
    reverse: bool,
    /// So many at most.
    #[arg(long)]
    limit: Option<usize>,
}

impl Span {
    /// The range of keys where no prefix is given.
    fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let from = self.from.as_ref().map_or(Bound::Unbounded, |it| Bound::Included(&*it.0));
        let to = self.to.as_ref().map_or(Bound::Unbounded, |it| Bound::Excluded(&*it.0));
        (from, to)
    }
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Opens the store and reads commands from the input, one a line: `help` shows them.
    Open {
        #[command(flatten)]
        place: Place,
        /// Makes the store, or the family, where there is none.
        #[arg(long)]
        create: bool,
    },
    /// Shows the value of a key.
    Get {
        #[command(flatten)]
        place: Place,
        key: Bytes,
    },
    /// Sets the value of a key.
    Put {
        #[command(flatten)]
        place: Place,
        key: Bytes,
        value: Bytes,
        /// Makes the store, or the family, where there is none.
        #[arg(long)]
        create: bool,
    },
    /// Removes a key.
    Delete {
        #[command(flatten)]
        place: Place,
        key: Bytes,
    },
    /// Shows entries, one a line: key, tabulator, value.
    Scan {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        span: Span,
    },
    /// Shows the families, their levels and the sizes of these.
    Stats {
        /// The directory of the store.
        store: PathBuf,
        /// Shows each table as well.
        #[arg(long)]
        tables: bool,
    },
    /// Reads everything and checks it.
    Verify {
        /// The directory of the store.
        store: PathBuf,
    },
    /// Makes a damaged store one that opens, and says what could not be saved.
    Repair {
        /// The directory of the store, which must not be open.
        store: PathBuf,
    },
    /// Merges each family into one level.
    Compact {
        /// The directory of the store.
        store: PathBuf,
    },
    /// Copies the store by links: in a moment, on the same file system.
    Checkpoint {
        /// The directory of the store.
        store: PathBuf,
        /// The directory of the copy.
        to: PathBuf,
    },
    /// Copies the store by bytes; a copy that is there already takes what is new.
    Backup {
        /// The directory of the store.
        store: PathBuf,
        /// The directory of the copy.
        to: PathBuf,
    },
    /// Shows what a file of the store holds: a table, a segment of the log or of the manifest,
    /// values.
    Dump {
        /// The file, under its name and in its folder: these tell what it is.
        file: PathBuf,
    },
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Store(#[from] lsm::Error),
    #[error("there is no key {0}")]
    NoKey(String),
    #[error("there is no family `{family}`; there are: {known}")]
    NoFamily { family: String, known: String },
    #[error("could not write: {0}")]
    Output(#[from] io::Error),
    #[error("could not read: {0}")]
    Input(io::Error),
    #[error("the line is no text; bytes that are none are given as \\x and two digits")]
    Text,
    #[error("there is a {0} that nothing closes")]
    Quote(char),
    #[error("{0}")]
    Line(#[from] clap::Error),
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = run(&task, &mut out).and_then(|code| Ok(out.flush().map(|()| code)?));
    match outcome {
        Ok(code) => ExitCode::from(code),
        // Who reads has seen enough: `lsm scan ... | head`.
        Err(Failure::Output(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(cause) => {
            writeln!(io::stderr(), "lsm: {cause}{}", advice(&cause)).ok();
            ExitCode::from(code(&cause))
        }
    }
}

/// The exit code that tells of a failure.
fn code(cause: &Failure) -> u8 {
    match cause {
        Failure::Text | Failure::Quote(_) | Failure::Line(_) => 2,
        _ => 1,
    }
}

/// What to do about it, where the error itself does not know.
fn advice(cause: &Failure) -> &'static str {
    match cause {
        Failure::Store(lsm::Error::Fs(cause)) if cause.kind == FsErrorKind::Locked => {
            "\nthe store is open elsewhere; get, scan, stats and verify work all the same"
        }
        _ => "",
    }
}

/// Does it. Returns the exit code.
fn run(task: &Task, out: &mut impl Write) -> Result<u8, Failure> {
    match task {
        Task::Open { place, create } => {
            let db = Db::open(&place.store, options(*create))?;
            let family = family(&db, &place.family, *create)?;
            let is_typed = io::stdin().is_terminal() && io::stdout().is_terminal();
            let prompt = is_typed.then_some(PROMPT);
            let session = Session { db: &db, family, prompt, out, errors: io::stderr() };
            return session.run(io::stdin().lock());
        }
        Task::Get { place, key } => {
            let reader = reader(&place.store)?;
            require_family(&reader, &place.family)?;
            let value = reader.get_in(&place.family, &key.0)?;
            let value = value.ok_or_else(|| Failure::NoKey(shown(&key.0)))?;
            writeln!(out, "{}", shown(&value))?;
        }
        Task::Put { place, key, value, create } => {
            let db = Db::open(&place.store, options(*create))?;
            family(&db, &place.family, *create)?.put(&key.0, &value.0)?;
        }
        Task::Delete { place, key } => {
            let db = Db::open(&place.store, options(false))?;
            family(&db, &place.family, false)?.delete(&key.0)?;
        }
        Task::Scan { place, span } => {
            let reader = reader(&place.store)?;
            require_family(&reader, &place.family)?;
            let iter = match &span.prefix {
                Some(prefix) => reader.prefix_in(&place.family, &prefix.0),
                None => reader.range_in(&place.family, span.bounds()),
            };
            scan(iter, span, out)?;
        }
        Task::Stats { store, tables } => stats(&reader(store)?, *tables, out)?,
        Task::Verify { store } => {
            let reader = reader(store)?;
            reader.verify()?;
            let tables = reader.families().map(|it| reader.tables_in(it).len()).sum::<usize>();
            writeln!(out, "{tables} tables, manifest and log: nothing is damaged")?;
        }
        Task::Repair { store } => write!(out, "{}", lsm::repair(store, &options(false))?)?,
        Task::Compact { store } => Db::open(store, options(false))?.compact()?,
        Task::Checkpoint { store, to } => {
            copied(Db::open(store, options(false))?.checkpoint(to)?, out)?;
        }
        Task::Backup { store, to } => copied(Db::open(store, options(false))?.backup(to)?, out)?,
        Task::Dump { file } => {
            let mut written = Ok(());
            lsm::dump(&OsFs, file, |line| {
                if written.is_ok() {
                    written = writeln!(out, "{line}");
                }
            })?;
            written?;
        }
    }
    Ok(0)
}

fn options(create: bool) -> Options {
    // A command is over in a moment; room for a long life would cost it more than its work.
    Options { create, ..Options::with_budget(32 << 20) }
}

fn reader(store: &Path) -> Result<Reader, Failure> {
    Ok(Reader::open(store, &options(false))?)
}

fn require_family(reader: &Reader, family: &str) -> Result<(), Failure> {
    if reader.families().any(|it| it == family) {
        return Ok(());
    }
    let known = reader.families().collect::<Vec<_>>().join(", ");
    Err(Failure::NoFamily { family: family.to_owned(), known })
}

fn family(db: &Db, name: &str, create: bool) -> Result<Family, Failure> {
    let families = db.families();
    if !create && families.iter().all(|it| it != name) {
        return Err(Failure::NoFamily { family: name.to_owned(), known: families.join(", ") });
    }
    Ok(db.family(name)?)
}

fn scan(mut iter: Iter, span: &Span, out: &mut impl Write) -> Result<(), Failure> {
    if span.reverse {
        iter.seek_last()?;
    } else {
        iter.seek_first()?;
    }
    for _ in 0..span.limit.unwrap_or(usize::MAX) {
        let Some((key, value)) = iter.entry() else { break };
        writeln!(out, "{}\t{}", shown(key), shown(value))?;
        if span.reverse { iter.backward()? } else { iter.forward()? }
    }
    Ok(())
}

fn stats(reader: &Reader, with_tables: bool, out: &mut impl Write) -> Result<(), Failure> {
    for family in reader.families() {
        let tables = reader.tables_in(family);
        let bytes: u64 = tables.iter().map(|it| it.size).sum();
        writeln!(out, "family {family}: {} tables, {bytes} bytes", tables.len())?;
        let mut levels: Vec<usize> = tables.iter().map(|it| it.level).collect();
        levels.dedup();
        for level in levels {
            let here = || tables.iter().filter(|it| it.level == level);
            let bytes: u64 = here().map(|it| it.size).sum();
            let entries: u64 = here().map(|it| it.entries).sum();
            let count = here().count();
            writeln!(out, "  level {level}: {count} tables, {bytes} bytes, {entries} entries")?;
            for table in here().filter(|_| with_tables) {
                let (smallest, largest) = (shown(&table.smallest), shown(&table.largest));
                let shape = format!("{} bytes, {} entries", table.size, table.entries);
                writeln!(
                    out,
                    "    {:016x}: {shape}, \"{smallest}\" to \"{largest}\"",
                    table.number
                )?;
            }
        }
    }
    Ok(())
}

fn copied(copied: lsm::Copied, out: &mut impl Write) -> Result<(), Failure> {
    let lsm::Copied { tables, bytes, had, .. } = copied;
    Ok(writeln!(out, "took {tables} tables, {bytes} bytes; had {had}")?)
}
