//! `rusty_alloc`: mimalloc v2 made anew in Rust.

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: rusty_alloc_api::RustyAlloc = rusty_alloc_api::RustyAlloc;

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "rusty_alloc";

    fn get() -> &'static Self {
        &Self
    }
}
