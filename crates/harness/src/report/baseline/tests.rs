use super::super::tests::golden;
use super::*;

/// The golden record with one ratio changed by a factor.
fn changed(factor: f64) -> Record {
    let mut record = golden();
    let it = &mut record.ratios[0];
    (it.ratio, it.lo, it.hi) = (it.ratio * factor, it.lo * factor, it.hi * factor);
    record
}

/// With an interval of one percent around each ratio.
fn verdict(then: f64, now: f64) -> Verdict {
    let with = |ratio: f64| Ratio { ratio, lo: ratio * 0.99, hi: ratio * 1.01, ..template() };
    judge(&with(then), &with(now))
}

fn template() -> Ratio {
    golden().ratios.swap_remove(0)
}

#[test]
fn a_record_holds_against_itself() {
    let comparison = compare(&golden(), &golden()).expect("schemas agree");
    assert_eq!(comparison.count(Verdict::Unchanged), golden().ratios.len());
    assert_eq!(comparison.outcome(), Outcome::Held);
    assert_eq!(comparison.warnings, Vec::<String>::new());
}

#[test]
fn both_conditions_must_hold() {
    assert_eq!(verdict(1.0, 0.96), Verdict::Unchanged, "disjoint, but below the threshold");
    assert_eq!(verdict(1.0, 0.94), Verdict::Regressed);
    assert_eq!(verdict(1.0, 1.04), Verdict::Unchanged);
    assert_eq!(verdict(1.0, 1.06), Verdict::Improved);
    let wide = |ratio: f64| Ratio { ratio, lo: ratio * 0.8, hi: ratio * 1.2, ..template() };
    assert_eq!(judge(&wide(1.0), &wide(0.8)), Verdict::Unchanged, "beyond it, but overlapping");
    assert_eq!(verdict(0.0, 0.0), Verdict::Unchanged);
    assert_eq!(verdict(0.0, 1.0), Verdict::Improved);
    assert_eq!(verdict(1.0, 0.0), Verdict::Regressed);
}

#[test]
fn a_regression_is_named_and_decides() {
    let comparison = compare(&golden(), &changed(0.8)).expect("schemas agree");
    assert_eq!(comparison.outcome(), Outcome::Regressed);
    let text = comparison.render();
    let line = text.lines().find(|line| line.contains("REGRESSED")).expect("a line names it");
    assert!(line.contains("0.800"), "{line}");
    assert!(text.contains("1 regressed, 0 improved, 151 unchanged, 0 new, 0 gone"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let improved = compare(&changed(0.8), &golden()).expect("schemas agree");
    assert_eq!(improved.count(Verdict::Improved), 1);
    assert_eq!(improved.outcome(), Outcome::Held);
}

#[test]
fn what_came_and_went_is_told() {
    let mut without = golden();
    let gone = without.ratios.remove(3);
    let comparison = compare(&golden(), &without).expect("schemas agree");
    assert_eq!(comparison.count(Verdict::Gone), 1);
    assert!(comparison.render().contains(&gone.peer));
    let comparison = compare(&without, &golden()).expect("schemas agree");
    assert_eq!(comparison.count(Verdict::New), 1);
    assert_eq!(comparison.outcome(), Outcome::Held);
    without.ratios.clear();
    for (then, now) in [(&golden(), &without), (&without, &golden()), (&without, &without)] {
        let comparison = compare(then, now).expect("schemas agree");
        assert_eq!(comparison.outcome(), Outcome::NothingInCommon);
        assert!(comparison.render().contains("nothing was compared"));
    }
}

#[test]
fn another_schema_is_refused() {
    let other = Record { schema: SCHEMA + 1, ..golden() };
    let error = compare(&other, &golden()).expect_err("the schemas differ");
    assert!(error.to_string().starts_with("the baseline's record has schema 2, not 1"), "{error}");
    let error = compare(&golden(), &other).expect_err("the schemas differ");
    assert!(error.to_string().starts_with("the new record has schema 2, not 1"), "{error}");
}

#[test]
fn another_machine_is_a_warning() {
    let mut other = golden();
    other.machine.cpu = "another".to_owned();
    other.machine.cores = 64;
    other.machine.busy = true;
    other.mode = "smoke".to_owned();
    other.disturbed.push(crate::record::DisturbedLine {
        build: "rate-limiter".to_owned(),
        workload: "direct/admit".to_owned(),
        threads: 1,
        load: 0.9,
    });
    let comparison = compare(&golden(), &other).expect("schemas agree");
    assert_eq!(comparison.warnings.len(), 6, "{:?}", comparison.warnings);
    assert_eq!(comparison.render().matches("WARNING: ").count(), 6);
}
