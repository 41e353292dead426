//! Size classes.

use exercise_allocator::exercise::Classes;

#[cfg(not(shuttle))]
mod suite {
    use exercise_allocator::judged;

    harness::allocator_suite!(all, judged::Classes);
}

/// Blocks of one size lie close together: a span is no price for each.
#[cfg(not(shuttle))]
#[test]
fn a_span_has_many_blocks() {
    use exercise_allocator::scaffold::SPAN;

    use crate::kit::{Witness, heap, layout};

    let heap = heap::<Classes>(3);
    let mut witness = Witness::new(&heap, 1);
    let count = SPAN / 64 * 3 / 2;
    assert_eq!(witness.fill(layout(64, 8), count).len(), count, "blocks of 64 bytes in 3 spans");
    witness.free_all();
    assert_eq!(witness.fill(layout(64, 8), count).len(), count, "the same once more");
}

/// Large blocks of many sizes come and go in an arena that holds a few: none keeps its spans.
#[cfg(not(shuttle))]
#[test]
fn spans_come_back() {
    use exercise_allocator::scaffold::SPAN;

    use crate::kit::{Witness, heap, layout};

    let heap = heap::<Classes>(16);
    let mut witness = Witness::new(&heap, 1);
    for turn in 0..2_000 {
        let size = (1 + turn % 7) * SPAN - turn % 5 * 8;
        let first = witness.demand(layout(size, 8));
        let second = witness.demand(layout(size, 8));
        witness.free(first);
        witness.free(second);
    }
    witness.demand(layout(15 * SPAN, 8));
}

#[test]
fn blocks_of_two_threads_are_apart() {
    crate::schedules::blocks_of_two_threads_are_apart::<Classes>(
        "stage_3::blocks_of_two_threads_are_apart",
    );
}
