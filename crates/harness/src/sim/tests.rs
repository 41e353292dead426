//! The simulation judged as a whole: by systems that are right and survive it, and by the same
//! systems with one bug each, which must not.

mod counter;
mod register;

use std::time::Duration;

use super::{Coverage, Family, Fault, Script, Swarm, Trace};

/// Seeds in which each planted bug must be found. What each needs is printed by the test.
const BUDGET: u64 = 2_000;

/// Seeds under which the correct systems are run.
const SURVIVED: u64 = 2_000;

/// How long faults last.
const FAULTS: Duration = Duration::from_millis(100);

/// What a run of a system gives: the verdict, and what happened.
type Run = (Result<(), String>, Trace);

#[test]
fn one_seed_is_one_run_byte_for_byte() {
    let mut hashes = Vec::new();
    for seed in 0..20 {
        for system in [counter::traced, register::traced] {
            let (first, second) = (system(seed), system(seed));
            assert_eq!(first.text(), second.text(), "seed {seed}");
            assert_eq!(first.hash(), second.hash());
            assert!(first.lines() > 10);
        }
        hashes.push(register::traced(seed).hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 20, "each seed is a run of its own");
}

#[test]
fn keeping_the_text_changes_nothing() {
    for seed in 0..20 {
        let swarm = register::swarm();
        let (_, silent) = register::run(seed, &swarm.draw(seed), None);
        assert_eq!(silent.hash(), register::traced(seed).hash());
    }
}

#[test]
fn every_kind_of_fault_really_happens() {
    let mut coverage = Coverage::default();
    let (mut counters, mut registers) = (counter::swarm(), register::swarm());
    counters.families = Family::ALL.to_vec();
    registers.families = Family::ALL.to_vec();
    for seed in 0..300 {
        // Lying disks may break both systems; here only the faults are looked at.
        coverage.merge(&counter::run(seed, &counters.draw(seed), None).1.coverage());
        coverage.merge(&register::run(seed, &registers.draw(seed), None).1.coverage());
    }
    assert_eq!(coverage.missing(), [], "never happened in 600 runs:\n{coverage}");
    println!("{coverage}");
}

#[test]
fn run_without_faults_has_none() {
    let script = Script::default();
    for (verdict, trace) in [counter::run(1, &script, None), register::run(1, &script, None)] {
        assert_eq!(verdict, Ok(()));
        let coverage = trace.coverage();
        assert_eq!(coverage.missing().len(), Fault::ALL.len(), "{coverage}");
    }
}

/// Finds a planted bug and prints what it took.
fn must_catch<B: Copy + std::fmt::Debug>(
    swarm: &Swarm,
    bug: B,
    run: impl Fn(u64, &Script, Option<B>) -> Run,
) {
    let finding = super::hunt(BUDGET, swarm, |seed, script| run(seed, script, Some(bug)).0);
    let finding = finding.unwrap_or_else(|| panic!("{bug:?} survives {BUDGET} seeds"));
    println!("{bug:?}: found by seed {}\n{finding}", finding.seed);
    let again = run(finding.seed, &finding.script, Some(bug)).0;
    assert_eq!(again, Err(finding.message), "the shorter script replays {bug:?}");
}
