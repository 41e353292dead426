//! Each planted bug is found: by a script whose trace then differs, or by a seed of the simulation.
//!
//! The table of who finds what is `docs/raft/mutants.md`; `UPDATE=1` writes it anew. A bug that a
//! script finds is not looked for in the simulation: the script is the shorter story.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use env::fs::{FsExt, OsFs};

use super::{scripts, simulation};
use crate::mutants::{Bug, with};

/// Seeds of the simulation within which a bug must be found that no script finds.
const SEEDS: u64 = 400;

/// Who found a bug.
#[derive(Debug)]
enum Finder {
    Script(String),
    Seed(u64),
}

/// The first script that does not go as written, or panics.
fn script(bug: Bug) -> Option<Finder> {
    let differs = |text: &str| {
        let run = AssertUnwindSafe(|| with(bug, || scripts::run(text)));
        catch_unwind(run).map_or(true, |now| now != text)
    };
    scripts::all().into_iter().find(|(_, text)| differs(text)).map(|(name, _)| Finder::Script(name))
}

/// The first seed whose run fails or panics.
fn seed(bug: Bug) -> Option<Finder> {
    let fails = |seed: &u64| {
        let servers = [3, 5][usize::try_from(seed % 2).expect("below two")];
        let script = simulation::swarm(servers).draw(*seed);
        let run = AssertUnwindSafe(|| with(bug, || simulation::run(*seed, &script, servers)));
        catch_unwind(run).map_or(true, |verdict| verdict.is_err())
    };
    (0..SEEDS).find(fails).map(Finder::Seed)
}

fn table() -> String {
    let mut text = "# Planted bugs, and what finds them\n\n\
        Each is one line of the protocol made wrong (`crates/raft/src/mutants.rs` says how). \
        A test \
        plants it,\nruns the traces and, where none differs, the simulation seed by seed, \
        and demands this table.\n\n| bug | found by |\n|---|---|\n"
        .to_owned();
    let mut at_large = Vec::new();
    for &bug in Bug::ALL {
        let finder = match script(bug).or_else(|| seed(bug)) {
            Some(Finder::Script(name)) => format!("trace `{}`", name.trim_end_matches(".txt")),
            Some(Finder::Seed(seed)) => format!("simulation, seed {seed}"),
            None => {
                at_large.push(bug);
                continue;
            }
        };
        writeln!(text, "| {bug:?} | {finder} |").expect("a string takes everything");
    }
    assert!(at_large.is_empty(), "not found: {at_large:?}");
    text
}

#[test]
fn every_planted_bug_is_found() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/raft/mutants.md"));
    let now = table();
    if std::env::var_os("UPDATE").is_some() {
        use env::fs::Fs;
        OsFs.create_dir_all(path.parent().expect("it has a folder")).expect("docs can be written");
        OsFs.write_atomic(path, now.as_bytes()).expect("docs can be written");
    }
    let known = OsFs.read_to_string(path).expect("the table is part of the repository");
    assert!(now == known, "the table is no longer true; look, then run with UPDATE=1:\n{now}");
}
