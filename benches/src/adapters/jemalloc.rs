//! Jemalloc 5.3: arenas, extents and thread caches.

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "jemalloc";

    fn get() -> &'static Self {
        &Self
    }
}
