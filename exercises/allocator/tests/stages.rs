//! What judges each stage.
//!
//! `cargo study check` runs the module of a stage, and then the same module once more under
//! shuttle, which switches threads at every access to an atomic or a lock: what a stress test finds
//! in one run of three, it finds in a few schedules.
#![expect(unsafe_code, reason = "blocks are raw memory")]

/// Properties of the suite that judges every allocator of this repository.
#[cfg(not(shuttle))]
use harness::suite_properties;

#[cfg(not(shuttle))]
mod stage_1 {
    use exercise_allocator::JudgedBump;
    use exercise_allocator::exercise::Bump;

    super::suite_properties!(allocator, JudgedBump:
        matches_model, sizes_and_alignments, zeroed_is_zero, realloc_keeps_contents,
    );

    #[test]
    fn a_chunk_is_used_to_its_end() {
        super::memory::stays_near_what_is_used::<Bump>(24, 1.05);
    }
}

#[cfg(not(shuttle))]
mod stage_2 {
    use exercise_allocator::JudgedFreeList;
    use exercise_allocator::exercise::FreeList;

    super::suite_properties!(allocator, JudgedFreeList:
        matches_model, sizes_and_alignments, zeroed_is_zero, realloc_keeps_contents,
        memory_is_reused, threads_pass_blocks,
    );

    #[test]
    fn what_was_freed_is_used_again() {
        super::memory::what_was_freed_is_used_again::<FreeList>(&[(0, 0)]);
    }
}

#[cfg(not(shuttle))]
mod stage_3 {
    use exercise_allocator::JudgedClasses;
    use exercise_allocator::exercise::Classes;

    super::suite_properties!(allocator, JudgedClasses:
        matches_model, sizes_and_alignments, zeroed_is_zero, realloc_keeps_contents,
        memory_is_reused, threads_pass_blocks,
    );

    #[test]
    fn what_was_freed_is_used_again() {
        super::memory::what_was_freed_is_used_again::<Classes>(&[(0, 0)]);
    }

    #[test]
    fn a_block_is_found_at_once() {
        super::memory::a_block_is_found_at_once::<Classes>();
    }

    #[test]
    fn less_than_half_is_wasted() {
        super::memory::stays_near_what_is_used::<Classes>(24, 1.5);
    }
}

#[cfg(not(shuttle))]
mod stage_4 {
    use exercise_allocator::JudgedCached;
    use exercise_allocator::exercise::Cached;

    super::suite_properties!(allocator, JudgedCached:
        matches_model, sizes_and_alignments, zeroed_is_zero, realloc_keeps_contents,
        memory_is_reused, threads_pass_blocks,
    );

    /// One thread makes blocks and the other frees them: they must find their way back.
    #[test]
    fn what_was_freed_is_used_again() {
        super::memory::what_was_freed_is_used_again::<Cached>(&[(0, 0), (0, 1), (2, 1)]);
    }
}

mod stage_5 {
    #[cfg(not(shuttle))]
    mod suite {
        use exercise_allocator::JudgedOwned;

        super::super::suite_properties!(allocator, JudgedOwned:
            matches_model, sizes_and_alignments, zeroed_is_zero, realloc_keeps_contents,
            memory_is_reused, threads_pass_blocks,
        );
    }

    #[cfg(not(shuttle))]
    #[test]
    fn what_was_freed_is_used_again() {
        use exercise_allocator::exercise::Owned;
        super::memory::what_was_freed_is_used_again::<Owned>(&[(0, 0), (0, 1), (2, 1)]);
    }

    #[test]
    fn what_others_free_comes_back() {
        super::schedules::what_others_free_comes_back("stage_5::what_others_free_comes_back");
    }
}

#[cfg(not(shuttle))]
mod stage_6 {
    use exercise_allocator::JudgedOwned;
    use exercise_allocator::exercise::Owned;

    super::suite_properties!(allocator, JudgedOwned: matches_model, threads_pass_blocks);

    #[test]
    fn what_is_free_goes_back() {
        super::memory::what_is_free_goes_back::<Owned>();
    }

    #[test]
    fn what_is_used_stays() {
        super::memory::what_is_used_stays::<Owned>();
    }
}

