//! Each planted bug is found, by the story that is named after it, and some by chance as well.
//!
//! The table of who finds what is `docs/raft/mutants.md`; `UPDATE=1` writes it anew. A story is a
//! trace of `scripts`, or a test where no trace can tell it. Beside that, [`SEEDS`] runs of the
//! simulation look for the bug without knowing it; some need so rare a meeting of events that so
//! few runs do not find them, and then the table says so.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use env::fs::{Fs, FsExt, OsFs};

use super::simulation::Mix;
use super::{scripts, strangers};
use crate::mutants::{Bug, with};

/// Runs of the simulation that look for each bug.
const SEEDS: u64 = 240;

/// Bugs that the simulation must find in so many runs, whatever the stories say. The others need
/// two or three rare things at once, as a write that is replaced while it is on its way.
const FOUND_BY_CHANCE: usize = 24;

/// What stands below the table: bugs of others that are not planted under a number of their own.
const NOT_PLANTED: &str = "\n\
The seed is that of the run, and in brackets stands its mix: `cargo run --profile\n\
release-checked -p raft@0.0.0 --example soak -- --from SEED --seeds 1 --mix MIX` plays it.\n\
What no seed finds needs two or three rare things at once, or stops a cluster only while a\n\
fault lasts; the stories are for that.\n\n\
Two bugs of the list have no line of their own. 5, a holder of a joint configuration that\n\
does not know it is committed, is `ConfigurationAtApply` here, and so is 4: a configuration\n\
is in force once it is in the log. 21, a log that an old disk has forgotten, is\n\
`WipedMemberCounts`. 18 was a second thread that changed the term: here that does not\n\
compile, for the core has one owner, and what is planted is the moment that it left open.\n";

/// The trace that tells a bug; `None` where it takes a test.
const fn story(bug: Bug) -> Option<&'static str> {
    Some(match bug {
        Bug::ChangeBeforeOwnCommit => "bug-01-change-before-own-commit",
        Bug::CommitsPriorTermByCounting => "figure-8-commit-trap",
        Bug::UnawareVoterRefuses => "bug-03-voter-that-does-not-know",
        Bug::ConfigurationAtApply | Bug::ConfigurationSurvivesTruncation => {
            "bug-08-configuration-of-a-truncated-entry"
        }
        Bug::AutoLeaveIsForgotten => "bug-06-joint-is-left-by-the-next-leader",
        Bug::LeavesJointTooEarly => "bug-07-joint-is-not-left-early",
        Bug::ConfigurationSurvivesSnapshot => "bug-09-configuration-behind-a-snapshot",
        Bug::QuorumNotSorted | Bug::QuorumOneShort => "bug-10-commit-without-a-majority",
        Bug::SilentToOldPreVote => "bug-11-pre-vote-of-an-old-term",
        Bug::NeverStepsDown => "bug-12-bridge",
        Bug::TransferNeverEnds => "bug-13-transfer-that-fails",
        Bug::LeaseSurvivesTransfer => "bug-14-lease-and-transfer",
        Bug::ReadBeforeOwnCommit => "bug-15-read-before-the-first-commit",
        Bug::ReadUsesOldRound => "bug-16-read-and-an-old-answer",
        Bug::VoteBeforeDurable => "bug-17-vote-is-durable-first",
        Bug::TermMovesUnderLeader => "bug-18-term-moves-under-a-leader",
        Bug::StaleWriteCounts => "bug-19-write-that-comes-back",
        Bug::LeaderCountsUnwritten => "bug-20-own-copy-is-not-durable",
        Bug::AckBeforeDurable => "bug-22-acknowledged-means-durable",
        Bug::NeverSendsSnapshot => "bug-23-follower-behind-a-compacted-log",
        Bug::CommitsBeyondMatch => "bug-24-commit-beyond-what-matches",
        Bug::DeletesMatchingEntries => "bug-25-old-append-comes-late",
        Bug::UncommittedBytesLeak => "bug-27-uncommitted-limit",
        Bug::LongerLogWins => "bug-28-last-term-before-length",
        Bug::StalledDiskLeads => "leader-whose-disk-stalls",
        Bug::OldSessionCounts => "member-that-was-added-again",
        Bug::WipedMemberCounts => "member-that-forgot-its-log",
        Bug::LeftOutTooEarly => "leader-that-removes-itself-and-crashes",
        Bug::WitnessIsAhead => "witness-that-is-ahead-of-nobody",
        Bug::WitnessCampaigns => "witness-that-has-all-of-the-log",
        Bug::TakesWithheld => "witness-that-is-one-no-more",
        Bug::TakesEntriesWithGap => return None,
    })
}

