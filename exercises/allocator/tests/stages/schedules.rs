//! Few operations, under many schedules. In a plain build the machine chooses them.

use std::collections::BTreeSet;

use exercise_allocator::Heap;
use exercise_allocator::scaffold::SPAN;
use harness::check::schedule::explore;
use harness::sync::{Arc, thread};

use crate::kit::{Witness, heap, layout};

/// A size of which a span holds few, under the explorer.
pub(crate) const SIZE: usize = 64;

/// What one thread does.
pub(crate) type Job<H> = Box<dyn FnOnce(&H) + Send>;

/// Runs all jobs at once, each in a thread.
pub(crate) fn together<H: Heap>(heap: &Arc<H>, jobs: Vec<Job<H>>) {
    let spawn = |job: Job<H>| {
        let heap = Arc::clone(heap);
        thread::spawn(move || job(&heap))
    };
    let threads: Vec<_> = jobs.into_iter().map(spawn).collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
}

/// Two threads allocate and free; what each has written stays.
pub(crate) fn blocks_of_two_threads_are_apart<H: Heap>(name: &str) {
    explore(name, || {
        let heap = Arc::new(heap::<H>(8));
        let job = |signature: usize| -> Job<H> {
            Box::new(move |heap| {
                let mut witness = Witness::new(heap, signature);
                let blocks = witness.fill(layout(SIZE, 8), 3);
                assert_eq!(blocks.len(), 3, "there is room for three blocks");
                witness.look(blocks[0]);
                witness.free(blocks[1]);
                witness.demand(layout(SIZE, 8));
                witness.look(blocks[2]);
                witness.leave();
            })
        };
        together(&heap, vec![job(1), job(2)]);
    });
}

/// Two threads free blocks of a third one, which allocates meanwhile. Of an arena with little room
/// no block is lost: as many can be allocated afterwards as before.
pub(crate) fn what_others_free_is_used_again<H: Heap>(name: &str) {
    // All of it is written to in each schedule.
    let spans = if cfg!(shuttle) { 3 } else { 2 };
    explore(name, move || {
        let heap = Arc::new(heap::<H>(spans));
        let mut owner = Witness::new(&*heap, 1);
        let size = if cfg!(shuttle) { SIZE } else { SPAN / 4 };
        let blocks = owner.fill(layout(size, 8), 100);
        assert!(blocks.len() >= 4, "there are {} blocks in {spans} spans", blocks.len());
        let mut jobs: Vec<Job<H>> = Vec::new();
        for pair in blocks[..4].chunks(2) {
            let pair: Vec<_> = pair.iter().map(|block| (*block, owner.hand_over(*block))).collect();
            jobs.push(Box::new(move |heap| {
                let mut other = Witness::new(heap, 2);
                for (block, layout) in pair {
                    other.free_of_another(block, layout);
                }
            }));
        }
        let threads: Vec<_> = jobs
            .into_iter()
            .map(|job| {
                let heap = Arc::clone(&heap);
                thread::spawn(move || job(&heap))
            })
            .collect();
        let mut again = owner.fill(layout(size, 8), 1);
        for thread in threads {
            thread.join().expect("no thread panics");
        }
        again.extend(owner.fill(layout(size, 8), 100));
        assert_eq!(again.len(), 4, "of four blocks that others freed {} came back", again.len());
        let distinct: BTreeSet<_> = again.iter().chain(&blocks[4..]).collect();
        assert_eq!(distinct.len(), blocks.len(), "a block came back twice");
        owner.leave();
    });
}

/// A thread with blocks of its own frees blocks of another one, which allocates meanwhile from the
/// spans that they lie in: what is free there concerns the owner alone, and nothing is lost.
pub(crate) fn an_owner_frees_blocks_of_another<H: Heap>(name: &str) {
    let size = if cfg!(shuttle) { SIZE } else { SPAN / 4 };
    explore(name, move || {
        let heap = Arc::new(heap::<H>(4));
        let mut owner = Witness::new(&*heap, 1);
        let blocks = owner.fill(layout(size, 8), 2 * SPAN / size);
        let freed: Vec<_> =
            blocks[..3].iter().map(|block| (*block, owner.hand_over(*block))).collect();
        let other = {
            let (heap, freed) = (Arc::clone(&heap), freed.clone());
            thread::spawn(move || {
                let mut other = Witness::new(&*heap, 2);
                other.demand(layout(size, 8));
                for (block, layout) in freed {
                    other.free_of_another(block, layout);
                }
                other.leave();
            })
        };
        let mut again = owner.fill(layout(size, 8), 2);
        other.join().expect("no thread panics");
        again.extend(owner.fill(layout(size, 8), 100));
        for (block, _) in freed {
            assert!(again.contains(&block), "the block {block:#x}, freed by another, is lost");
        }
        owner.leave();
    });
}
