//! Each planted bug makes a suite fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{crash, gaps, ingest, shape};
use crate::planted::{Bug, plant};

/// Runs a suite with a bug in the store; it must fail.
fn require_found(bug: Bug, suite: fn()) {
    plant(Some(bug));
    let outcome = catch_unwind(AssertUnwindSafe(suite));
    plant(None);
    assert!(outcome.is_err(), "{bug:?} was not found");
}

macro_rules! found_by {
    ($($name:ident: $bug:ident by $suite:path;)+) => {$(
        #[test]
        fn $name() {
            require_found(Bug::$bug, $suite);
        }
    )+};
}

found_by! {
    a_skipped_sync_of_the_directory_is_found: SkippedDirectorySync by crash::power_cuts;
    a_manifest_before_its_table_is_found: ManifestBeforeTable by crash::power_cuts;
    a_filter_of_wrong_keys_is_found: FilterOfWrongKeys by shape::under_all_options;
    a_dropped_tombstone_is_found: DroppedTombstone by shape::deep_levels;
    a_reused_number_is_found: ReusedSequence by crash::power_cuts;
    a_log_released_early_is_found: LogReleasedEarly by crash::power_cuts;
    a_place_that_was_not_flushed_is_found: FlushedTooFar by crash::power_cuts;
    a_removal_forgotten_early_is_found: RemovalForgottenEarly by shape::deep_levels;
    values_written_over_are_found: ValuesWrittenOver by crash::power_cuts_with_values_apart;
    values_not_synced_are_found: ValuesNotSynced by crash::power_cuts_with_values_apart;
    a_load_below_what_is_older_is_found: IngestedBelow by ingest::loads_between_writes;
    a_gap_that_puts_do_not_cut_is_found: GapNotCut by gaps::walks_over_what_is_gone;
    a_gap_jumped_by_older_readers_is_found: GapForAll by gaps::walks_over_what_is_gone;
    a_gap_known_without_a_watch_is_found: GapUnwatched by gaps::walks_over_what_is_gone;
    a_gap_that_a_load_leaves_is_found: GapLoaded by gaps::walks_over_what_is_gone;
    an_old_version_shown_backward_is_found: OldestVersionBackward by shape::under_all_options;
}