/// Whether the story of a bug does not go as written.
fn is_told(bug: Bug) -> bool {
    let Some(name) = story(bug) else {
        return catch_unwind(|| with(bug, strangers::entries_with_a_gap_are_not_taken)).is_err();
    };
    let (scripts, wanted) = (scripts::all(), format!("{name}.txt"));
    let (_, text) = scripts.iter().find(|(name, _)| *name == wanted).expect("the story is there");
    let run = AssertUnwindSafe(|| with(bug, || scripts::run(text)));
    catch_unwind(run).map_or(true, |now| now != *text)
}

/// The first seed whose run fails or panics, and its mix.
fn seed(bug: Bug) -> Option<(u64, Mix)> {
    let mixes = (0..SEEDS).zip(Mix::ALL.iter().copied().cycle());
    let fails = |(seed, mix): &(u64, Mix)| {
        let run = || mix.observe(*seed, &mix.swarm().draw(*seed)).verdict;
        catch_unwind(AssertUnwindSafe(|| with(bug, run))).map_or(true, |verdict| verdict.is_err())
    };
    mixes.into_iter().find(fails)
}

/// The seed for each bug. Two threads look, since most runs of this test find nothing.
fn seeds() -> Vec<Option<(u64, Mix)>> {
    let next = AtomicUsize::new(0);
    let look = || {
        let mut found = Vec::new();
        // Relaxed: each number is drawn once, and nothing else is shared.
        while let Some(&bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push((bug, seed(bug)));
        }
        found
    };
    let found = thread::scope(|scope| {
        let helper = scope.spawn(look);
        [look(), helper.join().expect("a failed run is caught")].concat()
    });
    let of = |bug: &Bug| found.iter().find(|(it, _)| it == bug).expect("each was drawn").1;
    Bug::ALL.iter().map(of).collect()
}

/// The table, and how many bugs the simulation finds.
fn table() -> (String, usize) {
    let mut text = format!(
        "# Planted bugs, and what finds them\n\n\
         Each is one line of the protocol made wrong; `crates/raft/src/mutants.rs` says how, and \
         its\nnumbers are those of the bugs that others have had. The story named after it must \
         find it\n(`crates/raft/src/tests/scripts`). The last column is the first of {SEEDS} seeds \
         under which\nthe simulation, which knows of no bug, finds it too. A test demands this \
         table.\n\n\
         | bug | story | seed of the simulation |\n|---|---|---|\n"
    );
    let mut by_chance = 0;
    for (&bug, seed) in Bug::ALL.iter().zip(seeds()) {
        let story = story(bug).unwrap_or("entries_with_a_gap_are_not_taken");
        assert!(is_told(bug), "{bug:?} is not found by `{story}`");
        by_chance += usize::from(seed.is_some());
        let found = |(seed, mix): (u64, Mix)| format!("{seed} ({})", mix.name());
        let seed = seed.map_or_else(|| format!("none of {SEEDS}"), found);
        writeln!(text, "| {bug:?} | `{story}` | {seed} |").expect("a string takes everything");
    }
    text.push_str(NOT_PLANTED);
    (text, by_chance)
}

#[test]
fn every_planted_bug_is_found() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/raft/mutants.md"));
    let (now, by_chance) = table();
    println!("{now}");
    if std::env::var_os("UPDATE").is_some() {
        OsFs.create_dir_all(path.parent().expect("it has a folder")).expect("docs can be written");
        OsFs.write_atomic(path, now.as_bytes()).expect("docs can be written");
    }
    assert!(by_chance >= FOUND_BY_CHANCE, "the simulation finds {by_chance} only");
    let known = OsFs.read_to_string(path).expect("the table is part of the repository");
    assert!(now == known, "the table is no longer true; look, then run with UPDATE=1:\n{now}");
}
