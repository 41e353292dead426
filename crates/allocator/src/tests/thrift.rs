//! What a heap touches: memory that was never used is the last resort.

#![expect(unsafe_code, reason = "heaps are called as threads would call them")]

use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

use crate::heap::{Heap, Role};
use crate::os::mock::Mock;
use crate::world::World;

const SIZE: usize = 512;
/// Blocks that are carved at once.
const AT_ONCE: usize = 4096 / SIZE;

fn world() -> &'static World {
    let os: &'static Mock = Box::leak(Box::new(Mock::new()));
    Box::leak(Box::new(World::new(os)))
}

fn free(heap: &'static Heap, start: usize) {
    let start = NonNull::new(std::ptr::with_exposed_provenance_mut(start));
    // SAFETY: the tests free what is out, once.
    unsafe { heap.free(start.expect("a block")) };
}

/// The current slab was carved to its end before the free blocks of the next one were looked at: so
/// every slab that a class ever had was touched all over.
#[test]
fn free_blocks_of_other_slabs_go_before_fresh_memory() {
    let world = world();
    let heap = world.heap(Role::Thread).expect("there is memory");
    let make = || heap.allocate(SIZE, 8).expose_provenance();
    // Two slabs are full and a third is carved in part, with nothing left over.
    let blocks: Vec<usize> = (0..2 * 128 + 6 * AT_ONCE).map(|_| make()).collect();
    let freed: BTreeSet<usize> = blocks[..256].iter().copied().step_by(7).collect();
    for &block in &freed {
        free(heap, block);
    }
    let again: BTreeSet<usize> = freed.iter().map(|_| make()).collect();
    assert_eq!(again, freed);
    // Only now.
    assert!(!blocks.contains(&make()));
    world.pool.release_all();
}

/// A program that goes round through some fifty classes had more to keep than a heap kept: each
/// round gave all of it back, and took and carved it anew.
#[test]
fn slabs_that_every_round_uses_stay_with_the_heap() {
    let world = world();
    let heap = world.heap(Role::Thread).expect("there is memory");
    for _ in 0..3 {
        let sizes = (1..=100).map(|index| index * 64);
        let blocks: Vec<usize> =
            sizes.map(|size| heap.allocate(size, 8).expose_provenance()).collect();
        for block in blocks {
            free(heap, block);
        }
    }
    assert_eq!(world.pool.dirty.load(SeqCst), 0, "slices were given back");
    world.pool.release_all();
}

/// Slices went from class to class. What each touched of them added up, until a program that went
/// through many classes again and again had touched all of each.
#[test]
fn a_slab_is_made_where_one_of_its_class_was() {
    let world = world();
    let heap = world.heap(Role::Thread).expect("there is memory");
    // Slabs of one slice, and of eight.
    let sizes = [SIZE, 2 * SIZE, 4 * SIZE, 9 << 10, 12 << 10];
    let make = |size: usize| heap.allocate(size, 8).expose_provenance();
    let before = sizes.map(make);
    for _ in 0..3 {
        for block in before {
            free(heap, block);
        }
        heap.collect();
        let mut after: Vec<usize> = sizes.iter().rev().map(|&size| make(size)).collect();
        after.reverse();
        assert_eq!(after, before);
    }
    world.pool.release_all();
}

/// A vector that doubled grew over fresh memory, while what the one before it had was kept, in case
/// that a block of its last size was asked for at once.
#[test]
fn a_block_that_grows_does_so_where_a_larger_one_was() {
    const LARGE: usize = 1 << 20;
    let world = world();
    let heap = world.heap(Role::Thread).expect("there is memory");
    let make = |size: usize| NonNull::new(heap.allocate(size, 8)).expect("there is memory");
    let large = make(LARGE);
    free(heap, large.as_ptr().expose_provenance());
    assert_ne!(make(LARGE / 8), large, "a block that may stay as it is");
    let mut grown = make(LARGE / 16);
    for size in [LARGE / 8, LARGE / 4, LARGE] {
        // SAFETY: the block is out, and no shorter.
        let to = unsafe { heap.reallocate(grown, LARGE / 16, 8, size) };
        grown = NonNull::new(to).expect("there is memory");
        assert_eq!(grown, large);
    }
    world.pool.release_all();
}

/// A thread that begins takes over what one that ended has left, however often that happens.
#[test]
fn threads_one_after_another_make_one_heap() {
    let world = world();
    let first = world.heap(Role::Thread).expect("there is memory");
    let block = first.allocate(SIZE, 8).expose_provenance();
    first.leave();
    for _ in 0..100 {
        let heap = world.heap(Role::Thread).expect("there is memory");
        assert!(std::ptr::eq(heap, first), "a second heap");
        heap.leave();
    }
    let object = world.heap(Role::Object).expect("there is memory");
    assert!(!std::ptr::eq(object, first), "a heap of one's own that somebody else knows");
    object.retire();
    free(world.heap(Role::Thread).expect("there is memory"), block);
    let mut heaps = 0;
    world.each_heap(|_| heaps += 1);
    assert_eq!(heaps, 2);
    world.pool.release_all();
}

