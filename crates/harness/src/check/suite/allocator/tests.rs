//! Tests of the suite: the system's allocator passes it, and each planted bug is found.

mod planted;

use planted::*;

use super::*;

crate::allocator_suite!(sound, Planted<NOTHING>);

found_by! {
    Planted:
    overlap_is_found: OVERLAP by matches_model, sizes_and_alignments, threads_pass_blocks;
    misalignment_is_found: MISALIGNED by matches_model, sizes_and_alignments;
    dirty_zeroed_memory_is_found: DIRTY_ZEROED by matches_model, zeroed_is_zero;
    contents_lost_on_growth_are_found: REALLOC_LOSES by matches_model, realloc_keeps_contents;
    memory_that_is_never_reused_is_found: NEVER_REUSES by memory_is_reused;
    null_is_found: NULL_WHEN_LARGE by sizes_and_alignments;
    neighbour_that_is_overwritten_is_found: TRAMPLES by matches_model, threads_pass_blocks;
}

/// A block that a broken allocator placed over another is never written to.
#[test]
fn overlap_is_reported_by_addresses() {
    let findings = {
        let mut examination = Examination::new();
        sizes_and_alignments::<Planted<OVERLAP>>(&mut examination);
        examination.into_report().findings
    };
    assert!(findings[0].got.contains("overlaps the live block"), "{findings:?}");
}
