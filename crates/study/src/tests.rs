//! Tests of the tool: what it makes of outputs, of mistakes in the catalogue, and of programs that
//! do not end.

mod estimates;
mod slow;

use std::path::Path;

use crate::catalogue::{Exercise, Mutant};
use crate::citation;
use crate::command::is_due;
use crate::confine::{Ended, How};
use crate::judge::{Verdict, read};
use crate::prose::{PARTS, of_document, of_walkthrough, refreshed, words};
use crate::questions::{as_anki, parse, problems};
use crate::screen::{Screen, Tone};
use crate::verify::{items, lines_to_write, of_readings, traits};

fn ended(how: How, output: &str) -> Ended {
    Ended { how, output: output.to_owned() }
}

const FAILING: &str = "
running 3 tests
test stage_2::suite::own_keys ... ok
test stage_2::suite::insert_swaps ... FAILED
test stage_2::one_of_two ... FAILED

failures:

---- stage_2::suite::insert_swaps stdout ----

thread 'stage_2::suite::insert_swaps' (1234) panicked at src/x.rs:1:2:
asked: Insert(1), demanded: None, came: Some(2)
replay: SEED=5 cargo test -p exercise-hashmap stage_2::suite::insert_swaps
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

---- stage_2::one_of_two stdout ----

thread 'stage_2::one_of_two' (1234) panicked at src/x.rs:1:2:
of two threads 2 were the first

failures:
    stage_2::suite::insert_swaps
    stage_2::one_of_two

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out
";

#[test]
fn a_failure_is_told_without_its_noise() {
    let Verdict::Failed(failures) = read(&ended(How::Failure, FAILING)) else {
        panic!("two tests failed");
    };
    let told: Vec<_> = failures.iter().map(|it| (it.test.as_str(), it.message.as_str())).collect();
    let first = "asked: Insert(1), demanded: None, came: Some(2)\n\
                 replay: SEED=5 cargo test -p exercise-hashmap stage_2::suite::insert_swaps";
    assert_eq!(
        told,
        [
            ("stage_2::suite::insert_swaps", first),
            ("stage_2::one_of_two", "of two threads 2 were the first")
        ]
    );
}

#[test]
fn a_stub_is_no_failure() {
    let output = FAILING.replace("of two threads", "stage 2 is not written yet: of two threads");
    let verdict = read(&ended(How::Failure, &output));
    let Verdict::NotWritten(what) = verdict else { panic!("{verdict:?}") };
    assert!(what.starts_with("stage 2 is not written yet"), "{what}");
}

#[test]
fn passes_and_stops_are_told_apart() {
    let passed = "test stage_1::a ... ok\ntest stage_1::b - should panic ... ok\n\
                  test result: ok. 2 passed; 0 failed; 0 ignored\n";
    assert_eq!(read(&ended(How::Success, passed)), Verdict::Passed(2));
    // It called `exit` in a test.
    let early = "test stage_1::a ... ok\ntest stage_1::b ... ";
    for how in [How::Success, How::Failure] {
        let test = Some("stage_1::b".to_owned());
        assert_eq!(read(&ended(how, early)), Verdict::Stopped { how, test });
    }
    // What it says at its end stands on the same line.
    let hanging = "running 2 tests\ntest stage_1::a ... ok\ntest stage_1::b ... no memory";
    assert_eq!(
        read(&ended(How::OutOfTime, hanging)),
        Verdict::Stopped { how: How::OutOfTime, test: Some("stage_1::b".to_owned()) }
    );
    assert_eq!(
        read(&ended(How::Signal(6), "")),
        Verdict::Stopped { how: How::Signal(6), test: None }
    );
}

fn exercise(text: &str) -> Exercise {
    toml::from_str(text).expect("it can be read")
}

const EXERCISE: &str = r#"
build = "x"
title = "X"
about = "about"
[[stage]]
number = 1
name = "one"
minutes = 5
task = "do it"
hints = ["the first hint", "the second hint", "the third hint"]
read = [{ at = "crates/study/src/tests.rs#EXERCISE", note = "here" }]
[[mutant]]
name = "m"
stage = 1
why = "wrong"
find = "a == b"
replace = "a != b"
"#;

