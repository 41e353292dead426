//! Whole clusters, by mixes; `SEEDS=10000` runs more of each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use env::fs::{FsExt, OsFs};
use harness::sim::{Coverage, Fault, World, survive};

use super::{Export, Mix, Run, observe, play};

/// Seeds that are run twice.
const SEEDS_TWICE: u64 = 120;

fn require(name: &str, count: u64, mix: Mix) {
    let name = format!("simulation::tests::{name}");
    survive(&name, count, &mix.swarm(), |seed, script| mix.observe(seed, script).verdict);
}

#[test]
fn clusters_of_three_survive() {
    require("clusters_of_three", 150, Mix::Three);
}

#[test]
fn clusters_of_five_survive() {
    require("clusters_of_five", 150, Mix::Five);
}

#[test]
fn clusters_of_seven_survive() {
    require("clusters_of_seven", 60, Mix::Seven);
}

#[test]
fn clusters_with_leases_survive() {
    require("clusters_with_leases", 150, Mix::Leases);
}

#[test]
fn clusters_that_transfer_survive() {
    require("clusters_that_transfer", 100, Mix::Transfers);
}

#[test]
fn clusters_with_slow_leaders_survive() {
    require("clusters_with_slow_leaders", 100, Mix::Clocks);
}

#[test]
fn one_seed_is_one_run_byte_for_byte() {
    let mut hashes = Vec::new();
    for seed in 0..4 {
        let script = Mix::Five.swarm().draw(seed);
        let traced = || observe(seed, &script, Mix::Five.plan(seed), World::traced).trace;
        let (first, second) = (traced(), traced());
        assert!(first.text() == second.text(), "seed {seed} gives two runs");
        assert_eq!(first.hash(), second.hash());
        hashes.push(first.hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 4, "each seed is a run of its own");
}

/// All mixes. The second run is on a thread of its own: whatever differs between threads, such as
/// the seeds of maps, differs between the two.
#[test]
fn every_seed_is_one_run() {
    let mut hashes = BTreeSet::new();
    let runs: Vec<_> = (0..SEEDS_TWICE).zip(Mix::ALL.iter().copied().cycle()).collect();
    let hash = |(seed, mix): (u64, Mix)| {
        let script = mix.swarm().draw(seed);
        observe(seed, &script, mix.plan(seed), World::new).trace.hash()
    };
    let again = || runs.iter().map(|run| hash(*run)).collect::<Vec<_>>();
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(again);
        (again(), other.join().expect("a run ends"))
    });
    for ((run, first), second) in runs.iter().zip(first).zip(second) {
        assert_eq!(first, second, "{run:?} gives two runs");
        hashes.insert(first);
    }
    assert_eq!(hashes.len(), runs.len(), "each seed is a run of its own");
}

#[test]
fn faults_and_progress_really_happen() {
    let (mut coverage, mut states) = (Coverage::default(), BTreeSet::new());
    let (mut elections, mut committed, mut steps) = (0, 0, 0);
    for seed in 0..7_000 {
        let outcome =
            observe(seed, &Mix::Five.swarm().draw(seed), Mix::Five.plan(seed), World::new);
        assert_eq!(outcome.verdict, Ok(()), "SEED={seed} of {:?}", Mix::Five);
        coverage.merge(&outcome.trace.coverage());
        elections += outcome.elections;
        committed += outcome.committed;
        steps += outcome.steps;
        states.extend(outcome.states);
    }
    println!(
        "{coverage}{elections} elections, {committed} entries, {steps} steps, {} states",
        states.len()
    );
    let mut missing = coverage.missing();
    // A write rarely spans two sectors. That a sector is torn is the harder case.
    missing.retain(|fault| *fault != Fault::WriteTorn);
    // Disks that lie are not borne by servers that believe them.
    assert_eq!(missing, [Fault::BitFlip, Fault::LostSync], "never happened");
    assert!(elections > 500 && committed > 10_000);
    assert!(steps > 1_000_000, "{steps} steps");
    assert!(states.len() > 100, "{} states of servers", states.len());
}

/// Every line is an event that another program can read; `NDJSON` names a file for them.
#[test]
fn a_run_is_exported() {
    let number = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let seed = number.unwrap_or(7);
    let plan = Mix::Five.plan(seed);
    let (script, churn) = (Mix::Five.swarm().draw(seed), plan.churn);
    let outcome = play(seed, &script, churn, Run::new(seed, plan, Export::on(), World::new));
    let mut counts = BTreeMap::<String, u64>::new();
    for line in outcome.events.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        assert!(event["at"].is_u64(), "each event has its time: {line}");
        let kind = event["event"].as_str().expect("each event has its kind").to_owned();
        *counts.entry(kind).or_default() += 1;
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["apply", "send", "state"], "{counts:?}");
    assert!(counts.values().all(|count| *count > 100), "{counts:?}");
    let plain = observe(seed, &script, Mix::Five.plan(seed), World::new);
    assert_eq!(plain.trace.hash(), outcome.trace.hash(), "to look at a run does not change it");
    if let Some(path) = std::env::var_os("NDJSON") {
        OsFs.write_atomic(Path::new(&path), outcome.events.as_bytes()).expect("it can be written");
    }
}
