//! Tests of the suite: the model and a small merge tree pass it, and each planted bug is found.

mod planted;

use planted::*;

use super::*;
use crate::model::ModelStore;

crate::ordered_store_suite!(model, ModelStore);
crate::ordered_store_suite!(sound, Planted<NOTHING>);

found_by! {
    Planted:
    lost_tombstone_is_found:
        LOST_TOMBSTONE by matches_model, survives_overwriting, own_keys, reads_are_fresh;
    wrong_order_is_found: SHORT_KEYS_FIRST by matches_model, odd_keys_and_values;
    scan_that_excludes_its_start_is_found: START_EXCLUDED by matches_model, odd_keys_and_values;
    scan_beyond_its_limit_is_found: LIMIT_IGNORED by matches_model, odd_keys_and_values;
    stale_version_is_found: OLDEST_RUN_FIRST by survives_overwriting;
    empty_value_taken_for_removal_is_found: EMPTY_IS_GONE by matches_model, odd_keys_and_values;
    half_a_batch_is_found: BATCH_IN_HALVES by batches_are_atomic;
    batch_whose_first_change_wins_is_found: FIRST_WINS by matches_model, odd_keys_and_values;
    write_kept_in_memory_is_found: BUFFERED by survives_a_kill;
    removal_that_is_not_logged_is_found: DELETE_UNLOGGED by matches_model, survives_a_kill;
}

/// A buffer that is written out on a clean close looks durable until the process is killed.
#[test]
fn clean_reopening_hides_the_buffer() {
    let mut examination = Examination::new();
    matches_model::<Planted<BUFFERED>>(&mut examination);
    assert_eq!(examination.into_report().findings, []);
}