#[test]
fn a_deleted_hint_or_reading_is_noticed() {
    assert_eq!(exercise(EXERCISE).problem(), None);
    let wrong = [
        (", \"the third hint\"", ""),
        ("\"the third hint\"", "\"...\""),
        ("number = 1", "number = 2"),
        ("[{ at = \"crates/study/src/tests.rs#EXERCISE\", note = \"here\" }]", "[]"),
        ("stage = 1", "stage = 9"),
    ];
    for (text, without) in wrong {
        assert!(EXERCISE.contains(text), "{text}");
        assert!(exercise(&EXERCISE.replace(text, without)).problem().is_some(), "{text}");
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn a_citation_of_what_is_gone_is_noticed() {
    let good = ["crates/study/src/citation.rs", "crates/study/src/citation.rs#line_of"];
    for citation in good {
        assert_eq!(citation::problem(root(), citation), None);
    }
    let gone = ["crates/study/src/gone.rs", "crates/study/src/citation.rs#gone"];
    for citation in gone {
        assert!(citation::problem(root(), citation).is_some(), "{citation}");
    }
    let there = exercise(EXERCISE);
    assert!(of_readings(root(), &there).is_empty());
    let gone = exercise(&EXERCISE.replace("#EXERCISE", "#GONE_EXERCISE"));
    assert_eq!(of_readings(root(), &gone).len(), 1);
    let prose = "see `crates/x.rs#f`, not `a#b`, nor `crates/x.rs`, but `docs/a.md#b`";
    assert_eq!(citation::of_prose(prose), ["crates/x.rs#f", "docs/a.md#b"]);
    assert_eq!(citation::paths_of_prose(prose), ["crates/x.rs"]);
}

#[test]
fn a_mistake_is_planted_where_its_place_is_there_once() {
    let mutant: &Mutant = &exercise(EXERCISE).mutants[0];
    assert_eq!(mutant.plant("if a == b {}").as_deref(), Some("if a != b {}"));
    assert_eq!(mutant.plant("if a < b {}"), None);
    assert_eq!(mutant.plant("a == b; a == b"), None);
}

#[test]
fn public_items_of_stub_and_solution_are_compared() {
    let stub =
        "pub struct A;\nimpl Map for A {\nfn x() {}\n}\npub fn f(x: u32) {}\npub(crate) fn g() {}";
    let traits = traits("/// Maps.\npub trait Map<V = u64>: Send {\n}\ntrait Other {}");
    assert_eq!(traits, ["Map"]);
    let items = |source| items(source, &traits);
    assert_eq!(items(stub), items("pub fn f(other: u8) {}\nimpl Map for A {}\npub struct A(u32);"));
    assert_ne!(items(stub), items("pub struct A;\nimpl Map for A {}"));
    assert_ne!(items(stub), items("pub fn f(x: u32) {}\npub struct A;"), "no trait");
}

#[test]
fn comments_imports_and_the_stub_are_not_to_be_written() {
    let solution =
        "//! Text.\nuse x::y;\n\n/// Text.\nfn f() {\n    // Why.\n    g(); // here\n}\n}";
    assert_eq!(lines_to_write(solution, ""), 4);
    assert_eq!(
        lines_to_write(solution, "fn f() {\n  todo();\n}"),
        2,
        "each given line counts once"
    );
}

#[test]
fn questions_are_read_and_exported() {
    let text = "# Title\n\n## Why?\n**30 seconds.** Because.\n\n## How?\nSo.\tYes.\n";
    let questions = parse("x", text);
    assert_eq!(questions.len(), 2);
    assert_eq!(questions[0].key(), "x: Why?");
    assert_eq!(
        as_anki(&questions),
        "Why?\t**30 seconds.** Because.\tstrata::x\nHow?\tSo. Yes.\tstrata::x\n"
    );
}

#[test]
fn what_was_known_comes_back_later() {
    let times = |in_box| (0..32).filter(|&quiz| is_due(in_box, quiz)).count();
    assert_eq!([0, 1, 2, 5].map(times), [32, 16, 8, 1]);
}

#[test]
fn prose_and_code_fit_the_screen() {
    let prose = "a b\nc\n\n- one\n  more\n- two\n\n```text\nx  y\n```";
    assert_eq!(Screen::prose(prose), "a b c\n\n- one more\n- two\n\n```text\nx  y\n```");
    let long = format!("        let x = {}1;", "some + ".repeat(12));
    let code = ["    fn f() {", "", long.as_str(), &"x".repeat(200)];
    let shown = Screen::code(code[..3].iter().copied(), 9);
    assert!(shown.starts_with("    9  fn f() {\n   10\n   11      let x = some"), "{shown}");
    let wide = Screen::code(code.into_iter(), 1);
    assert!(shown.lines().chain(wide.lines()).all(|it| it.chars().count() <= 80), "{shown}{wide}");
    assert_eq!(shown.matches("some").count() + wide.matches('x').count(), 12 + 201, "all is shown");
}

#[test]
fn text_fits_the_screen() {
    let text = Screen::wrap(&"word ".repeat(100), 4);
    assert!(text.lines().all(|line| line.len() <= 80 && line.starts_with("    word")), "{text}");
    assert_eq!(Screen::bar(2, 5), "[##---] 2 of 5");
    assert_eq!(Screen::PLAIN.paint(Tone::Bad, "x"), "x");
}

#[test]
fn an_item_is_quoted_from_its_first_line_to_its_last() {
    let code = "    const A: u8 = 1;\n    pub fn f(\n        x: u8,\n    ) -> u8 {\n        \
                if x > 0 {\n            1\n        }\n    }\n    fn g() {}\n";
    assert_eq!(citation::item_of(code, "A").as_deref(), Some("const A: u8 = 1;\n"));
    assert_eq!(citation::item_of(code, "g").as_deref(), Some("fn g() {}\n"));
    let whole = "pub fn f(\n    x: u8,\n) -> u8 {\n    if x > 0 {\n        1\n    }\n}\n";
    assert_eq!(citation::item_of(code, "f").as_deref(), Some(whole));
    assert_eq!(citation::item_of(code, "h"), None);
}

#[test]
fn stale_and_lost_pieces_of_code_are_noticed() {
    let stale = "a\n\n<!-- from crates/study/src/prose.rs#FENCE -->\n```rust\nold\n```\nb\n";
    let fresh = refreshed(root(), stale).expect("it can be renewed");
    assert_eq!(fresh, stale.replace("old", "const FENCE: &str = \"```\";"));
    let complaints = |text: &str| of_document(root(), "docs/x.md", text).len();
    assert_eq!((complaints(stale), complaints("nothing is quoted")), (1, 0));
    assert_eq!(complaints(&stale.replace("FENCE", "NO_FENCE")), 1, "the item is gone");
    assert_eq!(complaints(&stale.replace("```rust", "")), 1, "the block is gone");
    assert_eq!(complaints("see `crates/study/src/prose.rs#NO_FENCE`"), 1, "a citation");
}

#[test]
fn stale_and_unknown_figures_are_noticed() {
    let line = "rate-limiter direct/deny 1 rate-limiter";
    let text = format!("| deny | 9.99<!-- ratio {line} --> |");
    let fresh = refreshed(root(), &text).expect("the record has it");
    assert!(fresh.starts_with("| deny | ") && !fresh.contains("9.99"), "{fresh}");
    assert_eq!(refreshed(root(), &fresh), Ok(fresh.clone()), "it is the record's now");
    let complaints = |text: &str| of_document(root(), "docs/x.md", text).len();
    assert_eq!((complaints(&fresh), complaints(&text)), (0, 1));
    assert_eq!(complaints(&fresh.replace("direct/deny", "direct/gone")), 1);
}

#[test]
fn a_walkthrough_has_its_parts_and_an_end() {
    let whole = PARTS.concat() + "![design](design.svg)";
    assert_eq!(of_walkthrough(&whole), Vec::<String>::new());
    assert_eq!(of_walkthrough(&whole.replace("## Estimate", "")).len(), 1);
    assert_eq!(of_walkthrough(&whole.replace(".svg", "")).len(), 1);
    assert_eq!(of_walkthrough(&whole.replace("Estimate", "Design")).len(), 1);
    assert_eq!(of_walkthrough(&(whole + &"word ".repeat(5_000))).len(), 1);
    assert_eq!(words("two words ```\ncode of no weight\n``` one"), 3);
}

#[test]
fn an_answer_has_three_depths_and_cites_code() {
    let text =
        "# T\n\n## Why?\n**30 seconds.** A.\n**3 minutes.** `a/b.rs#c`.\n**Follow-ups.** D.\n";
    let found = |text: &str| problems(&parse("x", text)[0]).len();
    assert_eq!(found(text), 0);
    assert_eq!(found(&text.replace("**3 minutes.**", "")), 1);
    assert_eq!(found(&text.replace("a/b.rs#c", "a")), 1);
}
