//! Tests that build exercises and run them often: `cargo test -p study slow -- --ignored`.

use super::root;
use crate::catalogue::{Catalogue, Mutant};
use crate::confine::How;
use crate::judge::{Explorer, Source, Verdict, judge_under, judge_with};
use crate::verify::planted;

/// Runs of a race, of which one may miss it.
const RUNS: u64 = 100;

/// The two races that a stress test alone misses, each judged a hundred times with other seeds: as
/// `check` does it, by real threads first and then under the explorer.
#[test]
#[ignore = "takes minutes; `cargo test -p study slow::races -- --ignored --nocapture`"]
fn races_are_found_in_nearly_every_run() {
    let catalogue = Catalogue::read(root()).expect("the catalogue can be read");
    for (build, bug) in [("hashmap", "get-then-put"), ("lsm", "unlocked-freeze")] {
        let exercise = catalogue.exercise(build).expect("there is one");
        let mutant = exercise.mutants.iter().find(|it| it.name == bug).expect("it is planted");
        let path = planted(root(), exercise, mutant).expect("it can be written");
        let path = path.expect("its place is there once");
        let module = format!("stage_{}", mutant.stage);
        let found = |explorer, seeds: &str| {
            let source = Source::Mutant(&path);
            let verdict = judge_with(root(), exercise, &module, source, explorer, seeds);
            let verdict = verdict.expect("it can be judged");
            assert!(!matches!(verdict, Verdict::NoProgram(_)), "{verdict:?}");
            u64::from(!verdict.is_passed())
        };
        let [mut by_machine, mut by_shuttle, mut by_either] = [0; 3];
        for run in 0..RUNS {
            let seeds = format!("{}..{}", run * 200, run * 200 + 200);
            let machine = found(Explorer::Machine, &seeds);
            let shuttle = found(Explorer::Shuttle, &seeds);
            by_machine += machine;
            by_shuttle += shuttle;
            by_either += machine.max(shuttle);
        }
        println!(
            "{bug}: {by_either} of {RUNS}, {by_machine} by threads, {by_shuttle} by schedules"
        );
        assert!(by_either + 1 >= RUNS, "{bug} was found in {by_either} runs of {RUNS}");
    }
}

/// Code that hangs, crashes, eats memory, runs out of stack, or leaves: the tool goes on, and says
/// what happened and where.
#[test]
#[ignore = "takes a minute; `cargo test -p study slow::no_code -- --ignored`"]
fn no_code_of_a_learner_takes_the_tool_down() {
    let catalogue = Catalogue::read(root()).expect("the catalogue can be read");
    let exercise = catalogue.exercise("allocator").expect("there is one");
    let place = "        let start = |next: Address| next.next_multiple_of(layout.align());\n";
    let cases: [(&str, &str, &[How]); 6] = [
        ("hangs", "loop { std::hint::spin_loop(); }", &[How::OutOfTime]),
        ("crashes", "std::process::abort();", &[How::Signal(6)]),
        (
            "eats",
            "let mut all = Vec::new(); loop { all.push(vec![1_u8; 1 << 24]); }",
            &[How::Signal(6)],
        ),
        (
            "recurses",
            "fn f(x: u64) -> u64 { std::hint::black_box(f(x + 1)) + 1 } \
             if f(1) == 0 { return None }",
            &[How::Signal(6), How::Signal(11)],
        ),
        ("leaves", "std::process::exit(0);", &[How::Success]),
        ("leaves-badly", "std::process::exit(3);", &[How::Failure]),
    ];
    for (name, code, ends) in cases {
        // What ends in no value leaves the rest of the function unreachable: a learner's compiler
        // would warn of it, and go on.
        let code = format!("        #[allow(unused, unreachable_code)] {{ {code} }}\n{place}");
        let mutant = Mutant {
            name: name.to_owned(),
            stage: 1,
            why: String::new(),
            find: place.to_owned(),
            replace: code,
        };
        let path = planted(root(), exercise, &mutant).expect("it can be written");
        let path = path.expect("its place is there once");
        let source = Source::Mutant(&path);
        let verdict = judge_under(root(), exercise, "stage_1", source, Explorer::Machine);
        let verdict = verdict.expect("the tool is well");
        println!("{name}: {verdict:?}");
        let Verdict::Stopped { how, test } = verdict else { panic!("{name}: {verdict:?}") };
        assert!(ends.contains(&how) && test.is_some(), "{name}: {how:?} in {test:?}");
    }
}
