//! Blocks that another thread frees.

use exercise_allocator::exercise::Owned;

#[cfg(not(shuttle))]
mod suite {
    use exercise_allocator::judged;

    harness::allocator_suite!(all, judged::Owned);
}

/// One thread makes, another frees, for long: the maker uses again what came back.
#[cfg(not(shuttle))]
#[test]
fn what_others_free_comes_home() {
    use exercise_allocator::scaffold::SPAN;

    use crate::kit::{Witness, heap, layout};

    let heap = heap::<Owned>(4);
    let (mut maker, mut user) = (Witness::new(&heap, 1), Witness::new(&heap, 2));
    for _ in 0..200 {
        for _ in 0..SPAN / 64 {
            let block = maker.demand(layout(64, 8));
            let layout = maker.hand_over(block);
            user.free_of_another(block, layout);
        }
    }
    let theirs = user.demand(layout(64, 8));
    let ours = maker.demand(layout(64, 8));
    assert_ne!(theirs / SPAN, ours / SPAN, "a span has one owner");
}

/// Threads come and go, and leave blocks that others free much later: the next thread owns what
/// they left.
#[cfg(not(shuttle))]
#[test]
fn what_an_ended_thread_owned_is_adopted() {
    use std::collections::VecDeque;

    use crate::kit::{Witness, heap, layout};

    let heap = heap::<Owned>(16);
    let mut last = Witness::new(&heap, 0);
    let mut left = VecDeque::new();
    for number in 1..5_000 {
        let mut witness = Witness::new(&heap, number);
        for size in [16, 64, 256] {
            let block = witness.demand(layout(size, 8));
            left.push_back((block, witness.hand_over(block)));
        }
        witness.leave();
        if left.len() > 30 {
            for (block, layout) in left.drain(..3) {
                last.free_of_another(block, layout);
            }
        }
    }
}

#[test]
fn blocks_of_two_threads_are_apart() {
    crate::schedules::blocks_of_two_threads_are_apart::<Owned>(
        "stage_5::blocks_of_two_threads_are_apart",
    );
}

#[test]
fn what_others_free_is_used_again() {
    crate::schedules::what_others_free_is_used_again::<Owned>(
        "stage_5::what_others_free_is_used_again",
    );
}

#[test]
fn an_owner_frees_blocks_of_another() {
    crate::schedules::an_owner_frees_blocks_of_another::<Owned>(
        "stage_5::an_owner_frees_blocks_of_another",
    );
}
