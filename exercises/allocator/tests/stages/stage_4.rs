//! A cache for each thread.

use exercise_allocator::exercise::Cached;

#[cfg(not(shuttle))]
mod suite {
    use exercise_allocator::judged;

    harness::allocator_suite!(all, judged::Cached);
}

/// What a thread frees is its own to use again: another one does not get it, and it does.
#[cfg(not(shuttle))]
#[test]
fn a_thread_uses_again_what_it_freed() {
    use crate::kit::{Witness, heap, layout};

    let heap = heap::<Cached>(64);
    let (mut one, mut other) = (Witness::new(&heap, 1), Witness::new(&heap, 2));
    for size in [16, 100, 1_000, 5_000] {
        let block = one.demand(layout(size, 8));
        one.free(block);
        assert_ne!(other.demand(layout(size, 8)), block, "it was in the cache of another thread");
        assert_eq!(one.demand(layout(size, 8)), block, "it was freed last, and here");
    }
}

/// A cache does not keep everything: what one thread frees without end, another one can have.
#[cfg(not(shuttle))]
#[test]
fn a_cache_is_small() {
    use exercise_allocator::scaffold::SPAN;

    use crate::kit::{Witness, heap, layout};

    let heap = heap::<Cached>(4);
    let (mut maker, mut user) = (Witness::new(&heap, 1), Witness::new(&heap, 2));
    for _ in 0..100 {
        for block in maker.fill(layout(64, 8), SPAN / 64) {
            let layout = maker.hand_over(block);
            user.free_of_another(block, layout);
        }
    }
    assert_eq!(maker.fill(layout(64, 8), SPAN / 64).len(), SPAN / 64, "half of the arena");
}

/// Threads come and go; what they kept is not lost with them.
#[cfg(not(shuttle))]
#[test]
fn an_ended_thread_keeps_nothing() {
    use crate::kit::{Witness, heap, layout};

    let heap = heap::<Cached>(16);
    for number in 0..5_000 {
        let mut witness = Witness::new(&heap, number);
        for size in [16, 64, 256] {
            witness.demand(layout(size, 8));
        }
        witness.leave();
    }
}

#[test]
fn blocks_of_two_threads_are_apart() {
    crate::schedules::blocks_of_two_threads_are_apart::<Cached>(
        "stage_4::blocks_of_two_threads_are_apart",
    );
}

#[test]
fn what_others_free_is_used_again() {
    crate::schedules::what_others_free_is_used_again::<Cached>(
        "stage_4::what_others_free_is_used_again",
    );
}
