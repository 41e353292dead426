//! Ours: slabs, spans, a pool that purges.

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: allocator::Strata = allocator::Strata::new();

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "allocator";

    fn get() -> &'static Self {
        &Self
    }

    fn collect(&self) {
        INNER.collect();
    }
}
