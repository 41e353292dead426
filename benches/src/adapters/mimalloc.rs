//! Mimalloc v3: pages by class, a heap for each thread.

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: mimalloc::MiMalloc = mimalloc::MiMalloc;

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "mimalloc";

    fn get() -> &'static Self {
        &Self
    }
}