#[cfg(not(shuttle))]
mod stage_7 {
    use exercise_allocator::JudgedOwned;
    use exercise_allocator::exercise::Owned;

    harness::allocator_suite!(all, JudgedOwned);

    #[test]
    fn a_block_that_grows_seldom_moves() {
        super::memory::a_block_that_grows_seldom_moves::<Owned>();
    }
}

/// What you call yours: everything, before it is measured.
mod yours {
    #[cfg(not(shuttle))]
    mod suite {
        use exercise_allocator::JudgedYours;

        harness::allocator_suite!(all, JudgedYours);
    }
}

/// Blocks, one after the other, and what the system was asked for meanwhile.
#[cfg(not(shuttle))]
mod memory {
    use std::alloc::Layout;
    use std::collections::BTreeSet;

    use exercise_allocator::{CHUNK, Heap, System};

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).expect("the sizes of these tests are legal")
    }

    fn alloc(heap: &impl Heap, me: usize, size: usize) -> *mut u8 {
        // SAFETY: a small layout; one thread has all numbers, one at a time.
        let block = unsafe { heap.alloc(me, layout(size)) };
        assert!(!block.is_null(), "there is memory");
        block
    }

    fn free(heap: &impl Heap, me: usize, block: *mut u8, size: usize) {
        // SAFETY: as above, and a block of `alloc`.
        unsafe { heap.free(me, block, layout(size)) };
    }

    /// Many blocks of a size take at most `times` what they are.
    pub(crate) fn stays_near_what_is_used<H: Heap>(size: usize, times: f64) {
        let heap = H::new(System::new());
        let count = 40_000;
        for _ in 0..count {
            alloc(&heap, 0, size);
        }
        let (used, mapped) = (size * count, heap.system().mapped());
        assert!(
            (mapped as f64) < used as f64 * times + CHUNK as f64,
            "{count} blocks of {size} bytes, {used} in all, took {mapped} of the system"
        );
    }

    /// Blocks that one thread makes and another frees, again and again, take no more each time.
    pub(crate) fn what_was_freed_is_used_again<H: Heap>(threads: &[(usize, usize)]) {
        for &(maker, freer) in threads {
            let heap = H::new(System::new());
            let mut after = Vec::new();
            for _ in 0..60 {
                let blocks: Vec<_> = (0..500).map(|_| alloc(&heap, maker, 100)).collect();
                let different: BTreeSet<_> = blocks.iter().map(|block| block.addr()).collect();
                assert_eq!(different.len(), 500, "a block was given twice");
                blocks.into_iter().for_each(|block| free(&heap, freer, block, 100));
                after.push(heap.system().mapped());
            }
            let (early, late) = (after[9], after[59]);
            assert!(
                late <= early + CHUNK,
                "thread {maker} makes 500 blocks, thread {freer} frees them: after ten times that \
                 the heap has {early} bytes of the system, after sixty {late}"
            );
        }
    }

    /// A list that is searched takes a walk over all that does not fit. Here that would be a
    /// billion steps.
    pub(crate) fn a_block_is_found_at_once<H: Heap>() {
        let heap = H::new(System::new());
        let small: Vec<_> = (0..30_000).map(|_| alloc(&heap, 0, 16)).collect();
        small.into_iter().for_each(|block| free(&heap, 0, block, 16));
        let large: Vec<_> = (0..30_000).map(|_| alloc(&heap, 0, 500)).collect();
        large.into_iter().for_each(|block| free(&heap, 0, block, 500));
    }

    pub(crate) fn what_is_free_goes_back<H: Heap>() {
        let heap = H::new(System::new());
        let mut mapped = 0;
        for round in 1..=4 {
            let blocks: Vec<_> = (0..4_000).map(|_| alloc(&heap, 0, 1_000)).collect();
            if round == 1 {
                mapped = heap.system().mapped();
            }
            assert!(
                heap.system().mapped() <= mapped + CHUNK,
                "what went back is not used again: {} bytes in round {round}, at first {mapped}",
                heap.system().mapped()
            );
            // Half of them by another thread, to which that must make no difference.
            for (index, block) in blocks.into_iter().enumerate() {
                free(&heap, index % 2, block, 1_000);
            }
            // SAFETY: one thread has all numbers, one at a time.
            unsafe { heap.purge(0) };
            let discarded = heap.system().discarded();
            assert!(
                discarded >= round * mapped * 9 / 10,
                "all blocks of {mapped} bytes were freed, {round} times; {discarded} bytes went back"
            );
        }
    }

    /// A chunk of which a block is in use stays, and so does what is in the block.
    pub(crate) fn what_is_used_stays<H: Heap>() {
        let heap = H::new(System::new());
        let blocks: Vec<_> = (0..4_000).map(|_| alloc(&heap, 0, 1_000)).collect();
        let mut kept = Vec::new();
        for (index, block) in blocks.into_iter().enumerate() {
            if index % 500 == 0 {
                // SAFETY: our block, of a thousand bytes.
                unsafe { block.write_bytes(0xA5, 1_000) };
                kept.push(block);
            } else {
                free(&heap, 0, block, 1_000);
            }
        }
        // SAFETY: one thread has all numbers, one at a time.
        unsafe { heap.purge(0) };
        let discarded = heap.system().discarded();
        assert!(discarded >= 2_000_000, "most chunks are free; {discarded} bytes went back");
        for block in kept {
            // SAFETY: our block, written in full.
            let bytes = unsafe { std::slice::from_raw_parts(block, 1_000) };
            assert!(bytes.iter().all(|&byte| byte == 0xA5), "a block in use was discarded");
            free(&heap, 0, block, 1_000);
        }
    }

    pub(crate) fn a_block_that_grows_seldom_moves<H: Heap>() {
        let heap = H::new(System::new());
        let (mut block, mut moves) = (alloc(&heap, 0, 8), 0);
        for size in (8..4_000).step_by(8) {
            // SAFETY: our block of this size; both sizes are small.
            let grown = unsafe { heap.resize(0, block, layout(size), size + 8) };
            moves += u32::from(grown != block);
            block = grown;
        }
        assert!(moves <= 40, "a block that grew to 4,000 bytes in steps of 8 moved {moves} times");
    }
}

