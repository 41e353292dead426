use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{command, find_failure, first_failure, number, seed_range};

#[test]
fn seeds_run_in_order_and_each_once() {
    let mut seen = Vec::new();
    assert!(first_failure(3..7, |seed| seen.push(seed)).is_none());
    assert_eq!(seen, [3, 4, 5, 6]);
}

#[test]
fn first_failing_seed_is_named_and_ends_the_run() {
    let mut runs = 0;
    let failure = find_failure(10, |seed| {
        runs += 1;
        assert!(seed < 4, "seed {seed} is bad");
    });
    let failure = failure.expect("seed 4 fails");
    assert_eq!((failure.seed, failure.runs, runs), (4, 5, 5));
    assert_eq!(failure.message(), "seed 4 is bad");
}

#[test]
fn message_is_found_whatever_panicked() {
    let text = find_failure(1, |_| panic!("plain text")).expect("it panics");
    assert_eq!(text.message(), "plain text");
    let number = find_failure(1, |_| std::panic::panic_any(5_u8)).expect("it panics");
    assert_eq!(number.message(), "(no message)");
}

#[test]
fn panic_goes_on_unchanged_after_the_report() {
    let failure = find_failure(1, |_| panic!("the cause")).expect("it panics");
    let Err(cause) = catch_unwind(AssertUnwindSafe(|| failure.report("the command")));
    assert_eq!(cause.downcast_ref(), Some(&"the cause"));
}

#[test]
fn environment_chooses_the_seeds() {
    assert_eq!(seed_range(None, None, 32), 0..32);
    assert_eq!(seed_range(None, Some("10000"), 32), 0..10_000);
    assert_eq!(seed_range(None, Some("1000..1200"), 32), 1_000..1_200);
    assert_eq!(seed_range(Some("17"), None, 32), 17..18);
    assert_eq!(seed_range(Some("0x11"), Some("10000"), 32), 17..18, "one seed wins over many");
    assert_eq!(seed_range(Some(" 5 "), None, 32), 5..6);
}

#[test]
#[should_panic(expected = "SEED is \"seven\", but it must be a number such as 17 or 0x11")]
fn seed_that_is_no_number_is_refused() {
    number("SEED", "seven");
}

#[test]
#[should_panic(expected = "SEEDS is \"-1\"")]
fn negative_count_is_refused() {
    seed_range(None, Some("-1"), 32);
}

#[test]
fn command_can_be_pasted() {
    // Cargo says which package is under test.
    assert!(
        command("a::b", Some(17)).contains(" cargo test -p harness "),
        "{}",
        command("a", None)
    );
    assert!(command("a::b", Some(17)).starts_with("SEED=17 "));
    assert!(command("a::b", Some(17)).ends_with(" a::b"));
    assert!(!command("a::b", None).contains("SEED"));
}