/// Threads that came and went, each on a processor of its own, took over each other's heaps: what
/// they freed was then another's, and waited in parcels while both heaps grew.
#[test]
fn a_thread_takes_over_what_was_left_on_its_processor() {
    let os: &'static Mock = Box::leak(Box::new(Mock::new()));
    let world: &'static World = Box::leak(Box::new(World::new(os)));
    let begin = |processor| {
        os.processor.store(processor, SeqCst);
        world.heap(Role::Thread).expect("there is memory")
    };
    let end = |processor, heap: &'static Heap| {
        os.processor.store(processor, SeqCst);
        heap.leave();
    };
    let heaps = [begin(0), begin(1)];
    for order in [[0_u32, 1], [1, 0]] {
        (0..).zip(heaps).for_each(|(processor, heap)| end(processor, heap));
        for processor in order {
            assert!(std::ptr::eq(begin(processor), heaps[processor as usize]), "another's heap");
        }
    }
    // Any is better than one more.
    end(0, heaps[0]);
    assert!(std::ptr::eq(begin(7), heaps[0]), "a third heap");
    world.pool.release_all();
}

/// What a thread frees for another goes home only where the thread has no use for it.
#[test]
fn blocks_of_others_are_used_again_before_fresh_memory() {
    let world = world();
    let (maker, user) = (world.heap(Role::Thread), world.heap(Role::Thread));
    let (maker, user) = (maker.expect("there is memory"), user.expect("there is memory"));
    let make = |heap: &'static Heap| heap.allocate(SIZE, 8).expose_provenance();
    let blocks: BTreeSet<usize> = (0..32 + 8).map(|_| make(maker)).collect();
    blocks.iter().take(8).for_each(|&block| free(user, block));
    let mut out: Vec<usize> = (0..8).map(|_| make(user)).collect();
    // As many as make a parcel: it would go, if its blocks were not of use here.
    for &block in blocks.iter().filter(|block| !out.contains(block)) {
        free(user, block);
    }
    out.extend((0..16).map(|_| make(user)));
    assert!(out.iter().all(|block| blocks.contains(block)), "fresh memory");
    // The others go home with the thread, and those that are out when they are freed.
    user.leave();
    for block in out {
        free(maker, block);
    }
    let again: BTreeSet<usize> = (0..blocks.len()).map(|_| make(maker)).collect();
    assert_eq!(again, blocks);
    world.pool.release_all();
}

/// A thread that only frees kept a parcel of every class, which the other made anew meanwhile.
#[test]
fn blocks_go_home_from_a_thread_that_makes_none() {
    let world = world();
    let (maker, reader) = (world.heap(Role::Thread), world.heap(Role::Thread));
    let (maker, reader) = (maker.expect("there is memory"), reader.expect("there is memory"));
    let make = || (0..32).map(|_| maker.allocate(SIZE, 8).expose_provenance());
    let blocks: BTreeSet<usize> = make().collect();
    for _ in 0..3 {
        for &block in &blocks {
            free(reader, block);
        }
        assert_eq!(make().collect::<BTreeSet<_>>(), blocks, "fresh memory");
    }
    world.pool.release_all();
}

/// Makes blocks of 4 MiB until 64 MiB are out, and uses `part` of the pages of each; the bytes that
/// huge pages were asked for, in a process with so many heaps.
fn huge_after_blocks_of(part: usize, heaps: usize) -> usize {
    const LARGE: usize = 4 << 20;
    let os: &'static Mock = Box::leak(Box::new(Mock::new()));
    let world: &'static World = Box::leak(Box::new(World::new(os)));
    let heap = world.heap(Role::Thread).expect("there is memory");
    for _ in 1..heaps {
        world.heap(Role::Thread).expect("there is memory");
    }
    for _ in 0..16 {
        let block = heap.allocate(LARGE, 8);
        assert!(!block.is_null(), "no memory");
        for page in (0..LARGE / 4096).step_by(part) {
            // SAFETY: within the block.
            let byte = unsafe { block.add(page * 4096) };
            // SAFETY: as above.
            unsafe { byte.write_volatile(1) };
        }
    }
    world.pool.release_all();
    os.huge.load(SeqCst)
}

/// Large blocks that nobody fills were given huge pages: a compressor of a small file weighed five
/// times as much as with small ones.
#[test]
fn large_blocks_get_huge_pages_where_they_are_filled() {
    let used = huge_after_blocks_of(1, 1);
    // Not at first, and then all of them.
    assert!((40 << 20..56 << 20).contains(&used), "{used} bytes");
    assert_eq!(huge_after_blocks_of(4 << 20, 1), 0, "only their first pages are used");
}

/// Two threads that had 4 MiB each, and half of that in use, got 2 MiB at once where they asked for
/// one slab more.
#[test]
fn many_heaps_get_huge_pages_later() {
    let one = huge_after_blocks_of(1, 1);
    assert_eq!(huge_after_blocks_of(1, 5), one - 4 * (4 << 20));
}

/// Blocks of some pages, of which nobody used more than the first, got huge pages as well: then
/// twice as much was resident.
#[test]
fn blocks_that_are_hardly_used_get_no_huge_pages() {
    let os: &'static Mock = Box::leak(Box::new(Mock::new()));
    let world: &'static World = Box::leak(Box::new(World::new(os)));
    let heap = world.heap(Role::Thread).expect("there is memory");
    let huge_after = |used: usize| {
        let before = os.huge.load(SeqCst);
        for _ in 0..(16 << 20) / (16 << 10) {
            let block = heap.allocate(16 << 10, 8);
            // SAFETY: the block is as long.
            unsafe { block.write_bytes(1, used) };
        }
        os.huge.load(SeqCst) - before
    };
    assert_eq!(huge_after(1), 0);
    assert!(huge_after(16 << 10) >= 12 << 20);
    world.pool.release_all();
}