/// Few operations, under many schedules. In a plain build the machine chooses them.
mod schedules {
    use std::alloc::Layout;
    use std::collections::BTreeSet;

    use exercise_allocator::exercise::Owned;
    use exercise_allocator::{Heap, LARGE, System};
    use harness::check::schedule::explore;
    use harness::sync::{Arc, thread};

    /// Of the largest blocks a chunk has only a few.
    fn layout() -> Layout {
        Layout::from_size_align(LARGE, 8).expect("it is legal")
    }

    fn alloc(heap: &Owned, me: usize) -> usize {
        // SAFETY: a small layout; each thread has a number of its own.
        let block = unsafe { heap.alloc(me, layout()) };
        assert!(!block.is_null(), "there is memory");
        block.expose_provenance()
    }

    fn free(heap: &Owned, me: usize, block: usize) {
        let block = std::ptr::with_exposed_provenance_mut(block);
        // SAFETY: as above, and a block of `alloc`.
        unsafe { heap.free(me, block, layout()) };
    }

    /// Two threads free blocks of a third, which goes on: they are where it finds them.
    pub(crate) fn what_others_free_comes_back(name: &str) {
        explore(name, || {
            let heap = Arc::new(<Owned as Heap>::new(System::new()));
            let blocks: Vec<_> = (0..6).map(|_| alloc(&heap, 0)).collect();
            let free_two = |me: usize| {
                let (heap, two) = (Arc::clone(&heap), blocks[me * 2 - 2..me * 2].to_vec());
                thread::spawn(move || two.into_iter().for_each(|block| free(&heap, me, block)))
            };
            let others = [free_two(1), free_two(2)];
            let mut live: BTreeSet<_> = blocks[4..].iter().copied().collect();
            assert!(live.insert(alloc(&heap, 0)), "a block is in use twice");
            for thread in others {
                thread.join().expect("no thread panics");
            }
            let mapped = heap.system().mapped();
            for _ in 0..4 {
                assert!(live.insert(alloc(&heap, 0)), "a block is in use twice");
            }
            let more = heap.system().mapped() - mapped;
            assert_eq!(more, 0, "others freed four blocks, and their owner does not have them all");
        });
    }
}
