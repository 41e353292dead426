//! `kill -9` in the midst of writing: nothing that was acknowledged is lost.
//!
//! The test starts itself as a child, which writes and says after each write how far it is. The
//! parent kills it at some moment, opens the store and looks for everything that was said. Then the
//! child goes on in the same directory.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use lsm::{Batch, Db, Options};

/// Set for the child: the directory of the store.
const FOLDER: &str = "STRATA_LSM_KILLED_FOLDER";
/// Kills.
const ROUNDS: u64 = 6;
/// Acknowledged writes before each kill, at least.
const WRITES: u64 = 10_000;
/// Keys under which the child writes, over and over.
const KEYS: u64 = 3_000;

fn options() -> Options {
    // Small enough that memtables are written out and merged while the child lives.
    Options::with_budget(2 << 20)
}

fn key(number: u64) -> [u8; 8] {
    (number % KEYS).to_be_bytes()
}

/// Writes numbers from the one behind the last, each in a batch of two keys.
fn write_until_killed(folder: &Path) {
    let db = Db::open(folder, options()).expect("the directory is free");
    let mut batch = Batch::new();
    let mut acknowledged = io::stdout().lock();
    for number in last(&db) + 1.. {
        batch.clear();
        let value = [&number.to_le_bytes()[..], &[7; 90]].concat();
        batch.put(&key(number), &value).expect("it is small");
        batch.put(b"last", &number.to_le_bytes()).expect("it is small");
        db.write(&mut batch).expect("there is room on the disk");
        writeln!(acknowledged, "{number}").expect("the parent listens");
    }
}

fn last(db: &Db) -> u64 {
    let found = db.get(b"last").expect("it can be read");
    found.map_or(0, |it| u64::from_le_bytes(it.try_into().expect("eight bytes")))
}

/// Lets a child write until it has said `WRITES` numbers, kills it, and returns the last it said.
fn killed(folder: &Path, after: u64) -> u64 {
    let this = env::current_exe().expect("a test knows its program");
    let mut child = Command::new(this)
        .args(["--exact", "killed::what_was_acknowledged_survives_kill_9", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process can be started");
    let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    // The harness of tests says a few lines of its own.
    let mut numbers = lines.map_while(Result::ok).filter_map(|it| it.parse::<u64>().ok());
    let mut said = 0;
    for _ in 0..WRITES + after {
        said = numbers.next().expect("the child goes on until it is killed");
    }
    child.kill().expect("it was running");
    // What it had said before the kill reached it is in the pipe still.
    said = numbers.last().map_or(said, |it| it.max(said));
    child.wait().expect("it has ended");
    said
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    if let Some(folder) = env::var_os(FOLDER) {
        return write_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    for round in 0..ROUNDS {
        let said = killed(folder.path(), round * 137);
        let db = Db::open(folder.path(), options()).expect("a kill damages nothing");
        let found = last(&db);
        assert!(found >= said, "round {round}: {said} was acknowledged, the store has {found}");
        for number in found.saturating_sub(KEYS - 1).max(1)..=found {
            let value = db.get(&key(number)).expect("it can be read").unwrap_or_default();
            assert!(
                value.starts_with(&number.to_le_bytes()),
                "round {round}: {number} is not there"
            );
        }
        db.verify().expect("a kill damages nothing");
    }
}
