//! Bump.

use exercise_allocator::exercise::Bump;

#[cfg(not(shuttle))]
mod suite {
    use exercise_allocator::judged;

    crate::suite_properties!(allocator, judged::Bump:
        matches_model, sizes_and_alignments, zeroed_is_zero, realloc_keeps_contents,
        threads_pass_blocks,
    );
}

/// Blocks fill the arena to its last byte and no further, and one that does not fit takes no room.
#[cfg(not(shuttle))]
#[test]
fn the_arena_has_an_end() {
    use exercise_allocator::scaffold::SPAN;

    use crate::kit::{Witness, heap, layout};

    let heap = heap::<Bump>(2);
    let mut witness = Witness::new(&heap, 1);
    witness.demand(layout(24, 8));
    assert_eq!(witness.allocate(layout(2 * SPAN, 8)), None, "it does not fit");
    witness.demand(layout(SPAN, SPAN));
    assert_eq!(witness.allocate(layout(8, 8)), None, "the arena is full");
    assert_eq!(witness.allocate(layout(isize::MAX as usize - 7, 8)), None, "far too large");
}

#[test]
fn blocks_of_two_threads_are_apart() {
    crate::schedules::blocks_of_two_threads_are_apart::<Bump>(
        "stage_1::blocks_of_two_threads_are_apart",
    );
}
