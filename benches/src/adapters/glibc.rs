//! The system's allocator.

use harness::contract::Allocator;

use super::allocators::forward;

/// The allocator of the process.
#[derive(Debug)]
pub struct Heap;

static INNER: std::alloc::System = std::alloc::System;

forward!(Heap, INNER);

impl Allocator for Heap {
    const NAME: &'static str = "glibc";

    fn get() -> &'static Self {
        &Self
    }
}
