//! A free list.

use exercise_allocator::exercise::FreeList;
use exercise_allocator::scaffold::SPAN;
use harness::check::replay::with_seeds;
use harness::rng::SplitMix64;

use crate::kit::{Witness, heap, layout};

mod suite {
    use exercise_allocator::judged;

    harness::allocator_suite!(all, judged::FreeList);
}

/// Blocks of all sizes are freed in any order; then there is room for one that needs nearly all of
/// the arena. A piece that was lost, or did not join its neighbour, takes that room.
#[test]
fn neighbours_become_one_piece() {
    with_seeds("stage_2::neighbours_become_one_piece", 200, |seed| {
        let mut rng = SplitMix64::new(seed);
        let heap = heap::<FreeList>(2);
        let mut witness = Witness::new(&heap, 1);
        let mut blocks = Vec::new();
        loop {
            let size = usize::try_from(8 + rng.below(1_500)).expect("a small size");
            let align = 1 << rng.below(9);
            let Some(block) = witness.allocate(layout(size, align)) else { break };
            blocks.push(block);
        }
        rng.shuffle(&mut blocks);
        // Some stay until others have been made from what was freed before them.
        let later = blocks.split_off(blocks.len() / 2);
        witness.free_each(blocks);
        let refilled = witness.fill(layout(40, 8), 100);
        witness.free_each(refilled);
        witness.free_each(later);
        witness.demand(layout(2 * SPAN - 256, 8));
    });
}
