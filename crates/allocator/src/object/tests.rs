//! Heaps of one's own: blocks of all sizes, other threads, and the end.

#![expect(unsafe_code, reason = "blocks are freed by address")]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::Heap;
use crate::Strata;
#[cfg(not(feature = "secure"))]
use crate::segment::{Segment, first, slab_of};

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("a small block")
}

/// A block that another thread may free.
#[derive(Clone, Copy)]
struct Sent(NonNull<u8>);

// SAFETY: blocks may be freed by any thread.
unsafe impl Send for Sent {}

fn filled(heap: &Heap, size: usize) -> Sent {
    let block = heap.allocate(layout(size)).expect("there is memory");
    // SAFETY: the block is that long.
    unsafe { block.write_bytes(0xA5, size) };
    Sent(block)
}

#[cfg(not(feature = "secure"))]
fn is_unused(block: Sent) -> bool {
    // SAFETY: segments are never unmapped.
    let slab = first(unsafe { slab_of(block.0.as_ptr()) });
    let (segment, index) = Segment::of_slab(slab);
    segment.slab(index).owner() == 0
}

// In secure mode there are no slabs to look at; its model checks the same.
#[cfg(not(feature = "secure"))]
#[test]
fn blocks_are_given_back_all_at_once() {
    let heap = Heap::new().expect("there is memory");
    let blocks: Vec<Sent> =
        [16, 100, 9_000, 70_000, 3 << 20].into_iter().map(|size| filled(&heap, size)).collect();
    let slabs_were_used = blocks.iter().all(|block| !is_unused(*block));
    // SAFETY: nobody uses a block any more.
    unsafe { heap.destroy() };
    assert!(slabs_were_used, "a block that is out has an owner");
}

#[test]
fn other_threads_allocate_and_free() {
    let heap = Heap::new().expect("there is memory");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for turn in 0..2_000 {
                    let block = filled(&heap, 16 + turn * 37 % 20_000);
                    if turn % 3 > 0 {
                        // SAFETY: nobody else knows of the block.
                        unsafe { heap.free(block.0) };
                    }
                }
            });
        }
    });
    // SAFETY: the threads have ended.
    unsafe { heap.destroy() };
    drop(Heap::new().expect("the heap is used again"));
}

#[test]
fn blocks_outlive_a_heap_that_is_dropped() {
    let heap = Heap::new().expect("there is memory");
    let block = filled(&heap, 1_000);
    drop(heap);
    // SAFETY: the block is still out.
    assert_eq!(unsafe { block.0.read() }, 0xA5);
    // SAFETY: nobody else knows of it.
    unsafe { Strata::new().free(block.0) };
}

#[test]
fn what_is_beyond_a_span_is_refused() {
    let heap = Heap::new().expect("there is memory");
    assert_eq!(heap.allocate(layout(33 << 20)), None);
}
