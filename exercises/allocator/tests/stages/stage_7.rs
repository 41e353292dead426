//! Blocks that grow and shrink where they are.

use exercise_allocator::exercise::Owned;
use exercise_allocator::scaffold::SPAN;
use harness::check::replay::with_seeds;
use harness::rng::SplitMix64;

use crate::kit::{Witness, heap, layout};

mod suite {
    use exercise_allocator::judged;

    crate::suite_properties!(allocator, judged::Owned: matches_model, realloc_keeps_contents);
}

#[test]
fn a_block_grows_into_the_room_behind_it() {
    let heap = heap::<Owned>(16);
    let mut witness = Witness::new(&heap, 1);
    let block = witness.demand(layout(SPAN, 8));
    for spans in 2..=16 {
        assert_eq!(witness.resize(block, spans * SPAN), block, "all behind it is free");
    }
    let small = witness.resize(block, 2 * SPAN);
    assert_eq!(small, block, "a block that shrinks stays");
    let neighbour = witness.demand(layout(14 * SPAN, 8));
    assert_eq!(neighbour, block + 2 * SPAN, "what it left is free");
}

#[test]
fn a_block_within_its_class_stays() {
    let heap = heap::<Owned>(16);
    let mut witness = Witness::new(&heap, 1);
    let block = witness.demand(layout(1_024, 8));
    assert_eq!(witness.resize(block, 1_016), block, "of the same class in every system of them");
}

/// Blocks grow and shrink beside others; none takes what another has, and none loses room.
#[test]
fn neighbours_are_left_alone() {
    with_seeds("stage_7::neighbours_are_left_alone", 100, |seed| {
        let mut rng = SplitMix64::new(seed);
        let heap = heap::<Owned>(40);
        let mut witness = Witness::new(&heap, 1);
        let mut blocks: Vec<_> = (0..4).map(|_| witness.demand(layout(SPAN, 8))).collect();
        for _ in 0..60 {
            let chosen = usize::try_from(rng.below(4)).expect("below four");
            let words = usize::try_from(1 + rng.below(4 * SPAN as u64 / 8)).expect("a small size");
            blocks[chosen] = witness.resize(blocks[chosen], words * 8);
            witness.look_at(&blocks);
        }
        witness.free_all();
        // Small blocks may have been made meanwhile, and a span of each class may be kept.
        witness.demand(layout(20 * SPAN, 8));
    });
}
