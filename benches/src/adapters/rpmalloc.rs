//! Rpmalloc 1.4: spans, a heap for each thread.

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: rpmalloc::RpMalloc = rpmalloc::RpMalloc;

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "rpmalloc";

    fn get() -> &'static Self {
        &Self
    }
}
