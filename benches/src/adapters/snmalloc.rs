//! Snmalloc: remote frees as messages, in batches.

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "snmalloc";

    fn get() -> &'static Self {
        &Self
    }
}
