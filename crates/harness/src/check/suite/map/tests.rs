//! Tests of the suite: the model and a sharded map pass it, and each planted bug is found.

mod planted;

use planted::*;

use super::*;
use crate::model::ModelMap;

crate::map_suite!(model, ModelMap<u64, u64>, tracked = ModelMap<u64, Tracked>);
crate::map_suite!(sound, Planted<NOTHING, u64>, tracked = Planted<NOTHING, Tracked>);

fn findings_of(property: fn(&mut Examination)) -> Vec<Finding> {
    let mut examination = Examination::new();
    property(&mut examination);
    examination.into_report().findings
}

type PlantedWords<const BUG: u8> = Planted<BUG, u64>;

found_by! {
    PlantedWords:
    racy_insert_is_found: RACY_INSERT by insert_swaps;
    racy_update_is_found: RACY_UPDATE by update_is_atomic;
    racy_remove_is_found: RACY_REMOVE by remove_wins_once;
    lost_remove_is_found:
        LOST_REMOVE by matches_model, grows_and_shrinks, own_keys, reads_are_fresh;
    stale_get_is_found: STALE_GET by matches_model, reads_are_fresh;
    wrong_former_value_is_found: WRONG_FORMER by matches_model, insert_swaps;
    update_that_creates_is_found: UPDATE_CREATES by matches_model, update_is_atomic;
    visit_that_skips_is_found: VISIT_SKIPS by matches_model, for_each_sees_stayers;
    visit_that_repeats_is_found: VISIT_REPEATS by matches_model, grows_and_shrinks;
    entry_lost_on_growth_is_found: LOST_ON_GROWTH by grows_and_shrinks, own_keys;
}

/// A map that panics in the middle of a run is a finding, and no thread waits for the one that is
/// gone (this test would never end).
#[test]
fn panic_under_threads_is_found() {
    let findings = findings_of(reads_are_fresh::<PlantedWords<PANICS>>);
    assert!(findings.iter().any(|it| it.got.contains("too many entries")), "{findings:?}");
}

/// One thread cannot tell: the bug needs a second one.
#[test]
fn races_are_invisible_to_one_thread() {
    assert_eq!(findings_of(matches_model::<Planted<RACY_INSERT, u64>>), []);
    assert_eq!(findings_of(matches_model::<Planted<RACY_UPDATE, u64>>), []);
    assert_eq!(findings_of(matches_model::<Planted<RACY_REMOVE, u64>>), []);
}

#[test]
fn leak_is_found() {
    let findings = findings_of(drops_every_value::<Planted<LEAKS, Tracked>>);
    assert!(findings[0].expected.contains("no value alive"), "{findings:?}");
}

/// Two inserts are the least that can show a wrong former value.
#[test]
fn failing_sequences_are_shrunk() {
    let findings = findings_of(matches_model::<Planted<WRONG_FORMER, u64>>);
    let case = findings[0].case.as_deref().unwrap();
    assert_eq!(case.matches("Insert").count(), 2, "{case}");
    assert_eq!(case.matches('(').count(), 2, "nothing but the inserts is left: {case}");
}
