//! Google's tcmalloc: a cache for each processor, by restartable sequences.

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: tcmalloc_better::TCMalloc = tcmalloc_better::TCMalloc;

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "tcmalloc";

    fn get() -> &'static Self {
        &Self
    }
}
