//! Tests of the suite: two independent limiters pass it, and each planted bug is found by the
//! property that is there for it.

mod planted;

use planted::*;

use super::*;
use crate::model::ModelLimiter;

crate::limiter_suite!(model, ModelLimiter, keyed);
crate::limiter_suite!(sound, Sound, keyed);

type Property = fn(&mut Examination);

/// The findings of one property on its own.
fn findings_of(property: Property) -> Vec<Finding> {
    let mut examination = Examination::new();
    property(&mut examination);
    examination.into_report().findings
}

#[track_caller]
fn assert_found(property: Property) {
    let findings = findings_of(property);
    assert!(!findings.is_empty(), "the planted bug was not found");
}

#[track_caller]
fn assert_not_found(property: Property) {
    assert_eq!(findings_of(property), [], "a property found what it is not there for");
}

#[test]
fn truncated_interval_is_found() {
    assert_found(never_over_admits::<Planted<TRUNCATED_INTERVAL>>);
    assert_found(window_bound::<Planted<TRUNCATED_INTERVAL>>);
    // As published for such a limiter: 600 million cells a second become a billion.
    let findings = findings_of(long_run::<Planted<TRUNCATED_INTERVAL>>);
    let line = findings.iter().find(|it| it.subject.starts_with("600000000 per 1s"));
    assert!(line.unwrap().got.contains("1.667"), "{findings:#?}");
    let line = findings.iter().find(|it| it.subject.starts_with("2000000000 per 1s"));
    assert!(line.unwrap().got.contains("0.500"), "{findings:#?}");
}

#[test]
fn burst_that_is_one_off_is_found() {
    assert_found(never_over_admits::<Planted<BURST_PLUS_ONE>>);
    assert_found(window_bound::<Planted<BURST_PLUS_ONE>>);
    assert_found(burst_edges::<Planted<BURST_PLUS_ONE>>);
    assert_not_found(never_denies_early::<Planted<BURST_PLUS_ONE>>);

    assert_found(never_denies_early::<Planted<BURST_MINUS_ONE>>);
    assert_found(burst_edges::<Planted<BURST_MINUS_ONE>>);
    assert_not_found(never_over_admits::<Planted<BURST_MINUS_ONE>>);
}

/// Nothing shows as long as the clock only goes forward.
#[test]
fn refill_by_a_backward_clock_is_found() {
    assert_found(clock_backwards::<Planted<BACKWARD_REFILL>>);
    assert_found(far_clock::<Planted<BACKWARD_REFILL>>);
    assert_not_found(never_over_admits::<Planted<BACKWARD_REFILL>>);
}

/// The other way to be wrong about it: a clock that went back once denies until it has caught up
/// with a promise that was never made.
#[test]
fn denying_for_long_after_a_backward_step_is_found() {
    assert_found(clock_backwards::<Planted<BACKWARD_FREEZE>>);
    assert_not_found(never_denies_early::<Planted<BACKWARD_FREEZE>>);
}

/// Nothing shows with one thread.
#[test]
fn lost_update_between_threads_is_found() {
    assert_found(threads_keep_the_bound::<Planted<RACY>>);
    assert_not_found(never_over_admits::<Planted<RACY>>);
}

#[test]
fn wrong_waits_are_found() {
    assert_found(retry_after_is_exact::<Planted<RETRY_TOO_SOON>>);
    assert_found(retry_after_is_exact::<Planted<RETRY_TOO_LATE>>);
    assert_not_found(never_over_admits::<Planted<RETRY_TOO_SOON>>);
    assert_not_found(never_denies_early::<Planted<RETRY_TOO_LATE>>);
}

#[test]
fn lost_remainder_is_found() {
    assert_found(never_denies_early::<Planted<REMAINDER_LOST>>);
    let findings = findings_of(slow_polling::<Planted<REMAINDER_LOST>>);
    let line = findings.iter().find(|it| it.subject.starts_with("1 per 3600s"));
    assert!(line.is_some(), "{findings:#?}");
}

#[test]
fn wrapping_arithmetic_is_found() {
    let findings = findings_of(big_bursts::<Planted<WRAPS>>);
    let got: Vec<&str> = findings.iter().map(|it| it.got.as_str()).collect();
    assert!(got.contains(&"975202") && got.contains(&"156928"), "{findings:#?}");
}

#[test]
fn overflow_that_panics_is_found() {
    let findings = findings_of(far_clock::<Planted<PANICS_FAR>>);
    assert!(findings.iter().any(|it| it.got.contains("a panic")), "{findings:#?}");
}

#[test]
fn too_large_that_is_only_denied_is_found() {
    assert_found(burst_edges::<Planted<TOO_LARGE_DENIED>>);
}

#[test]
fn one_bucket_for_all_keys_is_found() {
    assert_found(keys_are_independent::<Planted<ONE_BUCKET>>);
    assert_eq!(findings::<Planted<ONE_BUCKET>>(), [], "one bucket is right for one key");
}

/// A limiter that is better than its contract says nothing about waits; that is no finding.
#[test]
fn silence_about_waits_is_accepted() {
    assert_eq!(findings::<Planted<NO_WAITS>>(), []);
}

/// What is refused is reported and not counted as examined.
#[test]
fn refusal_is_a_fact_and_no_finding() {
    let report = examine::<Planted<REFUSES>>();
    assert_eq!(report.findings, []);
    assert_eq!(report.checked, 0);
    assert!(report.refused.len() > 50, "{}", report.refused.len());
}

#[test]
fn failure_names_case_and_replay_command() {
    let failure = std::panic::catch_unwind(|| {
        crate::check::suite::require("package", "package::module::test", |examination| {
            never_over_admits::<Planted<BURST_PLUS_ONE>>(examination);
        });
    })
    .unwrap_err();
    let message = failure.downcast_ref::<String>().unwrap();
    assert!(message.contains("smallest case: ["), "{message}");
    assert!(message.contains("cargo test -p package module::test"), "{message}");
}
