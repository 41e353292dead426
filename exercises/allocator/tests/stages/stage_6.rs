//! Memory that goes back.

use exercise_allocator::exercise::Owned;

#[cfg(not(shuttle))]
mod plain {
    use std::collections::BTreeSet;

    use exercise_allocator::Heap;
    use exercise_allocator::scaffold::{SPAN, WORD};

    use super::Owned;
    use crate::kit::{Witness, heap, layout};

    const SPANS: usize = 256;

    /// Spans of small blocks without one in use, but for one that may be kept.
    #[test]
    fn what_is_free_for_a_while_is_purged() {
        let heap = heap::<Owned>(SPANS);
        let mut witness = Witness::new(&heap, 1);
        let blocks = witness.fill(layout(1 << 10, 8), SPANS / 2 * (SPAN >> 10));
        let large = witness.demand(layout(SPAN * SPANS / 4, 8));
        heap.tick();
        heap.tick();
        heap.tick();
        assert_eq!(heap.arena().purged(), 0, "all of it is in use");
        witness.free_each(blocks);
        witness.free(large);
        heap.tick();
        assert_eq!(heap.arena().purged(), 0, "it has been free for a moment only");
        heap.tick();
        let purged = heap.arena().purged();
        let most = SPANS / 2 + SPANS / 4;
        assert!((most - 1..=most).contains(&purged), "of {most} free spans {purged} were purged");
        heap.tick();
        heap.tick();
        assert_eq!(heap.arena().purged(), purged, "what is purged is not purged again");
    }

    /// What is used again between two ticks stays, and what is in use is never touched.
    #[test]
    fn what_is_in_use_is_not_purged() {
        let heap = heap::<Owned>(SPANS);
        let mut witness = Witness::new(&heap, 1);
        let mut held = witness.fill(layout(1 << 10, 8), SPANS / 2 * (SPAN >> 10));
        // Of each span one stays.
        let mut spans = BTreeSet::new();
        let freed: Vec<_> = held.extract_if(.., |block| !spans.insert(*block / SPAN)).collect();
        witness.free_each(freed);
        for _ in 0..4 {
            let large = witness.demand(layout(4 * SPAN, 8));
            heap.tick();
            witness.look(large);
            witness.free(large);
        }
        witness.look_at(&held);
        // Twice free for a tick each, and in use in between.
        for _ in 0..2 {
            let large = witness.demand(layout(4 * SPAN, 8));
            witness.free(large);
            heap.tick();
        }
        let purged = heap.arena().purged();
        assert_eq!(purged, 0, "spans were used again before the second tick, or are in use");
    }

    /// The system has the memory back.
    #[test]
    fn resident_memory_shrinks() {
        // Of each span, its first pages: so much that nothing else of the process counts.
        let touched = 16_384;
        let heap = heap::<Owned>(1_024);
        let mut witness = Witness::new(&heap, 1);
        let before = resident();
        for _ in 0..1_000 {
            let block = witness.demand(layout(SPAN, 8));
            (0..touched).step_by(1_024).for_each(|at| heap.arena().set_word(block + at + WORD, 1));
        }
        let at_most = resident();
        assert!(at_most > before + 1_000 * touched / 2, "{before} grew to {at_most} bytes");
        witness.free_all();
        (0..3).for_each(|_| heap.tick());
        let after = resident();
        assert!(after < before + (at_most - before) / 4, "{at_most} bytes fell to {after} only");
    }

    fn resident() -> usize {
        use env::fs::{FsExt, OsFs};

        let statm = OsFs.read_to_string(std::path::Path::new("/proc/self/statm"));
        let statm = statm.expect("Linux tells");
        let pages = statm.split(' ').nth(1).and_then(|it| it.parse::<usize>().ok());
        pages.expect("a number of pages") * 4_096
    }

    /// Zeros are asked for where memory was used, where it was purged, and where it is new.
    #[test]
    fn zeros_are_zeros() {
        let heap = heap::<Owned>(64);
        let mut witness = Witness::new(&heap, 1);
        for turn in 0..300 {
            let layout = layout([SPAN, 3 * SPAN - 8, SPAN / 2, 40][turn % 4], 8);
            let block = heap.allocate_zeroed(witness.cache(), layout).expect("there is room");
            let words = (0..layout.size() / WORD).map(|word| block + word * WORD);
            for at in words {
                assert_eq!(heap.arena().word(at), 0, "{at:#x} of a zeroed block at {block:#x}");
                heap.arena().set_word(at, usize::MAX);
            }
            heap.free(witness.cache(), block, layout);
            if turn % 3 == 0 {
                heap.tick();
            }
        }
    }
}

/// Memory is purged while others use the heap.
#[test]
fn ticks_disturb_nobody() {
    use exercise_allocator::Heap;
    use exercise_allocator::scaffold::SPAN;
    use harness::check::schedule::explore;
    use harness::sync::Arc;

    use crate::kit::{Witness, heap, layout};
    use crate::schedules::{Job, together};

    explore("stage_6::ticks_disturb_nobody", || {
        let heap = Arc::new(heap::<Owned>(6));
        // Spans that the next tick purges, unless they are used again.
        let mut witness = Witness::new(&*heap, 1);
        let large = witness.demand(layout(2 * SPAN, 8));
        witness.free(large);
        heap.tick();
        drop(witness);
        let user: Job<Owned> = Box::new(|heap| {
            let mut witness = Witness::new(heap, 2);
            let large = witness.demand(layout(2 * SPAN, 8));
            let small = witness.fill(layout(SPAN / 2, 8), 4);
            witness.look(large);
            witness.free_each(small);
            witness.look(large);
            witness.free(large);
        });
        let clock: Job<Owned> = Box::new(|heap| (0..2).for_each(|_| heap.tick()));
        together(&heap, vec![user, clock]);
    });
}
